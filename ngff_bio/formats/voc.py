"""Annotation files of Pascal VOC: the boxes of one image as XML.

Format: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf. Coordinates are pixels counted
from 1, both ends included. labelImg, CVAT and others write the same elements, some with coordinates
from 0; roLabelImg writes ``robndbox`` (center, size, angle in radians), other tools a ``polygon`` too.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, Document, instance_of
from ngff_bio.formats.outlines import outline, rotated_box
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.formats.xml import Element, as_json, from_json, number_of, parse_xml, write_xml
from ngff_bio.model import Box, Geometry, Instance, SourceFile

ROOT = "annotation"

#: Classes of the challenge, in the order of their values in label images (from 1).
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip

#: Value of pixels of no class in label images.
VOID = 255


def color_of(value: int) -> tuple[int, int, int]:
    """Colour of a value in the palette of VOC's label images (``VOClabelcolormap`` of the devkit)."""
    red = green = blue = 0
    rest = value
    for bit in range(7, -1, -1):
        red |= (rest & 1) << bit
        green |= (rest >> 1 & 1) << bit
        blue |= (rest >> 2 & 1) << bit
        rest >>= 3
    return red, green, blue


def label_map(text: str, file: str) -> list[tuple[str, tuple[int, int, int]]]:
    """Names and colors of a ``labelmap.txt`` of CVAT (``label:r,g,b:parts:actions``), no background.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a line has no color.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        label, _, rest = line.partition(":")
        try:
            red, green, blue = (int(v) for v in rest.partition(":")[0].split(","))
        except ValueError:
            raise SourceError(
                "a line of the label map has no color",
                file=file,
                record=f"line {number}",
                expected="label:red,green,blue:parts:actions",
                found=line[:80],
            ) from None
        if (red, green, blue) != (0, 0, 0) or label.lower() not in ("background", "_background_"):
            found.append((label, (red, green, blue)))
    return found


@dataclass(frozen=True, slots=True)
class VocFile:
    """Reads an annotation file.

    Parameters
    ----------
    file
        The XML file.
    first_pixel
        Number of the first pixel: 1 as in VOC, where boxes include both ends; 0 where coordinates
        are those of the sides of a box.
    """

    file: SourceFile
    first_pixel: int = 1

    def read(self, problems: Problems) -> Document:
        """Read the file."""
        name = self.file.name
        root = parse_xml(self.file.read(), name, ROOT)
        instances = []
        for number, one in enumerate(root.iterfind("object")):
            with problems.caught():
                instances.append(self._instance(one, number))
        rest = {k: v for k, v in as_json(root).items() if k != "object"} if len(root) else {}
        size = None
        about = root.find("size")
        if about is not None:
            at = SourceRecord(name, "size")
            sides = [number_of(about, k, at, of_child=True) for k in ("height", "width")]
            size = (int(sides[0]), int(sides[1])) if min(sides) >= 1 else None
        stated = (root.findtext("filename") or "").strip()
        image = AnnotatedImage(stated, instances, size, record=rest)
        return Document([image])

    def _instance(self, one: Element, number: int) -> Instance:
        at = SourceRecord(self.file.name, f"object[{number}]")
        category = (one.findtext("name") or "").strip()
        if not category:
            raise at.member(".name").error(
                "an object has no class", expected="the name of a class", found="no such value"
            )
        geometry: Geometry | None = None
        box = None
        found = one.find("bndbox")
        if found is not None:
            keys = ("xmin", "ymin", "xmax", "ymax")
            x0, y0, x1, y1 = (
                number_of(found, k, at.member(".bndbox"), of_child=True) for k in keys
            )
            if x1 < x0 or y1 < y0:
                raise at.member(".bndbox").error(
                    "a box has its sides in the wrong order",
                    expected="xmin <= xmax and ymin <= ymax",
                    found=f"{x0:g}, {y0:g}, {x1:g}, {y1:g}",
                )
            x0, y0 = x0 - self.first_pixel, y0 - self.first_pixel
            box = (x0, y0, x1 - x0, y1 - y0)
            geometry = Box(x0, y0, x1, y1)
            # CVAT writes the box of a rotated one before its rotation, which is an attribute.
            for about in one.iterfind("attributes/attribute"):
                if about.findtext("name") == "rotation":
                    degrees = number_of(about, "value", at.member(".attributes"), of_child=True)
                    geometry = rotated_box((x0, y0, x1, y1), degrees) if degrees % 360 else geometry
        turned, polygon = one.find("robndbox"), one.find("polygon")
        if turned is not None:
            x, y, w, h, angle = (
                number_of(turned, k, at.member(".robndbox"), of_child=True)
                for k in ("cx", "cy", "w", "h", "angle")
            )
            sides = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
            geometry = rotated_box(sides, math.degrees(angle))
        elif polygon is not None:
            geometry = outline(_points(polygon, at.member(".polygon")), at.member(".polygon"))
        if geometry is None:
            raise at.error(
                "an object has no box",
                expected="bndbox, robndbox or polygon",
                found=", ".join(child.tag for child in one) or "an empty element",
            )
        return instance_of(geometry, as_json(one), number, category=category, box=box)


def _points(polygon: Element, at: SourceRecord) -> list[tuple[float, float]]:
    """Corners ``x1``, ``y1``, ``x2``, ``y2``, ..., or ``pt`` elements with ``x`` and ``y``."""

    def number(element: Element, key: str) -> float:
        return number_of(element, key, at, of_child=True)

    listed = polygon.findall("pt")
    if listed:
        return [(number(p, "x"), number(p, "y")) for p in listed]
    count = sum(child.tag.startswith("x") for child in polygon)
    return [(number(polygon, f"x{i}"), number(polygon, f"y{i}")) for i in range(1, count + 1)]


#: A corner that lies before the first pixel, if that has number 1.
_BEFORE = re.compile(rb"<[xy]min>\s*(?:-|0*(?:\.\d*)?\s*<|0*\.\d)")


def counts_from_0(data: bytes) -> bool:
    """Whether a file has a corner that cannot be, if pixels are counted from 1."""
    return _BEFORE.search(data) is not None


def restored(record: dict[str, object], objects: list[Any]) -> bytes:
    """An annotation file again, from what a store keeps of it."""
    root = from_json(ROOT, record)
    for one in objects:
        root.append(from_json("object", one))
    return write_xml(root)
