"""What an array's metadata says of its pixels and of how they are cut, for Zarr v2 and v3."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from ngff_bio.model import Region


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """An array.

    ``stored`` is the shape of one object (a shard, or a chunk); ``chunk`` that of the smallest block
    that can be decoded by itself.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stored: tuple[int, ...]
    chunk: tuple[int, ...]
    dimension_names: tuple[str | None, ...] | None
    zarr_format: int
    separator: str
    prefix: str

    def is_chunk(self, name: str) -> bool:
        """Whether an object's key, from the array on, is that of a chunk on the array's grid."""
        if self.prefix:
            head, _, name = name.partition(self.separator)
            if head != self.prefix:
                return False
        parts = name.split(self.separator) if self.shape else []
        if len(parts) != len(self.shape) or not all(p.isdecimal() for p in parts):
            return False
        grid = [-(-n // c) for n, c in zip(self.shape, self.stored, strict=True)]
        return all(int(p) < n for p, n in zip(parts, grid, strict=True))


def array_info(path: str, document: dict[str, Any]) -> ArrayInfo | None:
    """What a document says, or ``None`` if it is not understood (another data type or chunk grid)."""
    try:
        return _v3(path, document) if document["zarr_format"] == 3 else _v2(path, document)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _v3(path: str, document: dict[str, Any]) -> ArrayInfo | None:
    grid = document["chunk_grid"]
    if grid["name"] != "regular":
        return None
    stored = chunk = _sizes(grid["configuration"]["chunk_shape"])
    for codec in document["codecs"]:
        if isinstance(codec, dict) and codec["name"] == "sharding_indexed":
            chunk = _sizes(codec["configuration"]["chunk_shape"])
    if len(chunk) != len(stored):
        return None
    names = document.get("dimension_names")
    keys = document["chunk_key_encoding"]
    default = "/" if keys["name"] == "default" else "."
    return ArrayInfo(
        path,
        _shape(document["shape"], stored),
        np.dtype(document["data_type"]),
        stored,
        chunk,
        None if names is None else tuple(names),
        3,
        (keys.get("configuration") or {}).get("separator", default),
        "c" if keys["name"] == "default" else "",
    )


def _v2(path: str, document: dict[str, Any]) -> ArrayInfo:
    chunk = _sizes(document["chunks"])
    names = document.get("attributes", {}).get("_ARRAY_DIMENSIONS")
    return ArrayInfo(
        path,
        _shape(document["shape"], chunk),
        np.dtype(document["dtype"]),
        chunk,
        chunk,
        None if names is None else tuple(names),
        2,
        document.get("dimension_separator", "."),
        "",
    )


def _sizes(value: Any) -> tuple[int, ...]:
    sizes = tuple(int(n) for n in value)
    if any(n < 1 for n in sizes):
        raise ValueError("sizes are above 0")
    return sizes


def _shape(value: Any, chunk: tuple[int, ...]) -> tuple[int, ...]:
    shape = tuple(int(n) for n in value)
    if len(shape) != len(chunk) or any(n < 0 for n in shape):
        raise ValueError("a shape has as many axes as its chunks")
    return shape


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
