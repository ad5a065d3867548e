"""From the shape of an image to chunks, shards, levels and work regions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Literal

import numpy as np

from ngff_bio.engine.plan.settings import Method, Settings
from ngff_bio.engine.plan.shapes import (
    chunk_shape,
    level_factors,
    reduced_shape,
    region_shape,
    shard_shape,
)
from ngff_bio.model import Region, SampleType
from ngff_bio.zarrio.arrays import ArrayMeta, zero
from ngff_bio.zarrio.codecs import CRC32C, Codec, CodecPipeline
from ngff_bio.zarrio.documents import Document


@dataclass(frozen=True, slots=True)
class LevelPlan:
    """One level: its shape, and the shapes of its chunks and shards.

    ``shard`` is ``None`` where each chunk is an object of its own. ``factor`` is the reduction
    relative to the level before.
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
    a work region in pixels of level 0, or of ``source`` where that is a level. Levels ``first`` up
    to (not including) ``stop`` are written. ``halo`` is how many pixels beyond a region are read.
    """

    source: int
    first: int
    stop: int
    region: tuple[int, ...]
    halo: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """An array that is in a store already: its levels, its number of frames (0 to write all)."""

    levels: tuple[LevelPlan, ...]
    dtype: str
    codec: Codec
    checksums: bool
    frames: int


@dataclass(frozen=True, slots=True)
class ArrayPlan:
    """A multi-resolution array and how it is made. ``path`` is its group in the store."""

    path: str
    axes: str
    dtype: str
    levels: tuple[LevelPlan, ...]
    passes: tuple[Pass, ...]
    method: Method
    codec: Codec
    checksums: bool
    zarr_format: int
    role: Literal["image", "label"] = "image"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of level 0."""
        return self.levels[0].shape

    @property
    def codec_group(self) -> str:
        """Arrays of one group share the codec that is chosen for ``auto``."""
        channels = self.shape[self.axes.index("c")] if "c" in self.axes else 1
        return f"{self.role} {np.dtype(self.dtype).name} x{channels}"

    def meta(self, level: int) -> ArrayMeta:
        """The array of a level as it is stored."""
        lv, dtype = self.levels[level], np.dtype(self.dtype)
        return ArrayMeta(
            f"{self.path}/{lv.path}".lstrip("/"),
            self.zarr_format,
            lv.shape,
            dtype,
            lv.chunk,
            lv.shard,
            zero(dtype),
            CodecPipeline(self._codecs()),
            prefix="c" if self.zarr_format == 3 else "",
            dimension_names=tuple(self.axes),
        )

    def _codecs(self) -> tuple[Codec, ...]:
        codec = self.codec
        if self.checksums and self.zarr_format == 2 and codec.name == "zstd":
            codec = replace(codec, checked=True)
        chain = () if codec.name == "none" else (codec,)
        return (*chain, CRC32C) if self.checksums and self.zarr_format == 3 else chain

    def documents(self) -> dict[str, Document]:
        """Metadata documents of all levels, by path."""
        arrays = (self.meta(number) for number in range(len(self.levels)))
        return {meta.path: meta.document() for meta in arrays}

    def regions(self, step: Pass, start: int = 0) -> Iterator[Region]:
        """Work regions of a pass, in pixels of what it reads; without frames before ``start``."""
        shape = self.levels[max(step.source, 0)].shape
        spans = [
            [(i, min(i + t, n)) for i in range(start if axis == "t" else 0, n, t)]
            for axis, n, t in zip(self.axes, shape, step.region, strict=True)
        ]
        yield from product(*spans)


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """An array before it is laid out.

    Parameters
    ----------
    axes, shape, dtype
        Letters of the axes, sizes, type of a pixel.
    read_block_shape
        Smallest block that its source reads at once.
    steps
        Spacing along each axis, ``None`` where unknown.
    role
        Whether it is an image or a label image, which have settings of their own.
    like
        Axes and levels of another array (a label image's own image) whose chunks and levels it
        follows, without the channel axis.
    region_itemsize
        Bytes of a pixel that regions are cut for, where several arrays share their regions.
    stored
        The same array in the store, with fewer frames: its layout is kept.
    codec
        Its codec, if it is neither that of the settings nor that of `stored`.
    """

    axes: str
    shape: tuple[int, ...]
    dtype: SampleType
    read_block_shape: tuple[int, ...]
    steps: tuple[float | None, ...]
    role: Literal["image", "label"] = "image"
    like: tuple[str, tuple[LevelPlan, ...]] | None = None
    region_itemsize: int | None = None
    stored: Stored | None = None
    codec: Codec | None = None


def plan_array(path: str, spec: ArraySpec, settings: Settings) -> ArrayPlan:
    """Lay out one multi-resolution array, whose group in the store is `path`."""
    return replace(_lay_out(spec, settings), path=path)


@lru_cache(256)  # the images of a dataset often have one shape
def _lay_out(spec: ArraySpec, settings: Settings) -> ArrayPlan:
    """As :func:`plan_array`, without a path."""
    axes, shape, dtype, like, stored = spec.axes, spec.shape, spec.dtype, spec.like, spec.stored
    read_block_shape, steps = spec.read_block_shape, spec.steps
    method, codec = settings.method, settings.codec
    if spec.role == "label":
        method, codec = settings.label_method, settings.label_codec
    if stored is not None:
        chunk = stored.levels[0].chunk
        factors = [lv.factor for lv in stored.levels]
    elif like is None:
        chunk = chunk_shape(axes, shape, dtype.itemsize, read_block_shape, steps, settings)
        at = {a: i for i, a in enumerate(axes)}
        fits = (chunk[at["y"]], chunk[at["x"]])
        factors = level_factors(axes, shape, steps, fits, settings.level_count)
    else:
        keep = [like[0].index(a) for a in axes]
        chunk = tuple(like[1][0].chunk[i] for i in keep)
        factors = [tuple(lv.factor[i] for i in keep) for lv in like[1]]
    shapes = [shape]
    for factor in factors[1:]:
        shapes.append(reduced_shape(shapes[-1], factor))
    wanted = shard_shape(axes, shape, chunk, settings)
    itemsize = spec.region_itemsize or dtype.itemsize
    levels: list[LevelPlan] = []
    passes: list[Pass] = []
    source, first = -1, 0
    while first < len(factors):
        base = max(source, 0)
        own = stored.levels[first].object_shape if stored else chunk
        if source >= 0:
            read_block_shape = _level_block(levels[base], own, factors[first])
            own = (1,) * len(axes)
        elif wanted is not None and stored is None:
            own = wanted
        region = region_shape(axes, shapes[base], own, read_block_shape, itemsize, settings)
        size, stop = region, first
        while stop < len(factors):
            if stop > 0:
                halved = _halved(size, shapes[stop - 1], factors[stop])
                if halved is None:
                    break
                size = halved
            whole = stored.levels[stop].object_shape if stored else chunk
            # A Gaussian reads beyond its region, what other units write.
            if stop > first and (method == "gaussian" or not _whole(size, shapes[stop], whole)):
                break
            if stored is not None:
                levels.append(replace(stored.levels[stop], shape=shapes[stop]))
            else:
                levels.append(
                    _level(stop, shapes[stop], chunk, size, factors[stop], settings, wanted)
                )
            stop += 1
        halo = 1 if method == "gaussian" and source >= 0 else 0
        passes.append(Pass(source, first, stop, region, halo))
        source, first = stop - 1, stop
    return ArrayPlan(
        "",
        axes,
        dtype.str,
        tuple(levels),
        tuple(passes),
        method,
        spec.codec or (stored.codec if stored else codec),
        stored.checksums if stored else settings.checksums,
        settings.zarr_format,
        spec.role,
    )


def _halved(
    size: tuple[int, ...], shape: tuple[int, ...], factor: tuple[int, ...]
) -> tuple[int, ...] | None:
    """Size of a region one level up; ``None`` where a region would end inside a pixel of it."""
    if any(s < n and s % f for s, n, f in zip(size, shape, factor, strict=True)):
        return None
    return reduced_shape(size, factor)


def _whole(size: tuple[int, ...], shape: tuple[int, ...], chunk: tuple[int, ...]) -> bool:
    """Whether regions of this size own whole chunks of a level."""
    return all(s >= n or s % c == 0 for s, n, c in zip(size, shape, chunk, strict=True))


def _level_block(
    level: LevelPlan, chunk: tuple[int, ...], factor: tuple[int, ...]
) -> tuple[int, ...]:
    """Smallest block of a written level to read: whole objects, and whole chunks of the next level."""
    return tuple(
        math.lcm(o, c * f) for o, c, f in zip(level.object_shape, chunk, factor, strict=True)
    )


def _level(
    number: int,
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
    region: tuple[int, ...],
    factor: tuple[int, ...],
    settings: Settings,
    wanted: tuple[int, ...] | None,
) -> LevelPlan:
    inner = tuple(min(c, n) for c, n in zip(chunk, shape, strict=True))
    outer = []
    for i, (r, n, c) in enumerate(zip(region, shape, inner, strict=True)):
        side = -(-min(r, n) // c) * c
        if wanted is not None and wanted[i] % c == 0 and (r >= n or r % wanted[i] == 0):
            side = min(side, wanted[i])
        outer.append(side)
    shard = tuple(outer) if settings.sharded and tuple(outer) != inner else None
    return LevelPlan(str(number), shape, inner, shard, factor)
