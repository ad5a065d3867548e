"""Tables of masks as run lengths: ``ImageId,EncodedPixels``, as Kaggle's competitions have them.

A row is an object. Runs are pairs of a start and a length; pixels are counted from 1, down the
columns. https://www.kaggle.com/competitions/data-science-bowl-2018/overview/evaluation
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ngff_bio.errors import NgffBioError, SourceError
from ngff_bio.formats.problems import damage_named, skipped_notice
from ngff_bio.model import Instance, OnError, Rle, SourceFile, SourceParts

#: First two columns; ``Height``, ``Width`` and others may follow.
HEADER = ("ImageId", "EncodedPixels")

_HINT = "correct the row, or skip it with --on-error skip"


def is_run_length_csv(file: SourceFile) -> bool:
    """Whether the first line of a file has the columns of such a table."""
    head = file.read_range(0, 64).removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
    return head.strip().lower().startswith(",".join(HEADER).lower().encode())


@dataclass(frozen=True, slots=True)
class RowSpan:
    """A row: its number, from 1 on, its first byte in the file, and its length in bytes."""

    number: int
    start: int
    size: int


def index_rows(file: SourceFile) -> tuple[tuple[str, ...], dict[str, list[RowSpan]]]:
    """Names of the columns, and rows by image id: none where the only row has no runs."""
    rows: dict[str, list[RowSpan]] = {}
    columns: tuple[str, ...] = ()
    at = 0
    with damage_named(file.name, "the table cannot be read"), file.open() as stream:
        for number, line in enumerate(stream):
            if number == 0:
                columns = tuple(line.decode("utf-8-sig").strip().split(","))
            elif line.strip():
                name = line.partition(b",")[0].decode("utf-8").strip().strip('"')
                listed = rows.setdefault(name, [])
                if line.split(b",")[1:2] not in ([], [b""], [b"\n"], [b"\r\n"]):
                    listed.append(RowSpan(number, at, len(line)))
            at += len(line)
    return columns, rows


@dataclass(frozen=True, slots=True)
class RunLengthRows:
    """Instances of one image of one frame: some rows of a table.

    Parameters
    ----------
    file, columns
        The table, and the names of its columns.
    rows
        Those of the image.
    size
        Height and width of the image.
    on_error
        ``stop`` at a row that does not fit the image, or keep it without an outline.
    """

    file: SourceFile
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
        text = self.file.read_range(row.start, row.size).decode("utf-8", "replace").strip()
        cells = dict(zip(self.columns, text.split(","), strict=False))
        notice, shape = None, None
        try:
            shape = self._shape(cells, f"row {row.number}")
        except NgffBioError as error:
            if self.on_error == "stop":
                raise
            notice = skipped_notice(error)
        kept: dict[str, object] = {k: v for k, v in cells.items() if k != HEADER[1]}
        if shape is None:
            kept[HEADER[1]] = cells.get(HEADER[1])
        kept["row"] = row.number
        return Instance(value, shape, record=json.dumps(kept, ensure_ascii=False), notice=notice)

    def _shape(self, cells: Mapping[str, str], record: str) -> Rle:
        height, width = self.size
        stated = cells.get("Height", str(height)), cells.get("Width", str(width))
        if stated != (str(height), str(width)):
            raise SourceError(
                "a row of the table states another size than its image has",
                file=self.file.name,
                record=record,
                expected=f"{height} x {width}",
                found=" x ".join(stated),
                hint=_HINT,
            )
        return Rle(self.size, counts_of_pairs(
            cells.get(HEADER[1], "").strip('"').split(), height * width, self.file.name, record
        ))  # fmt: skip


def counts_of_pairs(numbers: Sequence[str], pixels: int, file: str, record: str) -> list[int]:
    """COCO's counts of pairs of start (from 1 on) and length, both down the columns.

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
        raise SourceError(
            "run lengths do not fit the image",
            file=file,
            record=record,
            expected=f"pairs of start and length, ascending, within 1 to {pixels:,}",
            found=" ".join(numbers[:12]) + (" ..." if len(numbers) > 12 else ""),
            hint=_HINT,
        )
    found = [int(n) for n in counts]
    return found if found[-1] or len(found) == 1 else found[:-1]
