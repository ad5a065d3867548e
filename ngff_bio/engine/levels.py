"""Reading back a level that an earlier phase has written, to make the levels above it."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.engine.layout import ArrayPlan
from ngff_bio.errors import StoreError
from ngff_bio.model import Region
from ngff_bio.storage import Storage

_ABSENT = np.iinfo(np.uint64).max


def read_level(plan: ArrayPlan, level: int, region: Region, storage: Storage) -> NDArray[Any]:
    """The block of a region, from whole objects of a level that this conversion wrote itself."""
    lv = plan.levels[level]
    out = np.zeros([b - a for a, b in region], np.dtype(plan.dtype))
    spans = [range(a // o, -(-b // o)) for (a, b), o in zip(region, lv.object_shape, strict=True)]
    for index in product(*spans):
        data = storage.get(plan.key(level, index))
        if data is None:
            continue
        corner = tuple(i * o for i, o in zip(index, lv.object_shape, strict=True))
        for offset, chunk in _chunks(plan, level, data):
            _place(out, region, [c + o for c, o in zip(corner, offset, strict=True)], chunk)
    return out


def _chunks(plan: ArrayPlan, level: int, data: bytes) -> Any:
    lv = plan.levels[level]
    if lv.shard is None:
        yield (0,) * len(lv.chunk), _decode(plan, data, lv.chunk)
        return
    grid = tuple(s // c for s, c in zip(lv.shard, lv.chunk, strict=True))
    count = int(np.prod(grid))
    table = np.frombuffer(data[-(16 * count + 4) : -4], "<u8").reshape(count, 2)
    for number, (start, length) in enumerate(table.tolist()):
        if start != _ABSENT:
            at = np.unravel_index(number, grid)
            offset = tuple(int(a) * c for a, c in zip(at, lv.chunk, strict=True))
            yield offset, _decode(plan, data[start : start + length], lv.chunk)


def _decode(plan: ArrayPlan, data: bytes, shape: tuple[int, ...]) -> NDArray[Any]:
    raw: Any = data
    if plan.codec.name == "blosc":
        from numcodecs import blosc

        blosc.use_threads = False
        raw = blosc.decompress(data)
    elif plan.codec.name == "zstd":
        from numcodecs import zstd

        raw = zstd.decompress(data)
    pixels = np.frombuffer(raw, np.dtype(plan.dtype))
    if pixels.size != int(np.prod(shape)):
        raise StoreError(
            "a chunk that was just written has another size",
            expected=f"{shape}",
            found=f"{pixels.size} pixels",
        )
    return pixels.reshape(shape)


def _place(out: NDArray[Any], region: Region, corner: list[int], chunk: NDArray[Any]) -> None:
    target, source = [], []
    for (a, b), c, n in zip(region, corner, chunk.shape, strict=True):
        low, high = max(a, c), min(b, c + n)
        if low >= high:
            return
        target.append(slice(low - a, high - a))
        source.append(slice(low - c, high - c))
    out[tuple(target)] = chunk[tuple(source)]
