"""From the shape of an image to chunks, shards, levels and work regions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from ngff_bio.engine.codecs import Codec
from ngff_bio.engine.pyramid import Method, level_factors, reduced_shape
from ngff_bio.engine.settings import Settings
from ngff_bio.errors import ArgumentError
from ngff_bio.model import Region

#: Planes of a z chunk where z is a calibrated axis: cross sections then cost no more than planes.
_DEPTH = 8

#: Chunk sides are multiples of this, so that bit shuffles and reductions by two stay aligned.
_ALIGN = 8


@dataclass(frozen=True, slots=True)
class Level:
    """One array: its shape, its chunks, the shard that holds several of them, its codec.

    ``shard`` is ``None`` where each chunk is an object of its own. ``factor`` is the reduction
    against the level before.
    """

    path: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    shard: tuple[int, ...] | None
    factor: tuple[int, ...]

    @property
    def object_shape(self) -> tuple[int, ...]:
        """Pixels of one stored object."""
        return self.shard or self.chunk

    def object_grid(self) -> tuple[int, ...]:
        """Number of objects along each axis."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.object_shape, strict=True))


@dataclass(frozen=True, slots=True)
class Pass:
    """Levels that are made together from one read of the level that they start from.

    ``source`` is the level that is read (-1 is the dataset's own pixels); ``region`` is the size of
    a work region in pixels of the first level that is written, or of ``source`` where that is a
    level. Levels ``first`` up to (not including) ``stop`` are written.
    """

    source: int
    first: int
    stop: int
    region: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ArrayPlan:
    """A multi-resolution array and how it is made. ``path`` is its group in the store."""

    path: str
    axes: str
    dtype: str
    levels: tuple[Level, ...]
    passes: tuple[Pass, ...]
    method: Method
    codec: Codec
    zarr_format: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of level 0."""
        return self.levels[0].shape

    def key(self, level: int, index: tuple[int, ...]) -> str:
        """Key of the object at a position of a level's object grid (Zarr's default key encoding)."""
        start = [self.path, self.levels[level].path] if self.path else [self.levels[level].path]
        marker = ["c"] if self.zarr_format == 3 else []
        return "/".join([*start, *marker, *map(str, index)])

    def regions(self, step: Pass) -> Iterator[Region]:
        """Work regions of a pass, in pixels of what it reads."""
        shape = self.levels[max(step.source, 0)].shape
        yield from _tiles(shape, step.region)


def _tiles(shape: tuple[int, ...], tile: tuple[int, ...]) -> Iterator[Region]:
    spans = [[(i, min(i + t, n)) for i in range(0, n, t)] for n, t in zip(shape, tile, strict=True)]
    yield from product(*spans)


def plan_array(
    path: str,
    axes: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    grain: tuple[int, ...],
    steps: tuple[float | None, ...],
    settings: Settings,
    *,
    method: Method,
    codec: Codec,
    like: ArrayPlan | None = None,
    region_itemsize: int | None = None,
) -> ArrayPlan:
    """Lay out one multi-resolution array.

    Parameters
    ----------
    path
        Its group in the store.
    axes, shape, dtype
        Letters of the axes, sizes, type of a pixel.
    grain
        Smallest block that its source reads at once.
    steps
        Spacing along each axis, ``None`` where unknown.
    like
        Another array (a label image's own image) whose chunks and levels it follows, without the
        channel axis.
    region_itemsize
        Bytes of a pixel that regions are cut for, where several arrays share their regions.
    """
    itemsize = region_itemsize or dtype.itemsize
    if like is None:
        chunk = _chunk(axes, shape, dtype, grain, steps, settings)
        at = {a: i for i, a in enumerate(axes)}
        fits = (chunk[at["y"]], chunk[at["x"]])
        factors = level_factors(axes, shape, steps, fits, settings.levels)
    else:
        keep = [like.axes.index(a) for a in axes]
        chunk = tuple(like.levels[0].chunk[i] for i in keep)
        factors = [tuple(lv.factor[i] for i in keep) for lv in like.levels]
    shapes = [shape]
    for factor in factors[1:]:
        shapes.append(reduced_shape(shapes[-1], factor))
    sharded = settings.zarr_format == 3
    levels: list[Level] = []
    passes: list[Pass] = []
    source, first = -1, 0
    while first < len(factors):
        base = max(source, 0)
        if source >= 0:
            grain = _own_grain(levels[base], chunk, factors[first])
        region = _region(axes, shapes[base], chunk, grain, itemsize, settings.shard_bytes)
        size, stop = region, first
        while stop < len(factors):
            if stop > 0:
                size = tuple(-(-s // f) for s, f in zip(size, factors[stop], strict=True))
            if stop > first and not _whole(size, shapes[stop], chunk):
                break
            levels.append(_level(stop, shapes[stop], chunk, size, factors[stop], sharded))
            stop += 1
        passes.append(Pass(source, first, stop, region))
        source, first = stop - 1, stop
    return ArrayPlan(
        path, axes, dtype.str, tuple(levels), tuple(passes), method, codec, settings.zarr_format
    )


def _whole(size: tuple[int, ...], shape: tuple[int, ...], chunk: tuple[int, ...]) -> bool:
    """Whether regions of this size own whole chunks of a level."""
    return all(s >= n or s % c == 0 for s, n, c in zip(size, shape, chunk, strict=True))


def _own_grain(level: Level, chunk: tuple[int, ...], factor: tuple[int, ...]) -> tuple[int, ...]:
    """What a pass over a level in the store reads at least: whole objects, for whole next chunks."""
    return tuple(
        math.lcm(o, c * f) for o, c, f in zip(level.object_shape, chunk, factor, strict=True)
    )


def _level(
    number: int,
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
    region: tuple[int, ...],
    factor: tuple[int, ...],
    sharded: bool,
) -> Level:
    inner = tuple(min(c, n) for c, n in zip(chunk, shape, strict=True))
    outer = tuple(-(-min(r, n) // c) * c for r, n, c in zip(region, shape, inner, strict=True))
    return Level(str(number), shape, inner, outer if sharded and outer != inner else None, factor)


def _chunk(
    axes: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    grain: tuple[int, ...],
    steps: tuple[float | None, ...],
    settings: Settings,
) -> tuple[int, ...]:
    """Chunk shape: one frame, plane or tile; interleaved colours together."""
    size = dict(zip(axes, shape, strict=True))
    unit = dict(zip(axes, grain, strict=True))
    step = dict(zip(axes, steps, strict=True))
    chunk = dict.fromkeys(axes, 1)
    if "c" in axes:
        chunk["c"] = unit["c"]
    if settings.chunk is not None:
        chunk |= _given_chunk(settings.chunk, axes, size)
        return tuple(chunk[a] for a in axes)
    if size.get("z", 1) > 1 and step.get("z") is not None:
        chunk["z"] = _even_part(size["z"], _DEPTH, 1)
    pixels = settings.chunk_bytes // (dtype.itemsize * math.prod(chunk.values()))
    if size["y"] * size["x"] <= pixels:
        chunk["y"], chunk["x"] = size["y"], size["x"]
    else:
        side = 1 << int(math.log2(max(pixels, 1)) / 2)
        chunk["y"] = _even_part(size["y"], side, _ALIGN)
        chunk["x"] = _even_part(size["x"], side, _ALIGN)
    return tuple(chunk[a] for a in axes)


def _given_chunk(given: tuple[int, ...], axes: str, size: dict[str, int]) -> dict[str, int]:
    if not 2 <= len(given) <= 3 or min(given) < 1:
        raise ArgumentError(
            "a chunk shape has two or three sizes",
            expected="--chunk Y,X or --chunk Z,Y,X",
            found=",".join(map(str, given)),
        )
    named = dict(zip("zyx"[-len(given) :], given, strict=True))
    return {a: min(n, size[a]) for a, n in named.items() if a in axes}


def _even_part(size: int, most: int, align: int) -> int:
    """Cut ``size`` into equal parts of at most ``most``: padding at the edge is work for nothing."""
    if size <= most:
        return size
    parts = -(-size // most)
    return min(most, -(-size // parts // align) * align)


def _region(
    axes: str,
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
    grain: tuple[int, ...],
    itemsize: int,
    most: int,
) -> tuple[int, ...]:
    """Work region: whole chunks and grains, grown along x, y, z, t, c while it stays below ``most``.

    It grows by doubling, so that it halves into whole chunks on the levels above.
    """
    region = [min(n, math.lcm(c, g)) for n, c, g in zip(shape, chunk, grain, strict=True)]
    for axis in (a for a in "xyztc" if a in axes):
        i = axes.index(axis)
        others = math.prod(region[:i] + region[i + 1 :]) * itemsize
        if axis == "x" and shape[i] * others <= most:
            region[i] = shape[i]  # whole rows: sources lie in rows
        while region[i] < shape[i] and min(2 * region[i], shape[i]) * others <= most:
            region[i] = min(2 * region[i], shape[i])
        if region[i] < shape[i]:
            break
    return tuple(region)
