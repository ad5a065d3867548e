"""Lines of YOLO text files, as Ultralytics documents them for detection and for segmentation.

A line is the class number, starting at 0, then fractions of the image's width and height: center and
size of a box, or the corners of an outline. Values are within 0 to 1.
Source: https://docs.ultralytics.com/datasets/detect/ and https://docs.ultralytics.com/datasets/segment/.
"""

from __future__ import annotations

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


def _short(value: float) -> str:
    """Enough digits for a thousandth of a pixel in the largest image."""
    return f"{value:.9f}".rstrip("0").rstrip(".")
