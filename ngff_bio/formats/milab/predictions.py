"""miLab's predictions of blood cells: ``analyze_result.json`` and the older ``milab_result.json``.

New: ``{"<image>": {"img_name": str, "cell_prediction": {"<cell>": {"prediction": int,
"location": [x, y, w, h], "focus": int}}}}``. Old: ``{"<image>": {"<cell>": [x, y, w, h]}}``. Keys are
sparse. Which of the two an entry is, is seen from the entry.

``location`` is the upper left corner, width and height in whole pixels; ``focus`` the number of the
cell's sharpest plane; the image index is one less than the image's number in the file names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ngff_bio.errors import SourceError
from ngff_bio.formats.json.text import parse_json
from ngff_bio.model import Box, SourceFile

Schema = Literal["new", "old"]

_CELLS = "cell_prediction"
_MEND = "correct the file, or leave the record out with --on-error skip"


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
        Class; ``None`` where the file gives none.
    focus
        Number of its sharpest plane; ``None`` where the file gives none.
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
    """What a file says of one field of view.

    Parameters
    ----------
    key
        Its key in the file: its number less one.
    position
        Its place among the keys of the file.
    schema
        ``new`` or ``old``.
    img_name
        Name of the plane that was analysed; ``None`` in the old schema.
    cells
        In the order of the file.
    entry
        Its value in the file, without the cells: ``cell_prediction`` is empty.
    """

    key: str
    position: int
    schema: Schema
    img_name: str | None
    cells: tuple[MilabCell, ...]
    entry: Mapping[str, Any]


def class_name(prediction: int) -> str:
    """Name of a class. Those of the white cells' subtypes are not published."""
    known = {0: "red blood cell", 1: "platelet"}
    return known.get(prediction, f"white blood cell subtype {prediction}")


def _raise(error: SourceError) -> None:
    raise error


def read_milab(
    file: SourceFile, wrong: Callable[[SourceError], None] = _raise
) -> tuple[MilabImage, ...]:
    """All entries of a file, in its order.

    Parameters
    ----------
    wrong
        Called with what is wrong in an entry or a cell, which is then left out; raises by default.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file as a whole cannot be read.
    """
    data = file.read()
    content = parse_json(data, file.name)
    _check_keys(data, file.name)
    if not isinstance(content, dict):
        raise SourceError(
            "the file holds no predictions",
            file=file.name,
            expected='an object with a key for each image: {"151": {...}}',
            found=_shown(content),
        )
    found = []
    for position, (key, entry) in enumerate(content.items()):
        try:
            found.append(_image(key, position, entry, file.name, wrong))
        except SourceError as error:
            if error.file is None:
                error.file = file.name
            wrong(error)
    return tuple(found)


def _check_keys(data: bytes, file: str) -> None:
    """Refuse a key that is there twice: readers differ in which they take."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            keys = [key for key, _ in pairs]
            raise SourceError(
                "a key is there twice in one object",
                file=file,
                record=f"key {next(k for k in keys if keys.count(k) > 1)!r}",
                expected="each image and each cell once",
                hint="rename one of the two, or take it away",
            )
        return {}

    json.loads(data.decode("utf-8-sig"), object_pairs_hook=unique)


def _image(
    key: str, position: int, entry: Any, file: str, wrong: Callable[[SourceError], None]
) -> MilabImage:
    place = f"image {key!r}"
    if not key.isdecimal():
        raise SourceError(
            "a key is no image index", record=place, expected="a whole number", hint=_MEND
        )
    if not isinstance(entry, dict):
        raise SourceError(
            "an entry is no object",
            record=place,
            expected=f'{{"img_name": ..., "{_CELLS}": ...}}, or a location for each cell',
            found=_shown(entry),
            hint=_MEND,
        )
    new = _CELLS in entry or "img_name" in entry
    name = entry.get("img_name")
    if name is not None and not isinstance(name, str):
        raise SourceError(
            "img_name is no text", record=place, expected="a file name", found=_shown(name)
        )
    listed = entry.get(_CELLS, {}) if new else entry
    if not isinstance(listed, dict):
        raise SourceError(
            f"{_CELLS} is no object",
            record=place,
            expected="an object with a key for each cell",
            found=_shown(listed),
            hint=_MEND,
        )
    cells = []
    for cell_key, record in listed.items():
        try:
            cells.append(_cell(cell_key, record, new))
        except SourceError as error:
            error.file = file
            error.record = f"{place}, cell {cell_key!r}"
            error.hint = error.hint or _MEND
            wrong(error)
    bare = {k: {} if k == _CELLS else v for k, v in entry.items()} if new else {}
    return MilabImage(key, position, "new" if new else "old", name, tuple(cells), bare)


def _cell(key: str, record: Any, new: bool) -> MilabCell:
    if new and not isinstance(record, dict):
        raise SourceError(
            "a cell is no object",
            expected='{"prediction": ..., "location": ..., "focus": ...}',
            found=_shown(record),
        )
    location = record.get("location") if new else record
    box = _location(location)
    prediction = _whole(record.get("prediction"), "prediction") if new else None
    focus = _whole(record.get("focus"), "focus") if new else None
    text = json.dumps(record, ensure_ascii=False)
    return MilabCell(key, box, prediction, focus, text)


def _location(value: Any) -> tuple[int, int, int, int]:
    """Four whole numbers; floats without a fraction are whole."""
    numbers = value if isinstance(value, list) else ()
    if len(numbers) != 4 or not all(_is_whole(n) for n in numbers):
        raise SourceError(
            "a location is not four whole numbers",
            expected="[x, y, width, height] in pixels",
            found=_shown(value),
        )
    x, y, width, height = (int(n) for n in numbers)
    if width <= 0 or height <= 0:
        raise SourceError(
            "a location has no area", expected="width and height above 0", found=_shown(value)
        )
    return x, y, width, height


def _whole(value: Any, what: str) -> int | None:
    if value is None:
        return None
    if not _is_whole(value) or value < 0:
        raise SourceError(f"{what} is no number of 0 or more", found=_shown(value))
    return int(value)


def _is_whole(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 2**31
        and value == int(value)
    )


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def encode_milab(images: Iterable[MilabImage]) -> dict[str, Any]:
    """The content of a file again, value for value and key for key, in the order of `position`."""
    content: dict[str, Any] = {}
    for image in sorted(images, key=lambda i: i.position):
        cells = {cell.key: json.loads(cell.record) for cell in image.cells}
        if image.schema == "old":
            content[image.key] = cells
        else:
            content[image.key] = {k: cells if k == _CELLS else v for k, v in image.entry.items()}
    return content
