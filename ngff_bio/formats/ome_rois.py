"""Regions in the OME-XML of an OME-TIFF: ``ROI`` elements with shapes, in pixels.

https://docs.openmicroscopy.org/ome-model/6.3.1/developers/roi.html. A ROI is an object; its shapes of
one plane are its outline there. Shapes without an area (points, lines, labels) are rows without pixels.
"""

from __future__ import annotations

import base64
import bz2
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import tifffile

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, Document, record_text
from ngff_bio.formats.imagej_roi import regions_of_tiff
from ngff_bio.formats.outlines import box_of, ellipse, mask_rle, outline
from ngff_bio.formats.problems import Problems, SourceRecord, damage_named
from ngff_bio.formats.tiff.images import OME_ROI
from ngff_bio.formats.xml import parse_xml
from ngff_bio.model import Box, Geometry, Instance, PixelArray, Polygons, Rle, SourceFile

#: Decompression of at most some bytes, by the name of the compression.
_UNPACK: dict[str, Callable[[bytes, int], bytes]] = {
    "none": lambda data, most: data[:most],
    "zlib": lambda data, most: zlib.decompressobj().decompress(data, most),
    "bzip2": lambda data, most: bz2.BZ2Decompressor().decompress(data, most),
}

_NO_AREA = ("Line", "Polyline", "Point", "Label")
_HINT = "correct the ROI, or skip such ROIs with --on-error skip"


def regions_within(file: SourceFile) -> tuple[bool, str | None]:
    """Whether a TIFF has regions of ImageJ, and its OME-XML if that has ROIs."""
    try:
        with file.open() as stream, tifffile.TiffFile(stream) as tiff:
            text = tiff.ome_metadata
            return any(regions_of_tiff(tiff)), text if text and OME_ROI.search(text) else None
    except Exception:  # a damaged TIFF is reported by who reads its pixels
        return False, None


@dataclass(frozen=True, slots=True)
class OmeRois:
    """Reads the ROIs of all images of an OME-TIFF; those that no image refers to are of the first."""

    file: SourceFile

    #: Pixels whose center is inside, as the program fills its outlines.
    rule: ClassVar[Literal["center"]] = "center"

    def read(self, problems: Problems) -> Document:
        """Read all ROIs."""
        text = regions_within(self.file)[1] or ""
        root = parse_xml(text.encode(), self.file.name)
        listed = {e.get("ID"): e for e in root if _tag(e) == "ROI"}
        refs = [
            ([r.get("ID") for r in image if _tag(r) == "ROIRef"], _size(image))
            for image in root
            if _tag(image) == "Image"
        ]
        named = {name for names, _ in refs for name in names}
        if refs:
            refs[0][0].extend(name for name in listed if name not in named)
        images = []
        for series, (names, size) in enumerate(refs):
            instances: list[Instance] = []
            for name in names:
                element = listed.get(name)
                with problems.caught():
                    if element is None:
                        at = SourceRecord(self.file.name, str(name), _HINT)
                        raise at.error("an image refers to a ROI that is not there")
                    instances += self._instances(element, str(name), size, problems)
            images.append(AnnotatedImage(self.file.name, instances, placed=True, series=series))
        return Document(images)

    def _instances(
        self, roi: Any, name: str, size: tuple[int, int], problems: Problems
    ) -> Iterator[Instance]:
        """A row for each plane and frame that a ROI has shapes on."""
        shapes = [s for union in roi if _tag(union) == "Union" for s in union]
        planes: dict[tuple[int | None, int], list[Any]] = {}
        for shape in shapes:
            z, t = shape.get("TheZ"), shape.get("TheT")
            try:
                place = (None if z is None else int(z), 0 if t is None else int(t))
            except ValueError:
                raise self._wrong(name, "TheZ and TheT are integers", shape) from None
            planes.setdefault(place, []).append(shape)
        for (z, t), members in planes.items():
            found = [self._shape(s, name, size) for s in members]
            drawn = [s for s in found if s is not None]
            if not drawn:
                problems.note(
                    "points, lines and texts have no area: a row without pixels", self.file.name
                )
            geometry: Geometry | None = drawn[0] if drawn else None
            if len(drawn) > 1:
                if any(isinstance(s, Rle) for s in drawn):
                    raise self._wrong(name, "a Mask alone on its plane", members[0])
                geometry = Polygons(tuple(p for s in drawn for p in _polygon(s).parts))
            record = {
                "roi": dict(roi.attrib),
                "shapes": [{"type": _tag(s), **s.attrib} for s in members],
            }
            yield Instance(
                0,
                geometry,
                t=t,
                z=z,
                source_id=name,
                box=box_of(geometry),
                record=record_text(record),
            )

    def _shape(self, shape: Any, name: str, size: tuple[int, int]) -> Geometry | None:
        if _tag(shape) in _NO_AREA:
            return None
        found = self._plain(shape, name, size)
        matrix = next((e for e in shape if _tag(e) == "Transform"), None)
        if matrix is None:
            return found
        if isinstance(found, Rle):
            raise self._wrong(name, "a Mask without a Transform", shape)
        (a, b, c), (d, e, f) = (
            [self._number(matrix, f"A{row}{column}", name) for column in range(3)]
            for row in range(2)
        )
        moved = (
            [
                v
                for x, y in zip(part[0::2], part[1::2], strict=True)
                for v in (a * x + b * y + c, d * x + e * y + f)
            ]
            for part in _polygon(found).parts
        )
        return Polygons(tuple(moved))

    def _number(self, element: Any, key: str, name: str) -> float:
        try:
            found = float(element.get(key))
        except (TypeError, ValueError):
            found = math.nan
        if not math.isfinite(found):
            raise self._wrong(name, f"a number {key}", element)
        return found

    def _plain(self, shape: Any, name: str, size: tuple[int, int]) -> Geometry:
        kind = _tag(shape)

        def number(key: str) -> float:
            return self._number(shape, key, name)

        if kind == "Mask":
            corner = (round(number("X")), round(number("Y")))
            return mask_rle(self._mask(shape, name, size), corner, size)
        if kind == "Rectangle":
            x, y = number("X"), number("Y")
            return Box(x, y, x + number("Width"), y + number("Height"))
        if kind == "Ellipse":
            return ellipse((number("X"), number("Y")), (number("RadiusX"), number("RadiusY")))
        if kind == "Polygon":
            with damage_named(self.file.name, "the points of a polygon cannot be read", name):
                pairs = [p.split(",") for p in shape.get("Points", "").split()]
                points = [(float(x), float(y)) for x, y in pairs]
            return outline(points, SourceRecord(self.file.name, name, _HINT))
        raise self._wrong(
            name, "Rectangle, Ellipse, Polygon, Mask, Line, Polyline, Point or Label", shape
        )

    def _mask(self, shape: Any, name: str, size: tuple[int, int]) -> PixelArray:
        """A bit for each pixel, along the rows."""
        width, height = (round(self._number(shape, key, name)) for key in ("Width", "Height"))
        if not (0 < height <= size[0] and 0 < width <= size[1]):
            raise self._wrong(name, f"a Mask of at most {size[0]} x {size[1]} pixels", shape)
        data = next((e for e in shape if _tag(e) == "BinData"), None)
        unpack = _UNPACK.get("" if data is None else data.get("Compression", "none"))
        count = height * width
        with damage_named(self.file.name, "the pixels of a Mask cannot be read", name):
            packed = base64.b64decode("" if data is None else data.text or "")
            packed = unpack(packed, -(-count // 8)) if unpack else b""
        bits = np.unpackbits(np.frombuffer(packed, np.uint8))
        if bits.size < count:
            raise self._wrong(name, f"a Mask with {count} bits in its BinData", shape)
        return bits[:count].reshape(height, width).astype(np.bool_)

    def _wrong(self, name: str, expected: str, shape: Any) -> SourceError:
        found = f"{_tag(shape)} {dict(shape.attrib)}"[:120]
        at = SourceRecord(self.file.name, name, _HINT)
        return at.error("a shape of a ROI cannot be read", expected=expected, found=found)


def _size(image: Any) -> tuple[int, int]:
    """Height and width of an image."""
    pixels: Any = next((e for e in image if _tag(e) == "Pixels"), {})
    height, width = (str(pixels.get(k, "")) for k in ("SizeY", "SizeX"))
    return (int(height), int(width)) if height.isdecimal() and width.isdecimal() else (0, 0)


def _polygon(shape: Geometry) -> Polygons:
    if isinstance(shape, Box):
        x0, y0, x1, y1 = shape.x0, shape.y0, shape.x1, shape.y1
        return Polygons(([x0, y0, x1, y0, x1, y1, x0, y1],))
    return shape if isinstance(shape, Polygons) else Polygons(())


def _tag(element: Any) -> str:
    """Name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]
