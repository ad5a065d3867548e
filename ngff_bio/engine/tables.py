"""Tables: one row per instance, as Parquet inside the store.

The layout is that of ngio's table specification (group ``tables`` with an attribute ``tables``, a group
per table with its backend, a ``table.parquet`` in it), so that ngio, pandas, polars, dask and DuckDB
read it. A row holds what the source said of the instance, value for value.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from ngff_bio.model import Instance, Polygons, Rle, Shape, VolumeLayer

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
    """Arrow schema of the table of an instance layer."""
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

    def text(value: int | str | None) -> str | None:
        return None if value is None else str(value)

    boxes = [i.box or (None, None, None, None) for i in instances]
    kinds = [_geometry(i) for i in instances]
    columns: dict[str, list[Any]] = {
        "label": [i.value for i in instances],
        "label_image": list(label_images),
        "t": [i.t for i in instances],
        "z": [i.z for i in instances],
        "category": [i.category for i in instances],
        "category_id": [text(i.category_id) for i in instances],
        "source_id": [text(i.source_id) for i in instances],
        "track_id": [text(i.track_id) for i in instances],
        "box_x": [b[0] for b in boxes],
        "box_y": [b[1] for b in boxes],
        "box_width": [b[2] for b in boxes],
        "box_height": [b[3] for b in boxes],
        "area": [i.area for i in instances],
        "iscrowd": [i.iscrowd for i in instances],
        "pixels": list(pixels),
        "shape_type": [k[0] for k in kinds],
        "polygons": [k[1] for k in kinds],
        "rle_size": [k[2] for k in kinds],
        "rle_counts": [k[3] for k in kinds],
        "rle_runs": [k[4] for k in kinds],
        "mask": [k[5] for k in kinds],
        "record": [i.record for i in instances],
    }
    schema = instance_schema()
    arrays = [pa.array(columns[f.name], f.type) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _geometry(instance: Instance) -> tuple[Any, Any, Any, Any, Any, Any]:
    """Shape type, polygons, RLE size, compressed counts, plain counts, mask."""
    shape = instance.geometry
    if isinstance(shape, Polygons):
        return None, shape.parts, None, None, None, None
    if isinstance(shape, Rle):
        if isinstance(shape.counts, str):
            return None, None, shape.size, shape.counts, None, None
        return None, None, shape.size, None, shape.counts, None
    if isinstance(shape, Shape):
        flat = [value for point in shape.points for value in point]
        return shape.type, [flat], None, None, None, shape.mask
    return None, None, None, None, None, None


def volume_table(layer: VolumeLayer, axes: str, objects: dict[int, dict[str, Any]]) -> Any:
    """Arrow table of the objects of a label image that came as pixels.

    A row: label value, label image, source id, class by majority of the semantic layer's pixels and
    the fraction that agrees, pixel count, half-open bounding box along each axis.
    """
    import pyarrow as pa

    names = {c.id: c.name for c in layer.categories}
    classes = [_majority(seen.get("classes") or {}) for seen in objects.values()]
    fields: list[tuple[str, Any, list[Any]]] = [
        ("label", pa.uint32(), list(objects)),
        ("label_image", pa.string(), [layer.name] * len(objects)),
        ("source_id", pa.string(), [str(layer.source_ids.get(v, v)) for v in objects]),
    ]
    if layer.classes is not None:
        fields += [
            ("category", pa.string(), [None if c[0] is None else names.get(c[0]) for c in classes]),
            ("category_id", pa.string(), [None if c[0] is None else str(c[0]) for c in classes]),
            ("category_fraction", pa.float64(), [c[1] for c in classes]),
        ]
    fields.append(("pixels", pa.int64(), [o["count"] for o in objects.values()]))
    for i, axis in enumerate(axes):
        fields.append((f"{axis}_start", pa.int32(), [o["start"][i] for o in objects.values()]))
        fields.append((f"{axis}_stop", pa.int32(), [o["stop"][i] for o in objects.values()]))
    return pa.Table.from_arrays(
        [pa.array(values, kind) for _, kind, values in fields],
        schema=pa.schema([(name, kind) for name, kind, _ in fields]),
    )


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
