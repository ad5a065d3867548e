"""Encoded chunks: their bytes out of objects, and their checksums, without decoding them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ngff_bio.errors import StoreError
from ngff_bio.storage import Storage
from ngff_bio.zarrio.arrays import ArrayMeta
from ngff_bio.zarrio.chunks import DAMAGED_HINT, Chunk, parse_shard_index, stored_chunks
from ngff_bio.zarrio.codecs import CRC32C, Codec, crc32c_bytes


def read_encoded(
    storage: Storage, meta: ArrayMeta, index: tuple[int, ...], chunks: list[Chunk]
) -> Iterator[tuple[Chunk, bytes]]:
    """Those chunks of an object that are stored, with their bytes; a shard is read in part if few are
    needed.

    Parameters
    ----------
    index
        Position of the object in the grid of objects.
    chunks
        Chunks in it.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the index of a shard is damaged, or the object ends before a chunk that it lists.
    """
    key = meta.key(index)
    if meta.shard is None:
        if (data := storage.get(key)) is not None:
            yield chunks[0], data
        return
    size, file = meta.index_nbytes, f"{storage.url}/{key}"
    start = 0 if meta.index.at_start else -size
    if 2 * len(chunks) >= np.prod(meta.shard_grid):
        if (whole := storage.get(key)) is None:
            return
        found = whole[:size] if meta.index.at_start else whole[-size:]
        for chunk in stored_chunks(meta, parse_shard_index(meta, found, file), chunks):
            yield chunk, _complete(whole[chunk.start : chunk.start + chunk.length], chunk, file)
        return
    part = storage.get_range(key, start, size)
    if part is not None:
        for chunk in stored_chunks(meta, parse_shard_index(meta, part, file), chunks):
            data = storage.get_range(key, chunk.start, chunk.length)
            yield chunk, _complete(data or b"", chunk, file)


def _complete(data: bytes, chunk: Chunk, file: str) -> bytes:
    if len(data) != chunk.length:
        raise StoreError(
            "a shard ends before the chunks that its index lists",
            file=file,
            expected=f"{chunk.start + chunk.length} bytes",
            hint=DAMAGED_HINT,
        )
    return data


@dataclass(frozen=True, slots=True)
class ChecksumStep:
    """How the checksum (CRC-32C) at the end of encoded chunks changes: it is added, removed or kept.

    One that is there is verified: damage ends where it is found. Without one, bytes that were cut off
    are found by the sizes that the last codec (``codec``) writes. ``nbytes`` is the size of what that
    codec encoded, 0 if it is unknown.
    """

    there: bool
    wanted: bool
    codec: str = ""
    nbytes: int = 0

    def apply(self, data: bytes, file: str) -> list[bytes]:
        """The bytes of a chunk, in pieces.

        Raises
        ------
        ngff_bio.errors.StoreError
            If there are none, or their checksum is another one.
        """
        body = data[:-4] if self.there else data
        other = self.there and crc32c_bytes(body) != data[-4:]
        if other or not _is_whole(self.codec, body, self.nbytes):
            raise StoreError(
                "a chunk is damaged",
                file=file,
                expected=None if other else f"what {self.codec or 'a codec'} writes",
                found="another CRC-32C" if other else f"{len(data)} bytes of something else",
                hint=DAMAGED_HINT,
            )
        if not self.wanted:
            return [body]
        return [data] if self.there else [body, crc32c_bytes(body)]


def _is_whole(codec: str, data: bytes, nbytes: int) -> bool:
    """Whether bytes begin and end as those of a codec; of zlib's only that there are some."""
    match codec:
        case "blosc":  # states how many there are (``cbytes``)
            return len(data) == int.from_bytes(data[12:16], "little")
        case "zstd":
            return bool(data) and _zstd_end(data) == len(data)
        case "gzip":  # RFC 1952: ends with the size of what the last member encodes
            if data[:2] != b"\x1f\x8b":
                return False
            stated = int.from_bytes(data[-4:], "little")
            return not nbytes or stated == nbytes % (1 << 32) or _decodes(data, nbytes)
    return bool(data)


def _decodes(data: bytes, nbytes: int) -> bool:
    """Whether all members of a gzip file together are of this size."""
    import gzip
    import io
    import zlib

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return sum(map(len, iter(lambda: file.read(1 << 20), b""))) == nbytes
    except (EOFError, OSError, zlib.error):
        return False


def _zstd_end(data: bytes) -> int:
    """Where the frames of zstd end by the sizes of their blocks (RFC 8878, 3.1); -1 if they do not."""
    at = 0
    while at < len(data):
        magic = int.from_bytes(data[at : at + 4], "little")
        if magic & 0xFFFFFFF0 == 0x184D2A50:  # a skippable frame
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            continue
        if magic != 0xFD2FB528 or len(data) < at + 6:
            return -1
        flags = data[at + 4]
        single, size = flags >> 5 & 1, flags >> 6
        at += 5 + (not single) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[size]
        last = 0
        while not last:
            if at + 3 > len(data):
                return -1
            header = int.from_bytes(data[at : at + 3], "little")
            last, kind = header & 1, header >> 1 & 3
            at += 3 + (1 if kind == 1 else header >> 3)  # a block of one repeated byte stores one
        at += 4 * (flags >> 2 & 1)
    return at


def without_checksum(codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Codecs before the checksum at the end."""
    return codecs[:-1] if codecs[-1:] == (CRC32C,) else codecs
