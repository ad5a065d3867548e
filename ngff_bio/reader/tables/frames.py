"""A table in the library that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from ngff_bio.errors import ArgumentError, DependencyError

Library = Literal["pandas", "pyarrow", "polars", "geopandas", "dask"]
_LIBRARIES = ("pandas", "pyarrow", "polars", "geopandas", "dask")


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
        return _needed("polars").from_arrow(table)
    if to == "geopandas":
        return _geo_frame(table)
    raise ArgumentError("this kind of table is not known", expected=", ".join(_LIBRARIES), found=to)


def _needed(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise DependencyError(
            f"{name} is not installed", expected=name, hint=f"pip install {name}"
        ) from error


def _geo_frame(table: pa.Table) -> Any:
    """Polygons (or boxes) as geometry: x to the right and y down, in pixels of level 0."""
    geopandas, shapely = _needed("geopandas"), _needed("shapely")
    frame = table.to_pandas()
    shapes = [_shape(row, shapely) for row in frame.to_dict("records")]
    return geopandas.GeoDataFrame(frame, geometry=shapes)


def _shape(row: dict[str, Any], shapely: Any) -> Any:
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


def dask_frame(read: Callable[[Any], pa.Table], jobs: Sequence[Any]) -> Any:
    """A dask data frame with a partition per job; the first one is looked at for its columns.

    Raises
    ------
    ngff_bio.errors.DependencyError
        If ``dask.dataframe`` is not installed.
    """
    frames = _needed("dask.dataframe")
    if not jobs:
        import pandas as pd

        return frames.from_pandas(pd.DataFrame(), npartitions=1)
    schema = pa.unify_schemas(
        [read(job).schema.remove_metadata() for job in _each_layer(jobs)],
        promote_options="permissive",
    )
    meta = schema.empty_table().to_pandas()
    return frames.from_map(_Partition(read, schema), list(jobs), meta=meta)


def _each_layer(jobs: Sequence[Any]) -> list[Any]:
    """One job of each table name: tables of one name have the same columns."""
    seen: dict[str, Any] = {}
    for job in jobs:
        seen.setdefault(job[1], job)
    return list(seen.values())


class _Partition:
    """Reads one partition on the columns of all."""

    def __init__(self, read: Callable[[Any], pa.Table], schema: pa.Schema) -> None:
        self.read, self.schema = read, schema

    def __call__(self, job: Any) -> Any:
        table = self.read(job)
        columns = [
            table[f.name].cast(f.type)
            if f.name in table.schema.names
            else pa.nulls(table.num_rows, f.type)
            for f in self.schema
        ]
        return pa.Table.from_arrays(columns, schema=self.schema).to_pandas()
