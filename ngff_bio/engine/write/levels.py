"""Reading back a level that an earlier phase has written, to make the levels above it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ngff_bio.engine.plan.layout import ArrayPlan
from ngff_bio.model import PixelArray, Region
from ngff_bio.storage import Storage
from ngff_bio.zarrio.arrays import ArrayMeta
from ngff_bio.zarrio.chunks import (
    Chunk,
    Map,
    decode_chunk,
    objects_in,
    parse_shard_index,
    stored_chunks,
)


def read_level(
    plan: ArrayPlan, level: int, region: Region, storage: Storage, each: Map
) -> PixelArray:
    """The block of a region, from objects of a level that this conversion wrote itself.

    Raises
    ------
    ngff_bio.errors.StoreError
        If a chunk is damaged.
    """
    meta = plan.meta(level)
    out = np.zeros([b - a for a, b in region], meta.dtype)
    for index, chunks in objects_in(meta, region):
        key = meta.key(index)
        file = f"{storage.url}/{key}"

        def place(found: tuple[Chunk, bytes], file: str = file) -> None:
            decode_chunk(meta, found[1], found[0], out, file)

        each(place, list(_stored(meta, key, chunks, storage)))
    return out


def _stored(
    meta: ArrayMeta, key: str, chunks: list[Chunk], storage: Storage
) -> Iterator[tuple[Chunk, bytes]]:
    """Chunks of an object and their bytes; a shard that is needed in part is read in part."""
    if meta.shard is None:
        if (data := storage.get(key)) is not None:
            yield chunks[0], data
        return
    size, file = meta.index_nbytes, f"{storage.url}/{key}"
    if 2 * len(chunks) >= np.prod(meta.shard_grid):
        if (whole := storage.get(key)) is not None:
            index = parse_shard_index(meta, whole[-size:], file)
            for chunk in stored_chunks(meta, index, chunks):
                yield chunk, whole[chunk.start : chunk.start + chunk.length]
    elif (tail := storage.get_range(key, -size, size)) is not None:
        index = parse_shard_index(meta, tail, file)
        for chunk in stored_chunks(meta, index, chunks):
            yield chunk, storage.get_range(key, chunk.start, chunk.length) or b""
