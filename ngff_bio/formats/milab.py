"""miLab's predictions of blood cells, and the table of the crops of white cells.

``analyze_result.json`` is ``{"<image>": {"img_name": str, "cell_prediction": {"<cell>": {"prediction":
int, "location": [x, y, w, h], "focus": int}}}}``, the older ``milab_result.json`` ``{"<image>":
{"<cell>": [x, y, w, h]}}``. Keys are sparse. Each entry shows which of the two it is.

``location`` is the upper left corner, width and height in integer pixels; ``focus`` the number of the
cell's sharpest plane; the image index is one less than the image's number in the file names. Sources:
the dataset's page, the authors' scripts, and published files.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from ngff_bio.errors import SourceError, plain_reason
from ngff_bio.formats.json.text import JsonObject, checked, parse_json, shown
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.model import Box, SourceFile

_CELLS = "cell_prediction"

_Integer = Annotated[int, msgspec.Meta(gt=-(2**31), lt=2**31)]
_Size = Annotated[int, msgspec.Meta(gt=0, lt=2**31)]
_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]

#: x, y, width, height in pixels.
_Location = tuple[_Integer, _Integer, _Size, _Size]


class _Cell(msgspec.Struct):
    location: _Location
    prediction: _Number | None = None
    focus: _Number | None = None


class _Entry(msgspec.Struct):
    img_name: str | None = None
    cell_prediction: JsonObject = {}


@dataclass(frozen=True, slots=True)
class MilabCell:
    """One predicted cell.

    Parameters
    ----------
    key
        Its key in the file.
    location
        x, y, width, height in pixels.
    prediction
        Class; ``None`` if the file gives none.
    focus
        Number of its sharpest plane; ``None`` if the file gives none.
    record
        Its value as JSON text, keys in their order.
    """

    key: str
    location: tuple[int, int, int, int]
    prediction: int | None
    focus: int | None
    record: str

    @property
    def box(self) -> Box:
        """The pixels of the location, half-open."""
        x, y, width, height = self.location
        return Box(x, y, x + width, y + height)


@dataclass(frozen=True, slots=True)
class MilabImage:
    """The entry of one field of view.

    Parameters
    ----------
    key
        Its key in the file: its number less one.
    position
        Its position among the keys of the file.
    schema
        ``new`` or ``old``.
    img_name
        Name of the plane that was analyzed; ``None`` in the old schema.
    cells
        In the order of the file.
    entry
        Its value in the file, without the cells: ``cell_prediction`` is empty.
    """

    key: str
    position: int
    schema: Literal["new", "old"]
    img_name: str | None
    cells: tuple[MilabCell, ...]
    entry: Mapping[str, object]


def class_name(prediction: int) -> str:
    """Name of a class. Those of the white cells' subtypes are not published."""
    known = {0: "red blood cell", 1: "platelet"}
    return known.get(prediction, f"white blood cell subtype {prediction}")


def read_milab(file: SourceFile, problems: Problems) -> tuple[MilabImage, ...]:
    """All entries of a file of predictions, in its order.

    Parameters
    ----------
    problems
        Receives the errors of entries and cells; those are left out.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file is not JSON, has a key twice, or, unless errors are skipped, a record is wrong.
    """
    content = parse_json(file.read(), file.name, unique_keys=True)
    if not isinstance(content, dict):
        raise SourceError(
            "the file does not contain predictions",
            file=file.name,
            expected='an object with a key for each image: {"151": {...}}',
            found=shown(content),
        )
    found = []
    for position, (key, entry) in enumerate(content.items()):
        with problems.caught():
            found.append(_image(key, position, entry, file.name, problems))
    return tuple(found)


def _image(key: str, position: int, entry: object, file: str, problems: Problems) -> MilabImage:
    at = SourceRecord(file, f"image {key!r}")
    if not key.isdecimal():
        raise at.error("a key is not an image index", expected="an integer")
    new = isinstance(entry, dict) and (_CELLS in entry or "img_name" in entry)
    if isinstance(entry, dict) and new:
        about = checked(entry, _Entry, at)
        name, listed, bare = about.img_name, about.cell_prediction, {**entry}
        if _CELLS in bare:
            bare[_CELLS] = {}
    else:
        name, listed, bare = None, checked(entry, JsonObject, at), {}
    cells = []
    for cell_key, value in listed.items():
        with problems.caught():
            inner = at.member(f", cell {cell_key!r}")
            if new:
                cell = checked(value, _Cell, inner)
            else:
                cell = _Cell(checked(value, _Location, inner))
            text = json.dumps(value, ensure_ascii=False)
            cells.append(MilabCell(cell_key, cell.location, cell.prediction, cell.focus, text))
    return MilabImage(key, position, "new" if new else "old", name, tuple(cells), bare)


def restored_entry(
    schema: str, entry: Mapping[str, object], cells: Mapping[str, object]
) -> JsonObject:
    """An image's value in the file again, from `MilabImage.entry` and the records of its cells."""
    if schema == "old":
        return dict(cells)
    return {k: dict(cells) if k == _CELLS else v for k, v in entry.items()}


#: Columns that the authors' script writes, after an index without a name.
COLUMNS = ("crop_index", "test_id", "img_num", "cell_location")


@dataclass(frozen=True, slots=True)
class CropLabel:
    """One row of ``labels.csv``: the cell that a crop shows.

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
        The row itself: text by column name.
    line
        Its line in the file, from 1.
    """

    crop_index: int
    test_id: str
    img_num: int
    cell_location: tuple[int, ...]
    row: Mapping[str, str]
    line: int


class _Row(msgspec.Struct):
    crop_index: _Number
    test_id: str
    img_num: _Number
    cell_location: tuple[int, int, int, int]


def read_crop_labels(file: SourceFile, problems: Problems) -> tuple[CropLabel, ...]:
    """All rows of ``labels.csv``, in order.

    Parameters
    ----------
    problems
        Receives the errors of rows; those are left out.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file is not UTF-8, lacks one of `COLUMNS`, or, unless errors are skipped, a row is
        wrong.
    """
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            "the table is not UTF-8",
            file=file.name,
            found=plain_reason(error),
            hint="save it again as UTF-8",
        ) from error
    rows = csv.DictReader(io.StringIO(text, newline=""), restkey="")
    names = rows.fieldnames or []
    if not set(COLUMNS) <= set(names):
        raise SourceError(
            "columns of the table are missing",
            file=file.name,
            expected=", ".join(COLUMNS),
            found=", ".join(names) or "an empty file",
            hint="name the columns as in the dataset's own labels.csv",
        )
    found: dict[tuple[str, int], CropLabel] = {}
    for row in rows:
        with problems.caught():
            label = _label(row, file.name, rows.line_num)
            first = found.setdefault((label.test_id, label.crop_index), label)
            if first is not label:
                raise SourceRecord(file.name, f"line {label.line}").error(
                    "two rows describe the same crop",
                    expected="one row for each crop of a test",
                    found=f"crop {label.crop_index} of {label.test_id} in line {first.line} too",
                    hint="remove one of the two",
                )
    return tuple(found.values())


def _label(row: JsonObject, file: str, line: int) -> CropLabel:
    at = SourceRecord(file, f"line {line}")
    if any(not isinstance(value, str) for value in row.values()):
        raise at.error(
            "a row has more or fewer fields than there are columns",
            expected=f"{len(row)} fields",
            hint="put fields that contain commas into quotes",
        )
    content: JsonObject = {"test_id": row["test_id"]}
    for column in ("crop_index", "img_num", "cell_location"):
        try:
            content[column] = msgspec.json.decode(row[column].strip())
        except msgspec.DecodeError:
            content[column] = row[column]
    found = checked(content, _Row, at)
    location = found.cell_location
    return CropLabel(found.crop_index, found.test_id, found.img_num, location, dict(row), line)
