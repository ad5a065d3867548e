"""What an edited table of annotations changes, object by object."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ngff_bio.editing.values import MAX_LABEL
from ngff_bio.errors import ArgumentError
from ngff_bio.ngff.tables import typed_table
from ngff_bio.reader.image import Image
from ngff_bio.reader.tables.rows import EVERY_ROW
from ngff_bio.reader.tables.tables import TablePart, damaged_table

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns that state what an object covers; boxes are outlines where there is no other.
GEOMETRY = ("z", "polygons", "rle_size", "rle_counts", "rle_runs", "shape_type", "mask",
            "offset_y", "offset_x")  # fmt: skip
BOX = ("box_x", "box_y", "box_width", "box_height")

#: Columns that are computed from the pixels.
COMPUTED = ("label_image", "pixels")

#: Frame and label value of an object; it has a row for each of its outlines.
Key = tuple[int, int]


@dataclass(frozen=True)
class LayerEdit:
    """An edited table of a label layer.

    Parameters
    ----------
    table
        As it will be stored: rows of the old table in their order, new ones after those of their frame;
        ``label_image``, ``pixels`` and what follows from them are those before.
    added, removed, redrawn, changed
        Objects that are new, gone, have other outlines, or only other values.
    boxes, areas
        Numbers of the rows whose box or area is that of their pixels.
    """

    layer: str
    table: pa.Table
    keys: Sequence[Key]
    added: frozenset[Key]
    removed: frozenset[Key]
    redrawn: frozenset[Key]
    changed: frozenset[Key]
    boxes: frozenset[int]
    areas: frozenset[int]

    @property
    def frames(self) -> set[int]:
        """Frames that are drawn again."""
        return {t for t, _ in self.added | self.removed | self.redrawn}

    @property
    def objects(self) -> frozenset[Key]:
        """All objects that are not as they were."""
        return self.added | self.removed | self.redrawn | self.changed

    @property
    def counts(self) -> dict[str, int]:
        """Number of objects that were added, removed and changed."""
        changed = len(self.redrawn | self.changed)
        return {"added": len(self.added), "removed": len(self.removed), "changed": changed}


def compared(image: Image, layer: str, given: Any, remove_missing: bool) -> LayerEdit:
    """What an edited table changes of a layer.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it is not one, see :func:`ngff_bio.update_annotations`.
    """
    import pyarrow as pa

    url = f"{image.url}/tables/{layer}"
    old = stored_table(image, layer)
    new = _typed(given, old.schema, url)
    before, after = _rows_of(old), _rows_of(new)
    frames = image.sizes.get("t", 1)
    depth = image.sizes.get("z", 1)
    for row in after:
        _check_row(row, frames, depth, url)
    old_rows, new_rows = _by_key(before), _by_key(after)
    twice = next(
        (k for k, n in new_rows.items() if len(n) > max(1, len(old_rows.get(k, ())))), None
    )
    if twice is not None:
        raise ArgumentError(
            "a label value is there twice on a frame",
            file=url,
            record=f"label {twice[1]}, t={twice[0]}",
            expected="a value of its own for each object",
        )
    gone = {k: len(n) - len(new_rows.get(k, ())) for k, n in old_rows.items()}
    gone = {k: n for k, n in gone.items() if n > 0}
    if gone and not remove_missing:
        t, label = min(gone)
        raise ArgumentError(
            "rows of the stored table are missing",
            file=url,
            record=f"label {label}, t={t}",
            expected=f"all {len(before)} rows",
            found=f"{sum(gone.values())} are missing",
            hint="edit the whole table that image.annotations(name) returns without a filter, or "
            "remove these rows with remove_missing=True",
        )
    drawn = "polygons" in old.column_names
    added = new_rows.keys() - old_rows.keys()
    removed = old_rows.keys() - new_rows.keys()
    redrawn, changed = set(), set()
    for key in new_rows.keys() & old_rows.keys():
        was, now = [before[i] for i in old_rows[key]], [after[i] for i in new_rows[key]]
        if drawn and list(map(outline, was)) != list(map(outline, now)):
            redrawn.add(key)
        elif was != now:
            _check_computed(was, now, drawn, url)
            changed.add(key)
    if added and not drawn:
        raise ArgumentError(
            "labels without outlines cannot have new rows",
            file=url,
            found=f"label {min(added)[1]}",
            hint="draw the objects into the label image, and write it: image.write_labels(name, "
            "array, overwrite=True)",
        )
    for key in added | redrawn:
        if all(outline(after[i]) is None for i in new_rows[key]):
            raise ArgumentError(
                "a row has no outline",
                file=url,
                record=f"label {key[1]}, t={key[0]}",
                expected="polygons, rle_size with rle_counts, or box_x, box_y, box_width, box_height",
            )
    place = {key: rows[0] for key, rows in reversed(old_rows.items())}
    order = sorted(
        range(len(after)),
        key=lambda i: (key := _key_of(after[i]), (key[0], place.get(key, len(before)), i))[1],
    )
    keys = [_key_of(after[i]) for i in order]
    stale = [(n, after[i]) for n, i in enumerate(order) if keys[n] in added | redrawn and drawn]

    def follow(columns: tuple[str, ...]) -> frozenset[int]:
        """Rows whose columns are missing, or are still those of another outline."""
        known = {
            (key, tuple(before[i][c] for c in columns)) for key in redrawn for i in old_rows[key]
        }
        kept = ((n, _key_of(row), tuple(row[c] for c in columns)) for n, row in stale)
        return frozenset(n for n, key, own in kept if None in own or (key, own) in known)

    boxed = frozenset(n for n, row in stale if (outline(row) or ())[len(GEOMETRY) :])
    return LayerEdit(
        layer,
        new.take(pa.array(order, pa.int64())),
        keys,
        frozenset(added),
        frozenset(removed),
        frozenset(redrawn),
        frozenset(changed),
        follow(BOX) - boxed,
        follow(("area",)),
    )


def stored_table(image: Image, layer: str) -> pa.Table:
    """The table of a layer as it is stored.

    Raises
    ------
    ngff_bio.errors.StoreError
        If it has outlines, and not all columns that go with them, or values of other types.
    """
    import pyarrow as pa

    table = TablePart(image, layer, EVERY_ROW, None, ()).read()
    if "polygons" not in table.column_names:
        return table
    try:
        needed = ("label", "t", *GEOMETRY, *BOX, "area", *COMPUTED)
        if missing := [name for name in needed if name not in table.column_names]:
            raise ValueError(f"it has outlines, and no column {', '.join(missing)}")
        return typed_table(table)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise damaged_table(f"{image.url}/tables/{layer}", error) from error


def _typed(given: Any, schema: pa.Schema, url: str) -> pa.Table:
    """Rows with the columns and types of the stored table."""
    import pandas as pd
    import pyarrow as pa

    frame = isinstance(given, pd.DataFrame)
    columns = list(map(str, given.columns if frame else given.column_names))
    missing = [c for c in schema.names if c not in columns]
    unknown = [c for c in columns if c not in schema.names]
    for column in list(unknown):  # of another layer that was read together with this one
        empty = given[column].isna().all() if frame else given[column].null_count == len(given)
        if empty:
            unknown.remove(column)
    if missing or unknown or len(set(columns)) < len(columns):
        raise ArgumentError(
            "the table has other columns than the stored one",
            file=url,
            expected=", ".join(schema.names),
            found="; ".join(
                f"{what} {', '.join(names)}"
                for what, names in (("without", missing), ("with", unknown))
                if names
            )
            or "a column twice",
            hint="edit the whole table that image.annotations(name) returns, and write further columns "
            "with image.write_table",
        )
    wanted = pa.schema([f.with_nullable(True) for f in schema])
    try:
        if frame:
            return pa.Table.from_pandas(given[schema.names], schema=wanted, preserve_index=False)
        return given.select(schema.names).cast(wanted)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ArgumentError(
            "a column of the table has values of another type", file=url, found=error
        ) from error


def _rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """The rows; NaN is missing, as it is in pandas, and equals itself."""
    return [
        {k: None if isinstance(v, float) and v != v else v for k, v in row.items()}
        for row in table.to_pylist()
    ]


def _check_row(row: Mapping[str, Any], frames: int, depth: int, url: str) -> None:
    label, t, z = row["label"], row.get("t", 0), row.get("z")
    wrong = None
    if label is None or not 0 < label <= MAX_LABEL:
        wrong = "label", f"1 to {MAX_LABEL}", label
    elif t is None or not 0 <= t < frames:
        wrong = "t", f"0 to {frames - 1}", t
    elif z is not None and not 0 <= z < depth:
        wrong = "z", f"0 to {depth - 1}, or missing", z
    if wrong is not None:
        column, expected, found = wrong
        raise ArgumentError(
            f"a value of the column {column} is out of range",
            file=url,
            record=f"label {label}",
            expected=expected,
            found=str(found),
        )


def _key_of(row: Mapping[str, Any]) -> Key:
    """Frame and label value of a row."""
    return row.get("t") or 0, row["label"]


def _by_key(rows: Iterable[Mapping[str, Any]]) -> dict[Key, list[int]]:
    found: dict[Key, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        found[_key_of(row)].append(number)
    return dict(found)


def outline(row: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What a row covers, to be compared; ``None`` if it states nothing."""
    shape = tuple(row[c] for c in GEOMETRY)
    if any(row[c] is not None for c in ("polygons", "rle_size", "shape_type")):
        return shape
    box = tuple(row[c] for c in BOX)
    return None if None in box else (*shape, *box)


def _check_computed(
    was: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]], drawn: bool, url: str
) -> None:
    """Refuse another number of pixels, or another extent of labels without outlines."""
    for before, after in zip(was, now, strict=False):
        for column, value in before.items():
            measured = column in COMPUTED or (not drawn and column.endswith(("_start", "_stop")))
            if measured and value != after[column]:
                raise ArgumentError(
                    f"the column {column} is computed from the pixels",
                    file=url,
                    record=f"label {after['label']}",
                    expected=str(value),
                    found=str(after[column]),
                )
