"""Outlines as well-known binary, and the metadata of GeoParquet 1.1.

Pixel coordinates are not on Earth: ``crs`` is null ("unknown" in the specification), edges are planar.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from ngff_bio.model import Box, Geometry, Polygons, Shape
from ngff_bio.raster.rings import Ring, polygons_of_rings

Flat = Sequence[float]

_POINT, _LINE, _POLYGON, _MULTI = 1, 2, 3, 6
_NAMES = {_POINT: "Point", _LINE: "LineString", _POLYGON: "Polygon", _MULTI: "MultiPolygon"}


@dataclass(slots=True)
class Bounds:
    """Types and bounding box of all geometries of a file."""

    kinds: set[str] = field(default_factory=set)
    box: list[float] | None = None

    def add(self, kind: int, flat: Sequence[float]) -> None:
        """Add one geometry; `flat` is x0, y0, x1, y1, ..."""
        self.kinds.add(_NAMES[kind])
        x, y = flat[0::2], flat[1::2]
        one = [min(x), min(y), max(x), max(y)]
        if self.box is not None:
            (a, b, c, d), (e, f, g, h) = self.box, one
            one = [min(a, e), min(b, f), max(c, g), max(d, h)]
        self.box = one


def geo_metadata(bounds: Bounds) -> dict[str, object]:
    """The value of the ``geo`` key of the file metadata."""
    column: dict[str, object] = {
        "encoding": "WKB",
        "geometry_types": sorted(bounds.kinds),
        "crs": None,
        "edges": "planar",
    }
    if bounds.box is not None:
        column["bbox"] = bounds.box
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def wkb_of_shape(shape: Geometry | None, bounds: Bounds) -> bytes | None:
    """An outline as drawn; ``None`` for other shapes (runs, masks, circles)."""
    if isinstance(shape, Box):
        return _polygons([[_corners(shape.x0, shape.y0, shape.x1, shape.y1)]], bounds)
    if isinstance(shape, Polygons):
        drawable = bool(shape.parts) and all(len(p) >= 6 for p in shape.parts)
        return _polygons([[p] for p in shape.parts], bounds) if drawable else None
    if not isinstance(shape, Shape):
        return None
    flat = [value for point in shape.points for value in point]
    if shape.type == "point" and len(flat) == 2:
        bounds.add(_POINT, flat)
        return struct.pack("<BI2d", 1, _POINT, *flat)
    if shape.type in ("line", "linestrip") and len(flat) >= 4:
        bounds.add(_LINE, flat)
        return struct.pack("<BI", 1, _LINE) + _path(flat)
    if shape.type == "rectangle" and len(flat) == 4:
        x0, y0, x1, y1 = flat
        corners = _corners(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        return _polygons([[corners]], bounds)
    if shape.type == "polygon" and len(flat) >= 6:
        return _polygons([[flat]], bounds)
    return None


def wkb_of_rings(rings: Sequence[Ring], origin: tuple[int, int], bounds: Bounds) -> bytes | None:
    """Outlines of a mask with its holes; ``None`` if there are none."""
    if not rings:
        return None
    polygons = polygons_of_rings(rings)
    return _polygons([[(r.points + origin).ravel().tolist() for r in p] for p in polygons], bounds)


def _corners(x0: float, y0: float, x1: float, y1: float) -> list[float]:
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def _polygons(polygons: Sequence[Sequence[Flat]], bounds: Bounds) -> bytes:
    """A polygon, or a multipolygon; each part is an outline and its holes."""
    kind = _POLYGON if len(polygons) == 1 else _MULTI
    for polygon in polygons:
        bounds.add(kind, polygon[0])
    pieces = [
        struct.pack("<BII", 1, _POLYGON, len(polygon))
        + b"".join(_path(_closed(ring)) for ring in polygon)
        for polygon in polygons
    ]
    if kind == _POLYGON:
        return pieces[0]
    return struct.pack("<BII", 1, _MULTI, len(pieces)) + b"".join(pieces)


def _closed(ring: Flat) -> Flat:
    return ring if list(ring[:2]) == list(ring[-2:]) else [*ring, *ring[:2]]


def _path(flat: Flat) -> bytes:
    return struct.pack(f"<I{len(flat)}d", len(flat) // 2, *flat)
