"""Tables as data frames of several libraries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa

from ngff_bio.errors import ArgumentError, import_optional

Library = Literal["pandas", "pyarrow", "polars", "geopandas", "dask"]


def as_frame(table: pa.Table, to: str) -> Any:
    """A table as a data frame of a library.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the library is of no known name.
    ngff_bio.errors.DependencyError
        If it is not installed.
    """
    if to == "pandas":
        return table.to_pandas()
    if to == "pyarrow":
        return table
    if to == "polars":
        return import_optional("polars", "ngff-bio[polars]").from_arrow(table)
    if to == "geopandas":
        return _geo_frame(table)
    raise ArgumentError(
        "unknown library for tables", expected=", ".join(get_args(Library)), found=to
    )


def _geo_frame(table: pa.Table) -> Any:
    """Polygons (or boxes) as geometry: x to the right and y down, in pixels of level 0."""
    geopandas, shapely = (import_optional(m, "ngff-bio[gis]") for m in ("geopandas", "shapely"))
    frame = table.to_pandas()
    shapes = [_shape(row, shapely) for row in frame.to_dict("records")]
    return geopandas.GeoDataFrame(frame, geometry=shapes)


def _shape(row: Mapping[str, Any], shapely: Any) -> Any:
    parts = row.get("polygons")
    if parts is not None and len(parts):
        rings = [np.asarray(p, float).reshape(-1, 2) for p in parts if len(p) >= 6]
        made = [shapely.Polygon(ring) for ring in rings]
        if made:
            return made[0] if len(made) == 1 else shapely.MultiPolygon(made)
    if row.get("box_x") is not None and not np.isnan(row["box_x"]):
        x, y = row["box_x"], row["box_y"]
        return shapely.box(x, y, x + row["box_width"], y + row["box_height"])
    if row.get("x_start") is not None and row.get("y_start") is not None:
        return shapely.box(row["x_start"], row["y_start"], row["x_stop"], row["y_stop"])
    return None
