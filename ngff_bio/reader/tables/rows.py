"""Which rows of a table are wanted, in words that a Parquet reader can act on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ngff_bio.errors import ArgumentError, NameNotFoundError
from ngff_bio.reader.xarray.world import pixel_span

if TYPE_CHECKING:
    from ngff_bio.reader.access.image import Image

Expression = Any


@dataclass(frozen=True)
class RowFilter:
    """Rows that are wanted. ``spans`` are half-open pixels of level 0 by axis."""

    equal: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    frames: tuple[int, ...] | None = None
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    where: Expression | None = None

    def expression(self, present: set[str], table: str) -> Expression | None:
        """The filter for a table with these columns; ``None`` for all rows.

        Raises
        ------
        ngff_bio.errors.NameNotFoundError
            If the table does not have a column that is asked for.
        """
        parts: list[Expression] = []
        for column, values in self.equal.items():
            if column not in present:
                raise NameNotFoundError(
                    f"the table {table!r} has no column {column!r}",
                    expected=", ".join(sorted(present)),
                )
            parts.append(pc.field(column).isin(list(values)))
        if self.frames is not None and "t" in present:
            parts.append(pc.field("t").isin(list(self.frames)))
        elif self.frames is not None and "t_start" in present:
            low, high = min(self.frames, default=0), max(self.frames, default=-1)
            parts.append((pc.field("t_start") <= high) & (pc.field("t_stop") > low))
        for axis, (start, stop) in self.spans.items():
            part = _touches(axis, start, stop, present)
            if part is not None:
                parts.append(part)
        if self.where is not None:
            parts.append(self.where)
        if not parts:
            return None
        whole = parts[0]
        for part in parts[1:]:
            whole = whole & part
        return whole

    def needed(self, present: set[str]) -> list[str]:
        """Columns that :meth:`refine` looks at."""
        if not {"x", "y"} & set(self.spans):
            return []
        return [c for c in ("box_x", "polygons") if {"box_x", "polygons"} <= present]

    def refine(self, table: pa.Table) -> pa.Table:
        """Without rows that have polygons and no box, and whose polygons lie outside."""
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


def row_filter(
    image: Image,
    *,
    t: Any = None,
    category: str | Sequence[str] | None = None,
    label: int | Sequence[int] | None = None,
    x: Any = None,
    y: Any = None,
    z: Any = None,
    units: str = "world",
    where: Any = None,
) -> RowFilter:
    """The filter of what a user asks for; see :func:`.tables.read_tables`."""
    equal: dict[str, tuple[Any, ...]] = {}
    if category is not None:
        equal["category"] = _several(category)
    if label is not None:
        equal["label"] = _several(label)
    expression = None
    if isinstance(where, Mapping):
        equal |= {column: _several(values) for column, values in where.items()}
    elif where is not None:
        expression = where
    if expression is not None and not isinstance(expression, pc.Expression):
        raise ArgumentError(
            "this is no condition on rows",
            expected="values by column, or a pyarrow expression",
            found=type(where).__name__,
        )
    frames = None
    if t is not None:
        count = image.sizes.get("t", 1)
        frames = tuple(range(count)[t]) if isinstance(t, slice) else _several(t)
    spans: dict[str, tuple[int, int]] = {}
    for axis in image.multiscale.axes:
        span = {"x": x, "y": y, "z": z}.get(axis.name)
        if span is None:
            continue
        found = pixel_span(image.pixels, 0, axis, span, world=units == "world")
        spans[axis.name] = (
            (found.start, found.stop) if isinstance(found, slice) else (found, found + 1)
        )
    return RowFilter(equal, frames, spans, expression)


def _several(values: Any) -> tuple[Any, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        return (values,)
    return tuple(values)
