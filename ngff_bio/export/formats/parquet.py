"""All instances of a dataset in one Parquet or GeoParquet file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING

from ngff_bio.errors import ArgumentError
from ngff_bio.export.annotations import Annotation, LayerRows
from ngff_bio.export.classes import instance_layers
from ngff_bio.export.geometry import Bounds, geo_metadata, wkb_of_rings, wkb_of_shape
from ngff_bio.export.output import target
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import Plane, SelectedImage, Selection
from ngff_bio.reader.tables.tables import union_schema

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

#: Name of the file if the destination is a folder.
_FILE = "instances.parquet"

#: Rows to collect before writing a row group: one small image is too few.
_ROWS = 1 << 16


def write_table(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write the tables of all images as one, with columns for image and frame."""
    import pyarrow as pa

    schema = _common_schema(selection)
    if schema is None:
        raise ArgumentError(
            "the selected images have no tables",
            file=selection.url,
            hint="select other images with --image, or export label values to geoparquet",
        )
    with _Rows(target(place, _FILE), schema) as out:
        for image in selection.images:
            for layer in image.layers:
                table = image.stored.table(layer)
                if table is None:
                    if not image.stored.is_semantic(layer):
                        report.skip("layers without a table", record=layer)
                    continue
                if not image.whole:
                    table = table.take(pa.array(_rows_within(image, layer, table), pa.int64()))
                out.add(_named(image, layer, table, selection))
            image.stored.forget()
    report.instances = out.count


def _named(image: SelectedImage, layer: str, table: pa.Table, selection: Selection) -> pa.Table:
    """A table, preceded by the columns for the origin of its rows."""
    import pyarrow as pa

    count = table.num_rows
    frames = {t: str(f.get("name") or "") or None for t, f in image.frames.items()}
    times = table.column("t").to_pylist() if "t" in table.column_names else [0] * count
    own = {
        "dataset": pa.array([selection.name] * count, pa.string()),
        "image": pa.array([image.path] * count, pa.string()),
        "frame": pa.array([frames.get(t) for t in times], pa.string()),
        "layer": pa.array([layer] * count, pa.string()),
    }
    names = [*own, *table.column_names]
    return pa.table([*own.values(), *table.columns], names=names)


def _common_schema(selection: Selection) -> pa.Schema | None:
    """Schema with every column of every table, preceded by those for the origin of rows."""
    import pyarrow as pa

    schemas = []
    for image in selection.images:
        for layer in image.layers:
            table = image.stored.table(layer)
            if table is not None:
                schemas.append(table.schema)
    if not schemas:
        return None
    try:
        fields = union_schema(schemas)
    except pa.ArrowTypeError as error:
        raise ArgumentError(
            "the tables have different types and cannot be merged",
            file=selection.url,
            found=error,
            hint="select fewer images with --image, or layers with --labels",
        ) from error
    first = [pa.field(n, pa.string()) for n in ("dataset", "image", "frame", "layer")]
    return pa.schema([*first, *fields])


def _rows_within(image: SelectedImage, layer: str, table: pa.Table) -> list[int]:
    """Indices of the rows whose instances have pixels in the region."""
    by_frame = "t" in table.column_names
    rows = LayerRows(image, layer)
    seen = {
        (plane.t if by_frame else 0, one.label_image, one.instance.value)
        for plane in image.planes()
        for one in rows.on(plane)
        if one.extent is not None
    }
    fallback = {"t": 0, "label_image": layer, "label": 0}
    columns = (
        table.column(name).to_pylist() if name in table.column_names else repeat(value)
        for name, value in fallback.items()
    )
    keys = islice(zip(*columns, strict=False), table.num_rows)
    return [row for row, key in enumerate(keys) if key in seen]


class _Rows:
    """A Parquet file, written in row groups of `_ROWS` rows."""

    def __init__(self, place: Path, schema: pa.Schema, *, store_schema: bool = True) -> None:
        self._store_schema = store_schema
        self._place, self._schema = place, schema
        self._tables: list[pa.Table] = []
        self._gathered = 0
        self._writer: pq.ParquetWriter  # open inside of `with`
        self.count = 0

    def __enter__(self) -> _Rows:
        import pyarrow.parquet as pq

        self._writer = pq.ParquetWriter(
            self._place, self._schema, compression="zstd", store_schema=self._store_schema
        )
        return self

    def add(self, table: pa.Table) -> None:
        """Add rows; missing columns are null."""
        import pyarrow as pa

        columns = [
            table.column(f.name).cast(f.type)
            if f.name in table.column_names
            else pa.nulls(table.num_rows, f.type)
            for f in self._schema
        ]
        self._tables.append(pa.table(columns, schema=self._schema))
        self._gathered += table.num_rows
        self.count += table.num_rows
        if self._gathered >= _ROWS:
            self._flush()

    def describe(self, metadata: dict[str, str]) -> None:
        """Add metadata of the file."""
        self._writer.add_key_value_metadata(metadata)

    def _flush(self) -> None:
        import pyarrow as pa

        if self._tables:
            self._writer.write_table(pa.concat_tables(self._tables))
        self._tables, self._gathered = [], 0

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()


def write_geometry(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write a row per instance and plane, with its outline as a geometry."""
    import pyarrow as pa

    selection = instance_layers(selection, report)
    bounds = Bounds()
    # Without a copy of the Arrow schema, readers use the metadata of the file, which has "geo".
    schema = pa.schema(list(_GEO_COLUMNS.items()))
    with _Rows(target(place, _FILE), schema, store_schema=False) as out:
        for image in selection.images:
            for layer in image.layers:
                table = LayerRows(image, layer)
                for plane in image.planes():
                    rows = [_geo_row(one, bounds, selection, report) for one in _once(table, plane)]
                    out.add(pa.Table.from_pylist(rows, schema=schema))
            image.stored.forget()
        out.describe({"geo": json.dumps(geo_metadata(bounds))})
    report.instances = out.count
    report.note("coordinates are in pixels, y down, without a coordinate reference system")
    if any(not p.whole for p in selection.images):
        report.note("coordinates are relative to the whole image, not to the region")


def _once(table: LayerRows, plane: Plane) -> Iterator[Annotation]:
    """Instances of a plane; one that applies to all planes is on the first."""
    first = plane.image.span("z")[0]
    for one in table.on(plane):
        if one.instance.z is not None or plane.z == first:
            yield one


def _geo_row(
    one: Annotation, bounds: Bounds, selection: Selection, report: ExportReport
) -> dict[str, object]:
    plane, instance = one.plane, one.instance
    dx, dy = plane.x[0], plane.y[0]
    geometry = wkb_of_shape(instance.geometry, bounds)
    if geometry is None:
        geometry = wkb_of_rings(one.rings, (dx, dy), bounds)
    if geometry is None:
        report.skip("geometries of instances without pixels", record=plane.name)
    box: tuple[float | None, ...] = instance.box or (None,) * 4
    if instance.box is None and one.box is not None:
        x, y, width, height = one.box
        box = (x + dx, y + dy, width, height)
    source = instance.source_id
    return {
        "dataset": selection.name,
        "image": plane.image.path,
        "frame": plane.frame.get("name"),
        "layer": one.layer,
        "label": instance.value,
        "t": plane.t,
        "z": instance.z,
        "category": instance.category,
        "category_id": None if instance.category_id is None else str(instance.category_id),
        "source_id": None if source is None else str(source),
        "track_id": None if instance.track_id is None else str(instance.track_id),
        "box_x": box[0],
        "box_y": box[1],
        "box_width": box[2],
        "box_height": box[3],
        "area": instance.area if instance.area is not None else float(one.area),
        "iscrowd": instance.iscrowd,
        "record": instance.record,
        "geometry": geometry,
    }


#: Columns of a GeoParquet file and their Arrow types.
_GEO_COLUMNS = {
    "dataset": "string",
    "image": "string",
    "frame": "string",
    "layer": "string",
    "label": "uint32",
    "t": "int32",
    "z": "int32",
    "category": "string",
    "category_id": "string",
    "source_id": "string",
    "track_id": "string",
    "box_x": "float64",
    "box_y": "float64",
    "box_width": "float64",
    "box_height": "float64",
    "area": "float64",
    "iscrowd": "int8",
    "record": "string",
    "geometry": "binary",
}
