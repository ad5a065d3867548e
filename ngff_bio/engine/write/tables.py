"""Tables: one row per instance, as Parquet inside the store.

The layout is that of ngio's table specification (group ``tables`` with an attribute ``tables``, a group
per table with its backend, a ``table.parquet`` in it), so that ngio, pandas, polars, dask and DuckDB
read it. A row has what the source states about the instance, value for value.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.engine.write.records import MeasuredObject
from ngff_bio.model import Box, Instance, Polygons, Rle, Shape, VolumeLayer
from ngff_bio.ngff.tables import REQUIRED, column_types
from ngff_bio.zarrio.tables import read_parquet

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "table.parquet"


def group_attributes(label: str | None = None) -> dict[str, Any]:
    """Attributes of the group of a table (ngio table specification, version 1).

    ``label`` is the label image whose values its rows describe, one row each: a feature table. A table
    with several rows for a value, as of an object on several frames, is a generic one.
    """
    common = {"table_version": "1", "backend": "parquet"}
    if label is None:
        return {"type": "generic_table", **common, "index_key": None, "index_type": None}
    return {
        "type": "feature_table",
        **common,
        "region": {"path": f"../labels/{label}"},
        "instance_key": "label",
        "index_key": "label",
        "index_type": "int",
    }


def instance_table(
    instances: Sequence[Instance], label_images: Sequence[str | None], pixels: Sequence[int]
) -> pa.Table:
    """Arrow table of instances.

    ``offset_y`` and ``offset_x`` are to be added to coordinates of a part of the frame, else null.
    ``files`` and ``indices`` name the annotation files that contain the record, and its position in
    each; ``variants`` what differs there (see `Instance`).

    Parameters
    ----------
    instances
        In source order.
    label_images
        Name of the label image in which each is whole, ``None`` if it is in none.
    pixels
        Number of pixels that each covers.
    """
    import pyarrow as pa

    rows = list(instances)
    boxes = [i.box or _box_of(i) for i in rows]
    geometry = _geometries(rows)
    required = {*REQUIRED} - ({"label_image"} if None in label_images else set())
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
        "shape_type": geometry["shape_type"],
        "polygons": geometry["polygons"],
        "rle_size": geometry["rle_size"],
        "rle_counts": geometry["rle_counts"],
        "rle_runs": geometry["rle_runs"],
        "mask": geometry["mask"],
        "offset_y": [None if i.window is None else i.window[0] for i in rows],
        "offset_x": [None if i.window is None else i.window[1] for i in rows],
        "files": _file_lists(rows),
        "indices": [i.indices or None for i in rows],
        "variants": [i.variants for i in rows],
        "record": [i.record for i in rows],
    }
    if any(i.score is not None for i in rows):
        columns["score"] = [i.score for i in rows]
    types = column_types()
    return pa.Table.from_arrays(
        [c if isinstance(c, pa.Array) else pa.array(c, types[n]) for n, c in columns.items()],
        schema=pa.schema([pa.field(n, types[n], nullable=n not in required) for n in columns]),
    )


def _box_of(instance: Instance) -> tuple[float | None, float | None, float | None, float | None]:
    """The box that an instance has as its geometry."""
    shape = instance.geometry
    return shape.xywh if isinstance(shape, Box) else (None, None, None, None)


def _texts(values: list[int | str | None]) -> list[str | None]:
    return [None if v is None else str(v) for v in values]


def _file_lists(instances: list[Instance]) -> pa.ListArray:
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
) -> pa.ListArray:
    """Nested lists of numbers: instances of parts of coordinates."""
    import pyarrow as pa

    sizes = np.fromiter(map(len, parts), np.int32, len(parts))
    flat = np.concatenate([np.asarray(p, np.float64) for p in parts]) if parts else np.empty(0)
    inner = pa.ListArray.from_arrays(pa.array(_offsets(sizes)), pa.array(flat, pa.float64()))
    return pa.ListArray.from_arrays(pa.array(_offsets(held)), inner, mask=pa.array(missing))


def _offsets(sizes: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.concatenate((np.zeros(1, np.int32), np.cumsum(sizes, dtype=np.int32)))


def volume_table(
    layer: VolumeLayer, axes: str, objects: dict[tuple[int, int], MeasuredObject]
) -> pa.Table:
    """Arrow table of the objects of a label image whose source has pixels.

    A row: label value, label image, frame, source id, track id of a tracked layer and that of its
    parent, class by majority of the semantic layer's pixels and the fraction that agrees, pixel count,
    half-open bounding box along each axis but t.
    """
    import pyarrow as pa

    def texts(values: Sequence[str | None]) -> pa.Array:
        return pa.array(values, pa.string())

    def numbers(values: Sequence[float | None], dtype: str) -> pa.Array:
        return pa.array(values, pa.from_numpy_dtype(dtype))

    names = {c.id: c.name for c in layer.categories}
    classes = [_majority(seen.get("classes") or {}) for seen in objects.values()]
    columns = {
        "label": numbers([value for _, value in objects], "u4"),
        "label_image": texts([layer.name] * len(objects)),
    }
    if "t" in axes:
        columns["t"] = numbers([frame for frame, _ in objects], "i4")
    columns["source_id"] = texts([str(layer.source_ids.get(v, v)) for _, v in objects])
    if layer.tracked:
        columns["track_id"] = columns["source_id"]
    if layer.parents:
        above = [layer.parents.get(value) for _, value in objects]
        columns["parent_id"] = texts(
            [None if p is None else str(layer.source_ids.get(p, p)) for p in above]
        )
    if layer.classes is not None:
        named = [None if c[0] is None else names.get(c[0]) for c in classes]
        columns["category"] = texts(named)
        columns["category_id"] = texts([None if c[0] is None else str(c[0]) for c in classes])
        columns["category_fraction"] = numbers([c[1] for c in classes], "f8")
    columns["pixels"] = numbers([o["count"] for o in objects.values()], "i8")
    for i, axis in enumerate(axes.replace("t", "")):
        columns[f"{axis}_start"] = numbers([o["start"][i] for o in objects.values()], "i4")
        columns[f"{axis}_stop"] = numbers([o["stop"][i] for o in objects.values()], "i4")
    return pa.Table.from_arrays(list(columns.values()), names=list(columns))


def _majority(classes: dict[str, int]) -> tuple[int | None, float | None]:
    """Most frequent class and its fraction; of equals the smaller id, and no class if 0 wins."""
    if not classes:
        return None, None
    name, count = max(classes.items(), key=lambda item: (item[1], -int(item[0])))
    return (int(name) or None), count / sum(classes.values())


def without_pandas() -> None:
    """Make pyarrow regard pandas as not installed, in a process that is ours alone.

    At its first array, pyarrow imports pandas to recognise objects of it, which takes longer than a
    small conversion. What is converted has none.
    """
    import pyarrow as pa

    sys.meta_path.insert(0, hidden := _Hidden())
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(hidden)


class _Hidden(MetaPathFinder):
    """Finds no pandas."""

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def to_parquet(table: pa.Table) -> bytes:
    """Bytes of a table; the same table gives the same bytes."""
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", row_group_size=1 << 16)
    return out.getvalue()


def from_parquet(data: bytes) -> pa.Table:
    """Table of bytes; raises as `read_parquet`."""
    import pyarrow as pa

    return read_parquet(pa.BufferReader(data), "table.parquet")
