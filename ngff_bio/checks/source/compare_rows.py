"""Rows of tables against the instances of the source, value for value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.checks.differences import Difference, shorten
from ngff_bio.errors import NgffBioError, plain_reason
from ngff_bio.model import SourcePlate
from ngff_bio.ngff.edited_objects import EditedObjects
from ngff_bio.ngff.tables import typed_table
from ngff_bio.storage import Storage
from ngff_bio.zarrio.tables import read_parquet

if TYPE_CHECKING:
    import pyarrow as pa

#: Tables that are kept: the tasks on the frames of one image come one after another.
_KEPT = 4


class StoredTables:
    """Reads the tables of a store when they are needed, and keeps the last few.

    ``read`` returns the Arrow table of a label layer, ``None`` if it is missing or cannot be read.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._wrong: dict[str, Difference] = {}
        self.read = lru_cache(_KEPT)(partial(self._read, typed=True))

    @property
    def differences(self) -> list[Difference]:
        """Tables that could not be read."""
        return list(self._wrong.values())

    def of_plates(self, plates: Iterable[SourcePlate]) -> Iterator[Difference]:
        """Tables of plates against the source, column by column."""
        for plate in plates:
            for table in plate.tables:
                path = f"{plate.path}/tables/{table.name}/table.parquet".lstrip("/")
                found = self._read(path)
                if found is None:
                    yield Difference("row", path, "the table is missing or cannot be read")
                    continue
                expected = {name: list(values) for name, values in table.columns.items()}
                for name in expected.keys() | {*found.column_names}:
                    stored = found[name].to_pylist() if name in found.column_names else None
                    if stored != expected.get(name):
                        what = f"column {name} of a table of the plate is not the source's"
                        yield Difference("row", path, what)

    def _read(self, path: str, *, typed: bool = False) -> pa.Table | None:
        import pyarrow as pa

        data = self._storage.get(path)
        if data is None:
            return None
        try:
            found = read_parquet(pa.BufferReader(data), f"{self._storage.url}/{path}")
            return typed_table(found) if typed else found
        except (pa.ArrowException, OSError, ValueError, TypeError) as error:
            if isinstance(error, NgffBioError):
                raise
            what = f"the table cannot be read: {plain_reason(error)}"[:200]
            self._wrong[path] = Difference("row", path, what)
            return None


def object_keys(table: pa.Table) -> dict[int, NDArray[np.int64]]:
    """Label values of the objects of a table, by frame."""
    frames, labels = _frames_and_labels(table)
    return {int(t): np.unique(labels[frames == t]) for t in np.unique(frames)}


def without_edited(table: pa.Table, edited: EditedObjects) -> pa.Table:
    """The rows of objects that were not edited."""
    if not edited.ranges:
        return table
    frames, labels = _frames_and_labels(table)
    kept = np.ones(len(labels), bool)
    for t in edited.ranges:
        kept[frames == t] = ~edited.has(t, labels[frames == t])
    return table.filter(kept)


def _frames_and_labels(table: pa.Table) -> list[NDArray[np.int64]]:
    """Frame and label value of each row; 0 for what is none."""
    import pyarrow as pa

    found = []
    for name in ("t", "label"):
        there = name in table.column_names and pa.types.is_integer(table.schema.field(name).type)
        column = table[name].fill_null(0).to_numpy() if there else np.zeros(len(table))
        found.append(column.astype(np.int64))
    return found


@dataclass(frozen=True, slots=True)
class RowComparison:
    """Compares rows of one table, in order.

    Parameters
    ----------
    path
        The table's object in the store.
    names
        Name of each row for differences.
    where
        The frame of the rows.
    """

    path: str
    names: Sequence[str]
    where: str | None = None

    def differences(
        self, table: pa.Table, columns: Mapping[str, list[object]]
    ) -> Iterator[Difference]:
        """Every value that differs.

        ``columns`` are the values that should be in ``table``. A column that is missing stands for
        nulls, and a column that the source does not have is a difference too.
        """
        count = len(self.names)
        if table.num_rows != count:
            yield self._difference(
                "the number of rows is not that of the source's instances",
                expected=str(count),
                found=str(table.num_rows),
            )
            yield from self._by_label(table, columns)
            return
        for name in (n for n in table.column_names if n not in columns):
            if table[name].null_count < table.num_rows:
                yield self._difference(f"column {name!r}: the source has no such column")
        for name, values in columns.items():
            if name in table.column_names:
                yield from self._compare(name, table[name], values)
            elif any(v is not None for v in values):
                yield self._difference(f"column {name!r}: this column is missing")

    def _difference(self, what: str, **parts: str | None) -> Difference:
        return Difference("row", self.path, what, where=self.where, **parts)

    def _compare(
        self, name: str, there: pa.ChunkedArray, values: list[object]
    ) -> Iterator[Difference]:
        import pyarrow as pa

        try:
            # A narrow float would round both sides to the same value.
            exact = "float" not in str(there.type)
            if exact and pa.chunked_array([pa.array(values, there.type)]).equals(there):
                return
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            pass  # a value that the column cannot hold: compared value by value
        for row, expected, found in zip(self.names, values, there.to_pylist(), strict=True):
            if not same(expected, found):
                yield self._difference(
                    f"column {name!r} differs",
                    instance=row,
                    expected=shorten(expected),
                    found=shorten(found),
                )

    def _by_label(
        self, table: pa.Table, columns: Mapping[str, list[object]]
    ) -> Iterator[Difference]:
        """Instances without a row, and rows without an instance."""
        if "label" not in table.column_names or "label" not in columns:
            return
        rest = table["label"].to_pylist()
        for name, label in zip(self.names, columns["label"], strict=True):
            if label in rest:
                rest.remove(label)
            else:
                yield self._difference("the row is missing", instance=name)
        for label in rest:
            yield self._difference("the source has no such instance", instance=f"label {label}")


def same(expected: Any, found: Any) -> bool:
    """Whether two values of a table are equal, sequences of any kind and NaN included."""
    if expected is None or found is None:
        return expected is None and found is None
    if _is_sequence(expected) and _is_sequence(found):
        return len(expected) == len(found) and all(map(same, expected, found))
    if isinstance(expected, float) and isinstance(found, float) and math.isnan(expected):
        return math.isnan(found)
    return bool(expected == found)


def _is_sequence(value: object) -> bool:
    return (
        hasattr(value, "__len__")
        and hasattr(value, "__getitem__")
        and not isinstance(value, str | bytes)
    )
