"""Chunks and shards: a block of pixels to the bytes of stored objects, and back.

A shard (Zarr v3 ``sharding_indexed``, index at the end) is its chunks' bytes one after another, then
for each chunk of the shard, in C order, offset and length as little-endian uint64 (all ones for a
chunk that is not there), then the CRC-32C of that index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from ngff_bio.engine.plan.layout import ArrayPlan, Level
from ngff_bio.zarrio.codecs import Codec

#: What writes one object, given its key and its bytes in pieces.
Put = Callable[[str, list[bytes]], None]

#: Applies a function to items, in order; several at once if it can.
Map = Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]

_ABSENT = np.iinfo(np.uint64).max


def write_block(
    plan: ArrayPlan, level: int, start: tuple[int, ...], block: NDArray[Any], put: Put, each: Map
) -> None:
    """Write all objects that a block covers whole.

    A chunk of nothing but 0 is left out (it reads as 0), and so is an object without chunks.

    Parameters
    ----------
    start
        Position of the block in the level, on the level's object grid.
    block
        Pixels up to the end of an object or of the array.
    put, each
        Write one object; do several things at once.
    """
    lv, codec = plan.levels[level], plan.codec
    parts = [
        (tuple((s + c) // o for s, c, o in zip(start, corner, lv.object_shape, strict=True)), part)
        for corner, part in parts_of(block, lv.object_shape)
    ]
    if lv.shard is None:

        def write(one: tuple[tuple[int, ...], NDArray[Any]]) -> None:
            if (data := _encode(one[1], lv.chunk, codec)) is not None:
                put(plan.key(level, one[0]), [data])

        each(write, parts)
        return
    for index, part in parts:
        if data := encode_shard(part, lv, codec, each):
            put(plan.key(level, index), data)


def encode_shard(part: NDArray[Any], level: Level, codec: Codec, each: Map) -> list[bytes]:
    """Bytes of a shard in pieces: one for each chunk that is there, and the index; none if it is
    empty.
    """
    if level.shard is None:
        raise ValueError("a level without shards has no shard to encode")
    grid = tuple(s // c for s, c in zip(level.shard, level.chunk, strict=True))
    chunks = list(parts_of(part, level.chunk))
    encoded = each(lambda one: _encode(one[1], level.chunk, codec), chunks)
    index = np.full((int(np.prod(grid)), 2), _ABSENT, "<u8")
    pieces: list[bytes] = []
    end = 0
    for (corner, _), data in zip(chunks, encoded, strict=True):
        if data is not None:
            at = tuple(c // n for c, n in zip(corner, level.chunk, strict=True))
            index[int(np.ravel_multi_index(at, grid))] = end, len(data)
            pieces.append(data)
            end += len(data)
    if not pieces:
        return []
    tail = index.tobytes()
    return [*pieces, tail + google_crc32c.value(tail).to_bytes(4, "little")]


def shard_index(tail: bytes, count: int) -> list[tuple[int, int] | None]:
    """Offset and length of each chunk of a shard, from its last ``16 * count + 4`` bytes."""
    table = np.frombuffer(tail[: 16 * count], "<u8").reshape(count, 2)
    return [None if a == _ABSENT else (a, n) for a, n in table.tolist()]


def parts_of(
    block: NDArray[Any], size: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
    """Corner and view of each part of a block that is cut into parts of one size."""
    corners = product(*[range(0, n, s) for n, s in zip(block.shape, size, strict=True)])
    for corner in corners:
        yield corner, block[tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))]


def _encode(piece: NDArray[Any], size: tuple[int, ...], codec: Codec) -> bytes | None:
    """Bytes of a chunk, padded to its full size; ``None`` if it holds only 0."""
    if not piece.flat[0] and not piece.any():
        return None
    if piece.shape == size:
        return codec.encode(np.ascontiguousarray(piece))
    whole = np.zeros(size, piece.dtype)
    whole[tuple(slice(0, n) for n in piece.shape)] = piece
    return codec.encode(whole)


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
        "codecs": _codec_chain(plan.codec, dtype, lv),
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
