"""Reading back a level that an earlier phase has written, to make the levels above it."""

from __future__ import annotations

import numpy as np

from ngff_bio.engine.plan.layout import ArrayPlan
from ngff_bio.model import PixelArray, Region
from ngff_bio.storage import Storage
from ngff_bio.zarrio.chunks import Chunk, Map, decode_chunk, objects_in
from ngff_bio.zarrio.encoded import read_encoded


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
        file = f"{storage.url}/{meta.key(index)}"

        def place(found: tuple[Chunk, bytes], file: str = file) -> None:
            decode_chunk(meta, found[1], found[0], out, file)

        each(place, list(read_encoded(storage, meta, index, chunks)))
    return out
