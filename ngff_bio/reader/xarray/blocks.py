"""How a lazy array is cut into dask chunks, and the array itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ngff_bio.errors import ArgumentError
from ngff_bio.model import Readable

#: Raw bytes of a dask chunk: large enough that a task's overhead (about a millisecond) is small
#: against decoding, small enough that a chunk for each thread fits into any memory.
CHUNK_BYTES = 32 << 20

#: Chunks of an array: ``"auto"``, bytes (``16 << 20``, ``"64 MiB"``), or sizes along axes.
Chunks = int | str | Sequence[int] | Mapping[str, int] | None


def block_shape(
    shape: tuple[int, ...],
    stored: tuple[int, ...],
    inner: tuple[int, ...],
    itemsize: int,
    names: Sequence[str],
    chunks: Chunks = "auto",
) -> tuple[int, ...]:
    """Shape of a dask chunk.

    Parameters
    ----------
    shape
        Shape of the array.
    stored
        Shape of one stored object: a shard, or a chunk without sharding.
    inner
        Shape of what is decoded at once; a dask chunk does not split it.
    itemsize
        Bytes of a pixel.
    names
        Names of the axes.
    chunks
        ``"auto"``: whole objects of about 32 MiB together; bytes: about that size; a mapping or
        sequence: sizes in pixels (-1 for the whole axis; axes not named follow the objects); an
        empty mapping: one stored object.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If ``chunks`` is none of these.
    """
    whole = tuple(min(s, n) for s, n in zip(stored, shape, strict=True))
    if isinstance(chunks, Mapping):
        sizes = [chunks.get(a, s) for a, s in zip(names, whole, strict=True)]
        return _explicit(sizes, shape)
    if isinstance(chunks, Sequence) and not isinstance(chunks, str):
        if len(chunks) != len(shape):
            raise ArgumentError(
                "the number of chunk sizes differs from the number of axes",
                expected=", ".join(names),
                found=list(chunks),
            )
        return _explicit(chunks, shape)
    return _of_size(shape, whole, inner, itemsize, _nbytes(chunks))


def _explicit(sizes: Sequence[int], shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(max(n if s < 0 else min(s, n), 1) for s, n in zip(sizes, shape, strict=True))


def _nbytes(chunks: Chunks) -> int:
    from dask.utils import parse_bytes

    if chunks == "auto":
        return CHUNK_BYTES
    try:
        size = parse_bytes(chunks) if isinstance(chunks, int | str) else 0
    except ValueError:
        size = 0
    if size < 1:
        raise ArgumentError(
            "invalid chunks",
            expected="'auto', None, bytes such as '64 MiB', or sizes along the axes",
            found=repr(chunks),
        )
    return int(size)


def _of_size(
    shape: tuple[int, ...],
    stored: tuple[int, ...],
    inner: tuple[int, ...],
    itemsize: int,
    wanted: int,
) -> tuple[int, ...]:
    """Whole objects, as many as fit, planes first; parts of one object if it is too large."""
    size = list(stored)
    if math.prod(size) * itemsize > 2 * wanted:
        size = [min(c, n) for c, n in zip(inner, shape, strict=True)]
        limit, unit = stored, inner
    else:
        limit, unit = shape, stored
    for axis in range(len(shape) - 1, -1, -1):
        room = wanted // max(math.prod(size) * itemsize, 1)
        if room < 2:
            break
        size[axis] = min(unit[axis] * room, limit[axis])
    if limit is stored:  # a whole number of chunks in an object: no chunk crosses two
        size = [_divisor(s, u, o) for s, u, o in zip(size, unit, stored, strict=True)]
    return tuple(max(min(s, n), 1) for s, n in zip(size, shape, strict=True))


def _divisor(size: int, unit: int, whole: int) -> int:
    """The largest multiple of ``unit`` up to ``size`` that divides ``whole``, if one does."""
    if whole % unit:
        return size
    count = whole // unit
    parts = next(p for p in range(max(size // unit, 1), 0, -1) if count % p == 0)
    return parts * unit


def to_dask(array: Readable, block: tuple[int, ...], name: str) -> Any:
    """A dask array that reads blocks of another one; ``name`` must be unique."""
    import dask.array as da

    # dask fuses a later slice with the read of a chunk, so that no more is read than is used, but
    # only if it may pass lists of indices (fancy). It does not annotate this function.
    return da.from_array(  # type: ignore[no-untyped-call]
        array,
        chunks=block,
        name=name,
        asarray=False,
        fancy=True,
        inline_array=True,
        meta=np.empty((0,) * len(array.shape), array.dtype),
    )
