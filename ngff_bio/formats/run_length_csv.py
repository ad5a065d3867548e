"""Tables of masks as run lengths, as Kaggle's competitions have them: `DIALECTS`.

A row is an object. Runs are pairs of a start and a length; pixels are counted from 1, down the
columns, or in ``sartorius-cell-instance-segmentation`` along the rows.
https://www.kaggle.com/competitions/data-science-bowl-2018/overview/evaluation
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import NgffBioError
from ngff_bio.formats.outlines import mask_rle
from ngff_bio.formats.problems import SourceRecord, damage_named, skipped_notice
from ngff_bio.model import Instance, OnError, Rle, SourceFile, SourceParts


@dataclass(frozen=True, slots=True)
class Dialect:
    """The columns of a table: name of the image (the first), runs, size of the image, class."""

    image: str
    runs: str
    by_rows: bool = False
    size: tuple[str, str] = ("Height", "Width")
    category: str | None = None


#: Data Science Bowl 2018, Sartorius, HuBMAP of 2021 and of 2022.
DIALECTS = (
    Dialect("ImageId", "EncodedPixels"),
    Dialect("id", "annotation", True, ("height", "width"), "cell_type"),
    Dialect("id", "encoding"),
    Dialect("id", "rle", size=("img_height", "img_width"), category="organ"),
)

_HINT = "correct the row, or skip it with --on-error skip"


def dialect_of(file: SourceFile) -> Dialect | None:
    """The columns of a table of masks, by its first line; ``None`` if it is another table."""
    head = file.read_range(0, 512).removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
    columns = head.decode("utf-8", "replace").strip().lower().split(",")
    for one in DIALECTS:
        if columns[0] == one.image.lower() and one.runs.lower() in columns[1:]:
            return one
    return None


@dataclass(frozen=True, slots=True)
class RowSpan:
    """A row: its number, from 1 on, its first byte in the file, and its length in bytes."""

    number: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class MaskTable:
    """Names of the columns; rows by image id (none where the only row has no runs); classes.

    ``empty`` has the numbers and the cells of rows without runs.
    """

    dialect: Dialect
    columns: tuple[str, ...]
    rows: Mapping[str, list[RowSpan]]
    classes: tuple[str, ...]
    empty: Mapping[str, list[tuple[int, dict[str, str]]]]


def index_rows(file: SourceFile, dialect: Dialect) -> MaskTable:
    """Where the rows of a table are."""
    rows: dict[str, list[RowSpan]] = {}
    classes: dict[str, None] = {}
    empty: dict[str, list[tuple[int, dict[str, str]]]] = {}
    columns: tuple[str, ...] = ()
    at = 0
    with damage_named(file.name, "the table cannot be read"), file.open() as stream:
        for number, line in enumerate(stream):
            if number == 0:
                given = line.decode("utf-8-sig").strip().split(",")
                known = {n.lower(): n for n in (dialect.image, dialect.runs, *dialect.size)}
                columns = tuple(known.get(c.lower(), c) for c in given)
            elif line.strip():
                cells = cells_of(line, columns)
                image = cells[columns[0]].strip()
                listed = rows.setdefault(image, [])
                if cells.get(dialect.runs):
                    listed.append(RowSpan(number, at, len(line)))
                    if dialect.category and cells.get(dialect.category):
                        classes[cells[dialect.category]] = None
                else:
                    empty.setdefault(image, []).append((number, cells))
            at += len(line)
    return MaskTable(dialect, columns, rows, tuple(classes), empty)


def cells_of(line: bytes, columns: Sequence[str]) -> dict[str, str]:
    """The cells of a row by column."""
    text = line.decode("utf-8", "replace").strip()
    return dict(zip(columns, next(csv.reader([text]), []), strict=False))


@dataclass(frozen=True, slots=True)
class RunLengthRows:
    """Instances of one image of one frame: some rows of a table.

    Parameters
    ----------
    file, dialect, columns
        The table, its kind, and the names of its columns.
    rows
        Those of the image.
    size
        Height and width of the image.
    on_error
        ``stop`` at a row that does not fit the image, or keep it without an outline.
    """

    file: SourceFile
    dialect: Dialect
    columns: tuple[str, ...]
    rows: tuple[RowSpan, ...]
    size: tuple[int, int]
    on_error: OnError = "stop"

    def read(self, t: int) -> list[Instance]:
        """All instances; label values are 1, 2, ..."""
        return [self._instance(value, row) for value, row in enumerate(self.rows, 1)]

    def source_parts(self) -> SourceParts:
        """The table, and where the rows are."""
        return (self.file, repr([(r.start, r.size) for r in self.rows]))

    def _instance(self, value: int, row: RowSpan) -> Instance:
        cells = cells_of(self.file.read_range(row.start, row.size), self.columns)
        notice, shape = None, None
        try:
            shape = self._shape(cells, SourceRecord(self.file.name, f"row {row.number}", _HINT))
        except NgffBioError as error:
            if self.on_error == "stop":
                raise
            notice = skipped_notice(error)
        runs = self.dialect.runs
        kept: dict[str, object] = {
            k: None if k == runs and shape is not None else v for k, v in cells.items()
        }
        kept |= {"row": row.number, "table": self.file.name}
        record = json.dumps(kept, ensure_ascii=False)
        category = cells.get(self.dialect.category or "") or None
        return Instance(
            value, shape, category=category, category_id=category, record=record, notice=notice
        )

    def _shape(self, cells: Mapping[str, str], at: SourceRecord) -> Rle:
        height, width = self.size
        stated = tuple(
            cells.get(c, str(n)) for c, n in zip(self.dialect.size, self.size, strict=True)
        )
        if stated != (str(height), str(width)):
            raise at.error(
                "a row of the table states another size than its image has",
                expected=f"{height} x {width}",
                found=" x ".join(stated),
            )
        counts = counts_of_pairs(cells.get(self.dialect.runs, "").split(), height * width, at)
        if not self.dialect.by_rows:
            return Rle(self.size, counts)
        inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        flat = np.zeros(height * width, np.bool_)
        flat[: inside.size] = inside
        return mask_rle(flat.reshape(self.size), (0, 0), self.size)


def counts_of_pairs(numbers: Sequence[str], pixels: int, at: SourceRecord) -> list[int]:
    """Counts as COCO has them, of pairs of start (from 1 on) and length in the same order of pixels.

    Raises
    ------
    ngff_bio.errors.SourceError
        If they are not pairs of integers, overlap, are not ascending, or leave the image.
    """
    try:
        pairs = np.array([int(n) for n in numbers], np.int64).reshape(-1, 2)
    except (ValueError, OverflowError):
        pairs = np.array([[0, 0]])
    starts, ends = pairs[:, 0] - 1, pairs[:, 0] - 1 + pairs[:, 1]
    inside = np.concatenate(([0], np.stack([starts, ends], axis=1).ravel(), [pixels]))
    counts = np.diff(inside)
    if (counts < 0).any() or (pairs <= 0).any():
        raise at.error(
            "run lengths do not fit the image",
            expected=f"pairs of start and length, ascending, within 1 to {pixels:,}",
            found=" ".join(numbers[:12]) + (" ..." if len(numbers) > 12 else ""),
        )
    found = [int(n) for n in counts]
    return found if found[-1] or len(found) == 1 else found[:-1]


def with_runs(cells: Mapping[str, object], mask: NDArray[np.bool_]) -> dict[str, object]:
    """The cells of a row, with the runs of a mask (y, x) where they have none."""
    by_rows = any(d.by_rows for d in DIALECTS if d.runs in cells)
    inside = np.pad(mask.ravel("C" if by_rows else "F"), 1)
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    pairs = zip(edges[::2].tolist(), (edges[1::2] - edges[::2]).tolist(), strict=True)
    text = " ".join(f"{start} {length}" for start, length in pairs)
    return {k: text if v is None else v for k, v in cells.items()}
