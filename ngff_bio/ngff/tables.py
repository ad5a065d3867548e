"""Columns of the tables of annotated objects, as ``schemas/README.md`` describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns that are never null, except for the label image of an object that is whole in none.
REQUIRED = ("label", "label_image", "t", "pixels")


def column_types() -> dict[str, pa.DataType]:
    """Arrow type of each column, in their order."""
    import pyarrow as pa

    text, integer, number = pa.string(), pa.int32(), pa.float64()
    return {
        "label": pa.uint32(),
        "label_image": text,
        **dict.fromkeys(("t", "z"), integer),
        **dict.fromkeys(("category", "category_id", "source_id", "track_id"), text),
        **dict.fromkeys(("box_x", "box_y", "box_width", "box_height", "area"), number),
        "iscrowd": pa.int8(),
        "pixels": pa.int64(),
        "shape_type": text,
        "polygons": pa.list_(pa.list_(number)),
        "rle_size": pa.list_(integer),
        "rle_counts": text,
        "rle_runs": pa.list_(pa.int64()),
        "mask": text,
        **dict.fromkeys(("offset_y", "offset_x"), integer),
        "files": pa.list_(text),
        "indices": pa.list_(pa.int64()),
        "variants": pa.list_(text),
        "record": text,
        "score": number,
    }


def typed_table(table: pa.Table) -> pa.Table:
    """A table whose known columns have their types.

    Raises
    ------
    ValueError
        If a value cannot have the type of its column, is missing, or is not a whole geometry.
        pyarrow's own errors are ValueErrors too, or TypeErrors.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    names = table.column_names
    if len(set(names)) < len(names):
        raise ValueError(f"two columns have one name: {', '.join(names)}")
    types = column_types()
    fields = [f.with_type(types.get(f.name, f.type)) for f in table.schema]
    table = table.cast(pa.schema(fields))
    for name in ("label", "t"):
        if name in names and table[name].null_count:
            raise ValueError(f"{name} is missing in {table[name].null_count} rows")
    if "polygons" in names:
        parts = pc.list_flatten(table["polygons"])
        if parts.null_count or pc.list_flatten(parts).null_count:
            raise ValueError("polygons are not lists of x, y, x, y, ...")
        if "shape_type" in names:  # a polygon that could not be drawn is kept as it was
            shapes = table.filter(table["shape_type"].is_valid())["polygons"]
            sizes = pc.list_value_length(pc.list_flatten(shapes))
            if pc.any(pc.equal(pc.bit_wise_and(sizes, 1), 1)).as_py():
                raise ValueError("points of a shape are not lists of x, y, x, y, ...")
    if "rle_size" in names:
        sizes = table["rle_size"]
        other = pc.any(pc.not_equal(pc.list_value_length(sizes), 2)).as_py()
        if other or pc.list_flatten(sizes).null_count:
            raise ValueError("rle_size is not a height and a width")
    offsets = [table[n].is_valid() for n in ("offset_y", "offset_x") if n in names]
    if len(offsets) == 1 or (offsets and not offsets[0].equals(offsets[1])):
        raise ValueError("offset_y and offset_x are not given together")
    return table
