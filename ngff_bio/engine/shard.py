"""Chunks and shards: a block of pixels to the bytes of stored objects, and back.

A shard (Zarr v3 ``sharding_indexed``, index at the end) is its chunks' bytes one after another, then
for each chunk of the shard, in C order, offset and length as little-endian uint64 (all ones for a
chunk that is not there), then the CRC-32C of that index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from ngff_bio.engine.codecs import Codec
from ngff_bio.engine.layout import ArrayPlan, Level

Encode = Callable[[Iterable[NDArray[Any]]], Iterable[bytes]]
_ABSENT = np.iinfo(np.uint64).max


def objects_of(
    plan: ArrayPlan, level: int, start: tuple[int, ...], block: NDArray[Any], encode: Encode
) -> Iterator[tuple[str, list[bytes]]]:
    """Keys and bytes of all objects that a block covers whole.

    A chunk of nothing but 0 is left out (it reads as 0), and so is an object without chunks.

    Parameters
    ----------
    start
        Position of the block in the level, on the level's object grid.
    block
        Pixels up to the end of an object or of the array.
    encode
        Compresses C-contiguous chunks, in order.
    """
    lv = plan.levels[level]
    for corner, part in _parts(block, lv.object_shape):
        index = tuple((s + c) // o for s, c, o in zip(start, corner, lv.object_shape, strict=True))
        if lv.shard is None:
            chunk = _padded(part, lv.chunk)
            if chunk is not None:
                yield plan.key(level, index), list(encode([chunk]))
        elif data := _shard(part, lv, encode):
            yield plan.key(level, index), data


def _shard(part: NDArray[Any], level: Level, encode: Encode) -> list[bytes]:
    if level.shard is None:
        raise ValueError("a level without shards has no shard to encode")
    grid = tuple(s // c for s, c in zip(level.shard, level.chunk, strict=True))
    places: list[int] = []

    def chunks() -> Iterator[NDArray[Any]]:
        for corner, piece in _parts(part, level.chunk):
            chunk = _padded(piece, level.chunk)
            if chunk is not None:
                at = tuple(c // n for c, n in zip(corner, level.chunk, strict=True))
                places.append(int(np.ravel_multi_index(at, grid)))
                yield chunk

    data = list(encode(chunks()))
    if not data:
        return []
    index = np.full((int(np.prod(grid)), 2), _ABSENT, "<u8")
    lengths = np.fromiter((len(d) for d in data), "<u8", len(data))
    index[places, 0] = np.cumsum(lengths) - lengths
    index[places, 1] = lengths
    tail = index.tobytes()
    return [*data, tail + crc32c(tail).to_bytes(4, "little")]


def _parts(
    block: NDArray[Any], size: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
    corners = product(*[range(0, n, s) for n, s in zip(block.shape, size, strict=True)])
    for corner in corners:
        yield corner, block[tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))]


def _padded(piece: NDArray[Any], size: tuple[int, ...]) -> NDArray[Any] | None:
    """A chunk at its full size, C-contiguous; ``None`` if it holds only 0."""
    if not piece.flat[0] and not piece.any():
        return None
    if piece.shape == size:
        return np.ascontiguousarray(piece)
    whole = np.zeros(size, piece.dtype)
    whole[tuple(slice(0, n) for n in piece.shape)] = piece
    return whole


def crc32c(data: bytes | memoryview, start: int = 0) -> int:
    """CRC-32C (Castagnoli) of bytes, continued from ``start``."""
    return int(google_crc32c.extend(start, bytes(data)))


def array_metadata(plan: ArrayPlan, level: int) -> dict[str, Any]:
    """``zarr.json`` (Zarr v3) or ``.zarray`` (Zarr v2) of one level."""
    lv, dtype = plan.levels[level], np.dtype(plan.dtype)
    fill: Any = 0.0 if dtype.kind == "f" else False if dtype.kind == "b" else 0
    if plan.zarr_format == 2:
        return {
            "zarr_format": 2,
            "shape": list(lv.shape),
            "chunks": list(lv.chunk),
            "dtype": dtype.str,
            "compressor": plan.codec.v2(),
            "fill_value": fill,
            "order": "C",
            "filters": None,
            "dimension_separator": "/",
        }
    codecs = _codec_chain(plan.codec, dtype, lv)
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(lv.shape),
        "data_type": dtype.name,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": list(lv.object_shape)},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": codecs,
        "attributes": {},
        "dimension_names": list(plan.axes),
    }


def _codec_chain(codec: Codec, dtype: np.dtype[Any], level: Level) -> list[dict[str, Any]]:
    chain = codec.v3(dtype)
    if level.shard is None:
        return chain
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    return [
        {
            "name": "sharding_indexed",
            "configuration": {
                "chunk_shape": list(level.chunk),
                "codecs": chain,
                "index_codecs": [little, {"name": "crc32c"}],
                "index_location": "end",
            },
        }
    ]
