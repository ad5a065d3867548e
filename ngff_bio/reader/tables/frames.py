"""Tables as data frames of several libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
import pyarrow as pa

from ngff_bio.errors import ArgumentError, import_optional

if TYPE_CHECKING:
    import pandas as pd

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


class Partition(Protocol):
    """A table that is read as one partition."""

    @property
    def name(self) -> str:
        """Name of the table: tables of one name have the same columns."""
        ...

    def read(self) -> pa.Table:
        """All rows."""
        ...


def dask_frame(parts: Sequence[Partition]) -> Any:
    """A dask data frame with a partition per part; one of each name is read for its columns.

    Raises
    ------
    ngff_bio.errors.DependencyError
        If ``dask.dataframe`` is not installed.
    """
    frames = import_optional("dask.dataframe", "dask[dataframe]")
    if not parts:
        import pandas as pd

        return frames.from_pandas(pd.DataFrame(), npartitions=1)
    first = {part.name: part for part in reversed(parts)}
    schema = pa.unify_schemas(
        [part.read().schema.remove_metadata() for part in first.values()],
        promote_options="permissive",
    )
    meta = schema.empty_table().to_pandas()
    return frames.from_map(_read_partition, list(parts), schema=schema, meta=meta)


def _read_partition(part: Partition, schema: pa.Schema) -> pd.DataFrame:
    """One partition with the columns of all."""
    parts = [schema.empty_table(), part.read()]
    table = pa.concat_tables(parts, promote_options="permissive").select(schema.names)
    frame: pd.DataFrame = table.cast(schema).to_pandas()
    return frame
