"""labelme's shapes to masks, pixel for pixel as labelme draws them.

labelme hands every shape to Pillow's ImageDraw on a mask as large as the image
(``labelme.utils.shape_to_mask``). Here it is drawn on a window that holds the shape, by the same
calls. A window must change no pixel, so: Pillow drops the fractions of coordinates towards 0, and
that is done before the window is moved; it follows sides of polygons in 32-bit floats that depend
on how far right they are, so the window of anything with slanted sides begins at the left border.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ngff_bio.errors import SourceError
from ngff_bio.raster.boxes import fill_boxes, labelme_boxes
from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.polygons import FARTHEST
from ngff_bio.raster.runs import BoolArray, Runs, mask_from_runs, runs_from_mask

#: labelme's defaults, pixels.
LINE_WIDTH = 10
POINT_SIZE = 5

Points = Sequence[Sequence[float]]


def rasterize_shapes(shapes: Sequence[Mapping[str, Any]], shape: tuple[int, int]) -> InstanceRuns:
    """Pixels of labelme shapes, one instance each, row-major.

    Parameters
    ----------
    shapes
        Records with ``points``, ``shape_type`` (a polygon where it is missing or None), and for a
        mask ``mask``: a 2-D array, already decoded.
    shape
        Height and width of the image.

    Raises
    ------
    SourceError
        See `shape_runs`; names the index of the shape.
    """
    runs = []
    for index, one in enumerate(shapes):
        try:
            runs.append(shape_runs(shape, one["points"], one.get("shape_type"), one.get("mask")))
        except SourceError as error:
            error.record = f"shape {index}"
            raise
    return InstanceRuns.from_runs(shape, runs)


def shape_to_mask(
    shape: tuple[int, int],
    points: Points,
    shape_type: str | None = None,
    mask: npt.NDArray[Any] | None = None,
    *,
    line_width: int = LINE_WIDTH,
    point_size: int = POINT_SIZE,
) -> BoolArray:
    """One labelme shape as a boolean mask (height, width); see `shape_runs`."""
    runs = shape_runs(shape, points, shape_type, mask, line_width=line_width, point_size=point_size)
    return mask_from_runs(runs, shape)


def shape_runs(
    shape: tuple[int, int],
    points: Points,
    shape_type: str | None = None,
    mask: npt.NDArray[Any] | None = None,
    *,
    line_width: int = LINE_WIDTH,
    point_size: int = POINT_SIZE,
) -> Runs:
    """One labelme shape as runs.

    Parameters
    ----------
    shape
        Height and width of the image.
    points
        x, y of each point, in pixels: centre and a point on the rim of a circle; two corners of a
        rectangle; both ends of a line; the upper left and lower right pixel of a mask.
    shape_type
        circle, rectangle, line, linestrip, point, polygon, points, mask; None is a polygon. Like
        labelme 4 and 5, points are filled as the polygon that they span.
    mask
        Of a mask shape: a 2-D array that fills its box, corners included.
    line_width, point_size
        Width of lines and radius of points, pixels.

    Raises
    ------
    SourceError
        The shape has a wrong number of points, a coordinate that is none, a mask that does not
        fit its box, or a type that labelme does not know.
    """
    xy = _checked_points(points, shape_type)
    if shape_type == "rectangle":
        return fill_boxes(labelme_boxes(xy.reshape(1, 4), shape), shape).runs(0)
    if shape_type == "mask":
        return _placed_mask(shape, xy, mask)
    if shape_type in ("circle", "point"):
        x, y = xy[0].tolist()
        radius = float(point_size)
        if shape_type == "circle":
            radius = math.sqrt((x - xy[1, 0]) ** 2 + (y - xy[1, 1]) ** 2)
        xy = np.array([[x - radius, y - radius], [x + radius, y + radius]])
        return _drawn(shape, xy, "ellipse", 1, from_left=False)
    if shape_type in ("line", "linestrip"):
        return _drawn(shape, xy, "line", line_width, from_left=True)
    return _drawn(shape, xy, "polygon", 1, from_left=True)


#: Fewest and most points of a shape.
_COUNTS: dict[str | None, tuple[int, float]] = {
    "circle": (2, 2),
    "rectangle": (2, 2),
    "line": (2, 2),
    "linestrip": (2, math.inf),
    "point": (1, 1),
    "points": (3, math.inf),
    "polygon": (3, math.inf),
    None: (3, math.inf),
    "mask": (2, 2),
}


def _checked_points(points: Points, shape_type: str | None) -> npt.NDArray[np.float64]:
    if shape_type not in _COUNTS:
        raise SourceError(
            "labelme has no such shape",
            expected=", ".join(str(name) for name in _COUNTS if name),
            found=repr(shape_type),
        )
    fewest, most = _COUNTS[shape_type]
    try:
        xy = np.asarray(points, np.float64)
    except (TypeError, ValueError) as error:
        raise SourceError("a point is no pair of numbers", found=repr(points)[:80]) from error
    name = shape_type or "polygon"
    if xy.ndim != 2 or xy.shape[1] != 2 or not fewest <= len(xy) <= most:
        many = f"{fewest}" if fewest == most else f"{fewest} or more"
        raise SourceError(
            f"a {name} does not have the points that it needs",
            expected=f"{many} pairs x, y",
            found=f"{len(points)} points",
        )
    if not (np.abs(xy) < FARTHEST).all():
        raise SourceError(
            f"a {name} has an impossible coordinate",
            expected="finite numbers",
            found=repr(points)[:80],
        )
    return xy


def _drawn(
    shape: tuple[int, int],
    xy: npt.NDArray[np.float64],
    how: str,
    width: int,
    *,
    from_left: bool,
) -> Runs:
    """Draw on a window and place what was drawn in the frame."""
    whole = np.trunc(xy).astype(np.int64)
    margin = width + 2
    x0, y0 = (int(n) - margin for n in whole.min(axis=0))
    x1, y1 = (int(n) + margin + 1 for n in whole.max(axis=0))
    left = 0 if from_left else max(x0, 0)
    top = max(y0, 0)
    right, bottom = min(x1, shape[1]), min(y1, shape[0])
    if right <= left or bottom <= top:
        return Runs(np.empty(0, np.int64), np.empty(0, np.int64))
    window = Image.new("L", (right - left, bottom - top))
    draw = ImageDraw.Draw(window)
    moved = [(int(x) - left, int(y) - top) for x, y in whole]
    if how == "ellipse":
        draw.ellipse(moved, outline=1, fill=1)
    elif how == "line":
        draw.line(moved, fill=1, width=width)
    else:
        draw.polygon(moved, outline=1, fill=1)
    return _placed(shape, np.asarray(window), top, left)


def _placed_mask(
    shape: tuple[int, int], xy: npt.NDArray[np.float64], mask: npt.NDArray[Any] | None
) -> Runs:
    (left, top), (right, bottom) = np.trunc(xy).astype(np.int64).tolist()
    size = (bottom - top + 1, right - left + 1)
    if mask is None or mask.shape != size:
        raise SourceError(
            "a mask does not fill its box",
            expected=f"{size[0]} x {size[1]} pixels",
            found="no mask" if mask is None else " x ".join(map(str, mask.shape)),
        )
    inside = mask[max(-top, 0) : max(shape[0] - top, 0), max(-left, 0) : max(shape[1] - left, 0)]
    return _placed(shape, inside, max(top, 0), max(left, 0))


def _placed(shape: tuple[int, int], window: npt.NDArray[Any], top: int, left: int) -> Runs:
    """Runs in the frame of a mask whose first pixel lies at `top`, `left`."""
    height, width = window.shape
    if left == 0 and width == shape[1]:
        runs = runs_from_mask(window)
        return Runs(runs.starts + top * shape[1], runs.lengths)
    # A column of zeros keeps runs from going on in the next row.
    padded = np.zeros((height, width + 1), np.bool_)
    padded[:, :width] = window
    runs = runs_from_mask(padded)
    y, x = np.divmod(runs.starts, width + 1)
    return Runs((y + top) * shape[1] + x + left, runs.lengths)
