"""Tables of an image: listed, readable, with label images and label values that exist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ngff_bio.checks.spec.findings import Findings
from ngff_bio.checks.store.decoding import LabelValues
from ngff_bio.checks.store.documents import Documents, join
from ngff_bio.model import MAX_HIDDEN
from ngff_bio.storage import Storage
from ngff_bio.zarrio.tables import read_csv, read_parquet

#: File of a table by its backend. Other backends keep arrays below the group.
_FILES = {"parquet": "table.parquet", "csv": "table.csv", "json": None, "anndata": None}

#: Types of tables whose rows describe label values.
_OF_LABELS = ("feature_table", "masking_roi_table", "generic_table", "condition_table")

#: Columns that are checked against pixels; the others are not kept.
_COLUMNS = ("label", "label_image", "t", "z", "pixels")

#: Examples that a finding names.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Table:
    """A table of an image: its group, and its rows as columns."""

    path: str
    image: str
    name: str
    columns: dict[str, Any]


def check_tables(
    documents: Documents, storage: Storage, path: str, findings: Findings
) -> Iterator[Table]:
    """Check the group of an image's tables; yields the tables that can be read."""
    here = findings.of(path)
    listed = documents.attributes(path).get("tables")
    if not isinstance(listed, list):
        here.add("tables-list", "/tables", "not a list")
        listed = []
    names = [n for n in listed if isinstance(n, str)]
    for name in names:
        if join(path, name) not in documents.groups:
            here.add("tables-list", "/tables", f"no table {name!r}")
    for other in documents.children(path):
        if other.rpartition("/")[2] not in names:
            here.add("tables-list", "/tables", f"{other!r} is not listed")
    image = path.rpartition("/")[0]
    for name in names:
        at = join(path, name)
        if at in documents.groups:
            columns = _check_table(documents, storage, at, findings.of(at))
            if columns is not None:
                table = Table(at, image, name, columns)
                _check_names(documents, table, findings.of(at))
                yield table


def _check_table(
    documents: Documents, storage: Storage, path: str, findings: Findings
) -> dict[str, object] | None:
    """Check attributes and file of a table; returns its columns, ``None`` if they cannot be read."""
    attributes = documents.attributes(path)
    for key in ("type", "table_version", "backend"):
        if not isinstance(attributes.get(key), str):
            findings.add("table-attributes", f"/{key}", repr(attributes.get(key)))
    backend = str(attributes.get("backend")).removeprefix("experimental_").partition("_v")[0]
    file = _FILES.get(backend)
    if file is None:
        return None
    data = storage.get(join(path, file))
    if data is None:
        findings.add("table-file", "", f"no {file}")
        return None
    try:
        return _read(data, backend, file)
    except Exception as error:  # any error that a parser raises for damaged bytes
        findings.add("table-file", "", f"{file}: {type(error).__name__}: {error}"[:200])
        return None


def _read(data: bytes, backend: str, file: str) -> dict[str, object]:
    import pyarrow as pa

    read = read_parquet if backend == "parquet" else read_csv
    table = read(pa.BufferReader(data), file)
    table.validate(full=True)
    return {name: table[name] for name in table.column_names if name in _COLUMNS}


def _check_names(documents: Documents, table: Table, findings: Findings) -> None:
    column = table.columns.get("label_image")
    if column is not None:
        hidden = documents.own(join(table.image, "labels", table.name)).get("hidden")
        crowded = isinstance(hidden, list) and len(hidden) >= MAX_HIDDEN
        for name in column.unique().to_pylist():
            if name is None and crowded:
                continue  # whole in the row only
            if name is None or join(table.image, "labels", str(name)) not in documents.groups:
                findings.add("table-label-image", "", f"label image {name!r}")
    region = documents.attributes(table.path).get("region")
    target = region.get("path") if isinstance(region, dict) else None
    if isinstance(target, str):
        name = target.rpartition("labels/")[2]
        if join(table.image, "labels", name) not in documents.groups:
            findings.add("table-label-image", "/region/path", f"label image {target!r}")


def check_rows(
    documents: Documents, table: Table, values: dict[str, LabelValues], findings: Findings
) -> None:
    """Check the rows of a table against the pixels of the label images.

    ``values`` are the label values of level 0 by path of the label image.
    """
    rows = list(_rows(documents, table))
    for name in sorted({r.image for r in rows if r.image is not None}):
        known = values.get(join(table.image, "labels", name))
        if known is None:
            continue
        own = [r for r in rows if r.image == name]
        inside = [r for r in own if known.has(r.t, r.z)]
        if len(inside) < len(own):
            first = next(r for r in own if not known.has(r.t, r.z))
            found = f"{len(own) - len(inside)} rows, the first: {first}"
            findings.add("table-frame", "", found)
        seen = {t: known.at(t) for t in {r.t for r in inside}}
        lost = [r for r in inside if r.shown and r.label not in seen[r.t]]
        if lost:
            some = ", ".join(map(str, lost[:_SHOWN]))
            found = f"{len(lost)} rows without pixels in {name!r}: {some}"
            findings.add("table-labels", "", found)
    _check_pixels(documents, table, rows, values, findings)


@dataclass(frozen=True, slots=True)
class _Row:
    label: int
    image: str | None
    t: int | None
    z: int | None
    shown: bool

    def __str__(self) -> str:
        return f"label {self.label}" + (f" at t={self.t}" if self.t is not None else "")


def _rows(documents: Documents, table: Table) -> Iterator[_Row]:
    attributes = documents.attributes(table.path)
    region = attributes.get("region")
    target = region.get("path") if isinstance(region, dict) else None
    default = target.rpartition("labels/")[2] if isinstance(target, str) else None
    labels = table.columns.get("label")
    if labels is None or attributes.get("type") not in _OF_LABELS:
        return
    count = len(labels)

    def column(name: str, otherwise: object) -> list[object]:
        found = table.columns.get(name)
        return [otherwise] * count if found is None else found.to_pylist()

    rows = zip(
        labels.to_pylist(),
        column("label_image", default),
        column("t", None),
        column("z", None),
        column("pixels", 1),
        strict=True,
    )
    for label, image, t, z, pixels in rows:
        # Tables of other programs may have columns of these names with other meanings.
        if isinstance(label, int) and isinstance(image, str | None):
            at = [i if isinstance(i, int) else None for i in (t, z)]
            yield _Row(label, image, at[0], at[1], pixels != 0)


def _check_pixels(
    documents: Documents,
    table: Table,
    rows: list[_Row],
    values: dict[str, LabelValues],
    findings: Findings,
) -> None:
    """The reverse: label values without a row."""
    path = join(table.image, "labels", table.name)
    known = values.get(path)
    if known is None or documents.own(path).get("values") != "instance":
        return
    listed = np.unique(np.array([r.label for r in rows], np.int64))
    extra = np.setdiff1d(known.everywhere(), listed)
    if extra.size:
        some = ", ".join(map(str, extra[:_SHOWN].tolist()))
        findings.add(
            "labels-without-row", "", f"{extra.size} label values in {table.name!r}: {some}"
        )
