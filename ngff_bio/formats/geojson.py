"""QuPath's GeoJSON: objects of one image as a FeatureCollection, or as an array of features.

https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html. Coordinates are in
pixels; 0, 0 is the upper left corner of the first pixel. A feature has an ``objectType``, a
``classification`` with a name and a color, measurements, and of a cell also ``nucleusGeometry``, which
is an instance of a second layer, with the id of the cell.
"""

from __future__ import annotations

import gzip
import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, Document, record_text
from ngff_bio.formats.json.text import JsonObject, parse_json, shown
from ngff_bio.formats.outlines import joined, outline
from ngff_bio.formats.problems import Problems, SourceRecord, damage_named
from ngff_bio.model import Category, Instance, Polygons, Rgba, SourceFile

#: Unpacked bytes of a compressed file.
_LARGEST = 1 << 30

_HINT = "correct the feature, or skip such features with --on-error skip"

#: End of the name of the layer of nuclei.
NUCLEI = "nuclei"

#: Geometries without an area: their features are rows without pixels.
_NO_AREA = ("Point", "MultiPoint", "LineString", "MultiLineString")


@dataclass(frozen=True, slots=True)
class GeoJsonFile:
    """Reads a file; `image` is the name of its image file."""

    file: SourceFile
    image: str

    #: Pixels whose center is inside, as the program fills its outlines.
    rule: ClassVar[Literal["center"]] = "center"

    def read(self, problems: Problems) -> Document:
        """Read the file."""
        features, rest = features_of(self.file)
        instances: list[Instance] = []
        nuclei: list[Instance] = []
        categories: dict[str, Category] = {}
        for number, feature in enumerate(features):
            at = SourceRecord(self.file.name, f"features[{number}]", _HINT)
            with problems.caught():
                one = _instance(feature, number, at, problems)
                nucleus = feature.get("nucleusGeometry")
                if isinstance(nucleus, dict):
                    shape = _shape(nucleus, at.member(".nucleusGeometry"))
                    nuclei.append(replace(one, geometry=shape, record=None))
                instances.append(one)
                if one.category is not None:
                    color = _color(_properties(feature).get("classification"))
                    known = categories.setdefault(
                        one.category, Category(one.category, one.category)
                    )
                    if known.color is None and color is not None:
                        categories[one.category] = Category(one.category, one.category, color)
        images = [AnnotatedImage(self.image, instances, placed=True)]
        if nuclei:
            problems.note("nuclei of cells are a layer of their own", self.file.name)
            images.append(AnnotatedImage(self.image, nuclei, layer=NUCLEI, placed=True))
        return Document(images, tuple(categories.values()), {"geojson": rest})


def _instance(feature: Any, number: int, at: SourceRecord, problems: Problems) -> Instance:
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    if not isinstance(geometry, dict):
        raise at.error(
            "a feature has no geometry",
            expected="an object with type and coordinates",
            found=shown(feature),
        )
    shape = _shape(geometry, at.member(".geometry"))
    if shape is None:
        problems.note("points and lines have no area: a row without pixels", at.file)
    properties = _properties(feature)
    plane = geometry.get("plane")
    plane = plane if isinstance(plane, dict) else {}
    name = feature.get("id")
    return Instance(
        0,
        shape,
        t=_index(plane.get("t")) or 0,
        z=_index(plane.get("z")) if "z" in plane else None,
        category=_class_name(properties.get("classification")),
        source_id=name if isinstance(name, str | int) else None,
        record=record_text(feature),
        indices=(number,),
    )


def features_of(file: SourceFile) -> tuple[list[Any], object]:
    """The features of a file, and the other members of a collection (``None`` for a bare array).

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is not GeoJSON.
    """
    content: Any = parse_json(_unpacked(file), file.name)
    if isinstance(content, list):
        return content, None
    if isinstance(content, dict) and content.get("type") == "Feature":
        return [content], {"single": True}
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list):
        raise SourceError(
            "the file is not GeoJSON of QuPath",
            file=file.name,
            expected="a FeatureCollection, or an array of features",
            found=shown(content),
            hint="export objects as GeoJSON from QuPath",
        )
    return features, {k: v for k, v in content.items() if k != "features"}


def _unpacked(file: SourceFile) -> bytes:
    """The text of a file that QuPath may have compressed, as gzip or as the only member of a zip."""
    lower = file.name.lower()
    if not lower.endswith((".gz", ".zip")):
        return file.read()
    with damage_named(file.name, "the compressed file cannot be read"), file.open() as stream:
        if lower.endswith(".gz"):
            data = gzip.GzipFile(fileobj=stream).read(_LARGEST + 1)
        else:
            with zipfile.ZipFile(stream) as archive:
                (name,) = archive.namelist()
                with archive.open(name) as member:
                    data = member.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise SourceError(
            "the compressed file is larger than allowed",
            file=file.name,
            expected=f"at most {_LARGEST:,} bytes",
            hint="unpack it, and convert the unpacked file",
        )
    return data


def packed(text: bytes, name: str) -> bytes:
    """A text compressed as the name of its file says."""
    if name.lower().endswith(".gz"):
        return gzip.compress(text, mtime=0)
    if not name.lower().endswith(".zip"):
        return text
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            zipfile.ZipInfo(name.rpartition("/")[2].partition(".")[0] + ".geojson"), text
        )
    return out.getvalue()


def collection_of(features: Sequence[object], rest: Any) -> object:
    """The content of a file again, from `features_of`."""
    if rest is None:
        return list(features)
    if rest == {"single": True}:
        return features[0]
    return {**rest, "features": list(features)}


def _properties(feature: Mapping[str, object]) -> JsonObject:
    found = feature.get("properties")
    return found if isinstance(found, dict) else {}


def _index(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _class_name(value: object) -> str | None:
    """Name of a class: ``name``, or since QuPath 0.5 ``names`` of a derived class."""
    if isinstance(value, str):
        return value or None
    if not isinstance(value, dict):
        return None
    names = value.get("names")
    if isinstance(names, list) and names:
        return ": ".join(map(str, names))
    name = value.get("name")
    return str(name) if name not in (None, "") else None


def _color(value: object) -> Rgba | None:
    """Color of a class: a list of red, green, blue, or Java's packed integer (``colorRGB``)."""
    if not isinstance(value, dict):
        return None
    color = value.get("color", value.get("colorRGB"))
    if isinstance(color, list) and len(color) >= 3:
        if all(isinstance(v, int) and 0 <= v <= 255 for v in color[:3]):
            return color[0], color[1], color[2], 255
    elif isinstance(color, int):
        return color >> 16 & 255, color >> 8 & 255, color & 255, 255
    return None


def _shape(geometry: Mapping[str, object], at: SourceRecord) -> Polygons | None:
    """What a geometry covers; ``None`` if it has no area."""
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind in _NO_AREA:
        return None
    if kind == "GeometryCollection":
        members = geometry.get("geometries")
        shapes = [
            _shape(one, at.member(f".geometries[{i}]"))
            for i, one in enumerate(members if isinstance(members, list) else [])
            if isinstance(one, dict)
        ]
        parts = tuple(p for shape in shapes if shape is not None for p in shape.parts)
        return Polygons(parts) if parts else None
    if kind not in ("Polygon", "MultiPolygon") or not isinstance(coordinates, list):
        raise at.error(
            "a geometry of an unknown kind",
            expected="Polygon, MultiPolygon, or points and lines, with coordinates",
            found=shown(kind),
        )
    polygons = [coordinates] if kind == "Polygon" else coordinates
    found: list[Sequence[float]] = []
    for i, rings in enumerate(polygons):
        inner = at.member(".coordinates" + (f"[{i}]" if kind == "MultiPolygon" else ""))
        listed = rings if isinstance(rings, list) else []
        checked = [_ring(r, inner.member(f"[{j}]")) for j, r in enumerate(listed)]
        if not checked:
            raise _no_ring(inner, rings)
        found += joined(checked[0], checked[1:]).parts
    return Polygons(tuple(found))


def _ring(ring: object, at: SourceRecord) -> Polygons:
    listed = ring if isinstance(ring, list) else []
    if not all(
        isinstance(p, list)
        and len(p) >= 2
        and all(isinstance(v, int | float) and math.isfinite(v) for v in p[:2])
        for p in listed
    ):
        raise _no_ring(at, ring)
    if len({(p[0], p[1]) for p in listed}) < 3:
        raise _no_ring(at, ring)
    return outline(listed, at)


def _no_ring(at: SourceRecord, found: object) -> SourceError:
    return at.error(
        "an outline cannot be drawn",
        expected="[x, y] of three different points or more, in pixels",
        found=shown(found),
    )
