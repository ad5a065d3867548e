"""Values of edited rows that follow from others: boxes and areas of outlines, classes and their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ngff_bio.editing.table_edits import BOX, LayerEdit
from ngff_bio.errors import ArgumentError, SourceError
from ngff_bio.export.annotations import instance_of_row
from ngff_bio.formats.coco.records import polygon_fault
from ngff_bio.model import Instance, Polygons
from ngff_bio.ngff.attributes import CategoryEntry
from ngff_bio.raster.geometries import rasterize_geometries
from ngff_bio.reader.image import Image


def edited_instances(edit: LayerEdit, rule: object) -> dict[int, Instance]:
    """Objects with other outlines, by number of the row.

    Parameters
    ----------
    rule
        Of the layer, how outlines are drawn; see `ngff_bio.model.Polygons`.
    """
    wanted = edit.added | edit.redrawn
    columns = {name: edit.table[name].to_pylist() for name in edit.table.column_names}
    return {
        row: instance_of_row(columns, row, rule)
        for row, key in enumerate(edit.keys)
        if key in wanted
    }


def with_extents(image: Image, edit: LayerEdit, instances: Mapping[int, Instance]) -> pa.Table:
    """The table with number of pixels, box and area of those objects.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If an outline cannot be drawn, or covers no pixel of the image.
    """
    table = edit.table
    size = image.sizes["y"], image.sizes["x"]
    columns = {name: table[name].to_pylist() for name in (*BOX, "area", "pixels")}
    for row, instance in instances.items():
        place = {"file": f"{image.url}/tables/{edit.layer}", "record": instance.place[1]}
        geometry = instance.geometry
        if isinstance(geometry, Polygons) and (fault := polygon_fault(geometry.parts)):
            raise ArgumentError(
                "a polygon cannot be drawn",
                **place,
                expected="x0, y0, x1, y1, ...: finite numbers, three points or more",
                found=fault,
            )
        try:
            runs = rasterize_geometries([instance], size)
        except SourceError as error:
            raise ArgumentError(
                error.what, **place, expected=error.expected, found=error.found
            ) from error
        area = int(runs.areas()[0])
        if not area:
            raise ArgumentError(
                "an outline covers no pixel of the image",
                **place,
                expected=f"coordinates from 0 to x={size[1]}, y={size[0]}",
            )
        planes = image.sizes.get("z", 1) if instance.z is None else 1
        columns["pixels"][row] = area * planes
        if row in edit.areas:
            columns["area"][row] = float(area)
        if row in edit.boxes:
            (y0, x0), (y1, x1) = runs.bboxes()[0].tolist()
            for name, value in zip(BOX, (x0, y0, x1 - x0, y1 - y0), strict=True):
                columns[name][row] = float(value)
    return with_columns(table, columns)


def with_columns(table: pa.Table, columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """A table with other values in some columns."""
    for name, values in columns.items():
        at = table.column_names.index(name)
        table = table.set_column(at, name, pa.array(values, table.schema.field(name).type))
    return table


def with_classes(
    edit: LayerEdit, old: pa.Table, own: Mapping[str, Any]
) -> tuple[pa.Table, list[dict[str, Any]]]:
    """The table with classes and ids that agree, and the categories of the layer.

    A class that the layer does not have is added, with the id that its row states, or else the next
    integer.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If a row states an id without a name, or that of another class.
    """
    categories = [dict(c) for c in own.get("categories") or ()]
    names = {"category", "category_id"}
    if not names <= set(edit.table.column_names):
        return edit.table, categories
    columns = {name: edit.table[name].to_pylist() for name in sorted(names)}
    frames = old["t"].to_pylist() if "t" in old.column_names else [0] * len(old)
    stated = (old[name].to_pylist() for name in ("label", "category", "category_id"))
    before = {(t, v): (name, number) for t, v, name, number in zip(frames, *stated, strict=True)}
    ids: dict[str, str | None] = {name: number for name, number in before.values() if name}
    ids |= {str(c["name"]): str(c["id"]) for c in categories}
    for row, key in enumerate(edit.keys):
        name, number = columns["category"][row], columns["category_id"][row]
        was, had = before.get(key, (None, None))
        if (name, number) == (was, had):
            continue
        given = None if number == had else number
        if name == was and given is not None:
            name = next((n for n, i in ids.items() if i == given), None)
        elif name is not None and name not in ids:
            known = [int(i) for i in ids.values() if i is not None and i.isdecimal()]
            fresh = given or str(max(known, default=0) + 1)
            ids[name] = fresh
            entry = CategoryEntry(id=int(fresh) if fresh.isdecimal() else fresh, name=name)
            categories.append(entry.to_json())
        number = None if name is None else ids[name]
        if given not in (None, number):
            raise ArgumentError(
                "class and id of a row do not belong together",
                record=f"label {key[1]}, t={key[0]}",
                expected=", ".join(f"{i} {n}" for n, i in ids.items()) or "no classes",
                found=f"{given} {columns['category'][row]}",
                hint="set the column category alone: the id follows",
            )
        columns["category"][row], columns["category_id"][row] = name, number
    if len({str(c["id"]) for c in categories}) < len(categories):
        raise ArgumentError("two classes have one id", found=categories[-1])
    return with_columns(edit.table, columns), categories
