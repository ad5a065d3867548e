"""The overlap rule: how instances that share pixels become label images that lose none of them.

One label image shows every instance: larger ones are painted first, so that small ones stay
visible on them; of two equal ones the later in the source is on top. An instance that loses a
pixel this way is also written whole to a hidden label image: those that meet most others choose
first, each takes the first image in which it meets no other. So each instance can be read whole from
exactly one label image, and the images are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ngff_bio.errors import ArgumentError
from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.runs import (
    BoolArray,
    IntArray,
    LabelArray,
    Runs,
    distinct,
    flat_view,
    paint_many,
    pixel_blocks,
    run_pixels,
)


@dataclass(frozen=True, eq=False)
class HiddenLayer:
    """Instances of one hidden label image; no two of them share a pixel.

    Parameters
    ----------
    instances
        int64: their indices among all instances of the frame or volume, ascending.
    values
        Label value of each.
    runs
        Their whole masks.
    """

    instances: IntArray
    values: npt.NDArray[Any]
    runs: InstanceRuns

    def array(self, dtype: npt.DTypeLike) -> LabelArray:
        """The layer as a label array; made anew at each call."""
        labels = np.zeros(self.runs.shape, dtype)
        self.paint(labels)
        return labels

    def paint(self, out: LabelArray) -> None:
        """Paint the layer into a C-contiguous label array of its shape, in place."""
        runs = self.runs
        paint_many(
            out, runs.starts, runs.lengths, np.repeat(self.values, runs.counts), step=runs.step
        )


@dataclass(frozen=True, eq=False)
class Painted:
    """A frame or volume of labels, and where each of its n instances can be read whole.

    Parameters
    ----------
    labels
        The visible label array.
    hidden
        Hidden layers 1, 2, …; none where nothing overlaps.
    layer
        int64 (n): 0 where the instance is whole in `labels`, k where it is in ``hidden[k - 1]``.
    areas
        int64 (n): pixels of the whole instance.
    """

    labels: LabelArray
    hidden: tuple[HiddenLayer, ...]
    layer: IntArray
    areas: IntArray

    @property
    def empty(self) -> BoolArray:
        """Instances that cover no pixel of the frame; their layer is 0."""
        nothing: BoolArray = self.areas == 0
        return nothing


def paint_order(areas: IntArray) -> IntArray:
    """Indices of instances in the order of painting: by falling area, then as in the source."""
    return np.argsort(-areas, kind="stable")


def paint_instances(
    shape: Sequence[int],
    instances: InstanceRuns | Sequence[Runs],
    values: npt.ArrayLike,
    *,
    dtype: npt.DTypeLike | None = None,
    out: LabelArray | None = None,
) -> Painted:
    """Paint the instances of a frame or volume by the overlap rule.

    Parameters
    ----------
    shape
        Of the label array, any number of axes.
    instances
        Their masks, in source order.
    values
        Label value of each instance: above 0, no two alike.
    dtype
        Of the labels; the smallest unsigned type that fits if not given.
    out
        A C-contiguous label array of `shape` to paint into; what is in it is overwritten.

    Returns
    -------
    Painted
        The same for the same input, always.

    Raises
    ------
    ArgumentError
        Shapes, counts or values do not fit together, or a value does not fit the type.
    """
    table = as_instance_runs(shape, instances)
    marks = _checked_values(values, len(table))
    labels = _label_array(shape, marks, dtype, out)
    areas = table.areas()
    if not _paint_disjoint(labels, table, marks):
        order = paint_order(areas)
        ordered = table.select(order)
        level = np.repeat(marks[order], ordered.counts)
        paint_many(labels, ordered.starts, ordered.lengths, level, step=ordered.step)
        if int(np.count_nonzero(labels)) != int(areas.sum()):
            cut = np.sort(order[_cut_rows(labels, ordered, level)])
            hidden, layer = _hidden_layers(table, marks, cut)
            return Painted(labels, hidden, layer, areas)
    return Painted(labels, (), np.zeros(len(table), np.int64), areas)


def as_instance_runs(
    shape: Sequence[int], instances: InstanceRuns | Sequence[Runs]
) -> InstanceRuns:
    """Masks as one table for an array of `shape`."""
    if not isinstance(instances, InstanceRuns):
        instances = InstanceRuns.from_runs(shape, instances)
    if instances.lengths.size and int(instances.lengths.min()) <= 0:
        raise ArgumentError("an instance has an empty run", expected="lengths above 0")
    if instances.shape != tuple(shape):
        raise ArgumentError(
            "instances were rasterised for another frame",
            expected=f"shape {tuple(shape)}",
            found=f"shape {instances.shape}",
        )
    return instances


def _checked_values(values: npt.ArrayLike, count: int) -> npt.NDArray[Any]:
    marks = np.asarray(values)
    if marks.shape != (count,) or (count and marks.dtype.kind not in "iu"):
        raise ArgumentError(
            "label values do not belong to the instances",
            expected=f"{count} integers",
            found=f"shape {marks.shape} of {marks.dtype}",
        )
    if not count:
        return marks.astype(np.uint8)
    ordered = np.sort(marks)
    if int(ordered[0]) <= 0 or (ordered[1:] == ordered[:-1]).any():
        raise ArgumentError(
            "label values do not tell the instances apart",
            expected="values above 0, no two alike",
            found=f"{np.count_nonzero(np.diff(ordered) == 0)} repeated, smallest {ordered[0]}",
        )
    return marks


def _label_array(
    shape: Sequence[int],
    marks: npt.NDArray[Any],
    dtype: npt.DTypeLike | None,
    out: LabelArray | None,
) -> LabelArray:
    if out is not None:
        if out.shape != tuple(shape):
            raise ArgumentError(
                "the label array has another shape", expected=tuple(shape), found=out.shape
            )
        flat_view(out)[:] = 0
        return out
    if dtype is None:
        dtype = np.min_scalar_type(int(marks.max())) if marks.size else np.dtype(np.uint8)
    return np.zeros(tuple(shape), dtype)


def _paint_disjoint(labels: LabelArray, table: InstanceRuns, marks: npt.NDArray[Any]) -> bool:
    """Paint row-major runs that nowhere overlap, in the order of the array; False if they do."""
    if table.step != 1:
        return False
    order = np.argsort(table.starts, kind="stable")
    starts, lengths = table.starts[order], table.lengths[order]
    if (starts[1:] < starts[:-1] + lengths[:-1]).any():
        return False
    paint_many(labels, starts, lengths, marks[table.owners[order]])
    return True


def _cut_rows(labels: LabelArray, ordered: InstanceRuns, level: LabelArray) -> IntArray:
    """Instances of `ordered` of which a pixel shows another value than its own."""
    flat = flat_view(labels)
    lost = np.zeros(len(level), np.bool_)
    for rows, starts, lengths in pixel_blocks(ordered.starts, ordered.lengths, ordered.step):
        shown = flat[run_pixels(starts, lengths, ordered.step)]
        other = shown != np.repeat(level[rows], lengths)
        lost[rows] |= np.logical_or.reduceat(other, np.cumsum(lengths) - lengths)
    return distinct(ordered.owners[lost])


def _hidden_layers(
    table: InstanceRuns, marks: npt.NDArray[Any], cut: IntArray
) -> tuple[tuple[HiddenLayer, ...], IntArray]:
    """Hidden layers of the instances `cut`, and the layer in which each instance is whole."""
    masks = table.select(cut)
    place = _places(_meetings(masks), cut.size)
    layer = np.zeros(len(table), np.int64)
    layer[cut] = place
    hidden = []
    for number in range(1, int(place.max()) + 1):
        chosen = np.flatnonzero(place == number)
        hidden.append(HiddenLayer(cut[chosen], marks[cut[chosen]], masks.select(chosen)))
    return tuple(hidden), layer


def _meetings(masks: InstanceRuns) -> IntArray:
    """Pairs (earlier, later) of instances that share a pixel, each once, sorted by the later.

    Worked out on the stretches between all run ends, not on pixels: each stretch is covered by an
    instance wholly or not at all, and there are few of them even in a volume.
    """
    begin = masks.line_starts()
    end = begin + masks.lengths
    bounds = np.concatenate((begin, end))
    order = np.argsort(bounds)
    bounds = bounds[order]
    place = np.empty_like(order)
    place[order] = np.cumsum(np.concatenate(([False], bounds[1:] != bounds[:-1])))
    first, covered = place[: begin.size], place[begin.size :] - place[: begin.size]
    stretch = run_pixels(first, covered)
    instance = np.repeat(masks.owners, covered)
    contested = np.bincount(stretch)[stretch] > 1
    count = len(masks)
    key = np.sort(stretch[contested] * count + instance[contested])
    stretch, instance = np.divmod(key, count)
    pairs: list[IntArray] = []
    for apart in range(1, key.size):
        both = stretch[apart:] == stretch[:-apart]
        if not both.any():
            break
        pairs.append(distinct(instance[apart:][both] * count + instance[:-apart][both]))
    if not pairs:
        return np.empty((0, 2), np.int64)
    later, earlier = np.divmod(distinct(np.concatenate(pairs)), count)
    return np.stack((earlier, later), axis=1)


def _places(pairs: IntArray, count: int) -> IntArray:
    """Layer 1, 2, … of each instance: the first that holds none that it meets.

    Those that meet most others choose first, ties by source order (Welsh and Powell's order, Comput.
    J. 10, 1967): on some crowded frames source order alone needs a layer more.
    """
    met: list[list[int]] = [[] for _ in range(count)]
    for one, other in pairs.tolist():
        met[one].append(other)
        met[other].append(one)
    place = [0] * count
    for instance in sorted(range(count), key=lambda i: -len(met[i])):
        barred = 1  # there is no layer 0
        for other in met[instance]:
            barred |= 1 << place[other]
        place[instance] = (~barred & (barred + 1)).bit_length() - 1  # the lowest bit not set
    return np.array(place, np.int64)
