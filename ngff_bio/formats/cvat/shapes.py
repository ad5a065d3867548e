"""Shapes of CVAT as instances.

Format: https://docs.cvat.ai/docs/manual/advanced/xml_format/. Coordinates are pixels; the corner of
the first pixel is 0, 0. Rotation is clockwise, in degrees, around the center of a box or ellipse. Run
lengths of a mask go along the rows of its box, and begin with background.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ngff_bio.formats.documents import instance_of
from ngff_bio.formats.outlines import check_points, ellipse, mask_rle, outline, rotated_box
from ngff_bio.formats.problems import SourceRecord
from ngff_bio.formats.xml import Element, as_json, number_of
from ngff_bio.model import Box, Geometry, Instance

#: Shapes that cover an area, and shapes that do not; a tag is of a whole image.
AREAS = ("box", "polygon", "ellipse", "mask")
NO_AREAS = ("polyline", "points", "cuboid", "skeleton")
SHAPES = (*AREAS, *NO_AREAS)

#: Pixels of a mask, before its run lengths are read.
_LARGEST_MASK = 1 << 30


def shape_instance(
    one: Element,
    label: str,
    size: tuple[int, int],
    number: int,
    at: SourceRecord,
    labels: Mapping[str, object],
) -> Instance:
    """An instance of a shape.

    Parameters
    ----------
    label
        Its class.
    size
        Height and width of the image.
    number
        Position of it, or of its track, in the document.
    at
        Where it is, for errors.
    labels
        The classes of the task; empty if the document does not list them.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a value is missing or wrong.
    """
    if labels and label and label not in labels:
        raise at.error(
            "a label is not one of the task", expected=", ".join(labels)[:80], found=label
        )
    geometry = shape_geometry(one, size, at)
    members = as_json(one)
    record = {"shape": one.tag, **(members if isinstance(members, dict) else {})}
    return instance_of(geometry, record, number, category=label or None)


def shape_geometry(one: Element, size: tuple[int, int], at: SourceRecord) -> Geometry | None:
    """What a shape covers; ``None`` if it has no area."""

    def number(key: str) -> float:
        return number_of(one, key, at)

    turn = number("rotation") if one.get("rotation") else 0.0
    if one.tag == "box":
        sides = (number("xtl"), number("ytl"), number("xbr"), number("ybr"))
        if sides[2] < sides[0] or sides[3] < sides[1]:
            raise at.error(
                "a box has its sides in the wrong order",
                expected="xtl <= xbr and ytl <= ybr",
                found=", ".join(f"{v:g}" for v in sides),
            )
        return rotated_box(sides, turn) if turn % 360 else Box(*sides)
    if one.tag == "polygon":
        return outline(points_of(one, at), at)
    if one.tag == "ellipse":
        center, radii = (number("cx"), number("cy")), (number("rx"), number("ry"))
        check_points([center, radii], 2, at)
        return ellipse(center, radii, turn)
    if one.tag == "mask":
        corner = (int(number("left")), int(number("top")))
        return mask_rle(_mask(one, size, at), corner, size)
    if one.tag in ("polyline", "points"):
        check_points(points_of(one, at), 1, at)
    return None


def points_of(one: Element, at: SourceRecord) -> list[tuple[float, float]]:
    """Points ``x,y;x,y;...``."""
    text = one.get("points", "")
    try:
        return [
            (float(x), float(y)) for x, y in (p.split(",") for p in text.split(";") if p.strip())
        ]
    except ValueError:
        raise at.member(".points").error(
            "the points of a shape are wrong", expected="x,y;x,y;... in pixels", found=text[:80]
        ) from None


def _mask(
    one: Element, image: tuple[int, int], at: SourceRecord
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    height, width = (int(number_of(one, k, at)) for k in ("height", "width"))
    fits = 0 < height <= image[0] and 0 < width <= image[1]
    if not fits or height * width > _LARGEST_MASK:
        raise at.error(
            "a mask is larger than its image",
            expected=f"at most {image[0]} x {image[1]} (height x width), {_LARGEST_MASK:,} pixels",
            found=f"{height} x {width}",
        )
    text = one.get("rle", "")
    try:
        counts = [int(v) for v in text.split(",") if v.strip()]
    except ValueError:
        counts = [-1]
    if min(counts, default=-1) < 0 or sum(counts) != height * width:
        raise at.member(".rle").error(
            "the run lengths of a mask do not fit its size",
            expected=f"run lengths that add up to {height * width} ({height} x {width})",
            found=str(sum(counts)) if min(counts, default=-1) >= 0 else text[:80],
        )
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(height, width)
