"""Arrays as their metadata describes them, and the blocks in which their pixels are checked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

from ngff_bio.errors import StoreError
from ngff_bio.model import Region
from ngff_bio.zarrio.arrays import ArrayMeta, parse_array
from ngff_bio.zarrio.documents import Document

ArrayInfo = ArrayMeta


def array_info(path: str, document: Document) -> ArrayInfo | None:
    """An array by its document; ``None`` if that is invalid, or only zarr-python understands it."""
    try:
        return parse_array(document, 3 if document.get("zarr_format") == 3 else 2, path)
    except StoreError:
        return None


def block_shape(
    shape: tuple[int, ...], *cuts: tuple[int, ...], itemsize: int, most: int
) -> tuple[int, ...]:
    """Size of blocks on which all ``cuts`` fall, or the later ones alone if that is too large."""
    for first in range(len(cuts)):
        block = [
            min(n, math.lcm(*(min(c[i], max(n, 1)) for c in cuts[first:])))
            for i, n in enumerate(shape)
        ]
        if math.prod(block) * itemsize <= most:
            break
    return tuple(max(b, 1) for b in block)


def blocks(shape: tuple[int, ...], block: tuple[int, ...]) -> Iterator[Region]:
    """Regions that tile an array."""
    spans = [
        [(i, min(i + b, n)) for i in range(0, n, b)] for n, b in zip(shape, block, strict=True)
    ]
    yield from product(*spans)


def slices(region: Region) -> tuple[slice, ...]:
    """A region as an index."""
    return tuple(slice(a, b) for a, b in region)


def region_nbytes(region: Region, itemsize: int) -> int:
    """Raw bytes of a region."""
    return math.prod(b - a for a, b in region) * itemsize
