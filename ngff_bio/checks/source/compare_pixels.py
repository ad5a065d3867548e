"""Level 0 against the source or its checksums, and each level against the one before it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from zarr.abc.store import Store

from ngff_bio.checks.differences import Difference, Found, Kind, Task, reading_source
from ngff_bio.checks.reading import (
    CheckedArray,
    block_shape,
    blocks,
    check_free,
    region_nbytes,
    region_text,
)
from ngff_bio.checks.store.documents import Documents
from ngff_bio.engine.write.checksums import checksum
from ngff_bio.engine.write.manifest import ManifestEntry, parse_region
from ngff_bio.model import PixelArray, Pixels, Region

#: Raw bytes of a block that is compared at once.
MAX_BYTES = 64 << 20

#: Downscaling methods that can be repeated here.
METHODS = ("mean", "gaussian", "mode", "nearest")

#: Axes along which differences are listed separately: one for each frame, channel and plane.
_PLANES = "tcz"


def pixel_tasks(array: CheckedArray, pixels: Pixels, axes: str) -> Iterator[Task]:
    """Compare every pixel of an array with the source, block by block."""
    info = array.info
    at_once = [min(n, b) for n, b in zip(info.shape, pixels.read_block_shape, strict=True)]
    check_free(math.prod(at_once) * info.dtype.itemsize, array.path)
    block = block_shape(
        info.shape,
        info.object_shape,
        info.chunk,
        pixels.read_block_shape,
        itemsize=info.dtype.itemsize,
        limit=MAX_BYTES,
    )
    for region in blocks(info.shape, block):
        nbytes = region_nbytes(region, info.dtype.itemsize)
        yield Task(nbytes, partial(_compare_block, array, pixels, axes, region))


def _compare_block(array: CheckedArray, pixels: Pixels, axes: str, region: Region) -> Found:
    with reading_source(array.path):
        expected = pixels.read(region)
    found = array.read(region)
    start = tuple(a for a, _ in region)
    return Found(list(pixel_differences("pixels", array.path, axes, start, expected, found)))


def pixel_differences(
    kind: Kind,
    path: str,
    axes: str,
    start: tuple[int, ...],
    expected: PixelArray,
    found: PixelArray,
    *,
    close: bool = False,
) -> Iterator[Difference]:
    """Where two blocks differ: one difference for each plane, with the first pixel as example."""
    wrong = expected != found
    if expected.dtype.kind == "f":
        wrong &= ~(np.isnan(expected) & np.isnan(found))
        if close:
            # Sums of floats depend on their order in the last bits.
            few = 8 * float(np.finfo(expected.dtype).eps)
            wrong &= ~np.isclose(expected, found, rtol=few, atol=0)
    if not wrong.any():
        return
    lead = [i for i, a in enumerate(axes) if a in _PLANES]
    inner = tuple(i for i in range(len(axes)) if i not in lead)
    flagged = np.argwhere(wrong.any(axis=inner)) if lead else [()]
    for at in flagged:
        index: list[Any] = [slice(None)] * len(axes)
        for axis, i in zip(lead, at, strict=True):
            index[axis] = int(i)
        plane = wrong[tuple(index)]
        first = np.argwhere(plane)[0]
        rest = iter(first)
        place = tuple(int(next(rest)) if isinstance(i, slice) else i for i in index)
        where = " ".join(f"{axes[i]}={place[i] + start[i]}" for i in range(len(axes)))
        count = int(np.count_nonzero(plane))
        yield Difference(
            kind,
            path,
            f"{count} {'pixel differs' if count == 1 else 'pixels differ'}, first here",
            where=where,
            expected=str(expected[place]),
            found=str(found[place]),
        )


def checksum_tasks(
    documents: Documents, store: Store, regions: Iterable[ManifestEntry]
) -> Iterator[Task]:
    """Compare decoded pixels with the checksums of those that were read from the source."""
    for entry in regions:
        info = documents.array(entry.path)
        if info is None:
            missing = Difference("pixels", entry.path, "the array is missing")
            yield Task(0, partial(Found, [missing]))
        else:
            yield Task(entry.size, partial(_compare_checksum, CheckedArray(store, info), entry))


def _compare_checksum(array: CheckedArray, entry: ManifestEntry) -> Found:
    region = parse_region(entry.region or "")
    found = checksum(array.read(region))
    if found == entry.crc32c:
        return Found()
    wrong = Difference(
        "pixels",
        array.path,
        "the decoded pixels are not those that were read from the source",
        where=region_text(region),
        expected=f"CRC-32C {entry.crc32c:08x}",
        found=f"CRC-32C {found:08x}",
    )
    return Found([wrong])


def level_tasks(
    below: CheckedArray, above: CheckedArray, axes: str, method: str | None
) -> Iterator[Task]:
    """Recompute a level from the one before it, and compare."""
    factor = factors(below.info.shape, above.info.shape)
    if factor is None:
        wrong = Difference(
            "level",
            above.path,
            "the shape is not that of the level before, halved along some axes",
            expected=str(below.info.shape),
            found=str(above.info.shape),
        )
        yield Task(0, lambda: Found([wrong]))
        return
    if method not in METHODS:
        return
    info = above.info
    cuts = tuple(max(c // f, 1) for c, f in zip(below.info.chunk, factor, strict=True))
    limit, itemsize = MAX_BYTES // 32, info.dtype.itemsize
    block = block_shape(info.shape, info.chunk, cuts, itemsize=itemsize, limit=limit, fill=limit)
    for region in blocks(info.shape, block):
        nbytes = region_nbytes(region, info.dtype.itemsize)
        yield Task(nbytes, partial(_compare_level, below, above, axes, factor, method, region))


def factors(below: tuple[int, ...], above: tuple[int, ...]) -> tuple[int, ...] | None:
    """Reduction by 1 or 2 along each axis; ``None`` if it is another one."""
    found = []
    for n, m in zip(below, above, strict=False):
        if n == m:
            found.append(1)
        elif m == -(-n // 2):
            found.append(2)
        else:
            return None
    return tuple(found) if len(below) == len(above) else None


def _compare_level(
    below: CheckedArray,
    above: CheckedArray,
    axes: str,
    factor: tuple[int, ...],
    method: str,
    region: Region,
) -> Found:
    wide = 1 if method == "gaussian" else 0
    source = tuple(
        (a, b) if f == 1 else (max(a * f - wide, 0), min(b * f + wide, n))
        for (a, b), f, n in zip(region, factor, below.info.shape, strict=True)
    )
    pixels = below.read(source)
    found = above.read(region)
    if method == "gaussian":
        expected = smooth_again(pixels, factor, region, source, below.info.shape)
    else:
        expected = reduce_again(pixels, factor, method)
    start = tuple(a for a, _ in region)
    return Found(
        list(pixel_differences("level", above.path, axes, start, expected, found, close=True))
    )


def reduce_again(pixels: PixelArray, factor: tuple[int, ...], method: str) -> PixelArray:
    """A block reduced by 1 or 2 along each axis, by the definition, not for speed.

    ``mean``: the mean of the pixels that fall into one, rounded half up. ``mode``: the most
    frequent, of equals the first in reading order. ``nearest``: the first. At an odd edge, the same
    of the pixels that exist.
    """
    odd = [(0, -n % f) for n, f in zip(pixels.shape, factor, strict=True)]
    whole = np.pad(pixels, odd, mode="edge")
    corners = [
        whole[tuple(slice(o, None, f) for o, f in zip(offset, factor, strict=True))]
        for offset in product(*[range(f) for f in factor])
    ]
    if method == "nearest" or len(corners) == 1:
        return corners[0]
    if method == "mode":
        return _most_frequent(corners)
    dtype = pixels.dtype
    if dtype.kind == "f":
        return np.mean(corners, axis=0, dtype=np.float64).astype(dtype)
    wide: Any = object if dtype.itemsize == 8 else np.int64
    total = np.zeros(corners[0].shape, wide)
    for corner in corners:
        total += corner
    return np.asarray((total + len(corners) // 2) // len(corners)).astype(dtype)


def smooth_again(
    pixels: PixelArray,
    factor: tuple[int, ...],
    region: Region,
    source: Region,
    shape: tuple[int, ...],
) -> PixelArray:
    """A region smoothed by (1, 3, 3, 1) / 8 along each axis that is halved, rounded half up.

    Parameters
    ----------
    region
        The region to compute, in pixels of the level above.
    source
        Region of ``pixels`` in the level below, of ``shape``; beyond its edge pixels are repeated.
    """
    dtype = pixels.dtype
    total: PixelArray = pixels.astype(np.float64 if dtype.kind == "f" else np.int64)
    weight = 1
    for axis, f in enumerate(factor):
        if f == 1:
            continue
        centre = 2 * np.arange(*region[axis])
        parts = [
            w * np.take(total, np.clip(centre + o, 0, shape[axis] - 1) - source[axis][0], axis)
            for o, w in ((-1, 1), (0, 3), (1, 3), (2, 1))
        ]
        total = parts[0] + parts[1] + parts[2] + parts[3]
        weight *= 8
    if dtype.kind == "f":
        return np.asarray(total / weight).astype(dtype)
    return np.asarray((total + weight // 2) // weight).astype(dtype)


def _most_frequent(corners: list[PixelArray]) -> PixelArray:
    best, most = corners[0].copy(), np.zeros(corners[0].shape, np.int8)
    for corner in corners:
        votes = np.zeros(corner.shape, np.int8)
        for other in corners:
            votes += corner == other
        better = votes > most
        best[better], most[better] = corner[better], votes[better]
    return best
