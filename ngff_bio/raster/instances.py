"""The runs of many instances in one table: the form of every geometry before it is painted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ngff_bio.errors import ArgumentError
from ngff_bio.raster.limits import Amount
from ngff_bio.raster.runs import IntArray, run_extents, run_pixels, union_runs


@dataclass(frozen=True, eq=False)
class InstanceRuns:
    """Runs of n instances in an array of `shape`.

    Instance i has the rows ``offsets[i]:offsets[i + 1]``. Its runs do not overlap each other; runs of
    different instances may. An instance without rows covers no pixel.

    Parameters
    ----------
    shape
        Shape of the array.
    offsets
        int64, n + 1.
    starts, lengths
        int64, one per run: C-order index of the first pixel, and number of pixels.
    step
        Distance between the pixels of a run: 1 along a row; the width of the plane for runs down a
        column, as COCO's are (then none is longer than its column, and `shape` has two axes).
    """

    shape: tuple[int, ...]
    offsets: IntArray
    starts: IntArray
    lengths: IntArray
    step: int = 1

    def __len__(self) -> int:
        return int(self.offsets.size) - 1

    @property
    def counts(self) -> IntArray:
        """Number of runs of each instance."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> IntArray:
        """Instance of each run."""
        return np.repeat(np.arange(len(self)), self.counts)

    @classmethod
    def from_runs(
        cls, shape: Sequence[int], runs: Sequence[tuple[IntArray, IntArray]]
    ) -> InstanceRuns:
        """A table of the starts and lengths of each instance, row-major."""
        if not runs:
            return cls.empty(shape, 0)
        starts, lengths = zip(*runs, strict=True)
        offsets = _offsets([len(one) for one in starts])
        return cls(tuple(shape), offsets, np.concatenate(starts), np.concatenate(lengths))

    @classmethod
    def empty(cls, shape: Sequence[int], count: int) -> InstanceRuns:
        """A table of `count` instances that cover no pixel."""
        none = np.empty(0, np.int64)
        return cls(tuple(shape), np.zeros(count + 1, np.int64), none, none)

    @classmethod
    def from_owners(
        cls,
        shape: Sequence[int],
        count: int,
        owners: IntArray,
        starts: IntArray,
        lengths: IntArray,
        step: int = 1,
    ) -> InstanceRuns:
        """A table from rows that are sorted by instance, for `count` instances."""
        return cls(
            tuple(shape), _offsets(np.bincount(owners, minlength=count)), starts, lengths, step
        )

    @classmethod
    def concatenate(cls, tables: Sequence[InstanceRuns]) -> InstanceRuns:
        """All instances of the tables, in order; all of one shape.

        Column-major tables become row-major if others are.
        """
        if len({table.shape for table in tables}) != 1:
            raise ArgumentError(
                "instances of different arrays cannot be concatenated",
                expected="one shape",
                found=", ".join(str(table.shape) for table in tables) or "no table",
            )
        if len({table.step for table in tables if table.starts.size}) > 1:
            tables = [table.row_major() for table in tables]
        step = next((table.step for table in tables if table.starts.size), 1)
        return cls(
            tables[0].shape,
            _offsets(np.concatenate([table.counts for table in tables])),
            np.concatenate([table.starts for table in tables]),
            np.concatenate([table.lengths for table in tables]),
            step,
        )

    def select(self, which: npt.ArrayLike) -> InstanceRuns:
        """The instances of the given indices, in the order given."""
        chosen = np.asarray(which, np.int64)
        counts = self.counts[chosen]
        rows = run_pixels(self.offsets[chosen], counts)
        return InstanceRuns(
            self.shape, _offsets(counts), self.starts[rows], self.lengths[rows], self.step
        )

    def areas(self) -> IntArray:
        """Number of pixels of each instance, int64."""
        total = np.concatenate(([0], np.cumsum(self.lengths)))
        return total[self.offsets[1:]] - total[self.offsets[:-1]]

    def bboxes(self) -> IntArray:
        """Half-open boxes, int64 (n, 2, axes): minima, maxima; all 0 where there is no pixel."""
        boxes = np.zeros((len(self), 2, len(self.shape)), np.int64)
        full = np.flatnonzero(self.counts)
        if not full.size:
            return boxes
        if self.step == 1:
            low, high = run_extents(self.starts, self.lengths, self.shape)
        else:
            y, x = np.divmod(self.starts, self.shape[1])
            low, high = [y, x], [y + self.lengths, x + 1]
        first = self.offsets[:-1][full]
        for axis in range(len(self.shape)):
            boxes[full, 0, axis] = np.minimum.reduceat(low[axis], first)
            boxes[full, 1, axis] = np.maximum.reduceat(high[axis], first)
        return boxes

    def line_starts(self) -> IntArray:
        """Starts in the order in which runs are contiguous: column-major for runs down columns."""
        if self.step == 1:
            return self.starts
        height, width = self.shape
        y, x = np.divmod(self.starts, width)
        return x * height + y

    def row_major(self) -> InstanceRuns:
        """The same instances with `step` 1; the runs of each sorted, not touching.

        Raises
        ------
        ngff_bio.errors.SourceError
            If there are more runs along rows than allowed.
        """
        size = math.prod(self.shape)
        if self.step == 1:
            begin = self.owners * (size + 1) + self.starts
            starts, lengths = union_runs(begin, begin + self.lengths)
        else:
            starts, lengths = self._rows()
        owners, starts = np.divmod(starts, size + 1)
        return InstanceRuns.from_owners(self.shape, len(self), owners, starts, lengths)

    def _rows(self) -> tuple[IntArray, IntArray]:
        """Starts and lengths along rows, counted through all instances, one pixel between them.

        A run begins at a pixel that the column to its left does not have, and ends likewise.
        """
        height, width = self.shape
        size, column = height * width, height + 1
        y, x = np.divmod(self.starts, width)
        key = (self.owners * (width + 1) + x) * column + y
        order = np.argsort(key)
        begin, end = key[order], (key + self.lengths)[order]
        firsts, counts = _without(begin, end, begin + column, end + column)
        Amount(self.shape).add(int(counts.sum()))
        lasts = _without(begin, end, begin - column, end - column)
        edges = []
        for pixels in (run_pixels(firsts, counts), run_pixels(*lasts)):
            line, y = np.divmod(pixels, column)
            owner, x = np.divmod(line, width + 1)
            edges.append(np.sort(owner * (size + 1) + y * width + x))
        return union_runs(edges[0], edges[1] + 1)


def _offsets(counts: npt.ArrayLike) -> IntArray:
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)))


def _without(
    begin: IntArray, end: IntArray, other_begin: IntArray, other_end: IntArray
) -> tuple[IntArray, IntArray]:
    """Starts and lengths of what is in some intervals and in none of the others.

    Neither the ones nor the others overlap each other.
    """
    bounds = np.concatenate((begin, end, other_begin, other_end))
    order = np.argsort(bounds)
    bounds = bounds[order]
    inside = np.cumsum(np.repeat([1, -1, 2, -2], begin.size)[order])
    stretch = np.flatnonzero((inside[:-1] == 1) & (bounds[1:] > bounds[:-1]))
    return bounds[stretch], bounds[stretch + 1] - bounds[stretch]
