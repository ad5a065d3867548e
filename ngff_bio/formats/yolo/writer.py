"""Lines of YOLO text files, as Ultralytics documents them for detection and for segmentation.

A line is the class number, starting at 0, then fractions of the image's width and height: center and
size of a box, or the corners of an outline. Values are within 0 to 1.
Source: https://docs.ultralytics.com/datasets/detect/ and https://docs.ultralytics.com/datasets/segment/.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def box_line(
    number: int, box: tuple[float, float, float, float], size: tuple[int, int]
) -> str | None:
    """A box, clipped to the image; ``None`` if it is outside.

    Parameters
    ----------
    number
        Number of the class, from 0.
    box
        x, y, width, height in pixels.
    size
        Height and width of the image.
    """
    height, width = size
    x0, y0 = max(box[0], 0.0), max(box[1], 0.0)
    x1, y1 = min(box[0] + box[2], width), min(box[1] + box[3], height)
    if x1 <= x0 or y1 <= y0:
        return None
    values = (
        (x0 + x1) / 2 / width,
        (y0 + y1) / 2 / height,
        (x1 - x0) / width,
        (y1 - y0) / height,
    )
    return " ".join([str(number), *(_short(v) for v in values)])


def outline_line(number: int, points: Sequence[tuple[float, float]], size: tuple[int, int]) -> str:
    """An outline; corners outside of the image are moved to its border.

    Parameters
    ----------
    number
        Number of the class, from 0.
    points
        x, y of each corner in pixels, the first not repeated.
    size
        Height and width of the image.
    """
    height, width = size
    values = []
    for x, y in points:
        values += [min(max(x / width, 0.0), 1.0), min(max(y / height, 0.0), 1.0)]
    return " ".join([str(number), *(_short(v) for v in values)])


def is_box(points: Sequence[tuple[float, float]]) -> bool:
    """Whether points are the corners of a rotated box, to a thousandth of a pixel."""
    if len(points) != 4:
        return False
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = points
    diagonals = math.hypot(cx - ax, cy - ay) - math.hypot(dx - bx, dy - by)
    return max(abs(ax + cx - bx - dx), abs(ay + cy - by - dy), abs(diagonals)) < 1e-3


def smallest_box(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Corners of the smallest box of any rotation around points.

    One of its sides lies on a side of their convex hull.
    """
    hull = _hull(points)
    best: tuple[float, list[tuple[float, float]]] | None = None
    for (x0, y0), (x1, y1) in zip(hull, [*hull[1:], hull[0]], strict=True):
        length = math.hypot(x1 - x0, y1 - y0)
        if not length:
            continue
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        along = [x * dx + y * dy for x, y in hull]
        across = [y * dx - x * dy for x, y in hull]
        sides = [(a, b) for b in (min(across), max(across)) for a in (min(along), max(along))]
        area = (max(along) - min(along)) * (max(across) - min(across))
        if best is None or area < best[0]:
            corners = [(a * dx - b * dy, a * dy + b * dx) for a, b in sides]
            best = area, [corners[0], corners[1], corners[3], corners[2]]
    return best[1] if best is not None else [hull[0]] * 4


def _hull(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Corners of the convex hull (Andrew's monotone chain)."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered

    def chain(given: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = []
        for x, y in given:
            while len(found) > 1:
                (ax, ay), (bx, by) = found[-2:]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                found.pop()
            found.append((x, y))
        return found[:-1]

    return chain(ordered) + chain(ordered[::-1])


def _short(value: float) -> str:
    """Enough digits for a thousandth of a pixel in the largest image."""
    return f"{value:.9f}".rstrip("0").rstrip(".")
