"""Shapes of annotation tools as geometries of the model.

Ellipses and rotated boxes are polygons; holes of a polygon are joined to it by bridges without area,
which the even-odd rule of the raster leaves open; masks are COCO run lengths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ngff_bio.formats.problems import SourceRecord
from ngff_bio.model import Box, Geometry, PixelArray, Polygons, Rle
from ngff_bio.raster.coco_rle import rle_from_window

Point = tuple[float, float]

#: Largest distance of an ellipse from the polygon that stands for it, in pixels.
_SAGITTA = 0.02
_MOST_CORNERS = 2048

#: Coordinates beyond this are not drawn.
_FARTHEST = 2**30 / 5 - 1


def outline(points: Sequence[Sequence[float]], at: SourceRecord) -> Polygons:
    """A polygon of three or more points (x, y).

    Raises
    ------
    ngff_bio.errors.SourceError
        If there are fewer, or a coordinate is not a finite number.
    """
    check_points(points, 3, at)
    return Polygons(([float(v) for point in points for v in point[:2]],))


def check_points(points: Sequence[Sequence[float]], fewest: int, at: SourceRecord) -> None:
    """Refuse too few points, or coordinates that cannot be drawn."""
    if len(points) < fewest:
        raise at.error(
            "a shape has too few points",
            expected=f"{fewest} points or more",
            found=f"{len(points)} points",
        )
    for point in points:
        if not (len(point) >= 2 and abs(point[0]) < _FARTHEST and abs(point[1]) < _FARTHEST):
            raise at.error(
                "a coordinate of a shape cannot be drawn",
                expected="finite x and y in pixels",
                found=str(list(point))[:80],
            )


def box_of(shape: Geometry | None) -> tuple[float, float, float, float] | None:
    """x, y, width and height of a box; ``None`` for other shapes."""
    return shape.xywh if isinstance(shape, Box) else None


def joined(outer: Polygons, holes: Sequence[Polygons]) -> Polygons:
    """A polygon with holes as one outline, joined by bridges without area."""
    first = list(outer.parts[0])
    ring = [*first]
    for hole in holes:
        inner = list(hole.parts[0])
        ring += [*first[:2], *inner, *inner[:2]]
    return Polygons(([*ring, *first[:2]] if holes else ring,))


def turned(points: Sequence[Point], degrees: float, center: Point) -> list[Point]:
    """Points rotated around a center; clockwise on the screen, where y points down."""
    if not degrees % 360:
        return list(points)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    (x0, y0) = center
    return [
        (x0 + (x - x0) * cos - (y - y0) * sin, y0 + (x - x0) * sin + (y - y0) * cos)
        for x, y in points
    ]


def rotated_box(box: Sequence[float], degrees: float, center: Point | None = None) -> Polygons:
    """A box x0, y0, x1, y1, rotated around its center, or another one."""
    x0, y0, x1, y1 = box
    around = ((x0 + x1) / 2, (y0 + y1) / 2) if center is None else center
    corners = turned([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], degrees, around)
    return Polygons(([v for corner in corners for v in corner],))


def ellipse(center: Point, radii: Point, degrees: float = 0) -> Polygons:
    """An ellipse of radii along x and y, rotated around its center."""
    largest = max(abs(radii[0]), abs(radii[1]), _SAGITTA)
    step = 2 * math.acos(max(1 - _SAGITTA / largest, -1))
    step = max(step, 2 * math.pi / _MOST_CORNERS)  # 0 of a radius beyond all images
    corners = max(16, math.ceil(2 * math.pi / step))
    angles = [2 * math.pi * i / corners for i in range(corners)]
    (x, y), (a, b) = center, radii
    points = [(x + a * math.cos(t), y + b * math.sin(t)) for t in angles]
    return Polygons(([v for point in turned(points, degrees, center) for v in point],))


def mask_rle(mask: PixelArray, corner: tuple[int, int], size: tuple[int, int]) -> Rle:
    """A mask whose first pixel is at `corner` (x, y) of an image of `size` (height, width).

    What is outside of the image is cut off.
    """
    (x, y), (height, width) = corner, size
    whole = np.count_nonzero(mask)
    inside = mask[
        max(-y, 0) : max(min(height - y, mask.shape[0]), 0),
        max(-x, 0) : max(min(width - x, mask.shape[1]), 0),
    ]
    if not inside.size:
        inside, (x, y) = np.zeros((0, 0), np.bool_), (0, 0)
    found = rle_from_window(inside.astype(np.bool_), (max(x, 0), max(y, 0)), size)
    return Rle((height, width), found["counts"], cut=bool(np.count_nonzero(inside) < whole))
