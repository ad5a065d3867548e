"""Reading back a level that an earlier phase has written, to make the levels above it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.engine.plan.layout import ArrayPlan, Level
from ngff_bio.engine.write.shard import Map, shard_index
from ngff_bio.errors import StoreError
from ngff_bio.model import Region
from ngff_bio.storage import Storage

#: A chunk: where it begins in the level, and its bytes.
_Found = tuple[tuple[int, ...], bytes]


def read_level(
    plan: ArrayPlan, level: int, region: Region, storage: Storage, each: Map
) -> NDArray[Any]:
    """The block of a region, from objects of a level that this conversion wrote itself.

    Raises
    ------
    ngff_bio.errors.StoreError
        If a chunk does not have the size that it was written with.
    """
    lv = plan.levels[level]
    dtype = np.dtype(plan.dtype)
    out = np.zeros([b - a for a, b in region], dtype)
    spans = [range(a // o, -(-b // o)) for (a, b), o in zip(region, lv.object_shape, strict=True)]

    def place(found: _Found) -> None:
        corner, data = found
        pixels = np.frombuffer(plan.codec.decode(data), dtype)
        if pixels.size != math.prod(lv.chunk):
            raise StoreError(
                "a chunk that was just written has another size",
                file=f"{storage.url}/{plan.path}/{lv.path}",
                record=f"chunk at {corner}",
                expected=f"{lv.chunk}",
                found=f"{pixels.size} pixels",
            )
        _place(out, region, corner, pixels.reshape(lv.chunk))

    for index in product(*spans):
        each(place, list(_chunks(plan, level, index, region, storage)))
    return out


def _chunks(
    plan: ArrayPlan, level: int, index: tuple[int, ...], region: Region, storage: Storage
) -> Iterator[_Found]:
    """Chunks of one object that lie in a region; of a shard that is needed in part, only those."""
    lv, key = plan.levels[level], plan.key(level, index)
    corner = tuple(i * o for i, o in zip(index, lv.object_shape, strict=True))
    if lv.shard is None:
        if (data := storage.get(key)) is not None:
            yield corner, data
        return
    wanted = list(_wanted(lv, corner, region))
    count = math.prod(_grid(lv))
    size = 16 * count + 4
    if 2 * len(wanted) >= count:
        whole = storage.get(key)
        if whole is None:
            return
        entries = shard_index(whole[-size:], count)
        found = ((at, whole[e[0] : sum(e)]) for n, at in wanted if (e := entries[n]) is not None)
    else:
        tail = storage.get_range(key, -size, size)
        if tail is None:
            return
        entries = shard_index(tail, count)
        asked = ((at, e) for n, at in wanted if (e := entries[n]) is not None)
        found = ((at, storage.get_range(key, *e) or b"") for at, e in asked)
    yield from found


def _grid(level: Level) -> tuple[int, ...]:
    return tuple(o // c for o, c in zip(level.object_shape, level.chunk, strict=True))


def _wanted(
    level: Level, corner: tuple[int, ...], region: Region
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Number in the shard, and corner, of each chunk that a region touches."""
    spans = [
        range(max(a - o, 0) // c, min(-(-(b - o) // c), n))
        for (a, b), o, c, n in zip(region, corner, level.chunk, _grid(level), strict=True)
    ]
    for at in product(*spans):
        start = tuple(o + i * c for o, i, c in zip(corner, at, level.chunk, strict=True))
        yield int(np.ravel_multi_index(at, _grid(level))), start


def _place(out: NDArray[Any], region: Region, corner: tuple[int, ...], chunk: NDArray[Any]) -> None:
    target, source = [], []
    for (a, b), c, n in zip(region, corner, chunk.shape, strict=True):
        low, high = max(a, c), min(b, c + n)
        if low >= high:
            return
        target.append(slice(low - a, high - a))
        source.append(slice(low - c, high - c))
    out[tuple(target)] = chunk[tuple(source)]
