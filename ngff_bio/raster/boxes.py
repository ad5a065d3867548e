"""Boxes to pixels: which pixels a box covers, by the rule of its format, then filled boxes as runs.

Pixel boxes here are half-open and cut to the frame: int64 (n, 2, axes), minima then maxima, as
`InstanceRuns.bboxes` gives them back. A box that covers no pixel has equal minima and maxima.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ngff_bio.errors import SourceError
from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.limits import Amount
from ngff_bio.raster.polygons import FARTHEST, SCALE
from ngff_bio.raster.runs import IntArray, run_pixels


def coco_boxes(boxes: npt.ArrayLike, shape: tuple[int, int]) -> IntArray:
    """Pixel boxes of COCO boxes (n, 4): floats x, y, width, height in pixels.

    The pixels are those of the polygon of its four corners in pycocotools (``frPyObjects`` of a
    box): corners are rounded to a fifth of a pixel, and a pixel belongs to the box if its centre
    does; the left and upper side belong to it, the right and lower side do not.
    """
    given = _numbers(boxes, "a COCO box", "x, y, width, height")
    # The sides are added up before they are brought to the grid, as rleFrBbox does.
    corners = np.stack((given[:, :2], given[:, :2] + given[:, 2:]), axis=1)
    grid = np.trunc(SCALE * corners + 0.5)
    # A negative width swaps two sides; the polygon covers the same pixels.
    sides = np.sort(np.ceil((grid - SCALE // 2) / SCALE), axis=1)
    return _cut(sides[..., ::-1].astype(np.int64), shape)


def labelme_boxes(corners: npt.ArrayLike, shape: tuple[int, int]) -> IntArray:
    """Pixel boxes of labelme rectangles (n, 2, 2) or (n, 4): two opposite corners x, y.

    labelme fills them with Pillow's ``ImageDraw.rectangle``, which rounds the corners towards 0 and
    includes both. Corners may be given in any order (newer
    versions of Pillow refuse to draw those from right to left).
    """
    given = _numbers(corners, "a labelme rectangle", "x0, y0, x1, y1").reshape(-1, 2, 2)
    pixels = np.sort(np.trunc(given).astype(np.int64)[..., ::-1], axis=1)
    pixels[:, 1] += 1
    return _cut(pixels, shape)


def fill_boxes(boxes: npt.ArrayLike, shape: Sequence[int]) -> InstanceRuns:
    """Filled pixel boxes as runs, one instance each.

    Parameters
    ----------
    boxes
        Integers (n, 2, axes): half-open minima and maxima, of as many axes as `shape` has (a box
        in a volume has a z extent too). They are clipped to the array.
    shape
        Of the array.

    Raises
    ------
    SourceError
        There are more runs than allowed.
    """
    given = np.asarray(boxes, np.int64).reshape(-1, 2, len(shape))
    cut = _cut(given, shape)
    count = len(cut)
    sizes = cut[:, 1] - cut[:, 0]
    Amount(shape).add(int(sizes[:, :-1].prod(axis=1).sum()))
    owners = np.arange(count)
    starts = np.zeros(count, np.int64)
    # One axis after the other: planes, their rows, and the run along each row.
    for axis in range(len(shape) - 1):
        repeats = np.where(sizes.all(axis=1), sizes[:, axis], 0)[owners]
        rows = run_pixels(cut[owners, 0, axis], repeats)
        starts = np.repeat(starts, repeats) * shape[axis] + rows
        owners = np.repeat(owners, repeats)
    starts = starts * shape[-1] + cut[owners, 0, -1]
    return InstanceRuns.from_owners(shape, count, owners, starts, sizes[owners, -1])


def _numbers(boxes: npt.ArrayLike, what: str, order: str) -> npt.NDArray[np.float64]:
    given = np.asarray(boxes, np.float64)
    given = given.reshape(len(given), -1) if given.size else np.zeros((0, 4))
    if given.shape[1] != 4:
        raise SourceError(f"{what} does not have four numbers", expected=order)
    wrong = np.flatnonzero(~(np.abs(given) < FARTHEST).all(axis=1))
    if wrong.size:
        raise SourceError(
            f"{what} has a number out of range",
            record=f"box {wrong[0]}",
            expected=f"finite {order}",
            found=given[wrong[0]].tolist(),
        )
    return given


def _cut(boxes: IntArray, shape: Sequence[int]) -> IntArray:
    inside = np.clip(boxes, 0, np.asarray(shape, np.int64))
    inside[:, 1] = np.maximum(inside[:, 0], inside[:, 1])
    empty = (inside[:, 0] == inside[:, 1]).any(axis=1)
    inside[empty, 1] = inside[empty, 0]
    return inside
