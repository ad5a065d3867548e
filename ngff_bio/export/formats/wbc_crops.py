"""Crops of white blood cells as by the authors of the dataset, with ``labels.csv``.

200 x 200 pixels around (x + w // 2, y + h // 2), shifted inwards at the border and never padded; only
white cells (classes from 2 on). ``{crop}_{plane}.jpg`` is one plane, ``annotation/{crop}.jpg`` all
planes side by side. The authors number crops in directory order; here they are sorted by image number
and cell, which is reproducible.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError
from ngff_bio.export.annotations import LayerRows
from ngff_bio.export.image_files import write_pixels
from ngff_bio.export.output import place_below
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.formats.milab import COLUMNS

SIZE = 200
#: Classes below are red cells and platelets.
FIRST_WHITE = 2


@dataclass(frozen=True, slots=True)
class Cell:
    """A white cell: its field of view, its key, and x, y, width, height."""

    image: SelectedImage
    test: str
    number: int
    key: str
    location: tuple[int, int, int, int]

    @property
    def order(self) -> tuple[object, ...]:
        """Sort key: number of the image, then cell."""
        whole = self.key.isdecimal()
        return (self.number, self.image.path, not whole, int(self.key) if whole else 0, self.key)


def corner(location: tuple[int, int, int, int], height: int, width: int) -> tuple[int, int]:
    """x, y of the upper left pixel of a crop in a field of `height` x `width` pixels."""
    x, y, w, h = location
    x0 = min(max(0, x + w // 2 - SIZE // 2), width - SIZE)
    y0 = min(max(0, y + h // 2 - SIZE // 2), height - SIZE)
    return x0, y0


def write(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write the crops of every test folder."""
    if any(not image.whole for image in selection.images):
        raise ArgumentError(
            "crops cannot be exported from a region",
            hint="remove --region; select images with --image",
        )
    old = [i for i in selection.images if "crop_index" in i.stored.source_attributes()]
    if old:
        _copy_crops(old, place, report)
    tests: dict[str, list[Cell]] = defaultdict(list)
    for image in selection.images:
        if "crop_index" not in image.stored.source_attributes():
            for cell in _white_cells(image, report):
                tests[cell.test].append(cell)
    rows: list[list[object]] = []
    for _, cells in sorted(tests.items()):
        _write_test(place, sorted(cells, key=lambda c: c.order), rows, report)
    if not rows and not old:
        raise ArgumentError(
            "the store has no white cells",
            file=selection.url,
            expected=f"boxes of class 2 or above on focal stacks of at least {SIZE} x {SIZE} pixels",
            hint="export other stores to coco, labelme or yolo",
        )
    if rows:
        with (place / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([("", *COLUMNS), *rows])
    report.warn("crops are JPEG files, which are lossy: pixels differ slightly from the store")


def _white_cells(image: SelectedImage, report: ExportReport) -> list[Cell]:
    about = image.stored.source_attributes()
    found = []
    for layer in image.layers:
        rows = LayerRows(image, layer)
        for instance in rows.instances():
            kind = instance.category_id
            if kind is None or instance.box is None or not str(kind).isdecimal():
                report.skip("cells without a class", record=image.name)
                continue
            if int(kind) < FIRST_WHITE:
                report.skip("red cells and platelets, which the authors do not crop either")
                continue
            x, y, w, h = (int(v) for v in instance.box)
            number = int(about.get("img_num", 0))
            test = str(about.get("test") or "wbc")
            found.append(Cell(image, test, number, str(instance.source_id), (x, y, w, h)))
    return found


def _write_test(
    place: Path, cells: list[Cell], rows: list[list[object]], report: ExportReport
) -> None:
    """Write the crops of one test, numbered on from those of the tests before."""
    for cell in cells:
        stored = cell.image.stored
        if stored.size("y") < SIZE or stored.size("x") < SIZE:
            report.skip("fields of view smaller than a crop", record=cell.image.name)
            continue
        number = len(rows)
        planes = _crop(cell)
        for plane, pixels in planes.items():
            write_pixels(pixels, place_below(place, f"{cell.test}/{number}_{plane}.jpg"))
        strip = np.concatenate(list(planes.values()), axis=1)
        write_pixels(strip, place_below(place, f"{cell.test}/annotation/{number}.jpg"))
        rows.append([number, number, cell.test, cell.number, json.dumps(list(cell.location))])
        report.instances += 1
    for cell in cells:
        cell.image.stored.forget()


def _crop(cell: Cell) -> dict[int, NDArray[np.uint8]]:
    """Pixels (y, x) or (y, x, c) of each plane, by its number."""
    stored = cell.image.stored
    x0, y0 = corner(cell.location, stored.size("y"), stored.size("x"))
    found = {}
    for plane in cell.image.planes():
        number = (plane.frame.get("record") or {}).get("plane", plane.z)
        found[int(number)] = plane.pixels()[y0 : y0 + SIZE, x0 : x0 + SIZE]
    return found


def _copy_crops(images: list[SelectedImage], place: Path, report: ExportReport) -> None:
    """Write the crops and tables of a store that was converted from crops."""
    tables: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for image in images:
        about = image.stored.source_attributes()
        strip = []
        folder = place
        for plane in image.planes():
            target = place_below(place, plane.name)
            folder = target.parent
            strip.append(plane.pixels())
            write_pixels(strip[-1], target)
        joined = place_below(folder, f"annotation/{about['crop_index']}.jpg")
        write_pixels(np.concatenate(strip, axis=1), joined)
        kept = about.get("labels")
        if kept:
            tables[kept["file"]].append(kept)
        image.stored.forget()
    for name, rows in tables.items():
        rows.sort(key=lambda r: int(r.get("line", 0)))
        with place_below(place, name).open("w", newline="", encoding="utf-8") as file:
            first: Any = rows[0]["row"]
            table = csv.DictWriter(file, list(first), lineterminator="\n")
            table.writeheader()
            for row in rows:
                table.writerow(dict(row["row"]))
    report.instances += len(images)
