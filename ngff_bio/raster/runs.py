"""Runs of pixels: the sparse form of a mask, and how runs and label arrays turn into each other.

A run is a start (from 0) and a length in the flattened C-order (row-major) array. It may continue
across rows and planes. Everything here is vectorised: no Python loop over runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ngff_bio.errors import ArgumentError
from ngff_bio.model import PixelArray, SampleType

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
LabelArray = PixelArray

#: Pixels that are expanded to indices at once: 512 kB, which stay in the cache. Measured twice as fast
#: as all at once, which allocates fresh memory at every call.
BLOCK = 1 << 16
#: Pixels that are filled in order at once; without indices they take a few bytes each.
SPAN = 1 << 18


def union_runs(begin: IntArray, end: IntArray) -> tuple[IntArray, IntArray]:
    """Starts and lengths of the union of half-open intervals; touching ones become one."""
    kept = end > begin
    if not kept.all():
        begin, end = begin[kept], end[kept]
    if not begin.size:
        return begin, end
    if (begin[1:] < begin[:-1]).any():
        order = np.argsort(begin, kind="stable")
        begin, end = begin[order], end[order]
    reach = np.maximum.accumulate(end)
    fresh = np.flatnonzero(begin[1:] > reach[:-1]) + 1
    first = np.concatenate(([0], fresh))
    last = np.concatenate((fresh - 1, [begin.size - 1]))
    begin = begin[first]
    return begin, reach[last] - begin


def runs_from_mask(mask: PixelArray) -> tuple[IntArray, IntArray]:
    """Starts and lengths of the runs of the pixels of a mask (any shape) that are not 0.

    Sorted by start, not overlapping, not touching.
    """
    flat = np.ascontiguousarray(mask).reshape(-1)
    if flat.dtype != np.bool_:
        flat = flat != 0
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat.size and flat[0]:
        edges = np.concatenate(([0], edges))
    if edges.size % 2:
        edges = np.concatenate((edges, [flat.size]))
    return edges[0::2], edges[1::2] - edges[0::2]


def _filled(
    starts: IntArray, lengths: IntArray, values: LabelArray, size: int, origin: int = 0
) -> LabelArray:
    """Flat array over [origin, origin + size) of sorted disjoint runs, 0 between them.

    One `np.repeat` over gap, run, gap, run, … writes every pixel once, in order; indexing is many
    times slower for long runs.
    """
    count = starts.size
    level = np.zeros(2 * count + 1, values.dtype)
    level[1::2] = values
    span = np.empty(2 * count + 1, np.int64)
    span[1::2] = lengths
    before = np.concatenate(([origin], starts + lengths))
    span[0::2] = np.concatenate((starts, [origin + size])) - before
    return np.repeat(level, span)


def _as_labels(values: PixelArray, dtype: SampleType) -> LabelArray:
    """Values in the label type; `ArgumentError` if one does not fit."""
    if dtype.kind in "iu" and values.size and values.dtype.kind in "iu" and values.dtype != dtype:
        bounds = np.iinfo(dtype)
        if int(values.max()) > bounds.max or int(values.min()) < bounds.min:
            raise ArgumentError(
                "a label value does not fit the type of the label array",
                expected=f"{bounds.min} to {bounds.max} ({dtype})",
                found=f"{values.min()} to {values.max()}",
            )
    return values.astype(dtype, copy=False)


def run_pixels(starts: IntArray, lengths: IntArray, step: int = 1) -> IntArray:
    """Indices of all pixels of many runs, one run after the other; `step` apart inside a run."""
    ends = np.cumsum(lengths)
    if not ends.size:
        return ends
    base = starts - step * (ends - lengths)
    index = np.repeat(base, lengths)
    index += np.arange(0, step * index.size, step)
    return index


def pixel_blocks(
    starts: IntArray, lengths: IntArray, step: int = 1, block: int = BLOCK
) -> Iterator[tuple[slice, IntArray, IntArray]]:
    """Cut many runs into pieces of at most `block` pixels: (rows, starts, lengths) of each.

    A run that is longer than a block is split. Painting piece by piece gives the same as painting at
    once, with memory for one block of indices.
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if ends.size else 0
    for begin in range(0, total, block):
        stop = min(begin + block, total)
        first = int(np.searchsorted(ends, begin, "right"))
        last = int(np.searchsorted(ends, stop, "left")) + 1
        rows = slice(first, last)
        piece_starts, piece_lengths = starts[rows], lengths[rows]
        if total > block:
            skipped = begin - int(ends[first] - lengths[first])
            surplus = int(ends[last - 1]) - stop
            piece_starts, piece_lengths = piece_starts.copy(), piece_lengths.copy()
            piece_starts[0] += skipped * step
            piece_lengths[0] -= skipped
            piece_lengths[-1] -= surplus
        yield rows, piece_starts, piece_lengths


def distinct(numbers: LabelArray) -> LabelArray:
    """Sorted distinct numbers. ``np.unique`` of NumPy 2.3 and later hashes: many times slower here."""
    ordered = np.sort(numbers)
    if not ordered.size:
        return ordered
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))]


def flat_view(out: LabelArray) -> LabelArray:
    """The array as one dimension that shares its memory; `ArgumentError` if it is not C-contiguous."""
    if not out.flags.c_contiguous:
        raise ArgumentError(
            "the label array cannot be painted in place", expected="a C-contiguous array"
        )
    return out.reshape(-1)


def paint_many(
    out: LabelArray,
    starts: IntArray,
    lengths: IntArray,
    values: PixelArray,
    *,
    step: int = 1,
) -> None:
    """Set the pixels of many runs to the value of each run, in place, later over earlier.

    Parameters
    ----------
    out
        C-contiguous label array of any shape; pixels outside of the runs keep their value.
    starts, lengths
        int64, one per run; starts are indices into the flattened `out`. Runs may overlap and be in
        any order.
    values
        One per run.
    step
        Distance between the pixels of a run: 1, or the width of a plane for runs down a column.

    Raises
    ------
    ArgumentError
        `out` is not C-contiguous, a run leaves it, or a value does not fit its type.
    """
    flat = flat_view(out)
    if not starts.size:
        return
    last = starts + (lengths - 1) * step
    if int(starts.min()) < 0 or int(last.max()) >= flat.size:
        raise ArgumentError(
            "a run is outside the label array",
            expected=f"offsets from 0 to {flat.size - 1}",
            found=f"{starts.min()} to {last.max()}",
        )
    level = _as_labels(values, flat.dtype)
    span = int(last[-1] - starts[0]) + 1
    dense = span < 4 * int(lengths.sum())
    if step == 1 and dense and (starts[1:] > last[:-1]).all() and (lengths > 0).all():
        _paint_in_order(flat, starts, lengths, level)
        return
    for rows, piece_starts, piece_lengths in pixel_blocks(starts, lengths, step):
        index = run_pixels(piece_starts, piece_lengths, step)
        flat[index] = np.repeat(level[rows], piece_lengths)


def _paint_in_order(
    flat: LabelArray, starts: IntArray, lengths: IntArray, level: LabelArray
) -> None:
    """Paint sorted disjoint runs, one stretch of the array after the other."""
    marks = np.ones(starts.size, np.bool_)
    ends = starts + lengths
    end = int(ends[-1])
    for lo in range(int(starts[0]), end, SPAN):
        hi = min(lo + SPAN, end)
        near = slice(int(np.searchsorted(ends, lo, side="right")), int(np.searchsorted(starts, hi)))
        if near.start == near.stop:
            continue
        piece_starts, piece_lengths, _ = clip_runs(starts[near], lengths[near], lo, hi)
        piece = flat[lo:hi]
        fill = _filled(piece_starts, piece_lengths, level[near], hi - lo)
        if piece.any():
            where = _filled(piece_starts, piece_lengths, marks[near], hi - lo)
            np.copyto(piece, fill, where=where)
        else:
            piece[:] = fill


def clip_runs(
    starts: IntArray, lengths: IntArray, lo: int, hi: int
) -> tuple[IntArray, IntArray, IntArray]:
    """The parts of runs inside the flat range [lo, hi), with starts counted from `lo`.

    Returns
    -------
    starts, lengths, kept
        int64; `kept` is the row of the given runs that each part comes from, ascending.
        ``paint_many(slab, starts, lengths, values[kept])`` paints a slab of a volume.
    """
    begin = np.maximum(starts, lo)
    end = np.minimum(starts + lengths, hi)
    kept = np.flatnonzero(end > begin)
    begin = begin[kept]
    return begin - lo, end[kept] - begin, kept


def runs_of_labels(labels: LabelArray, offset: int = 0) -> tuple[LabelArray, IntArray, IntArray]:
    """Runs of every value of a label array that is not 0.

    Parameters
    ----------
    labels
        Label array of any shape and integer type.
    offset
        Added to the starts: the offset of a slab inside its volume.

    Returns
    -------
    values, starts, lengths
        One row per run, sorted by value, then by start. Values have the type of `labels`.
    """
    flat = np.ascontiguousarray(labels).reshape(-1)
    if not flat.size:
        return flat, np.empty(0, np.int64), np.empty(0, np.int64)
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    lengths = np.diff(starts, append=flat.size)
    values = flat[starts]
    rows = np.flatnonzero(values)
    rows = rows[np.argsort(values[rows], kind="stable")]
    return values[rows], starts[rows] + offset, lengths[rows]


def run_extents(
    starts: IntArray, lengths: IntArray, shape: Sequence[int]
) -> tuple[list[IntArray], list[IntArray]]:
    """Half-open extent of each run along each axis: a list of minima and one of maxima."""
    first = np.unravel_index(starts, tuple(shape))
    final = np.unravel_index(starts + lengths - 1, tuple(shape))
    low: list[IntArray] = []
    high: list[IntArray] = []
    crosses = np.zeros(starts.size, np.bool_)
    for axis, (begin, end) in enumerate(zip(first, final, strict=True)):
        # A run that continues in the next row covers the end of one row and the start of the next.
        low.append(np.where(crosses, 0, begin))
        high.append(np.where(crosses, shape[axis], end + 1))
        crosses = crosses | (begin != end)
    return low, high


class LabelExtents(NamedTuple):
    """Values of a label array but 0, ascending, each with its pixels and half-open extent.

    ``counts`` is int64 (n,); ``low`` and ``high`` are int64 (n, axes).
    """

    values: LabelArray
    counts: IntArray
    low: IntArray
    high: IntArray


def label_extents(labels: LabelArray) -> LabelExtents:
    """Number of pixels and extent of each value of a label array that is not 0."""
    values, starts, lengths = runs_of_labels(labels)
    if not values.size:
        none = np.empty((0, labels.ndim), np.int64)
        return LabelExtents(values, none[:, 0], none, none)
    first = np.concatenate(([0], np.flatnonzero(values[1:] != values[:-1]) + 1))
    low, high = run_extents(starts, lengths, labels.shape)
    return LabelExtents(
        values[first],
        np.add.reduceat(lengths, first),
        np.stack([np.minimum.reduceat(along, first) for along in low], axis=1),
        np.stack([np.maximum.reduceat(along, first) for along in high], axis=1),
    )
