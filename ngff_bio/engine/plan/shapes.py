"""Shapes of chunks, shards, levels and work regions: from an array's shape and its read blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ngff_bio.engine.plan.settings import Settings
from ngff_bio.errors import ArgumentError

#: Planes of a chunk where z is a calibrated axis: cross sections then cost no more than planes.
_DEPTH = 8

#: Chunk sides are multiples of this, so that bit shuffles and reductions by two stay aligned.
_ALIGN = 8


def chunk_shape(
    axes: str,
    shape: tuple[int, ...],
    itemsize: int,
    read_block_shape: tuple[int, ...],
    steps: tuple[float | None, ...],
    settings: Settings,
) -> tuple[int, ...]:
    """Chunk shape: one frame, plane or tile; interleaved colours together.

    Parameters
    ----------
    axes, shape, itemsize
        Letters of the axes, sizes, bytes of a pixel.
    read_block_shape
        Smallest block that the source reads at once. Sides of tiles are cut or joined evenly where
        that comes near the size that is wanted.
    steps
        Spacing along each axis, ``None`` where unknown.
    """
    size = dict(zip(axes, shape, strict=True))
    unit = dict(zip(axes, read_block_shape, strict=True))
    step = dict(zip(axes, steps, strict=True))
    chunk = dict.fromkeys(axes, 1)
    if "c" in axes:
        chunk["c"] = unit["c"]
    if settings.chunk is not None:
        chunk |= named_shape(settings.chunk, axes, size, "--chunk")
        return tuple(chunk[a] for a in axes)
    if size.get("z", 1) > 1 and step.get("z") is not None:
        chunk["z"] = _side(size["z"], _DEPTH, unit["z"], 1)
    pixels = settings.chunk_bytes // (itemsize * math.prod(chunk.values()))
    if size["y"] * size["x"] <= pixels:
        chunk["y"], chunk["x"] = size["y"], size["x"]
    else:
        side = 1 << int(math.log2(max(pixels, 1)) / 2)
        chunk["y"] = _side(size["y"], side, unit["y"], _ALIGN)
        chunk["x"] = _side(size["x"], side, unit["x"], _ALIGN)
    return tuple(chunk[a] for a in axes)


def shard_shape(
    axes: str, shape: tuple[int, ...], chunk: tuple[int, ...], settings: Settings
) -> tuple[int, ...] | None:
    """The shard shape that was asked for, rounded up to whole chunks; ``None`` if none was."""
    if settings.shard is None:
        return None
    size = dict(zip(axes, shape, strict=True))
    given = named_shape(settings.shard, axes, size, "--shard")
    outer = [given.get(a, c) for a, c in zip(axes, chunk, strict=True)]
    return tuple(-(-o // c) * c for o, c in zip(outer, chunk, strict=True))


def named_shape(
    given: tuple[int, ...], axes: str, size: Mapping[str, int], option: str
) -> dict[str, int]:
    """A shape of two or three sizes by axis, no larger than the array.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it has another number of sizes, or one below 1.
    """
    if not 2 <= len(given) <= 3 or min(given) < 1:
        raise ArgumentError(
            "a shape has two or three sizes of at least 1",
            expected=f"{option} Y,X or {option} Z,Y,X",
            found=",".join(map(str, given)),
        )
    named = dict(zip("zyx"[-len(given) :], given, strict=True))
    return {a: min(n, size[a]) for a, n in named.items() if a in axes}


def _side(size: int, limit: int, read_block_shape: int, align: int) -> int:
    """A chunk's side of at most `limit` pixels: whole read blocks, or an even part of a block or of
    the axis (padding at the edge is wasted work).
    """
    if size <= limit:
        return size
    if 1 < read_block_shape < size:
        if read_block_shape <= limit:
            return limit // read_block_shape * read_block_shape
        for parts in range(-(-read_block_shape // limit), 4 * -(-read_block_shape // limit)):
            if read_block_shape % parts == 0:
                return read_block_shape // parts
    parts = -(-size // limit)
    return min(limit, -(-size // parts // align) * align)


def region_shape(
    axes: str,
    shape: tuple[int, ...],
    whole: tuple[int, ...],
    read_block_shape: tuple[int, ...],
    itemsize: int,
    settings: Settings,
) -> tuple[int, ...]:
    """Work region: whole objects and whole read blocks, grown along x, y, z, t, c up to the size of a
    shard.

    It grows by doubling, so that it halves into whole chunks on the levels above.
    """
    limit, frames = settings.shard_bytes, settings.frames
    region = [
        min(n, math.lcm(c, g)) for n, c, g in zip(shape, whole, read_block_shape, strict=True)
    ]
    for axis in (a for a in "xyztc" if a in axes):
        i = axes.index(axis)
        others = math.prod(region[:i] + region[i + 1 :]) * itemsize
        if axis == "x" and shape[i] * others <= limit:
            region[i] = shape[i]  # whole rows: sources store rows
        end = shape[i] if axis != "t" or frames is None else min(shape[i], frames)
        while region[i] < end and min(2 * region[i], end) * others <= limit:
            region[i] = min(2 * region[i], end)
        if region[i] < shape[i]:
            break
    return tuple(region)


def level_factors(
    axes: str,
    shape: tuple[int, ...],
    steps: tuple[float | None, ...],
    fits: tuple[int, int],
    levels: int | None,
) -> list[tuple[int, ...]]:
    """Reduction of each level against the level before it; the first is all ones.

    y and x are halved until a plane fits into ``fits`` (or ``levels`` is reached). z joins in only
    where its spacing is known and is not more than the plane's next one, so that z is never reduced
    while it is the coarser axis.

    Parameters
    ----------
    axes, shape
        Letters of the axes, and sizes.
    steps
        Spacing along each axis; ``None`` where the source gives none.
    fits
        Height and width of a plane that needs no further level.
    levels
        Number of levels wanted; ``None`` for as many as it takes.
    """
    size = dict(zip(axes, shape, strict=True))
    step = dict(zip(axes, steps, strict=True))
    factors = [(1,) * len(axes)]
    while True:
        small = size["y"] <= fits[0] and size["x"] <= fits[1]
        if (levels is None and small) or (levels is not None and len(factors) >= levels):
            return factors
        halve = {a for a in "yx" if size[a] > 1}
        z, plane = step.get("z"), step.get("x")
        if size.get("z", 1) > 1 and z is not None and plane is not None and z < 2 * plane:
            halve.add("z")
        if not halve:
            return factors
        for a in halve:
            size[a] = -(-size[a] // 2)
            if (spacing := step[a]) is not None:
                step[a] = 2 * spacing
        factors.append(tuple(2 if a in halve else 1 for a in axes))


def reduced_shape(shape: tuple[int, ...], factor: tuple[int, ...]) -> tuple[int, ...]:
    """Shape after reduction; an odd edge keeps a last, partial pixel, so that nothing is cut off."""
    return tuple(-(-n // f) for n, f in zip(shape, factor, strict=True))
