"""Outlines as well-known binary, and the metadata of GeoParquet 1.1.

Pixels of an image are no place on Earth: ``crs`` is null ("unknown" in the specification) and edges
are planar.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ngff_bio.model import Box, Geometry, Polygons, Shape
from ngff_bio.raster.rings import Ring, polygons_of_rings

Points = Sequence[tuple[float, float]]

_POINT, _LINE, _POLYGON, _MULTI = 1, 2, 3, 6
_NAMES = {_POINT: "Point", _LINE: "LineString", _POLYGON: "Polygon", _MULTI: "MultiPolygon"}


@dataclass(slots=True)
class Bounds:
    """What the geometries of a file have in common: their kinds and the box around all."""

    kinds: set[str] = field(default_factory=set)
    box: list[float] | None = None

    def add(self, kind: int, points: Iterable[tuple[float, float]]) -> None:
        """Count one geometry in."""
        self.kinds.add(_NAMES[kind])
        for x, y in points:
            if self.box is None:
                self.box = [x, y, x, y]
            low_x, low_y, high_x, high_y = self.box
            self.box = [min(low_x, x), min(low_y, y), max(high_x, x), max(high_y, y)]


def geo_metadata(bounds: Bounds) -> dict[str, Any]:
    """The value of the file's ``geo`` key."""
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": sorted(bounds.kinds),
        "crs": None,
        "edges": "planar",
    }
    if bounds.box is not None:
        column["bbox"] = bounds.box
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def wkb_of_shape(shape: Geometry | None, bounds: Bounds) -> bytes | None:
    """An outline as it was drawn; ``None`` for what is no outline (runs, masks, circles)."""
    if isinstance(shape, Box):
        corners = _corners(shape.x0, shape.y0, shape.x1, shape.y1)
        return _polygons([[corners]], bounds)
    if isinstance(shape, Polygons):
        parts = [list(zip(p[0::2], p[1::2], strict=True)) for p in shape.parts]
        return _polygons([[p] for p in parts], bounds) if _drawable(parts) else None
    if not isinstance(shape, Shape):
        return None
    points = list(shape.points)
    if shape.type == "point" and len(points) == 1:
        bounds.add(_POINT, points)
        return struct.pack("<BI2d", 1, _POINT, *points[0])
    if shape.type in ("line", "linestrip") and len(points) >= 2:
        bounds.add(_LINE, points)
        return struct.pack("<BI", 1, _LINE) + _path(points)
    if shape.type == "rectangle" and len(points) == 2:
        (x0, y0), (x1, y1) = points
        corners = _corners(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        return _polygons([[corners]], bounds)
    if shape.type == "polygon" and _drawable([points]):
        return _polygons([[points]], bounds)
    return None


def wkb_of_rings(rings: Sequence[Ring], origin: tuple[int, int], bounds: Bounds) -> bytes | None:
    """Outlines of a mask, with holes; ``None`` if there are none."""
    if not rings:
        return None
    x0, y0 = origin
    return _polygons(
        [
            [[(float(x + x0), float(y + y0)) for x, y in ring.points.tolist()] for ring in polygon]
            for polygon in polygons_of_rings(rings)
        ],
        bounds,
    )


def _drawable(parts: Sequence[Points]) -> bool:
    return bool(parts) and all(len(p) >= 3 for p in parts)


def _corners(x0: float, y0: float, x1: float, y1: float) -> list[tuple[float, float]]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _polygons(polygons: Sequence[Sequence[Points]], bounds: Bounds) -> bytes:
    """One polygon, or several as one geometry; each is its outline and its holes."""
    kind = _POLYGON if len(polygons) == 1 else _MULTI
    for polygon in polygons:
        bounds.add(kind, polygon[0])
    pieces = [
        struct.pack("<BII", 1, _POLYGON, len(polygon))
        + b"".join(_path([*ring, ring[0]] if ring[0] != ring[-1] else ring) for ring in polygon)
        for polygon in polygons
    ]
    if kind == _POLYGON:
        return pieces[0]
    return struct.pack("<BII", 1, _MULTI, len(pieces)) + b"".join(pieces)


def _path(points: Points) -> bytes:
    flat = [value for point in points for value in point]
    return struct.pack(f"<I{len(flat)}d", len(points), *flat)
