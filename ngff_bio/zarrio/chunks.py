"""Chunks and shards: a block of pixels to the bytes of stored objects, and back.

A shard (Zarr v3, ``sharding_indexed``) is its chunks' bytes one after another, and before or after
them the index: for each chunk of the shard, in C order, offset and length as little-endian uint64
(all ones for a chunk that is not stored), then the CRC-32C of these bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import StoreError, plain_reason
from ngff_bio.model import PixelArray, Region
from ngff_bio.zarrio.arrays import ArrayMeta
from ngff_bio.zarrio.codecs import crc32c_bytes

#: Writes one object, given its key and its bytes in pieces.
Put = Callable[[str, list[bytes]], object]

#: Applies a function to items, in order; several at once if it can.
Map = Callable[[Callable[[Any], object], Sequence[object]], list[Any]]

#: Offset of a chunk that is not in its shard.
_ABSENT = np.iinfo(np.uint64).max

_MAX_OFFSET = np.uint64(1 << 62)

#: Bytes that codecs add to a chunk that they cannot compress, at most.
_MAX_OVERHEAD = 1 << 20

#: What to do about damaged bytes.
DAMAGED_HINT = (
    "copy the store again from where it came, or convert the source again with --overwrite"
)

#: Larger chunks than this are decoded into memory of their own, which no thread keeps.
_MAX_SCRATCH = 8 << 20

_scratch = threading.local()


@dataclass(slots=True)
class Chunk:
    """A chunk that a region touches.

    ``index`` is its position in the array's grid of chunks; ``target`` where it goes in the region,
    ``source`` which part of it that is; ``start`` and ``length`` are its bytes in a shard.
    """

    index: tuple[int, ...]
    target: tuple[slice, ...]
    source: tuple[slice, ...]
    start: int = 0
    length: int = 0


def objects_in(meta: ArrayMeta, region: Region) -> Iterator[tuple[tuple[int, ...], list[Chunk]]]:
    """Objects that a region touches: position in the grid of objects, and the chunks to be read."""
    if not region:
        yield (), [Chunk((), (), ())]
        return
    cuts = [
        _cuts(span, chunk, whole)
        for span, chunk, whole in zip(region, meta.chunk, meta.object_shape, strict=True)
    ]
    for index in product(*cuts):
        parts = product(*[along[i] for along, i in zip(cuts, index, strict=True)])
        yield index, [Chunk(*zip(*part, strict=True)) for part in parts]


def _cuts(
    span: tuple[int, int], chunk: int, whole: int
) -> dict[int, list[tuple[int, slice, slice]]]:
    """Chunks along one axis that a span touches, by the object that holds them."""
    start, stop = span
    found: dict[int, list[tuple[int, slice, slice]]] = {}
    for i in range(start // chunk, (stop - 1) // chunk + 1):
        corner = i * chunk
        low, high = max(start, corner), min(stop, corner + chunk)
        cut = (i, slice(low - start, high - start), slice(low - corner, high - corner))
        found.setdefault(corner // whole, []).append(cut)
    return found


def parse_shard_index(meta: ArrayMeta, data: bytes, file: str) -> NDArray[np.uint64]:
    """Offset and length of each chunk of a shard: uint64, the grid of chunks and an axis of 2.

    Raises
    ------
    ngff_bio.errors.StoreError
        If it is cut off or damaged.
    """
    if len(data) != meta.index_nbytes:
        raise StoreError(
            "the index of a shard is cut off",
            file=file,
            expected=f"{meta.index_nbytes} bytes",
            found=f"{len(data)} bytes",
            hint=DAMAGED_HINT,
        )
    body, tail = (data[:-4], data[-4:]) if meta.index.checked else (data, None)
    if tail is not None and crc32c_bytes(body) != tail:
        raise StoreError(
            "the index of a shard is damaged", file=file, found="another CRC-32C", hint=DAMAGED_HINT
        )
    index = np.frombuffer(body, "<u8").astype(np.uint64, copy=False).reshape(*meta.shard_grid, 2)
    starts, lengths = index[..., 0], index[..., 1]
    # No codec makes a chunk twice as large; without this a damaged length would be allocated.
    wrong = (starts > _MAX_OFFSET) | (lengths > 2 * meta.chunk_nbytes + _MAX_OVERHEAD)
    if (wrong & (starts != _ABSENT)).any():
        raise StoreError(
            "the index of a shard is damaged",
            file=file,
            expected="offsets and lengths inside the shard",
            hint=DAMAGED_HINT,
        )
    return index


def stored_chunks(
    meta: ArrayMeta, index: NDArray[np.uint64], chunks: Sequence[Chunk]
) -> Iterator[Chunk]:
    """Those chunks that are in the shard of this index, with their bytes' place in it."""
    grid = meta.shard_grid
    for chunk in chunks:
        within = tuple([i % g for i, g in zip(chunk.index, grid, strict=True)])
        start, length = index[within].tolist()
        if start != _ABSENT:
            chunk.start, chunk.length = start, length
            yield chunk


def decode_chunk(meta: ArrayMeta, data: object, chunk: Chunk, out: PixelArray, file: str) -> None:
    """Decode a chunk into a region: straight into it where it fills a contiguous part.

    Raises
    ------
    ngff_bio.errors.StoreError
        If its bytes are damaged.
    """
    if meta.pipeline is None:
        raise ValueError("the codecs of the array are not known")
    into = out[chunk.target]
    whole = into.shape == meta.chunk and into.flags.c_contiguous
    try:
        pixels = meta.pipeline.decode(data, into if whole else _scratch_chunk(meta))
    except MemoryError:
        raise
    except Exception as error:  # whatever a codec's library raises on damaged bytes
        raise StoreError(
            "a chunk cannot be decoded",
            file=file,
            record=f"chunk {', '.join(map(str, chunk.index))}",
            found=plain_reason(error),
            hint=DAMAGED_HINT,
        ) from error
    if pixels is not into:
        into[...] = pixels[chunk.source]


def _scratch_chunk(meta: ArrayMeta) -> PixelArray:
    """Memory for one decoded chunk, kept by each thread: a fresh one costs a page fault each 4 kB."""
    if meta.chunk_nbytes > _MAX_SCRATCH:
        return np.empty(meta.chunk, meta.dtype)
    held: NDArray[np.uint8] | None = getattr(_scratch, "held", None)
    if held is None or held.nbytes < meta.chunk_nbytes:
        held = _scratch.held = np.empty(meta.chunk_nbytes, np.uint8)
    return held[: meta.chunk_nbytes].view(meta.dtype).reshape(meta.chunk)


def write_block(
    meta: ArrayMeta, start: tuple[int, ...], block: PixelArray, put: Put, each: Map
) -> None:
    """Write all objects that a block covers whole.

    A chunk of nothing but 0 is left out (it reads as 0), and so is an object without chunks.

    Parameters
    ----------
    start
        Position of the block in the array, on the grid of objects.
    block
        Pixels up to the end of an object or of the array.
    put, each
        Write one object; do several things at once.
    """
    size = meta.object_shape
    parts = [
        (tuple((s + c) // o for s, c, o in zip(start, corner, size, strict=True)), part)
        for corner, part in parts_of(block, size)
    ]
    if meta.shard is None:

        def write(one: tuple[tuple[int, ...], PixelArray]) -> None:
            if (data := _encode_chunk(meta, one[1])) is not None:
                put(meta.key(one[0]), data)

        each(write, parts)
        return
    for index, part in parts:
        if data := _encode_shard(meta, part, each):
            put(meta.key(index), data)


def _encode_shard(meta: ArrayMeta, part: PixelArray, each: Map) -> list[bytes]:
    """Bytes of a shard in pieces: one for each chunk that is stored, and the index; none if all of
    it is 0.
    """
    chunks = list(parts_of(part, meta.chunk))
    encoded = each(lambda one: _encode_chunk(meta, one[1]), chunks)
    return pack_shard(
        meta,
        [
            (tuple(c // n for c, n in zip(corner, meta.chunk, strict=True)), data)
            for (corner, _), data in zip(chunks, encoded, strict=True)
            if data is not None
        ],
    )


def pack_shard(
    meta: ArrayMeta, chunks: Sequence[tuple[tuple[int, ...], Sequence[bytes]]]
) -> list[bytes]:
    """The bytes of a shard in pieces, of the bytes of its chunks; none if it has no chunk.

    Parameters
    ----------
    chunks
        Position of each chunk in the shard, and its bytes in pieces.
    """
    index = np.full((*meta.shard_grid, 2), _ABSENT, "<u8")
    pieces: list[bytes] = []
    end = meta.index_nbytes if meta.index.at_start else 0
    for at, data in chunks:
        length = sum(map(len, data))
        index[at] = end, length
        pieces += data
        end += length
    if not pieces:
        return []
    table = index.tobytes()
    if meta.index.checked:
        table += crc32c_bytes(table)
    return [table, *pieces] if meta.index.at_start else [*pieces, table]


def _encode_chunk(meta: ArrayMeta, piece: PixelArray) -> list[bytes] | None:
    """Bytes of a chunk in pieces, padded to its full size; ``None`` if it is nothing but the fill."""
    if meta.pipeline is None:
        raise ValueError("the codecs of the array are not known")
    if not meta.fill:
        if not piece.flat[0] and not piece.any():
            return None
    elif (piece == meta.fill).all() or (meta.fill != meta.fill and np.isnan(piece).all()):
        return None
    if piece.shape != meta.chunk:
        whole = np.full(meta.chunk, meta.fill, piece.dtype)
        whole[tuple(slice(0, n) for n in piece.shape)] = piece
        piece = whole
    return meta.pipeline.encode(piece)


def parts_of(
    block: PixelArray, size: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], PixelArray]]:
    """Corner and view of each part of a block that is cut into parts of one size."""
    corners = product(*[range(0, n, s) for n, s in zip(block.shape, size, strict=True)])
    for corner in corners:
        yield corner, block[tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))]
