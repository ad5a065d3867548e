"""labelme's shapes to runs, pixel for pixel as labelme draws them.

labelme hands every shape to Pillow's ImageDraw on a mask as large as the image
(``labelme.utils.shape_to_mask``). Here the same calls draw on a window around the shape. So that the
window changes no pixel, coordinates are rounded towards 0, as Pillow does, before they are moved into
it; and since Pillow follows the sides of polygons in 32-bit floats, whose rounding depends on x, the
window of a shape with slanted sides begins at the left border.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ngff_bio.errors import SourceError
from ngff_bio.model import PixelArray
from ngff_bio.raster.boxes import fill_boxes, labelme_boxes
from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.limits import Amount
from ngff_bio.raster.polygons import FARTHEST
from ngff_bio.raster.runs import IntArray, runs_from_mask, union_runs

#: labelme's defaults, pixels.
LINE_WIDTH = 10
POINT_SIZE = 5
#: Largest radius of a circle, pixels: with those of millions, Pillow's 32-bit numbers overflow.
MAX_RADIUS = 2**18

Points = Sequence[Sequence[float]]
Runs = tuple[IntArray, IntArray]  # starts and lengths


def rasterize_shapes(shapes: Iterable[Mapping[str, Any]], shape: tuple[int, int]) -> InstanceRuns:
    """Pixels of labelme shapes, one instance each, row-major.

    Parameters
    ----------
    shapes
        Records with ``points`` (x, y of each, in pixels: centre and a point on the rim of a circle;
        two corners of a rectangle; both ends of a line; the upper left and lower right pixel of a
        mask), ``shape_type`` (circle, rectangle, line, linestrip, point, polygon, points, mask; a
        polygon where it is missing or None), and of a mask ``mask``: a 2-D array that fills its box,
        corners included. Like labelme 4 and 5, points are filled as the polygon that they span.
    shape
        Height and width of the image.

    Raises
    ------
    SourceError
        A shape has a wrong number of points, a coordinate that is not a number, a mask that does
        not fit its box, or a type that labelme does not know; or there are more runs or pixels than
        allowed; `record` is the index of the shape.
    """
    runs: list[Runs] = []
    amount = Amount(shape)
    for index, one in enumerate(shapes):
        try:
            drawn = _shape_runs(shape, one["points"], one.get("shape_type"), one.get("mask"))
            amount.add(len(drawn[0]), int(drawn[1].sum()))
            runs.append(drawn)
        except SourceError as error:
            error.record = f"shape {index}"
            raise
    return InstanceRuns.from_runs(shape, runs)


def _shape_runs(
    shape: tuple[int, int],
    points: Points,
    shape_type: str | None,
    mask: PixelArray | None,
) -> Runs:
    xy = _checked_points(points, shape_type)
    if shape_type == "rectangle":
        box = fill_boxes(labelme_boxes(xy.reshape(1, 4), shape), shape)
        return union_runs(box.starts, box.starts + box.lengths)
    if shape_type == "mask":
        return _placed_mask(shape, xy, mask)
    if shape_type in ("circle", "point"):
        x, y = xy[0].tolist()
        radius = float(POINT_SIZE)
        if shape_type == "circle":
            radius = math.sqrt((x - xy[1, 0]) ** 2 + (y - xy[1, 1]) ** 2)
        if radius > MAX_RADIUS:
            raise SourceError(
                "a circle is too large to be drawn",
                expected=f"a radius of at most {MAX_RADIUS:,} pixels",
                found=f"{radius:,.0f} pixels",
            )
        xy = np.array([[x - radius, y - radius], [x + radius, y + radius]])
        return _drawn(shape, xy, "ellipse", 1, from_left=False)
    if shape_type in ("line", "linestrip"):
        return _drawn(shape, xy, "line", LINE_WIDTH, from_left=True)
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
            "this is not a labelme shape type",
            expected=", ".join(str(name) for name in _COUNTS if name),
            found=repr(shape_type),
        )
    fewest, most = _COUNTS[shape_type]
    try:
        xy = np.asarray(points, np.float64)
    except (TypeError, ValueError) as error:
        raise SourceError("a point is not a pair of numbers", found=repr(points)[:80]) from error
    name = shape_type or "polygon"
    if xy.ndim != 2 or xy.shape[1] != 2 or not fewest <= len(xy) <= most:
        many = f"{fewest}" if fewest == most else f"{fewest} or more"
        raise SourceError(
            f"a {name} has a wrong number of points",
            expected=f"{many} pairs x, y",
            found=f"{len(points)} points",
        )
    if not (np.abs(xy) < FARTHEST).all():
        raise SourceError(
            f"a {name} has a coordinate out of range",
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
    """Runs of what Pillow draws on a window of the frame."""
    whole = np.trunc(xy).astype(np.int64)
    margin = width + 2
    x0, y0 = (int(n) - margin for n in whole.min(axis=0))
    x1, y1 = (int(n) + margin + 1 for n in whole.max(axis=0))
    left = 0 if from_left else max(x0, 0)
    top = max(y0, 0)
    right, bottom = min(x1, shape[1]), min(y1, shape[0])
    if right <= left or bottom <= top:
        return np.empty(0, np.int64), np.empty(0, np.int64)
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
    shape: tuple[int, int], xy: npt.NDArray[np.float64], mask: PixelArray | None
) -> Runs:
    (left, top), (right, bottom) = np.trunc(xy).astype(np.int64).tolist()
    size = (bottom - top + 1, right - left + 1)
    if mask is None or mask.shape != size:
        raise SourceError(
            "the mask of a shape is not of the size of its box",
            expected=f"{size[0]} x {size[1]} pixels",
            found="no mask" if mask is None else " x ".join(map(str, mask.shape)),
        )
    inside = mask[max(-top, 0) : max(shape[0] - top, 0), max(-left, 0) : max(shape[1] - left, 0)]
    return _placed(shape, inside, max(top, 0), max(left, 0))


def _placed(shape: tuple[int, int], window: PixelArray, top: int, left: int) -> Runs:
    """Runs in the frame of a mask whose first pixel is at `top`, `left`."""
    height, width = window.shape
    if left == 0 and width == shape[1]:
        starts, lengths = runs_from_mask(window)
        return starts + top * shape[1], lengths
    # A column of zeros keeps runs from going on in the next row.
    padded = np.zeros((height, width + 1), np.bool_)
    padded[:, :width] = window
    starts, lengths = runs_from_mask(padded)
    y, x = np.divmod(starts, width + 1)
    return (y + top) * shape[1] + x + left, lengths
