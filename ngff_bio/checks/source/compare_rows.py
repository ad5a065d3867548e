"""The rows of a table against what the source says, value for value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ngff_bio.checks.source.differences import Difference, shorten


@dataclass(frozen=True, slots=True)
class RowComparison:
    """Compares rows of one table, in order.

    Parameters
    ----------
    path
        The table's object in the store.
    names
        What to call each row.
    where
        The frame that the rows are of.
    """

    path: str
    names: Sequence[str]
    where: str | None = None

    def differences(self, table: Any, columns: Mapping[str, list[Any]]) -> Iterator[Difference]:
        """Every value that differs.

        Parameters
        ----------
        table
            Arrow table of the rows that are there.
        columns
            Values that should be there. A column that is not there at all stands for nulls, and a
            column that the source knows nothing of is a difference too.
        """
        count = len(self.names)
        if table.num_rows != count:
            yield Difference(
                "row",
                self.path,
                "the number of rows is not that of the source's instances",
                where=self.where,
                expected=str(count),
                found=str(table.num_rows),
            )
            yield from self._by_label(table, columns)
            return
        for name in (n for n in table.column_names if n not in columns):
            if table[name].null_count < table.num_rows:
                yield self._column(name, "the source knows nothing of this column")
        for name, values in columns.items():
            if name not in table.column_names:
                if any(v is not None for v in values):
                    yield self._column(name, "this column is missing")
                continue
            yield from self._compare(name, table[name], values)

    def _column(self, name: str, what: str) -> Difference:
        return Difference("row", self.path, f"column {name!r}: {what}", where=self.where)

    def _compare(self, name: str, there: Any, values: list[Any]) -> Iterator[Difference]:
        import pyarrow as pa

        try:
            # A narrow float would round both sides alike.
            exact = "float" not in str(there.type)
            if exact and pa.chunked_array([pa.array(values, there.type)]).equals(there):
                return
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            pass  # a value that the column cannot hold: told value by value
        for row, expected, found in zip(self.names, values, there.to_pylist(), strict=True):
            if not same(expected, found):
                yield Difference(
                    "row",
                    self.path,
                    f"column {name!r} differs",
                    where=self.where,
                    instance=row,
                    expected=shorten(expected),
                    found=shorten(found),
                )

    def _by_label(self, table: Any, columns: Mapping[str, list[Any]]) -> Iterator[Difference]:
        """Which instances lack a row, and which rows are of none."""
        if "label" not in table.column_names or "label" not in columns:
            return
        there = table["label"].to_pylist()
        rest = list(there)
        for name, label in zip(self.names, columns["label"], strict=True):
            if label in rest:
                rest.remove(label)
            else:
                yield Difference(
                    "row", self.path, "the row is missing", where=self.where, instance=name
                )
        for label in rest:
            yield Difference(
                "row",
                self.path,
                "the source has no such instance",
                where=self.where,
                instance=f"label {label}",
            )


def same(expected: Any, found: Any) -> bool:
    """Whether two values of a table are equal, sequences of any kind and NaN included."""
    if expected is None or found is None:
        return expected is None and found is None
    if _is_sequence(expected) and _is_sequence(found):
        return len(expected) == len(found) and all(map(same, expected, found))
    if isinstance(expected, float) and isinstance(found, float) and math.isnan(expected):
        return math.isnan(found)
    return bool(expected == found)


def _is_sequence(value: Any) -> bool:
    return (
        hasattr(value, "__len__")
        and hasattr(value, "__getitem__")
        and not isinstance(value, str | bytes)
    )
