"""Regions in the OME-XML of an OME-TIFF: ``ROI`` elements with shapes, in pixels.

https://docs.openmicroscopy.org/ome-model/6.3.1/developers/roi.html. A ROI is an object; its shapes of
one plane are its outline there. Shapes without an area (points, lines, labels) are rows without pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import tifffile

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, Document, record_text
from ngff_bio.formats.imagej_roi import regions_of_tiff
from ngff_bio.formats.outlines import box_of, ellipse, outline
from ngff_bio.formats.problems import Problems, damage_named
from ngff_bio.formats.tiff.images import OME_ROI
from ngff_bio.formats.xml import parse_xml
from ngff_bio.model import Box, Geometry, Instance, Polygons, SourceFile

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
    """Reads the ROIs of the first image of an OME-TIFF."""

    file: SourceFile

    #: Pixels whose center is inside, as the program fills its outlines.
    rule: ClassVar[Literal["center"]] = "center"

    def read(self, problems: Problems) -> Document:
        """Read all ROIs."""
        text = regions_within(self.file)[1] or ""
        root = parse_xml(text.encode(), self.file.name)
        images = [e for e in root if _tag(e) == "Image"]
        listed = {e.get("ID"): e for e in root if _tag(e) == "ROI"}
        refs = [r.get("ID") for i in images[:1] for r in i if _tag(r) == "ROIRef"]
        elsewhere = {r.get("ID") for i in images[1:] for r in i if _tag(r) == "ROIRef"}
        wanted = refs or [name for name in listed if name not in elsewhere]
        others = [name for name in listed if name not in wanted]
        if others:
            problems.skip("ROIs of later images of an OME-TIFF", self.file.name)
        instances: list[Instance] = []
        for name in wanted:
            element = listed.get(name)
            with problems.caught():
                if element is None:
                    raise SourceError(
                        "an image refers to a ROI that is not there",
                        file=self.file.name,
                        record=str(name),
                        hint=_HINT,
                    )
                instances += self._instances(element, str(name), problems)
        return Document([AnnotatedImage(self.file.name, instances, placed=True)])

    def _instances(self, roi: Any, name: str, problems: Problems) -> Iterator[Instance]:
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
            found = [self._shape(s, name) for s in members]
            drawn = [s for s in found if s is not None]
            if not drawn:
                problems.note(
                    "points, lines and texts have no area: a row without pixels", self.file.name
                )
            geometry: Geometry | None = drawn[0] if drawn else None
            if len(drawn) > 1:
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

    def _shape(self, shape: Any, name: str) -> Geometry | None:
        kind = _tag(shape)
        if kind in _NO_AREA:
            return None
        if kind == "Mask" or any(_tag(e) == "Transform" for e in shape):
            raise self._wrong(name, "shapes without a Transform, no Mask", shape)

        def number(key: str) -> float:
            try:
                return float(shape.get(key))
            except (TypeError, ValueError):
                raise self._wrong(name, f"a number {key}", shape) from None

        if kind == "Rectangle":
            x, y = number("X"), number("Y")
            return Box(x, y, x + number("Width"), y + number("Height"))
        if kind == "Ellipse":
            return ellipse((number("X"), number("Y")), (number("RadiusX"), number("RadiusY")))
        if kind == "Polygon":
            with damage_named(self.file.name, "the points of a polygon cannot be read", name):
                pairs = [p.split(",") for p in shape.get("Points", "").split()]
                points = [(float(x), float(y)) for x, y in pairs]
            return outline(points, self.file.name, name)
        raise self._wrong(
            name, "Rectangle, Ellipse, Polygon, Line, Polyline, Point or Label", shape
        )

    def _wrong(self, name: str, expected: str, shape: Any) -> SourceError:
        return SourceError(
            "a shape of a ROI cannot be read",
            file=self.file.name,
            record=name,
            expected=expected,
            found=f"{_tag(shape)} {dict(shape.attrib)}"[:120],
            hint=_HINT,
        )


def _polygon(shape: Geometry) -> Polygons:
    if isinstance(shape, Box):
        x0, y0, x1, y1 = shape.x0, shape.y0, shape.x1, shape.y1
        return Polygons(([x0, y0, x1, y0, x1, y1, x0, y1],))
    return shape if isinstance(shape, Polygons) else Polygons(())


def _tag(element: Any) -> str:
    """Name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]
