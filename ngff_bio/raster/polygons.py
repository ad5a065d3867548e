"""COCO polygons to runs, pixel for pixel what pycocotools makes of them, all of a frame at once.

pycocotools walks each outline at five times the resolution, keeps the steps that cross the middle
of a pixel column, scales their height back to pixels, and fills between the first and second, third
and fourth, … crossing of a column. Most steps of the walk are discarded. Here the kept ones are
computed directly from each edge, for all edges of all polygons in one pass: the cost is the number of
crossings, whatever the length of the outline.

Crossings are computed with pycocotools' own floating-point expressions, in the same order, so that
ties are rounded alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from ngff_bio.errors import SourceError
from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.limits import batches
from ngff_bio.raster.runs import IntArray, run_pixels, union_runs

FloatArray = npt.NDArray[np.float64]
GridArray = npt.NDArray[np.int32]

#: Upsampling of the walk (``scale`` in pycocotools' rleFrPoly).
SCALE = 5
#: What ImageJ adds to crossings, so that they do not depend on rounding.
_IMAGEJ = 1e-8
#: The walk stores five times a coordinate, and differences of these, in 32 bits.
FARTHEST = 2**30 / SCALE - 1


def rasterize_polygons(
    segmentations: Sequence[Sequence[Sequence[float]]], shape: tuple[int, int]
) -> InstanceRuns:
    """Pixels of COCO polygon segmentations, equal to ``COCO.annToMask`` of each.

    Parameters
    ----------
    segmentations
        One per instance: a list of parts, each ``[x0, y0, x1, y1, …]`` in pixels (a list or an
        array); the instance is the union of its parts. A part of fewer than three points covers
        nothing (pycocotools raises an error if it is the first). The last of an odd count of numbers
        is dropped, as in pycocotools.
    shape
        Height and width of the frame. Polygons are clipped to it as in pycocotools.

    Returns
    -------
    InstanceRuns
        One instance per segmentation, runs going down columns.

    Raises
    ------
    SourceError
        A coordinate is not a finite number, or is out of all proportion; or there are more runs than
        allowed.
    """
    xy, part_offsets, owners = _points(segmentations)
    height, width = shape
    walk = _walk(xy, part_offsets, width)
    part = np.repeat(np.arange(part_offsets.size - 1), np.diff(part_offsets))
    counts = np.bincount(owners[part], walk[-1], len(segmentations)).astype(np.int64)
    if len(groups := batches(counts // 2, shape)) > 1:
        return InstanceRuns.concatenate(
            [rasterize_polygons(segmentations[group], shape) for group in groups]
        )
    part, column, crossing = _crossings(walk, part, height)
    # Crossings of one column of one part are one range of numbers: one sort pairs them all.
    key = (part * width + column) * (height + 1) + crossing
    key.sort()
    begin, end = key[0::2], key[1::2]
    kept = np.flatnonzero(end > begin)
    begin, length = begin[kept], end[kept] - begin[kept]
    line, y = np.divmod(begin, height + 1)
    part, x = np.divmod(line, width)
    owner = owners[part]
    if owners.size > 1 and (owners[1:] == owners[:-1]).any():
        begin = (owner * width + x) * (height + 1) + y
        begin, length = union_runs(begin, begin + length)
        line, y = np.divmod(begin, height + 1)
        owner, x = np.divmod(line, width)
    return InstanceRuns.from_owners(
        shape, len(segmentations), owner, y * width + x, length, step=width
    )


def rasterize_centers(
    segmentations: Sequence[Sequence[Sequence[float]]],
    shape: tuple[int, int],
    *,
    imagej: bool = False,
) -> InstanceRuns:
    """Pixels whose center is inside an outline.

    The center of the first pixel is 0.5, 0.5. Inside of a part is by the even-odd rule; the instance is
    the union of its parts. A center on an outline is inside if the area is to its right, or below it,
    as Java's ``Shape`` defines it; in ImageJ (``PolygonFiller``) to its left, or below it. Other
    parameters and errors are those of `rasterize_polygons`; runs go along rows.
    """
    xy, part_offsets, owners = _points(segmentations)
    height, width = shape
    end = np.empty_like(xy)
    end[:-1] = xy[1:]
    full = np.flatnonzero(np.diff(part_offsets))
    end[part_offsets[full + 1] - 1] = xy[part_offsets[full]]
    down = (xy[:, 1] <= end[:, 1])[:, None]  # so that equal edges have equal crossings
    (x0, y0), (x1, y1) = np.where(down, xy, end).T, np.where(down, end, xy).T
    first = np.clip(np.ceil(y0 - 0.5), 0, height).astype(np.int64)
    count = np.clip(np.ceil(y1 - 0.5), 0, height).astype(np.int64) - first
    part = np.repeat(np.arange(part_offsets.size - 1), np.diff(part_offsets))
    counts = np.bincount(owners[part], count, len(segmentations)).astype(np.int64)
    if len(groups := batches(counts // 2, shape)) > 1:
        return InstanceRuns.concatenate(
            [rasterize_centers(segmentations[group], shape, imagej=imagej) for group in groups]
        )
    row = run_pixels(first, count)
    at = np.repeat(np.arange(len(xy)), count)
    crossing = x0[at] + (row + 0.5 - y0[at]) * (x1[at] - x0[at]) / (y1[at] - y0[at])
    rounded = np.floor(crossing + (0.5 + _IMAGEJ)) if imagej else np.ceil(crossing - 0.5)
    column = np.clip(rounded, 0, width).astype(np.int64)
    key = (part[at] * height + row) * (width + 1) + column
    key.sort()
    line, x = np.divmod(key[0::2], width + 1)
    part, y = np.divmod(line, height)
    length = key[1::2] - key[0::2]
    begin = (owners[part] * height + y) * (width + 1) + x
    begin, length = union_runs(begin[length > 0], (begin + length)[length > 0])
    line, x = np.divmod(begin, width + 1)
    owner, y = np.divmod(line, height)
    return InstanceRuns.from_owners(shape, len(segmentations), owner, y * width + x, length)


def _points(
    segmentations: Sequence[Sequence[Sequence[float]]],
) -> tuple[FloatArray, IntArray, IntArray]:
    """x and y of all points of all parts; the first point of each part; the instance of each part."""
    parts = list(chain.from_iterable(segmentations))
    per_instance = np.fromiter(map(len, segmentations), np.int64, len(segmentations))
    sizes = np.fromiter(map(len, parts), np.int64, len(parts))
    owners = np.repeat(np.arange(len(segmentations)), per_instance)
    if (sizes % 2).any():
        parts = [part[: len(part) // 2 * 2] for part in parts]
        sizes = np.fromiter(map(len, parts), np.int64, len(parts))
    try:
        numbers = _flattened(parts, int(sizes.sum()))
    except (TypeError, ValueError) as error:
        raise SourceError(
            "a polygon contains something that is not a number",
            record=f"segmentation {_first_unreadable(segmentations)}",
            expected="[[x0, y0, x1, y1, …], …]",
            found=error,
        ) from error
    xy = numbers.reshape(-1, 2)
    part_offsets = np.concatenate(([0], np.cumsum(sizes // 2)))
    _check_coordinates(xy, part_offsets, owners)
    return xy, part_offsets, owners


#: Both ends of each edge in the upsampled grid (x0, y0, x1, y1), the first column whose middle it
#: crosses, and the number of such columns.
Walk = tuple[GridArray, GridArray, GridArray, GridArray, IntArray, IntArray]


def _walk(xy: FloatArray, part_offsets: IntArray, width: int) -> Walk:
    x0, y0, x1, y1 = _edges(xy, part_offsets)
    # A step of the walk goes from u to u + 1; it crosses the middle of column c where u = 5c + 2.
    first = np.maximum((np.minimum(x0, x1) + 2) // SCALE, 0)
    crossed = np.minimum((np.maximum(x0, x1) + 2) // SCALE, width) - first
    return x0, y0, x1, y1, first, np.maximum(crossed, 0)


def _crossings(walk: Walk, part: IntArray, height: int) -> tuple[IntArray, IntArray, IntArray]:
    """Part, pixel column and height (0 to `height`) of every crossing of a column by an outline.

    `part` is that of each edge. Unordered. A closed outline has an even number in every column.
    """
    x0, y0, x1, y1, first, crossed = walk
    meets = crossed > 0
    shallow = np.abs(x1 - x0) >= np.abs(y1 - y0)
    edges = np.flatnonzero(meets & shallow)
    wide = edges.size
    edge = np.concatenate((edges, np.flatnonzero(meets & ~shallow)))
    count = crossed[edge]
    column = run_pixels(first[edge], count)
    at = np.repeat(edge, count)
    cut = int(count[:wide].sum())
    mid = (SCALE * column + 2).astype(np.float64)
    level = np.empty(column.size, np.float64)
    level[:cut] = _shallow_heights(x0, y0, x1, y1, edge[:wide], count[:wide], mid[:cut])
    level[cut:] = _steep_heights(x0, y0, x1, y1, edge[wide:], count[wide:], mid[cut:])
    crossing = np.ceil((level - SCALE // 2) / SCALE)
    np.clip(crossing, 0, height, out=crossing)
    return part[at], column, crossing.astype(np.int64)


def _edges(xy: FloatArray, part_offsets: IntArray) -> tuple[GridArray, ...]:
    """Both ends of every edge in the upsampled grid, x0, y0, x1, y1, each part closed."""
    start = np.empty((2, len(xy)), np.int32)
    for axis in (0, 1):
        np.add(SCALE * xy[:, axis], 0.5, out=start[axis], casting="unsafe")
    end = np.empty_like(start)
    end[:, :-1] = start[:, 1:]
    full = np.flatnonzero(np.diff(part_offsets))
    end[:, part_offsets[full + 1] - 1] = start[:, part_offsets[full]]
    return start[0], start[1], end[0], end[1]


def _shallow_heights(
    x0: GridArray,
    y0: GridArray,
    x1: GridArray,
    y1: GridArray,
    edge: IntArray,
    count: IntArray,
    mid: FloatArray,
) -> FloatArray:
    """Upsampled heights at which edges wider than high go from `mid` to ``mid + 1``.

    `edge` are the edges, `count` the number of rows of `mid` of each. Of the heights of the two steps
    of the walk the smaller, as in pycocotools.
    """
    x0, y0, x1, y1 = x0[edge], y0[edge], x1[edge], y1[edge]
    turned = x0 > x1
    left = np.where(turned, x1, x0)
    top = np.where(turned, y1, y0).astype(np.float64)
    slope = np.repeat((np.where(turned, y0, y1) - top) / np.abs(x1 - x0), count)
    origin = np.repeat(top, count)
    step = mid - np.repeat(left, count)
    here = slope * step
    here += origin
    here += 0.5
    step += 1
    there = slope * step
    there += origin
    there += 0.5
    # The rounding of negative heights does not matter: they are clipped to 0.
    lower: FloatArray = np.floor(np.minimum(here, there))
    return lower


def _steep_heights(
    x0: GridArray,
    y0: GridArray,
    x1: GridArray,
    y1: GridArray,
    edge: IntArray,
    count: IntArray,
    mid: FloatArray,
) -> FloatArray:
    """Upsampled heights at which edges higher than wide go from `mid` to ``mid + 1``.

    `edge` and `count` as above. The walk descends the edge in steps of one; the step that passes the
    middle is estimated by a division, then corrected with the walk's own rounding: a tie may fall to
    either side.
    """
    x0, y0, x1, y1 = x0[edge], y0[edge], x1[edge], y1[edge]
    turned = y0 > y1
    left = np.where(turned, x1, x0).astype(np.float64)
    rise = np.where(turned, x0, x1) - left
    slope = np.repeat(rise / np.abs(y1 - y0), count)
    rightwards = np.repeat(rise > 0, count)
    origin = np.repeat(left, count)
    beyond = mid + 1.0

    def is_past(step: FloatArray) -> npt.NDArray[np.bool_]:
        across = slope * step
        across += origin
        across += 0.5
        past: npt.NDArray[np.bool_] = (across >= beyond) == rightwards
        return past

    step: FloatArray = np.ceil((mid + 0.5 - origin) / slope)
    step += ~is_past(step)
    step -= is_past(step - 1)
    step += np.repeat(np.minimum(y0, y1) - 1, count)
    return step


def _check_coordinates(xy: FloatArray, part_offsets: IntArray, owners: IntArray) -> None:
    """Raise `SourceError` for coordinates that the walk cannot store."""
    # A comparison with NaN is false.
    if not xy.size or (xy.max() < FARTHEST and xy.min() > -FARTHEST):
        return
    point = int(np.flatnonzero(~(np.abs(xy) < FARTHEST).all(1))[0])
    part = int(np.searchsorted(part_offsets, point, "right")) - 1
    raise SourceError(
        "a polygon has a coordinate out of range",
        record=f"segmentation {owners[part]}",
        expected=f"a finite number, at most {FARTHEST:.0f} pixels from the image",
        found=f"x, y = {xy[point, 0]}, {xy[point, 1]}",
    )


def _flattened(parts: Sequence[Any], total: int) -> FloatArray:
    """All numbers of the parts, float64."""
    if parts and all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts).astype(np.float64, copy=False)
    return np.fromiter(chain.from_iterable(parts), np.float64, total)


def _first_unreadable(segmentations: Sequence[Sequence[Any]]) -> int:
    for index, parts in enumerate(segmentations):
        try:
            _flattened(parts, sum(map(len, parts)))
        except (TypeError, ValueError):
            return index
    return -1
