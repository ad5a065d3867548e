"""Tables of an image: listed, readable, and about label images and label values that are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ngff_bio.checks.spec.findings import Finding, Report, Rule
from ngff_bio.checks.store.decoding import LabelValues
from ngff_bio.checks.store.documents import Documents, join
from ngff_bio.storage import Storage

_NGIO = "ngio table specification"

#: File of a table by its backend. Other backends keep arrays below the group.
_FILES = {"parquet": "table.parquet", "csv": "table.csv", "json": None, "anndata": None}

#: Types of tables that say something of label values.
_OF_LABELS = ("feature_table", "masking_roi_table", "generic_table", "condition_table")

#: Columns that are held against pixels; outlines are read, and forgotten.
_COLUMNS = ("label", "label_image", "t", "z", "pixels")

#: Examples that a finding names.
_SHOWN = 5

TABLES_LIST = Rule(
    "tables-list",
    "MUST",
    "table groups",
    'the attribute "tables" of the group "tables" lists the names of all tables',
    "list the tables that are there",
    authority=_NGIO,
)
TABLE_ATTRIBUTES = Rule(
    "table-attributes",
    "MUST",
    "table groups",
    'a table\'s group says its "type", "table_version" and "backend"',
    "write the attributes of the table",
    authority=_NGIO,
)
TABLE_FILE = Rule(
    "table-file",
    "MUST",
    "backends",
    "the file of the table's backend is there and can be read",
    "write the table again",
    authority=_NGIO,
)
TABLE_LABEL_IMAGE = Rule(
    "table-label-image",
    "MUST",
    "tables",
    "a row's label image is one of the image's",
    "name a label image that is there",
    authority="ngff_bio schemas",
)
TABLE_FRAME = Rule(
    "table-frame",
    "MUST",
    "tables",
    "t and z of a row are indices of the image's axes",
    "write the rows of the frames that are there",
    authority="ngff_bio schemas",
)
TABLE_LABELS = Rule(
    "table-labels",
    "MUST",
    "tables",
    "each row's label value has pixels in its label image",
    "write the pixels, or take the row away",
    authority="ngff_bio schemas",
)
LABELS_WITHOUT_ROW = Rule(
    "labels-without-row",
    "MUST",
    "tables",
    "each label value of an instance label image that has a table has a row in it",
    "write a row for each instance",
    authority="ngff_bio schemas",
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of an image: its group, and its rows as columns."""

    path: str
    image: str
    name: str
    columns: dict[str, Any]


def check_tables(
    documents: Documents, storage: Storage, path: str, *, strict: bool = False
) -> tuple[list[Finding], list[Table]]:
    """Check the group of an image's tables; returns the tables that could be read, too."""
    report = Report("", path, strict=strict)
    listed = documents.attributes(path).get("tables")
    if not isinstance(listed, list):
        report.add(TABLES_LIST, "/tables", "no list")
        listed = []
    names = [n for n in listed if isinstance(n, str)]
    for name in names:
        if join(path, name) not in documents.groups:
            report.add(TABLES_LIST, "/tables", f"no table {name!r}")
    for other in documents.children(path):
        if other.rpartition("/")[2] not in names:
            report.add(TABLES_LIST, "/tables", f"{other!r} is not listed")
    findings, tables = report.findings, []
    image = path.rpartition("/")[0]
    for name in names:
        if join(path, name) in documents.groups:
            found, columns = _check_table(documents, storage, join(path, name), strict)
            findings += found
            if columns is not None:
                table = Table(join(path, name), image, name, columns)
                findings += _check_names(documents, table, strict)
                tables.append(table)
    return findings, tables


def _check_table(
    documents: Documents, storage: Storage, path: str, strict: bool
) -> tuple[list[Finding], dict[str, Any] | None]:
    report = Report("", path, strict=strict)
    attributes = documents.attributes(path)
    for key in ("type", "table_version", "backend"):
        if not isinstance(attributes.get(key), str):
            report.add(TABLE_ATTRIBUTES, f"/{key}", repr(attributes.get(key)))
    backend = str(attributes.get("backend")).removeprefix("experimental_").partition("_v")[0]
    file = _FILES.get(backend)
    if file is None:
        return report.findings, None
    data = storage.get(join(path, file))
    if data is None:
        report.add(TABLE_FILE, "", f"no {file}")
        return report.findings, None
    try:
        return report.findings, _read(data, backend)
    except Exception as error:  # whatever a parser makes of damaged bytes
        report.add(TABLE_FILE, "", f"{file}: {type(error).__name__}: {error}"[:200])
        return report.findings, None


def _read(data: bytes, backend: str) -> dict[str, Any]:
    import pyarrow as pa
    from pyarrow import csv, parquet

    source = pa.BufferReader(data)
    table = parquet.read_table(source) if backend == "parquet" else csv.read_csv(source)
    return {name: table[name] for name in table.column_names if name in _COLUMNS}


def _check_names(documents: Documents, table: Table, strict: bool) -> list[Finding]:
    report = Report("", table.path, strict=strict)
    column = table.columns.get("label_image")
    if column is not None:
        for name in column.unique().to_pylist():
            if name is None or join(table.image, "labels", str(name)) not in documents.groups:
                report.add(TABLE_LABEL_IMAGE, "", f"label image {name!r}")
    region = documents.attributes(table.path).get("region")
    target = region.get("path") if isinstance(region, dict) else None
    if isinstance(target, str):
        name = target.rpartition("labels/")[2]
        if join(table.image, "labels", name) not in documents.groups:
            report.add(TABLE_LABEL_IMAGE, "/region/path", f"label image {target!r}")
    return report.findings


def check_rows(
    documents: Documents, table: Table, values: dict[str, LabelValues], *, strict: bool = False
) -> list[Finding]:
    """Hold the rows of a table against the pixels of the label images.

    Parameters
    ----------
    values
        Label values of level 0 by path of the label image.
    """
    report = Report("", table.path, strict=strict)
    rows = list(_rows(documents, table))
    for name in sorted({r.image for r in rows}):
        known = values.get(join(table.image, "labels", name))
        if known is None:
            continue
        own = [r for r in rows if r.image == name]
        beyond = [r for r in own if not known.has(r.t, r.z)]
        if beyond:
            report.add(TABLE_FRAME, "", f"{len(beyond)} rows, the first: {beyond[0]}")
        seen = {t: known.at(t) for t in {r.t for r in own if known.has(r.t, r.z)}}
        lost = [r for r in own if r.shown and known.has(r.t, r.z) and r.label not in seen[r.t]]
        if lost:
            some = ", ".join(map(str, lost[:_SHOWN]))
            report.add(TABLE_LABELS, "", f"{len(lost)} rows without pixels in {name!r}: {some}")
    _check_pixels(documents, table, rows, values, report)
    return report.findings


@dataclass(frozen=True, slots=True)
class _Row:
    label: int
    image: str
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

    def column(name: str, otherwise: Any) -> list[Any]:
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
        if isinstance(label, int) and isinstance(image, str):
            yield _Row(label, image, t, z, pixels is None or pixels > 0)


def _check_pixels(
    documents: Documents,
    table: Table,
    rows: list[_Row],
    values: dict[str, LabelValues],
    report: Report,
) -> None:
    """The reverse: label values that no row is about."""
    path = join(table.image, "labels", table.name)
    own = documents.attributes(path).get("ngff_bio")
    known = values.get(path)
    if known is None or not isinstance(own, dict) or own.get("values") != "instance":
        return
    listed = np.unique(np.array([r.label for r in rows], np.int64))
    extra = np.setdiff1d(known.everywhere(), listed)
    if extra.size:
        some = ", ".join(map(str, extra[:_SHOWN].tolist()))
        report.add(LABELS_WITHOUT_ROW, "", f"{extra.size} label values in {table.name!r}: {some}")
