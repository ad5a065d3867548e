"""All instances of a dataset in one Parquet or GeoParquet file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ngff_bio.errors import ArgumentError
from ngff_bio.export.annotations import Annotation, LayerRows
from ngff_bio.export.classes import instance_layers
from ngff_bio.export.geometry import Bounds, geo_metadata, wkb_of_rings, wkb_of_shape
from ngff_bio.export.registry import Exporter
from ngff_bio.export.report import Report
from ngff_bio.export.selection import Picture, Plane, Selection

#: Rows that are gathered before they are written: a row group should not be one small image.
_ROWS = 1 << 16


def write_table(selection: Selection, place: Path, report: Report) -> None:
    """Write the tables of all images as one, with the image and frame of each row."""
    import pyarrow as pa

    schema = _common_schema(selection)
    if schema is None:
        raise ArgumentError(
            "there is no table of instances to write",
            file=selection.url,
            hint="choose images that have one; label values alone go to geoparquet",
        )
    with _Rows(place, schema) as out:
        for picture in selection.pictures:
            for layer in picture.layers:
                table = picture.stored.table(layer)
                if table is None:
                    if not picture.stored.is_semantic(layer):
                        report.skip("layers without a table are not in the file", record=layer)
                    continue
                if not picture.whole:
                    table = table.take(pa.array(_rows_within(picture, layer, table), pa.int64()))
                out.add(_named(picture, layer, table, selection))
            picture.stored.forget()
    report.instances = out.count


def _named(picture: Picture, layer: str, table: Any, selection: Selection) -> Any:
    """A table with the columns that say where its rows are from in front."""
    import pyarrow as pa

    count = table.num_rows
    frames = {t: str(f.get("name") or "") or None for t, f in picture.frames.items()}
    times = table.column("t").to_pylist() if "t" in table.column_names else [0] * count
    own = {
        "dataset": pa.array([selection.name] * count, pa.string()),
        "image": pa.array([picture.path] * count, pa.string()),
        "frame": pa.array([frames.get(t) for t in times], pa.string()),
        "layer": pa.array([layer] * count, pa.string()),
    }
    names = [*own, *table.column_names]
    return pa.table([*own.values(), *table.columns], names=names)


def _common_schema(selection: Selection) -> Any | None:
    """Schema with every column of every table, those that say where rows are from first."""
    import pyarrow as pa

    schemas = []
    for picture in selection.pictures:
        for layer in picture.layers:
            table = picture.stored.table(layer)
            if table is not None:
                schemas.append(table.schema.remove_metadata())
    if not schemas:
        return None
    try:
        fields = pa.unify_schemas(list(dict.fromkeys(schemas)), promote_options="permissive")
    except pa.ArrowTypeError as error:
        raise ArgumentError(
            "tables of the store do not fit into one",
            file=selection.url,
            found=error,
            hint="choose fewer images with --image, or layers with --labels",
        ) from error
    first = [pa.field(n, pa.string()) for n in ("dataset", "image", "frame", "layer")]
    return pa.schema([*first, *(f.with_nullable(True) for f in fields)])


def _rows_within(picture: Picture, layer: str, table: Any) -> list[int]:
    """Rows whose instances have pixels in the wanted region."""
    seen: set[tuple[int, str, int]] = set()
    rows = LayerRows(picture, layer)
    for plane in picture.planes():
        for one in rows.on(plane):
            if one.extent is not None:
                seen.add(
                    (
                        one.plane.t if "t" in table.column_names else 0,
                        one.label_image,
                        one.instance.value,
                    )
                )
    columns = [
        table.column(n).to_pylist() if n in table.column_names else None
        for n in ("t", "label_image", "label")
    ]
    times, images, labels = columns
    found = []
    for row in range(table.num_rows):
        key = (
            times[row] if times else 0,
            images[row] if images else layer,
            labels[row] if labels else 0,
        )
        if key in seen:
            found.append(row)
    return found


class _Rows:
    """A Parquet file that is written in row groups of some size."""

    def __init__(self, place: Path, schema: Any, *, store_schema: bool = True) -> None:
        self._store_schema = store_schema
        self._place, self._schema = place, schema
        self._tables: list[Any] = []
        self._gathered = 0
        self._writer: Any = None
        self.count = 0

    def __enter__(self) -> _Rows:
        import pyarrow.parquet as pq

        self._writer = pq.ParquetWriter(
            self._place, self._schema, compression="zstd", store_schema=self._store_schema
        )
        return self

    def add(self, table: Any) -> None:
        """Add rows; columns that the schema has and they have not are null."""
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
        """Add metadata of the whole file, which may be known only at its end."""
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


def write_geometry(selection: Selection, place: Path, report: Report) -> None:
    """Write a row for each instance and plane, with its outline as a geometry."""
    selection = instance_layers(selection, report)
    bounds = Bounds()
    # Without Arrow's own copy of the schema readers take metadata from the file, where "geo" is.
    with _Rows(place, _geo_schema(), store_schema=False) as out:
        for picture in selection.pictures:
            for layer in picture.layers:
                table = LayerRows(picture, layer)
                for plane in picture.planes():
                    rows: dict[str, list[Any]] = {name: [] for name, _ in _GEO_COLUMNS}
                    for one in _once(table, plane):
                        _add_row(rows, one, bounds, selection, report)
                    out.add(_geo_table(rows))
            picture.stored.forget()
        out.describe({"geo": json.dumps(geo_metadata(bounds))})
    report.instances = out.count
    report.note("coordinates are pixels of the image, y down; there is no reference system")
    if any(not p.whole for p in selection.pictures):
        report.note("coordinates count from the corner of the whole image, not of the region")


def _once(table: LayerRows, plane: Plane) -> Iterator[Annotation]:
    """Instances of a plane; one that holds for all planes is told on the first."""
    first = plane.picture.span("z")[0]
    for one in table.on(plane):
        if one.instance.z is not None or plane.z == first:
            yield one


_GEO_COLUMNS = (
    ("dataset", "string"),
    ("image", "string"),
    ("frame", "string"),
    ("layer", "string"),
    ("label", "uint32"),
    ("t", "int32"),
    ("z", "int32"),
    ("category", "string"),
    ("category_id", "string"),
    ("source_id", "string"),
    ("track_id", "string"),
    ("box_x", "double"),
    ("box_y", "double"),
    ("box_width", "double"),
    ("box_height", "double"),
    ("area", "double"),
    ("iscrowd", "int8"),
    ("record", "string"),
    ("geometry", "binary"),
)


def _add_row(
    rows: dict[str, list[Any]],
    one: Annotation,
    bounds: Bounds,
    selection: Selection,
    report: Report,
) -> None:
    plane, instance = one.plane, one.instance
    dx, dy = plane.x[0], plane.y[0]
    geometry = wkb_of_shape(instance.geometry, bounds)
    if geometry is None:
        geometry = wkb_of_rings(one.rings, (dx, dy), bounds)
    if geometry is None:
        report.skip("instances without pixels have no geometry", record=plane.name)
    box: tuple[float | None, ...] = instance.box or (None,) * 4
    if instance.box is None and one.box is not None:
        x, y, width, height = one.box
        box = (x + dx, y + dy, width, height)
    source = instance.source_id
    values = {
        "dataset": selection.name,
        "image": plane.picture.path,
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
    for name, value in values.items():
        rows[name].append(value)


def _geo_schema() -> Any:
    import pyarrow as pa

    kinds = {
        "string": pa.string(),
        "uint32": pa.uint32(),
        "int32": pa.int32(),
        "int8": pa.int8(),
        "double": pa.float64(),
        "binary": pa.binary(),
    }
    return pa.schema([pa.field(name, kinds[kind]) for name, kind in _GEO_COLUMNS])


def _geo_table(rows: dict[str, list[Any]]) -> Any:
    import pyarrow as pa

    schema = _geo_schema()
    return pa.table([pa.array(rows[f.name], f.type) for f in schema], schema=schema)


def _in_folder(name: str, write: Any) -> Any:
    """One file always: inside a folder where the destination has no ending of its own."""

    def written(selection: Selection, place: Path, report: Report) -> None:
        write(selection, place / name if place.is_dir() else place, report)

    return written


PARQUET = Exporter(
    name="parquet",
    title="all tables of instances as one Parquet file",
    suffixes=(".parquet", ".pq"),
    write=_in_folder("instances.parquet", write_table),
)
GEOPARQUET = Exporter(
    name="geoparquet",
    title="all instances as one GeoParquet file, outlines as geometry",
    suffixes=(".parquet", ".geoparquet", ".pq"),
    write=_in_folder("instances.parquet", write_geometry),
)
