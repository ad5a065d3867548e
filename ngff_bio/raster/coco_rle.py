"""COCO run-length encoding: counts down the columns, zeros first, plain or as a short string.

A COCO RLE is ``{"size": [height, width], "counts": …}``. Its counts are the lengths of alternating
stretches of 0 and 1, beginning with 0, over the mask in column-major order. They are a list, or a
compressed string: each count from the fourth on is stored as the difference to the one before the last,
in groups of five bits, least significant first, with a sixth bit for "more follows", plus 48 for a
printable character (pycocotools, maskApi.c, rleToString).

pycocotools decodes to one full-size mask per instance; here the strings of all instances of an image
are decoded in one pass, to runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from ngff_bio.errors import SourceError
from ngff_bio.model import PixelArray
from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.limits import Amount
from ngff_bio.raster.polygons import rasterize_polygons
from ngff_bio.raster.runs import BoolArray, IntArray, run_pixels, runs_from_mask, union_runs

#: A count has at most 32 bits: seven groups of five, with the sign of a difference.
MOST_GROUPS = 7


def decode_counts(strings: Sequence[str | bytes]) -> tuple[IntArray, IntArray]:
    """Counts of many compressed RLEs.

    Returns
    -------
    counts, offsets
        int64; the counts of string i are ``counts[offsets[i]:offsets[i + 1]]``.

    Raises
    ------
    SourceError
        A string is truncated, or contains a character outside of the code.
    """
    raw = [one.encode("latin-1", "replace") if isinstance(one, str) else one for one in strings]
    sizes = np.fromiter(map(len, raw), np.int64, len(raw))
    code = np.frombuffer(b"".join(raw), np.uint8).astype(np.int64) - 48
    string_ends = np.cumsum(sizes)
    if not code.size:
        return code, np.zeros(len(raw) + 1, np.int64)
    closes = (code & 0x20) == 0
    _check_codes(code, closes, sizes, string_ends)
    last = np.flatnonzero(closes)
    first = np.concatenate(([0], last[:-1] + 1))
    groups = last - first + 1
    shift = 5 * run_pixels(np.zeros(first.size, np.int64), groups)
    if int(groups.max()) > MOST_GROUPS:
        at = int(first[np.argmax(groups)])
        raise SourceError(
            "a compressed RLE has a count beyond 32 bits",
            record=f"RLE {np.searchsorted(string_ends, at, 'right')}",
        )
    number = np.add.reduceat((code & 0x1F) << shift, first)
    number -= np.where(code[last] & 0x10, np.int64(1) << 5 * groups, 0)
    offsets = np.concatenate(([0], np.searchsorted(last, string_ends)))
    return _summed_differences(number, offsets), offsets


def _check_codes(code: IntArray, closes: BoolArray, sizes: IntArray, ends: IntArray) -> None:
    wrong = np.flatnonzero((code < 0) | (code > 63))
    if wrong.size:
        raise SourceError(
            "a compressed RLE has a character outside of its code",
            record=f"RLE {np.searchsorted(ends, wrong[0], 'right')}",
            expected="characters 0 to o (48 to 111)",
            found=repr(chr(int(code[wrong[0]]) + 48)),
        )
    full = np.flatnonzero(sizes)
    cut = full[~closes[ends[full] - 1]]
    if cut.size:
        raise SourceError("a compressed RLE is truncated", record=f"RLE {cut[0]}")


def _summed_differences(number: IntArray, offsets: IntArray) -> IntArray:
    """Counts from differences: from the fourth on, each is relative to the one before the last."""
    place = np.arange(number.size) - np.repeat(offsets[:-1], np.diff(offsets))
    counts = np.empty_like(number)
    for parity in (0, 1):
        rows = np.flatnonzero(place % 2 == parity)
        if not rows.size:
            continue
        total = np.cumsum(number[rows])
        # The first three counts are stored as they are: each of them begins a new sum.
        begins = np.flatnonzero(place[rows] < 3)
        before = total[begins] - number[rows[begins]]
        counts[rows] = total - np.repeat(before, np.diff(begins, append=rows.size))
    return counts


def rasterize_rles(
    rles: Sequence[Mapping[str, Any]], shape: tuple[int, int] | None = None
) -> InstanceRuns:
    """Pixels of the COCO RLEs of one image, plain or compressed.

    Parameters
    ----------
    rles
        ``{"size": [height, width], "counts": str | bytes | list}``, one per instance.
    shape
        Height and width of the image; that of the first RLE if not given.

    Returns
    -------
    InstanceRuns
        One instance per RLE, runs going down columns.

    Raises
    ------
    SourceError
        Sizes differ, the counts of an RLE do not add up to height x width, or there are more runs
        than allowed.
    """
    if shape is None:
        shape = _size_of(rles[0], 0) if rles else (0, 0)
    for index, rle in enumerate(rles):
        if _size_of(rle, index) != tuple(shape):
            raise SourceError(
                "the size of an RLE is not that of its image",
                record=f"RLE {index}",
                expected=f"size {list(shape)}",
                found=f"size {rle['size']}",
            )
    counts, offsets = _all_counts([rle["counts"] for rle in rles])
    return _from_counts(counts, offsets, shape)


def _size_of(rle: Mapping[str, Any], index: int) -> tuple[int, int]:
    try:
        height, width = rle["size"]
        rle["counts"]
        return int(height), int(width)
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            "this is not a COCO RLE",
            record=f"RLE {index}",
            expected='{"size": [height, width], "counts": …}',
            found=repr(rle)[:80],
        ) from error


def _all_counts(counts: Sequence[Any]) -> tuple[IntArray, IntArray]:
    """Counts of RLEs of both kinds, in order."""
    packed = [index for index, one in enumerate(counts) if isinstance(one, str | bytes)]
    unpacked, offsets = decode_counts([counts[index] for index in packed])
    if len(packed) == len(counts):
        return unpacked, offsets
    lists: list[IntArray] = []
    at = dict(zip(packed, range(len(packed)), strict=True))
    for index, one in enumerate(counts):
        if index in at:
            lists.append(unpacked[offsets[at[index]] : offsets[at[index] + 1]])
            continue
        plain = np.asarray(one)
        if plain.ndim != 1 or (plain.size and plain.dtype.kind not in "iu"):
            raise SourceError(
                "the counts of an RLE are not a list of integers",
                record=f"RLE {index}",
                found=repr(one)[:80],
            )
        lists.append(plain.astype(np.int64))
    sizes = [one.size for one in lists]
    return np.concatenate(lists), np.concatenate(([0], np.cumsum(sizes)))


def _from_counts(counts: IntArray, offsets: IntArray, shape: tuple[int, int]) -> InstanceRuns:
    height, width = shape
    size = height * width
    number = offsets.size - 1
    owner = np.repeat(np.arange(number), np.diff(offsets))
    end = np.cumsum(counts)
    before = np.concatenate(([0], end))[offsets]
    totals = before[1:] - before[:-1]
    negative = np.flatnonzero(counts < 0)
    wrong = owner[negative] if negative.size else np.flatnonzero(totals != size)
    if wrong.size:
        raise SourceError(
            "an RLE has a negative count"
            if negative.size
            else "the counts of an RLE do not add up to its size",
            record=f"RLE {wrong[0]}",
            expected=f"{size} pixels ({height} x {width})",
            found=f"{totals[wrong[0]]} pixels",
        )
    ones = np.flatnonzero((np.arange(counts.size) - offsets[owner]) % 2)
    begin = end[ones] - counts[ones] - before[owner[ones]] + owner[ones] * (size + 1)
    begin, length = union_runs(begin, begin + counts[ones])
    owner, begin = np.divmod(begin, size + 1)
    # Cut at the ends of columns, so that each piece is in one column.
    if not height:
        return InstanceRuns.from_owners(shape, number, owner, begin, length, step=max(width, 1))
    column = begin // height
    pieces = (begin + length - 1) // height - column + 1
    Amount(shape).add(int(pieces.sum()))
    at = np.repeat(np.arange(begin.size), pieces)
    column = run_pixels(column, pieces)
    top = np.maximum(begin[at], column * height)
    bottom = np.minimum(begin[at] + length[at], (column + 1) * height)
    starts = (top - column * height) * width + column
    return InstanceRuns.from_owners(shape, number, owner[at], starts, bottom - top, step=width)


def rle_from_window(
    window: PixelArray, corner: tuple[int, int], shape: tuple[int, int]
) -> dict[str, Any]:
    """Compressed COCO RLE of a mask in a window of an image, without a mask of the whole image.

    Parameters
    ----------
    window
        Mask (height, width) of the window.
    corner
        x, y of its first pixel in the image.
    shape
        Height and width of the image.
    """
    (x, y), (height, width) = corner, shape
    # A row of background below the window ends the runs of each column.
    padded = np.zeros((window.shape[0] + 1, window.shape[1]), np.bool_)
    padded[:-1] = window
    starts, lengths = runs_from_mask(padded.T)
    column, row = np.divmod(starts, padded.shape[0])
    begin = (x + column) * height + y + row
    begin, lengths = union_runs(begin, begin + lengths)
    ends = begin + lengths
    gaps = np.diff(begin, prepend=0)
    gaps[1:] = begin[1:] - ends[:-1]
    counts = np.stack([gaps, lengths], axis=1).ravel().tolist()
    rest = height * width - (int(ends[-1]) if ends.size else 0)
    if rest:
        counts.append(rest)
    packed = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return {"size": [height, width], "counts": packed["counts"].decode("ascii")}


def rasterize_segmentations(segmentations: Sequence[Any], shape: tuple[int, int]) -> InstanceRuns:
    """Pixels of the ``segmentation`` of every annotation of one image: polygons and RLEs, in order.

    Parameters
    ----------
    segmentations
        Each a list of polygon parts, or an RLE (a mapping); see `rasterize_polygons` and
        `rasterize_rles`, for the errors too.
    shape
        Height and width of the image.
    """
    is_rle = np.array([isinstance(one, Mapping) for one in segmentations], np.bool_)
    if not is_rle.any():
        return rasterize_polygons(segmentations, shape)
    polygons = np.flatnonzero(~is_rle).tolist()
    rles = np.flatnonzero(is_rle).tolist()
    both = InstanceRuns.concatenate(
        [
            rasterize_polygons([segmentations[index] for index in polygons], shape),
            rasterize_rles([segmentations[index] for index in rles], shape),
        ]
    )
    return both.select(np.argsort(polygons + rles))
