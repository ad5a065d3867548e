"""Lines of YOLO text files, as Ultralytics documents them for detection and for segmentation.

A line is the class number from 0 on, then fractions of the picture's width and height: centre and
size of a box, or the corners of an outline. Values lie within 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence


def box_line(
    number: int, box: tuple[float, float, float, float], size: tuple[int, int]
) -> str | None:
    """A box, cut at the picture's border; ``None`` if nothing is left of it.

    Parameters
    ----------
    number
        Of the class, from 0.
    box
        x, y, width, height in pixels.
    size
        Height and width of the picture.
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
    """An outline; corners outside of the picture are moved to its border.

    Parameters
    ----------
    number
        Of the class, from 0.
    points
        x, y of each corner in pixels, the first not repeated.
    size
        Height and width of the picture.
    """
    height, width = size
    values = []
    for x, y in points:
        values += [min(max(x / width, 0.0), 1.0), min(max(y / height, 0.0), 1.0)]
    return " ".join([str(number), *(_short(v) for v in values)])


def _short(value: float) -> str:
    """Enough digits for a thousandth of a pixel in the largest picture."""
    return f"{value:.9f}".rstrip("0").rstrip(".")


def read_line(line: str, size: tuple[int, int]) -> tuple[int, list[float]]:
    """Class number and values of a line, x and y in pixels again (a box: centre and size)."""
    height, width = size
    first, *rest = line.split()
    return int(first), [float(v) * (height if i % 2 else width) for i, v in enumerate(rest)]
