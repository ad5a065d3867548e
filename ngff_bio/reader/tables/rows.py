"""Which rows of a table to read, as conditions that a Parquet reader can evaluate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any, TypeAlias, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ngff_bio.errors import ArgumentError, NameNotFoundError, closest_names
from ngff_bio.reader.access.image import ImageNode
from ngff_bio.reader.xarray.world import Span, Units, choose_level, index_region

Expression: TypeAlias = pc.Expression


class RowSelection(TypedDict, total=False):
    """Filters of rows, as documented for :meth:`ngff_bio.reader.Image.annotations`."""

    t: int | slice | Sequence[int] | None
    category: str | Sequence[str] | None
    label: int | Sequence[int] | None
    x: Span
    y: Span
    z: Span
    units: Units
    where: Mapping[str, object] | Expression | None


@dataclass(frozen=True)
class RowFilter:
    """Conditions on rows; ``spans`` are half-open pixels of level 0 by axis."""

    equal: Mapping[str, tuple[Any, ...]]
    frames: tuple[int, ...] | None
    spans: Mapping[str, tuple[int, int]]
    where: Expression | None

    def expression(self, present: set[str], table: str) -> Expression | None:
        """The conditions for a table with these columns; ``None`` for all rows.

        Raises
        ------
        ngff_bio.errors.NameNotFoundError
            If the table does not have a column.
        """
        parts: list[Expression] = []
        for column, values in self.equal.items():
            if column not in present:
                raise NameNotFoundError(
                    f"the table {table!r} has no column {column!r}",
                    expected=closest_names(column, sorted(present)),
                )
            parts.append(pc.field(column).isin(list(values)))
        if self.frames is not None and "t" in present:
            parts.append(pc.field("t").isin(list(self.frames)))
        elif self.frames is not None and "t_start" in present:
            low, high = min(self.frames, default=0), max(self.frames, default=-1)
            parts.append((pc.field("t_start") <= high) & (pc.field("t_stop") > low))
        parts += [
            part
            for axis, (start, stop) in self.spans.items()
            if (part := _touches(axis, start, stop, present)) is not None
        ]
        if self.where is not None:
            parts.append(self.where)
        return reduce(and_, parts) if parts else None

    def needed(self, present: set[str]) -> list[str]:
        """Columns that :meth:`refine` needs."""
        both = ["box_x", "polygons"]
        return both if {"x", "y"} & set(self.spans) and present.issuperset(both) else []

    def refine(self, table: pa.Table) -> pa.Table:
        """Without rows that have polygons and no box, and whose polygons are outside."""
        if not self.needed(set(table.schema.names)):
            return table
        boxless = pc.is_null(table["box_x"]).to_numpy(zero_copy_only=False)
        keep = np.ones(table.num_rows, bool)
        for row in np.flatnonzero(boxless):
            parts = table["polygons"][int(row)].as_py()
            if not parts:
                continue
            flat = np.concatenate([np.asarray(p, float) for p in parts])
            for axis, values in (("x", flat[::2]), ("y", flat[1::2])):
                if axis in self.spans and values.size:
                    start, stop = self.spans[axis]
                    keep[row] &= values.min() < stop and values.max() >= start
        return table if keep.all() else table.filter(pa.array(keep))


EVERY_ROW = RowFilter({}, None, {}, None)


def _touches(axis: str, start: int, stop: int, present: set[str]) -> Expression | None:
    if {f"{axis}_start", f"{axis}_stop"} <= present:
        return (pc.field(f"{axis}_start") < stop) & (pc.field(f"{axis}_stop") > start)
    size = {"x": "box_width", "y": "box_height"}.get(axis, "")
    if {f"box_{axis}", size} <= present:
        low = pc.field(f"box_{axis}")
        return low.is_null() | ((low < stop) & (low + pc.field(size) > start))
    if axis in present:
        place = pc.field(axis)
        return place.is_null() | ((place >= start) & (place < stop))
    return None


def row_filter(image: ImageNode, rows: RowSelection) -> RowFilter:
    """The filter for one image.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there is no such filter, or a region is outside the image.
    """
    known = list(RowSelection.__annotations__)
    for name in rows:
        if name not in known:
            raise ArgumentError(
                f"annotations have no filter {name!r}",
                expected=closest_names(name, known),
                hint=f"to filter by a column of the table: where={{{name!r}: ...}}",
            )
    equal = {
        column: values_of(value)
        for column, value in (("category", rows.get("category")), ("label", rows.get("label")))
        if value is not None
    }
    where = rows.get("where")
    if isinstance(where, Mapping):
        equal |= {column: values_of(value) for column, value in where.items()}
        where = None
    elif where is not None and not isinstance(where, pc.Expression):
        raise ArgumentError(
            "where= is not a condition on rows",
            expected="values by column, or a pyarrow expression",
            found=type(where).__name__,
        )
    t = rows.get("t")
    count = image.sizes.get("t", 1)
    frames = tuple(range(count)[t]) if isinstance(t, slice) else values_of(t)
    units = rows.get("units", "world")
    wanted: dict[str, Span] = {"x": rows.get("x"), "y": rows.get("y"), "z": rows.get("z")}
    present = {axis: span for axis, span in wanted.items() if axis in image.axes}
    level = choose_level(image.pixels, 0, None, units)
    region = index_region(image.pixels, level, present, units)
    spans = {
        axis: (span.start, span.stop) if isinstance(span, slice) else (span, span + 1)
        for axis, span in region.items()
    }
    return RowFilter(equal, None if t is None else frames, spans, where)


def values_of(value: object) -> tuple[Any, ...]:
    """One value or several, as several."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        return (value,)
    return tuple(value)
