"""Tables: one row per instance, as Parquet inside the store.

The layout is that of ngio's table specification (group ``tables`` with an attribute ``tables``, a group
per table with its backend, a ``table.parquet`` in it), so that ngio, pandas, polars, dask and DuckDB
read it. A row has what the source states about the instance, value for value.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.engine.write.columns import numbers, texts
from ngff_bio.model import Box, Instance, Polygons, Rle, Shape, VolumeLayer

#: Group attributes of a table (ngio table specification, version 1).
GROUP_ATTRIBUTES = {
    "type": "generic_table",
    "table_version": "1",
    "backend": "parquet",
    "index_key": None,
    "index_type": None,
}

FILE = "table.parquet"


def instance_schema() -> Any:
    """Arrow schema of the table of an instance layer.

    ``offset_y`` and ``offset_x`` are to be added to coordinates of a part of the frame, else null.
    ``files`` and ``indices`` name the annotation files that contain the record, and its position in
    each; ``variants`` what differs there (see `Instance`).
    """
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("label", pa.uint32(), nullable=False),
            pa.field("label_image", pa.string(), nullable=False),
            pa.field("t", pa.int32(), nullable=False),
            pa.field("z", pa.int32()),
            pa.field("category", pa.string()),
            pa.field("category_id", pa.string()),
            pa.field("source_id", pa.string()),
            pa.field("track_id", pa.string()),
            pa.field("box_x", pa.float64()),
            pa.field("box_y", pa.float64()),
            pa.field("box_width", pa.float64()),
            pa.field("box_height", pa.float64()),
            pa.field("area", pa.float64()),
            pa.field("iscrowd", pa.int8()),
            pa.field("pixels", pa.int64(), nullable=False),
            pa.field("shape_type", pa.string()),
            pa.field("polygons", pa.list_(pa.list_(pa.float64()))),
            pa.field("rle_size", pa.list_(pa.int32())),
            pa.field("rle_counts", pa.string()),
            pa.field("rle_runs", pa.list_(pa.int64())),
            pa.field("mask", pa.string()),
            pa.field("offset_y", pa.int32()),
            pa.field("offset_x", pa.int32()),
            pa.field("files", pa.list_(pa.string())),
            pa.field("indices", pa.list_(pa.int64())),
            pa.field("variants", pa.list_(pa.string())),
            pa.field("record", pa.string()),
        ]
    )


def instance_table(
    instances: Sequence[Instance], label_images: Sequence[str], pixels: Sequence[int]
) -> Any:
    """Arrow table of instances.

    Parameters
    ----------
    instances
        In source order.
    label_images
        Name of the label image in which each is whole.
    pixels
        Number of pixels that each covers.
    """
    import pyarrow as pa

    rows = list(instances)
    boxes = [i.box or _box_of(i) for i in rows]
    columns: dict[str, Any] = {
        "label": [i.value for i in rows],
        "label_image": list(label_images),
        "t": [i.t for i in rows],
        "z": [i.z for i in rows],
        "category": [i.category for i in rows],
        "category_id": _texts([i.category_id for i in rows]),
        "source_id": _texts([i.source_id for i in rows]),
        "track_id": _texts([i.track_id for i in rows]),
        "box_x": [b[0] for b in boxes],
        "box_y": [b[1] for b in boxes],
        "box_width": [b[2] for b in boxes],
        "box_height": [b[3] for b in boxes],
        "area": [i.area for i in rows],
        "iscrowd": [i.iscrowd for i in rows],
        "pixels": list(pixels),
        "offset_y": [None if i.window is None else i.window[0] for i in rows],
        "offset_x": [None if i.window is None else i.window[1] for i in rows],
        "files": _file_lists(rows),
        "indices": [i.indices or None for i in rows],
        "variants": [i.variants for i in rows],
        "record": [i.record for i in rows],
        **_geometries(rows),
    }
    schema = instance_schema()
    arrays = [
        column if isinstance(column := columns[f.name], pa.Array) else pa.array(column, f.type)
        for f in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


_NO_BOX = (None, None, None, None)


def _box_of(instance: Instance) -> tuple[float | None, float | None, float | None, float | None]:
    """The box that an instance has as its geometry."""
    shape = instance.geometry
    if not isinstance(shape, Box):
        return _NO_BOX
    return shape.x0, shape.y0, shape.x1 - shape.x0, shape.y1 - shape.y0


def _texts(values: list[int | str | None]) -> list[str | None]:
    return [None if v is None else str(v) for v in values]


def _file_lists(instances: list[Instance]) -> Any:
    """Names of files: they are few, and repeat in many rows."""
    import pyarrow as pa

    code: dict[str, int] = {}
    coded: dict[tuple[str, ...], list[int] | None] = {(): None}
    for files in {i.files: None for i in instances if i.files}:
        coded[files] = [code.setdefault(name, len(code)) for name in files]
    codes = pa.array([coded[i.files] for i in instances], pa.list_(pa.int32()))
    names = pa.array(list(code), pa.string()).take(codes.values)
    return pa.ListArray.from_arrays(codes.offsets, names, mask=codes.is_null())


def _geometries(instances: list[Instance]) -> dict[str, Any]:
    """Columns of outlines and masks, verbatim; polygons go from arrays to arrays."""
    number = len(instances)
    shape_type: list[str | None] = [None] * number
    size: list[Any] = [None] * number
    counts: list[str | None] = [None] * number
    runs: list[Any] = [None] * number
    mask: list[str | None] = [None] * number
    parts: list[Sequence[float]] = []
    held = np.zeros(number, np.int32)
    outlined = np.zeros(number, bool)
    for i, instance in enumerate(instances):
        shape = instance.geometry
        if isinstance(shape, Polygons):
            parts += shape.parts
            held[i], outlined[i] = len(shape.parts), True
        elif isinstance(shape, Rle):
            size[i] = shape.size
            if isinstance(shape.counts, str):
                counts[i] = shape.counts
            else:
                runs[i] = shape.counts
        elif isinstance(shape, Shape):
            shape_type[i], mask[i] = shape.type, shape.mask
            parts.append([value for point in shape.points for value in point])
            held[i], outlined[i] = 1, True
    return {
        "shape_type": shape_type,
        "polygons": _polygon_lists(parts, held, ~outlined),
        "rle_size": size,
        "rle_counts": counts,
        "rle_runs": runs,
        "mask": mask,
    }


def _polygon_lists(
    parts: Sequence[Sequence[float]], held: NDArray[np.int32], missing: NDArray[np.bool_]
) -> Any:
    """Nested lists of numbers: instances of parts of coordinates."""
    import pyarrow as pa

    sizes = np.fromiter(map(len, parts), np.int32, len(parts))
    flat = np.concatenate([np.asarray(p, np.float64) for p in parts]) if parts else np.empty(0)
    inner = pa.ListArray.from_arrays(pa.array(_offsets(sizes)), pa.array(flat, pa.float64()))
    return pa.ListArray.from_arrays(pa.array(_offsets(held)), inner, mask=pa.array(missing))


def _offsets(sizes: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.concatenate((np.zeros(1, np.int32), np.cumsum(sizes, dtype=np.int32)))


def volume_table(layer: VolumeLayer, axes: str, objects: dict[int, dict[str, Any]]) -> Any:
    """Arrow table of the objects of a label image whose source has pixels.

    A row: label value, label image, source id, class by majority of the semantic layer's pixels and
    the fraction that agrees, pixel count, half-open bounding box along each axis.
    """
    import pyarrow as pa

    names = {c.id: c.name for c in layer.categories}
    classes = [_majority(seen.get("classes") or {}) for seen in objects.values()]
    columns = {
        "label": numbers(list(objects), "u4"),
        "label_image": texts([layer.name] * len(objects)),
        "source_id": texts([str(layer.source_ids.get(v, v)) for v in objects]),
    }
    if layer.classes is not None:
        named = [None if c[0] is None else names.get(c[0]) for c in classes]
        columns["category"] = texts(named)
        columns["category_id"] = texts([None if c[0] is None else str(c[0]) for c in classes])
        columns["category_fraction"] = numbers([c[1] for c in classes], "f8")
    columns["pixels"] = numbers([o["count"] for o in objects.values()], "i8")
    for i, axis in enumerate(axes):
        columns[f"{axis}_start"] = numbers([o["start"][i] for o in objects.values()], "i4")
        columns[f"{axis}_stop"] = numbers([o["stop"][i] for o in objects.values()], "i4")
    return pa.Table.from_arrays(list(columns.values()), names=list(columns))


def _majority(classes: dict[str, int]) -> tuple[int | None, float | None]:
    """Most frequent class and its fraction; of equals the smaller id, and no class if 0 wins."""
    if not classes:
        return None, None
    name, count = max(classes.items(), key=lambda item: (item[1], -int(item[0])))
    return (int(name) or None), count / sum(classes.values())


def to_parquet(table: Any) -> bytes:
    """Bytes of a table; the same table gives the same bytes."""
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", row_group_size=1 << 16)
    return out.getvalue()


def from_parquet(data: bytes) -> Any:
    """Table of bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(data))


def concatenate(tables: Sequence[Any]) -> Any:
    """One table of several, in order."""
    import pyarrow as pa

    return pa.concat_tables(tables)


def rows_before(table: Any, frame: int) -> Any:
    """Rows of frames before one."""
    import pyarrow.compute as pc

    return table.filter(pc.less(table["t"], frame))
