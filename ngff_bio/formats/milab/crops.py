"""``labels.csv`` of the crops of white cells: which cell each crop shows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ngff_bio.errors import SourceError
from ngff_bio.model import SourceFile

#: Columns that the authors' script writes, after an index without a name.
COLUMNS = ("crop_index", "test_id", "img_num", "cell_location")


@dataclass(frozen=True, slots=True)
class CropLabel:
    """One row.

    Parameters
    ----------
    crop_index
        First number in the crop's file names.
    test_id
        Name of the test that it was cut from.
    img_num
        Number of the field of view there.
    cell_location
        x, y, width, height of the cell in that field of view, in pixels.
    row
        The row as it stands: text by column name.
    line
        Its line in the file, from 1.
    """

    crop_index: int
    test_id: str
    img_num: int
    cell_location: tuple[int, ...]
    row: Mapping[str, str]
    line: int


def read_crop_labels(
    file: SourceFile, wrong: Callable[[SourceError], None]
) -> tuple[CropLabel, ...]:
    """All rows, in order; `wrong` is called with what is wrong in one, which is then left out.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file is not UTF-8, or lacks one of `COLUMNS`.
    """
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            "the table is not UTF-8", file=file.name, found=error, hint="save it anew as UTF-8"
        ) from error
    rows = csv.DictReader(io.StringIO(text, newline=""), restkey="")
    names = rows.fieldnames or []
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise SourceError(
            "columns of the table are missing",
            file=file.name,
            expected=", ".join(COLUMNS),
            found=", ".join(names) or "an empty file",
            hint="name the columns as the dataset's own labels.csv does",
        )
    found: list[CropLabel] = []
    seen: dict[tuple[str, int], int] = {}
    for row in rows:
        try:
            label = _label(row, rows.line_num)
            first = seen.setdefault((label.test_id, label.crop_index), label.line)
            if first != label.line:
                raise SourceError(
                    "two rows are of one crop",
                    expected="one row for each crop of a test",
                    found=f"crop {label.crop_index} of {label.test_id} in line {first} too",
                    hint="take one of the two away",
                )
            found.append(label)
        except SourceError as error:
            error.file, error.record = file.name, f"line {rows.line_num}"
            wrong(error)
    return tuple(found)


def _label(row: dict[str, Any], line: int) -> CropLabel:
    if any(not isinstance(value, str) for value in row.values()):
        raise SourceError(
            "a row has more or fewer fields than there are columns",
            expected=f"{len(row)} fields",
            hint="put fields that hold commas into quotes",
        )
    text = row["cell_location"]
    try:
        location = json.loads(text)
    except ValueError:
        location = None
    if (
        not isinstance(location, list)
        or len(location) != 4
        or not all(isinstance(n, int) and not isinstance(n, bool) for n in location)
    ):
        raise SourceError(
            "a location is not four whole numbers", expected="[x, y, w, h]", found=text
        )
    return CropLabel(
        _number(row["crop_index"], "crop_index"),
        row["test_id"],
        _number(row["img_num"], "img_num"),
        tuple(location),
        dict(row),
        line,
    )


def _number(text: str, column: str) -> int:
    if not text.strip().isdecimal():
        raise SourceError(f"{column} is no whole number", found=repr(text))
    return int(text)
