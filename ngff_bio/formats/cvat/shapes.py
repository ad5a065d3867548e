"""Shapes of CVAT as instances.

Format: https://docs.cvat.ai/docs/manual/advanced/xml_format/. Coordinates are pixels; the corner of
the first pixel is 0, 0. Rotation is clockwise, in degrees, around the center of a box or ellipse. Run
lengths of a mask go along the rows of its box, and begin with background.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import record_text
from ngff_bio.formats.outlines import check_points, ellipse, mask_rle, outline, rotated_box
from ngff_bio.formats.xml import Element, as_json, number_of
from ngff_bio.model import Box, Geometry, Instance

#: Shapes that cover an area, and shapes that do not; a tag is of a whole image.
AREAS = ("box", "polygon", "ellipse", "mask")
NO_AREAS = ("polyline", "points", "cuboid", "skeleton")
SHAPES = (*AREAS, *NO_AREAS)

#: Pixels of a mask, before its run lengths are read.
_LARGEST_MASK = 1 << 30

_HINT = "correct the file, or skip such records with --on-error skip"


def shape_instance(
    one: Element,
    label: str,
    size: tuple[int, int],
    file: str,
    record: str,
    labels: dict[str, Any] | None = None,
) -> Instance:
    """An instance of a shape.

    Parameters
    ----------
    label
        Its class.
    size
        Height and width of the image.
    file, record
        Where it is, for errors.
    labels
        The classes of the task, if the document lists them.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a value is missing or wrong.
    """
    if labels and label and label not in labels:
        raise SourceError(
            "a label is not one of the task",
            file=file,
            record=record,
            expected=", ".join(labels)[:80],
            found=label,
            hint=_HINT,
        )
    geometry = shape_geometry(one, size, file, record)
    box = None
    if isinstance(geometry, Box):
        box = (geometry.x0, geometry.y0, geometry.x1 - geometry.x0, geometry.y1 - geometry.y0)
    return Instance(
        0,
        geometry,
        category=label or None,
        category_id=label or None,
        box=box,
        record=record_text({"shape": one.tag, **_members(one)}),
    )


def _members(one: Element) -> dict[str, object]:
    found = as_json(one)
    return found if isinstance(found, dict) else {}


def shape_geometry(one: Element, size: tuple[int, int], file: str, record: str) -> Geometry | None:
    """What a shape covers; ``None`` if it has no area."""

    def number(key: str) -> float:
        return number_of(one, key, file, record)

    turn = number("rotation") if one.get("rotation") else 0.0
    if one.tag == "box":
        sides = (number("xtl"), number("ytl"), number("xbr"), number("ybr"))
        if sides[2] < sides[0] or sides[3] < sides[1]:
            raise SourceError(
                "a box has its sides in the wrong order",
                file=file,
                record=record,
                expected="xtl <= xbr and ytl <= ybr",
                found=", ".join(f"{v:g}" for v in sides),
                hint=_HINT,
            )
        return rotated_box(sides, turn) if turn % 360 else Box(*sides)
    if one.tag == "polygon":
        return outline(points_of(one, file, record), file, record)
    if one.tag == "ellipse":
        center, radii = (number("cx"), number("cy")), (number("rx"), number("ry"))
        check_points([center, radii], 2, file, record)
        return ellipse(center, radii, turn)
    if one.tag == "mask":
        corner = (int(number("left")), int(number("top")))
        return mask_rle(_mask(one, size, file, record), corner, size)
    if one.tag in ("polyline", "points"):
        check_points(points_of(one, file, record), 1, file, record)
    return None


def points_of(one: Element, file: str, record: str) -> list[tuple[float, float]]:
    """Points ``x,y;x,y;...``."""
    text = one.get("points", "")
    try:
        return [
            (float(x), float(y)) for x, y in (p.split(",") for p in text.split(";") if p.strip())
        ]
    except ValueError:
        raise SourceError(
            "the points of a shape are wrong",
            file=file,
            record=f"{record}.points",
            expected="x,y;x,y;... in pixels",
            found=text[:80],
            hint=_HINT,
        ) from None


def _mask(
    one: Element, image: tuple[int, int], file: str, record: str
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    height, width = (int(number_of(one, k, file, record)) for k in ("height", "width"))
    fits = 0 < height <= image[0] and 0 < width <= image[1]
    if not fits or height * width > _LARGEST_MASK:
        raise SourceError(
            "a mask is larger than its image",
            file=file,
            record=record,
            expected=f"at most {image[0]} x {image[1]} (height x width), {_LARGEST_MASK:,} pixels",
            found=f"{height} x {width}",
            hint=_HINT,
        )
    text = one.get("rle", "")
    try:
        counts = [int(v) for v in text.split(",") if v.strip()]
    except ValueError:
        counts = [-1]
    if min(counts, default=-1) < 0 or sum(counts) != height * width:
        raise SourceError(
            "the run lengths of a mask do not fit its size",
            file=file,
            record=f"{record}.rle",
            expected=f"run lengths that add up to {height * width} ({height} x {width})",
            found=str(sum(counts)) if min(counts, default=-1) >= 0 else text[:80],
            hint=_HINT,
        )
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(height, width)
