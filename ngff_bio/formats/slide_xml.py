"""Regions of slides as XML: of Aperio ImageScope (as in MoNuSeg, MoNuSAC) and of ASAP (CAMELYON).

Both state vertices in pixels of the full resolution, 0, 0 at the upper left corner. Aperio: layers
(``Annotation``) of ``Region``; ``Type`` 0 is an outline, 1 a rectangle, 2 an ellipse in its box, others
have no area. The class is the name of the layer or its attribute. ASAP: ``PartOfGroup`` is the class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ngff_bio.formats.documents import AnnotatedImage, Document, instance_of
from ngff_bio.formats.outlines import Point, ellipse, outline
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.formats.text import hex_color
from ngff_bio.formats.xml import (
    Element,
    as_json,
    from_json,
    number_of,
    parse_xml,
    put_children,
    root_tag,
    take_children,
    write_xml,
)
from ngff_bio.model import Category, Geometry, Instance, SourceFile

APERIO, ASAP = "Annotations", "ASAP_Annotations"

#: Elements that have the regions, and the elements of these, by the root element.
_PLACES = {APERIO: ("Regions", "Region"), ASAP: ("Annotations", "Annotation")}

#: Kinds of regions with an area.
_AREAS = ("0", "1", "2", "Polygon", "Rectangle", "Spline")
_ELLIPSE = "2"


def is_slide_xml(file: SourceFile) -> bool:
    """Whether the root element of a file is that of Aperio or ASAP."""
    return root_tag(file) in (APERIO, ASAP)


@dataclass(frozen=True, slots=True)
class _Region:
    """A region with its name in errors, its class, its kind, and its vertices."""

    element: Element
    record: str
    category: str | None
    kind: str
    vertices: str
    hole: bool = False


@dataclass(frozen=True, slots=True)
class SlideXml:
    """Reads the regions of the image that a file is named like."""

    file: SourceFile

    #: Pixels whose center is inside, as the program fills its outlines.
    rule: ClassVar[Literal["center"]] = "center"

    def read(self, problems: Problems) -> Document:
        """Read the file."""
        name = self.file.name
        root = parse_xml(self.file.read(), name)
        instances: list[Instance] = []
        regions = list(_of_asap(root) if root.tag == ASAP else _of_aperio(root))
        for number, region in enumerate(regions):
            with problems.caught():
                shape = self._shape(region)
                if region.hole:
                    problems.note("negative regions are rows without pixels", name)
                elif shape is None:
                    problems.note("points and lines have no area: a row without pixels", name)
                own = region.element.get("Id", region.element.get("Name"))
                record = as_json(region.element)
                instances.append(
                    instance_of(shape, record, number, category=region.category, source_id=own)
                )
        classes = dict.fromkeys(r.category for r in regions if r.category is not None)
        colors = {g.get("Name"): hex_color(g.get("Color")) for g in root.iter("Group")}
        image = AnnotatedImage(name.rpartition("/")[2].rpartition(".")[0], instances)
        listed = tuple(Category(c, c, colors.get(c)) for c in classes)
        counts = take_children(root, *_PLACES[ASAP if root.tag == ASAP else APERIO])
        about = {"root": root.tag, "counts": counts, "content": as_json(root)}
        return Document([image], listed, about)

    def _shape(self, region: _Region) -> Geometry | None:
        if region.kind not in _AREAS or region.hole:
            return None
        at = SourceRecord(self.file.name, region.record)
        points: list[Point] = [
            (number_of(v, "X", at), number_of(v, "Y", at))
            for v in region.element.iter(region.vertices)
        ]
        if region.kind == _ELLIPSE and len(points) == 2:
            (x0, y0), (x1, y1) = points
            center = ((x0 + x1) / 2, (y0 + y1) / 2)
            return ellipse(center, (abs(x1 - x0) / 2, abs(y1 - y0) / 2))
        return outline(points, at)


def _of_aperio(root: Element) -> Iterator[_Region]:
    for i, layer in enumerate(root.iterfind("Annotation")):
        named = (a.get("Name") for a in layer.iterfind("Attributes/Attribute"))
        stated = layer.get("Name") or next((n for n in named if n and n != "Description"), None)
        for j, one in enumerate(layer.iterfind("Regions/Region")):
            record = f"Annotation[{i}].Region[{j}]"
            hole = one.get("NegativeROA") == "1"
            yield _Region(one, record, stated, one.get("Type", "0"), "Vertex", hole)


def _of_asap(root: Element) -> Iterator[_Region]:
    for i, one in enumerate(root.iterfind("Annotations/Annotation")):
        group = one.get("PartOfGroup")
        category = None if group in (None, "", "None") else group
        yield _Region(one, f"Annotation[{i}]", category, one.get("Type", "Polygon"), "Coordinate")


def restored(record: Mapping[str, Any], found: list[tuple[int, object]]) -> bytes:
    """The document of a record, with its regions by their position."""
    root = from_json(record["root"], record["content"])
    put_children(root, *_PLACES[record["root"]], record["counts"], found)
    return write_xml(root)
