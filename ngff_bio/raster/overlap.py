"""The overlap rule: how instances that share pixels become label images that lose none of them.

One label image shows every instance: larger ones are painted first, so that small ones stay visible
on them; of two equal ones the later in the source is on top. An instance that loses a pixel this way
is also written whole to a hidden label image: those that overlap most others are placed first, each in
the first image in which it overlaps no other. So each instance can be read whole from exactly one label
image, and the images are few. Their number is limited: an instance that finds no place in the first
`MAX_HIDDEN` hidden images is in none of them, and its outline in the table is its only whole copy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ngff_bio.errors import ArgumentError
from ngff_bio.model import MAX_HIDDEN, PixelArray
from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.runs import (
    IntArray,
    LabelArray,
    distinct,
    flat_view,
    paint_many,
    pixel_blocks,
    run_pixels,
)

#: Layer of an instance that is whole in no label image.
IN_TABLE = -1

#: Overlaps that are listed pair by pair; where there are more, instances are placed in source order.
_PAIRS = 1 << 23


@dataclass(frozen=True, eq=False)
class HiddenLayer:
    """Instances of one hidden label image; no two of them share a pixel.

    Parameters
    ----------
    values
        Label value of each, in source order.
    runs
        Their whole masks.
    """

    values: PixelArray
    runs: InstanceRuns

    def paint(self, out: LabelArray) -> None:
        """Paint the layer into a C-contiguous label array of its shape, in place."""
        runs = self.runs
        paint_many(
            out, runs.starts, runs.lengths, np.repeat(self.values, runs.counts), step=runs.step
        )


@dataclass(frozen=True, eq=False)
class Painted:
    """Where each of the n instances of a painted frame or volume can be read whole.

    Parameters
    ----------
    hidden
        Hidden layers 1, 2, …; none where nothing overlaps.
    layer
        int64 (n): 0 where the instance is whole in the visible labels, k where it is in
        ``hidden[k - 1]``, ``IN_TABLE`` where it is in none.
    areas
        int64 (n): pixels of the whole instance; 0 where it covers none.
    """

    hidden: tuple[HiddenLayer, ...]
    layer: IntArray
    areas: IntArray


def paint_instances(
    table: InstanceRuns, values: npt.ArrayLike, out: LabelArray, sizes: IntArray | None = None
) -> Painted:
    """Paint the instances of a frame or volume by the overlap rule.

    Parameters
    ----------
    table
        Their masks, in source order.
    values
        Label value of each instance: above 0, unique.
    out
        C-contiguous label array of the table's shape to paint into; what is in it is overwritten.
    sizes
        By which instances are larger than others; their areas if ``None``.

    Returns
    -------
    Painted
        The same for the same input, always.

    Raises
    ------
    ArgumentError
        Shapes, counts or values do not fit together, or a value does not fit the type.
    """
    if out.shape != table.shape:
        raise ArgumentError(
            "the instances were rasterised for another frame",
            expected=f"shape {out.shape}",
            found=f"shape {table.shape}",
        )
    if table.lengths.size and int(table.lengths.min()) <= 0:
        raise ArgumentError("an instance has an empty run", expected="lengths above 0")
    values = _checked_values(values, len(table))
    flat_view(out)[:] = 0
    areas = table.areas()
    if not _paint_disjoint(out, table, values):
        order = np.argsort(-(areas if sizes is None else sizes), kind="stable")
        ordered = table.select(order)
        level = np.repeat(values[order], ordered.counts)
        paint_many(out, ordered.starts, ordered.lengths, level, step=ordered.step)
        if int(np.count_nonzero(out)) != int(areas.sum()):
            cut = np.sort(order[_cut_rows(out, ordered, level)])
            return Painted(*_hidden_layers(table, values, cut), areas)
    return Painted((), np.zeros(len(table), np.int64), areas)


def _checked_values(values: npt.ArrayLike, count: int) -> PixelArray:
    checked = np.asarray(values)
    if checked.shape != (count,) or (count and checked.dtype.kind not in "iu"):
        raise ArgumentError(
            "label values do not belong to the instances",
            expected=f"{count} integers",
            found=f"shape {checked.shape} of {checked.dtype}",
        )
    if not count:
        return checked.astype(np.uint8)
    ordered = np.sort(checked)
    if int(ordered[0]) <= 0 or (ordered[1:] == ordered[:-1]).any():
        raise ArgumentError(
            "label values do not distinguish the instances",
            expected="values above 0, unique",
            found=f"{np.count_nonzero(np.diff(ordered) == 0)} repeated, smallest {ordered[0]}",
        )
    return checked


def _paint_disjoint(labels: LabelArray, table: InstanceRuns, values: PixelArray) -> bool:
    """Paint row-major runs that do not overlap, in array order; return False if they overlap."""
    if table.step != 1:
        return False
    order = np.argsort(table.starts, kind="stable")
    starts, lengths = table.starts[order], table.lengths[order]
    if (starts[1:] < starts[:-1] + lengths[:-1]).any():
        return False
    paint_many(labels, starts, lengths, values[table.owners[order]])
    return True


def _cut_rows(labels: LabelArray, ordered: InstanceRuns, level: LabelArray) -> IntArray:
    """Instances of `ordered` with a pixel that shows another value than their own."""
    flat = flat_view(labels)
    lost = np.zeros(len(level), np.bool_)
    for rows, starts, lengths in pixel_blocks(ordered.starts, ordered.lengths, ordered.step):
        shown = flat[run_pixels(starts, lengths, ordered.step)]
        other = shown != np.repeat(level[rows], lengths)
        lost[rows] |= np.logical_or.reduceat(other, np.cumsum(lengths) - lengths)
    return distinct(ordered.owners[lost])


def _hidden_layers(
    table: InstanceRuns, values: PixelArray, cut: IntArray
) -> tuple[tuple[HiddenLayer, ...], IntArray]:
    """Hidden layers of the instances `cut`, and the layer in which each instance is whole."""
    masks = table.select(cut)
    pairs = _meetings(masks)
    place = _places_in_order(masks) if pairs is None else _places(pairs, cut.size)
    layer = np.zeros(len(table), np.int64)
    layer[cut] = np.where(place == 0, IN_TABLE, place)
    hidden = []
    for number in range(1, int(place.max()) + 1):
        chosen = np.flatnonzero(place == number)
        hidden.append(HiddenLayer(values[cut[chosen]], masks.select(chosen)))
    return tuple(hidden), layer


def _meetings(masks: InstanceRuns) -> IntArray | None:
    """Pairs (earlier, later) of instances that share a pixel, each once, sorted by the later.

    Computed on the stretches between all run ends, not on pixels: an instance covers a stretch wholly
    or not at all, and there are few of them even in a volume. ``None`` if there are too many.
    """
    begin = masks.line_starts()
    end = begin + masks.lengths
    bounds = np.concatenate((begin, end))
    order = np.argsort(bounds)
    bounds = bounds[order]
    place = np.empty_like(order)
    place[order] = np.cumsum(np.concatenate(([False], bounds[1:] != bounds[:-1])))
    first, covered = place[: begin.size], place[begin.size :] - place[: begin.size]
    if int(covered.sum()) > _PAIRS:
        return None
    stretch = run_pixels(first, covered)
    instance = np.repeat(masks.owners, covered)
    depth = np.bincount(stretch)
    if int((depth * (depth - 1)).sum()) > 2 * _PAIRS:
        return None
    contested = depth[stretch] > 1
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
    """Layer 1, 2, … of each instance: the first without an instance that it overlaps; 0 for none.

    Those that overlap most others come first, ties in source order (Welsh and Powell, Comput. J. 10,
    1967): on some crowded frames source order alone needs one layer more.
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
        place[instance] = _lowest_free(barred)
    return np.array(place, np.int64)


def _places_in_order(masks: InstanceRuns) -> IntArray:
    """The same in source order, by the layers that are taken at each pixel."""
    taken = np.zeros(math.prod(masks.shape), np.uint32)
    place = np.zeros(len(masks), np.int64)
    for i, (first, stop) in enumerate(pairwise(masks.offsets.tolist())):
        runs = masks.starts[first:stop], masks.lengths[first:stop], masks.step
        barred = 1
        for _, starts, lengths in pixel_blocks(*runs):
            barred |= int(np.bitwise_or.reduce(taken[run_pixels(starts, lengths, masks.step)]))
        place[i] = _lowest_free(barred)
        for _, starts, lengths in pixel_blocks(*runs) if place[i] else ():
            taken[run_pixels(starts, lengths, masks.step)] |= np.uint32(1 << place[i])
    return place


def _lowest_free(barred: int) -> int:
    """The lowest bit that is not set, 0 if it is above `MAX_HIDDEN`."""
    free = (~barred & (barred + 1)).bit_length() - 1
    return free if free <= MAX_HIDDEN else 0
