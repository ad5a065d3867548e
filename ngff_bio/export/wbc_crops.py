"""Crops of white blood cells as the dataset's authors cut them, with ``labels.csv``.

200 x 200 pixels around (x + w // 2, y + h // 2), shifted inwards at the border and never padded; white
cells alone (classes from 2 on). ``{crop}_{plane}.jpg`` for each plane, ``annotation/{crop}.jpg`` with
all planes side by side. The authors number crops in the order in which a folder lists its files; here
they are sorted by number of the image and by cell, so that the same store gives the same crops.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ngff_bio.errors import ArgumentError
from ngff_bio.export.annotations import LayerRows
from ngff_bio.export.output import place_below
from ngff_bio.export.registry import Exporter
from ngff_bio.export.report import Report
from ngff_bio.export.selection import Picture, Selection

SIZE = 200
#: Classes below are red cells and platelets.
FIRST_WHITE = 2

_COLUMNS = ("", "crop_index", "test_id", "img_num", "cell_location")


@dataclass(frozen=True, slots=True)
class Cell:
    """A white cell: its field of view, its key there, and x, y, width, height."""

    picture: Picture
    test: str
    number: int
    key: str
    location: tuple[int, int, int, int]

    @property
    def order(self) -> tuple[Any, ...]:
        """By number of the image, then by cell."""
        whole = self.key.isdecimal()
        return (self.number, self.picture.path, not whole, int(self.key) if whole else 0, self.key)


def corner(location: tuple[int, int, int, int], height: int, width: int) -> tuple[int, int]:
    """x, y of a crop's upper left pixel in a field of `height` x `width`."""
    x, y, w, h = location
    x0 = min(max(0, x + w // 2 - SIZE // 2), width - SIZE)
    y0 = min(max(0, y + h // 2 - SIZE // 2), height - SIZE)
    return x0, y0


def write(selection: Selection, place: Path, report: Report) -> None:
    """Write the crops of every test folder."""
    if any(not p.whole for p in selection.pictures):
        raise ArgumentError(
            "crops are cut out of whole images",
            hint="leave --region away; choose images with --image",
        )
    old = [p for p in selection.pictures if "crop_index" in _about(p)]
    if old:
        _write_again(old, place, report)
    tests: dict[str, list[Cell]] = defaultdict(list)
    for picture in selection.pictures:
        if "crop_index" not in _about(picture):
            for cell in _white_cells(picture, report):
                tests[cell.test].append(cell)
    if not tests and not old:
        raise ArgumentError(
            "there are no white cells to crop",
            file=selection.url,
            expected="boxes of class 2 or above on focal stacks",
            hint="choose coco, labelme or yolo for other stores",
        )
    rows: list[list[Any]] = []
    for _, cells in sorted(tests.items()):
        _write_test(place, sorted(cells, key=lambda c: c.order), rows, report)
    if rows:
        with (place / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([_COLUMNS, *rows])
    report.warn(
        "crops are JPEG: pixels are held nearly, and the bytes of a JPEG cannot be made again"
    )


def _about(picture: Picture) -> Mapping[str, Any]:
    return picture.stored.own.get("attributes") or {}


def _white_cells(picture: Picture, report: Report) -> list[Cell]:
    about = _about(picture)
    found = []
    for layer in picture.layers:
        rows = LayerRows(picture, layer)
        for instance in rows.instances():
            kind = instance.category_id
            if kind is None or instance.box is None or not str(kind).isdecimal():
                report.skip("cells without a class are not cropped", record=picture.name)
                continue
            if int(kind) < FIRST_WHITE:
                report.skip("red cells and platelets are not cropped, as the authors do")
                continue
            x, y, w, h = (int(v) for v in instance.box)
            number = int(about.get("img_num", 0))
            test = str(about.get("test") or "wbc")
            found.append(Cell(picture, test, number, str(instance.source_id), (x, y, w, h)))
    return found


def _write_test(place: Path, cells: list[Cell], rows: list[list[Any]], report: Report) -> None:
    """Write the crops of one test; their numbers run on over tests, as rows of the table do."""
    for cell in cells:
        stored = cell.picture.stored
        if stored.size("y") < SIZE or stored.size("x") < SIZE:
            report.skip("fields smaller than a crop are left out", record=cell.picture.name)
            continue
        number = len(rows)
        planes = _crop(cell)
        for plane, pixels in planes.items():
            _save(pixels, place_below(place, f"{cell.test}/{number}_{plane}.jpg"))
        strip = np.concatenate(list(planes.values()), axis=1)
        _save(strip, place_below(place, f"{cell.test}/annotation/{number}.jpg"))
        rows.append([number, number, cell.test, cell.number, json.dumps(list(cell.location))])
        report.instances += 1
    for cell in cells:
        cell.picture.stored.forget()


def _crop(cell: Cell) -> dict[int, NDArray[np.uint8]]:
    """Pixels (y, x[, c]) of each plane by its number."""
    stored = cell.picture.stored
    x0, y0 = corner(cell.location, stored.size("y"), stored.size("x"))
    found = {}
    for plane in cell.picture.planes():
        number = (plane.frame.get("record") or {}).get("plane", plane.z)
        found[int(number)] = plane.pixels()[y0 : y0 + SIZE, x0 : x0 + SIZE]
    return found


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    picture = np.ascontiguousarray(pixels)
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[..., 0]
    Image.fromarray(picture).save(path, quality=100, subsampling=0)


def _write_again(pictures: list[Picture], place: Path, report: Report) -> None:
    """Crops of a store that came from crops: the same files, and their tables row by row."""
    tables: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for picture in pictures:
        about = _about(picture)
        strip = []
        folder = place
        for plane in picture.planes():
            target = place_below(place, plane.name)
            folder = target.parent
            strip.append(plane.pixels())
            _save(strip[-1], target)
        (folder / "annotation").mkdir(exist_ok=True)
        _save(np.concatenate(strip, axis=1), folder / "annotation" / f"{about['crop_index']}.jpg")
        kept = about.get("labels")
        if kept:
            tables[kept["file"]].append(kept)
        picture.stored.forget()
    for name, rows in tables.items():
        rows.sort(key=lambda r: int(r.get("line", 0)))
        with place_below(place, name).open("w", newline="", encoding="utf-8") as file:
            first: Any = rows[0]["row"]
            table = csv.DictWriter(file, list(first), lineterminator="\n")
            table.writeheader()
            for row in rows:
                table.writerow(dict(row["row"]))
    report.instances += len(pictures)


WBC_CROPS = Exporter(
    name="wbc-crops",
    title="crops of white blood cells with labels.csv, as the authors of WBC cut them",
    suffixes=(),
    write=write,
)
