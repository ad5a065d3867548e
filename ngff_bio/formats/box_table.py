"""Lists of boxes: CSV tables of object detection, and JSON of CreateML.

Tables with names of columns: a file name, corners (``xmin,ymin,xmax,ymax``, as for TensorFlow and
DeepForest, ``x1,y1,x2,y2``) or ``bbox`` as ``[x, y, width, height]``, a class. Without them:
``path,x1,y1,x2,y2,class`` (https://github.com/fizyr/keras-retinanet#csv-datasets) and
``class,x,y,width,height,file,width,height`` (makesense.ai). CreateML has centers, widths and heights:
https://developer.apple.com/documentation/createml/building-an-object-detector-data-source. All are in
pixels.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ngff_bio.errors import SourceError
from ngff_bio.formats.documents import AnnotatedImage, Document, instance_of
from ngff_bio.formats.images.headers import EXTENSIONS
from ngff_bio.formats.json.text import parse_json, shown
from ngff_bio.formats.outlines import check_points
from ngff_bio.formats.problems import Problems, SourceRecord
from ngff_bio.formats.text import csv_bytes, text_of
from ngff_bio.model import Box, Category, Instance, SourceFile

_HINT = "correct the row, or skip it with --on-error skip"

_IMAGES = ("filename", "file_name", "image_path", "image_id", "imageid", "image", "img", "path")
_CLASSES = ("class", "label", "class_name", "classname", "category", "name")
_CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"),
            ("x1", "y1", "x2", "y2"))  # fmt: skip
_SIZE = ("width", "height")

#: Tables without names of columns, by what their cells are: a name of an image file, numbers, others.
_RETINANET = ("filename", "x1", "y1", "x2", "y2", "class")
_MAKESENSE = ("class", "x", "y", "w", "h", "filename", *_SIZE)

#: Member of a row: cells for which there is no column. Names of columns do not begin with a space.
_REST = " rest"

Row = Mapping[str, object]

#: Of a box: the name of its image, its class, x0, y0, x1, y1 (nothing for no box), and its record.
_Entry = tuple[str, object, Sequence[object], Row]

_CREATEML = re.compile(rb'"coordinates"\s*:\s*\{')


def is_createml(file: SourceFile) -> bool:
    """Whether a JSON file begins as a list of images with boxes."""
    head = file.read_range(0, 1 << 14)
    return head.lstrip()[:1] == b"[" and _CREATEML.search(head) is not None


@dataclass(frozen=True, slots=True)
class _Columns:
    """Names of the columns, and which of them are what; whether the first line has the names."""

    names: tuple[str, ...]
    image: str
    corners: tuple[str, ...]
    category: str | None
    named: bool

    @classmethod
    def of(cls, line: Sequence[str]) -> _Columns | None:
        """The columns of a table by its first line; ``None`` if it is not a table of boxes."""
        numbers = all(re.fullmatch(r"\d*", c) for c in line[1:5])
        if len(line) == 6 and _is_image(line[0]) and numbers:
            return cls(_RETINANET, "filename", _CORNERS[2], "class", False)
        if len(line) == 8 and _is_image(line[5]):
            return cls(_MAKESENSE, "filename", ("x", "y", "w", "h"), "class", False)
        names = tuple(c.strip() for c in line)
        known = {n.lower(): n for n in reversed(names)}
        image = next((known[n] for n in _IMAGES if n in known), None)
        corners = next((c for c in (*_CORNERS, ("bbox",)) if {*c} <= {*known}), None)
        if image is None or corners is None or "labelname" in known:  # fractions, of Open Images
            return None
        category = next((known[n] for n in _CLASSES if n in known and known[n] != image), None)
        return cls(names, image, tuple(known[n] for n in corners), category, True)


def _is_image(cell: str) -> bool:
    return cell.strip().lower().endswith(EXTENSIONS)


def is_box_table(file: SourceFile) -> bool:
    """Whether the first line of a file is that of a table of boxes."""
    head = file.read_range(0, 1 << 12).decode("utf-8-sig", "replace")
    return _Columns.of(next(csv.reader(io.StringIO(head, newline="")), [])) is not None


@dataclass(frozen=True, slots=True)
class BoxTable:
    """Reads a table or a list of CreateML."""

    file: SourceFile

    def read(self, problems: Problems) -> Document:
        """Read the file."""
        found: dict[str, list[Instance]] = {}
        sizes: dict[str, tuple[int, int]] = {}
        without: dict[str, list[tuple[int, Row]]] = defaultdict(list)
        createml = self.file.name.lower().endswith(".json")
        columns = None if createml else self._columns()
        about: dict[str, Row] = {}
        entries = self._boxes(about) if columns is None else self._rows(columns)
        for number, (image, category, corners, row) in enumerate(entries):
            with problems.caught():
                if not image:
                    raise self._wrong(f"box {number + 1}", "the name of an image file", dict(row))
                if columns is not None and _REST in row:
                    expected = f"{len(columns.names)} cells; one with a comma is quoted"
                    raise self._wrong(f"box {number + 1}", expected, [*row.values()])
                listed = found.setdefault(image, [])
                if corners:
                    listed.append(self._instance(category, corners, row, number))
                elif row:
                    without[image].append((number, row))
                size = [str(row.get(k) or "") for k in reversed(_SIZE)]
                if not createml and all(s.isdecimal() for s in size):
                    sizes[image] = int(size[0]), int(size[1])
        images = [
            AnnotatedImage(
                n, i, sizes.get(n), record={"entry": about.get(n, {}), "without_box": without[n]}
            )
            for n, i in found.items()
        ]
        classes = dict.fromkeys(i.category for same in found.values() for i in same)
        kept = {} if columns is None else {"columns": columns.names, "named": columns.named}
        return Document(images, tuple(Category(c, c) for c in classes if c is not None), kept)

    def _boxes(self, about: dict[str, Row]) -> Iterator[_Entry]:
        """Boxes of CreateML; `about` receives other members of the entry of each image."""
        for n, one in enumerate(parse_json(self.file.read(), self.file.name, list[object])):
            entry: dict[str, Any] = dict(one) if isinstance(one, dict) else {}
            name = entry.get("image", entry.get("imagefilename"))
            key = "annotations" if "annotations" in entry else "annotation"
            boxes = entry.get(key) if name else None
            if not isinstance(boxes, list):
                raise self._wrong(f"[{n}]", "an object with image and annotations", one)
            others = {**entry, key: None}
            if about.setdefault(str(name), others) != others:
                expected = f"one entry for {name}, or entries that differ in their boxes only"
                raise self._wrong(f"[{n}]", expected, entry)
            if not boxes:
                yield str(name), None, (), {}
            for given in boxes:
                box = given if isinstance(given, dict) else {}
                at, keys = box.get("coordinates"), ("x", "y", "width", "height")
                sides = [at.get(k) if isinstance(at, dict) else None for k in keys]
                yield str(name), box.get("label"), _around(sides), box

    def _columns(self) -> _Columns:
        text = io.StringIO(text_of(self.file, "the table"), newline="")
        first = next(csv.reader(text), [])
        columns = _Columns.of(first)
        if columns is None:
            raise self._wrong("line 1", "columns of file names and corners", ",".join(first))
        return columns

    def _rows(self, columns: _Columns) -> Iterator[_Entry]:
        lines = csv.reader(io.StringIO(text_of(self.file, "the table"), newline=""))
        if columns.named:
            next(lines)
        for cells in lines:
            if not any(cells):
                continue
            row = dict(zip(columns.names, cells, strict=False))
            if any(rest := cells[len(columns.names) :]):
                row[_REST] = ",".join(rest)
            corners: Sequence[Any] = [row.get(c, "").strip() for c in columns.corners]
            if len(corners) == 1:
                corners = _beyond(_list_of(corners[0]))
            elif columns.names == _MAKESENSE:
                corners = _beyond(corners)
            category = row.get(columns.category or "")
            yield row.get(columns.image, ""), category, corners if any(corners) else (), row

    def _instance(
        self, category: object, corners: Sequence[Any], row: Row, number: int
    ) -> Instance:
        try:
            x0, y0, x1, y1 = (float(v) for v in corners)
        except (TypeError, ValueError):
            raise self._wrong(f"box {number + 1}", "four numbers", list(corners)) from None
        check_points(
            [(x0, y0), (x1, y1)], 2, SourceRecord(self.file.name, f"box {number + 1}", _HINT)
        )
        if x1 < x0 or y1 < y0:
            raise self._wrong(f"box {number + 1}", "x0 <= x1 and y0 <= y1", list(corners))
        name = str(category) if category not in (None, "") else None
        return instance_of(Box(x0, y0, x1, y1), dict(row), number, category=name)

    def _wrong(self, record: str, expected: str, found: object) -> SourceError:
        at = SourceRecord(self.file.name, record, _HINT)
        return at.error("a row of a list of boxes is wrong", expected=expected, found=shown(found))


def _list_of(text: str) -> Sequence[Any]:
    try:
        found = json.loads(text) if text else []
    except ValueError:
        return [text]
    return found if isinstance(found, list) else [found]


def _beyond(sides: Sequence[Any]) -> Sequence[Any]:
    """Corners of x, y, width and height; what are not numbers is returned unchanged."""
    try:
        x, y, width, height = map(float, sides)
    except (TypeError, ValueError):
        return sides
    return x, y, x + width, y + height


def _around(sides: Sequence[Any]) -> Sequence[object]:
    """Corners of a center, a width and a height."""
    try:
        x, y, width, height = map(float, sides)
    except (TypeError, ValueError):
        return sides
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def restored(
    record: Mapping[str, Any],
    images: Sequence[tuple[Mapping[str, Any], Sequence[tuple[int, Mapping[str, object]]]]],
) -> bytes:
    """The table, or the list of CreateML, with rows by their position."""
    names = record.get("columns")
    of_image = [sorted([*a["without_box"], *rows], key=lambda r: r[0]) for a, rows in images]
    if names is None:
        entries = (a["entry"] for a, _ in images)
        listed = [
            {k: [row for _, row in rows] if v is None else v for k, v in entry.items()}
            for entry, rows in zip(entries, of_image, strict=True)
        ]
        return json.dumps(listed, ensure_ascii=False).encode()
    rows = sorted((row for found in of_image for row in found), key=lambda r: r[0])
    head = [names] if record["named"] else []
    return csv_bytes([*head, *([row[n] for n in names if n in row] for _, row in rows)])
