"""Encoded chunks: their bytes out of objects, and their checksums, without decoding them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ngff_bio.errors import StoreError
from ngff_bio.storage import Storage
from ngff_bio.zarrio.arrays import ArrayMeta
from ngff_bio.zarrio.chunks import DAMAGED_HINT, Chunk, parse_shard_index, stored_chunks
from ngff_bio.zarrio.codecs import CRC32C, Codec, crc32c


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
    are found by what the last codec (``codec``) writes at their beginning.
    """

    there: bool
    wanted: bool
    codec: str = ""

    def apply(self, data: bytes, file: str) -> list[bytes]:
        """The bytes of a chunk, in pieces.

        Raises
        ------
        ngff_bio.errors.StoreError
            If there are none, or their checksum is another one.
        """
        body = data[:-4] if self.there else data
        other = self.there and crc32c(body) != data[-4:]
        if other or not _is_whole(self.codec, body):
            raise StoreError(
                "a chunk is damaged",
                file=file,
                expected=None if other else f"what {self.codec or 'a codec'} writes",
                found="another CRC-32C" if other else f"{len(data)} bytes of something else",
                hint=DAMAGED_HINT,
            )
        if not self.wanted:
            return [body]
        return [data] if self.there else [body, crc32c(body)]


def _is_whole(codec: str, data: bytes) -> bool:
    """Whether bytes begin as those of a codec; blosc states how many there are (``cbytes``)."""
    if codec == "blosc":
        return len(data) == int.from_bytes(data[12:16], "little")
    return data.startswith(_STARTS.get(codec, b"")) and bool(data)


#: First bytes of what codecs write: RFC 8878, RFC 1952.
_STARTS = {"zstd": b"\x28\xb5\x2f\xfd", "gzip": b"\x1f\x8b"}


def without_checksum(codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Codecs before the checksum at the end."""
    return codecs[:-1] if codecs[-1:] == (CRC32C,) else codecs
