"""Crops of white blood cells: ten focal planes each, and ``labels.csv`` with the origin of each."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace

from ngff_bio.formats.milab import CropLabel, read_crop_labels
from ngff_bio.formats.problems import Problems
from ngff_bio.model import SourceImage
from ngff_bio.sources.assembly import base_of, folder_of, probe_all
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.wbc.stacks import PLANES, stack_image

_CROP = re.compile(r"^(?P<crop>\d+)_(?P<plane>\d{1,2})\.jpe?g$", re.IGNORECASE)
_STRIP = re.compile(r"(?:^|/)annotation/\d+\.jpe?g$", re.IGNORECASE)
_TABLE = "labels.csv"

#: Rows of each table by the table's name.
_Labels = dict[str, tuple[CropLabel, ...]]


def _crops(names: list[str]) -> dict[str, dict[int, dict[int, str]]]:
    """File of each plane, by folder, crop and plane."""
    found: dict[str, dict[int, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    for name in names:
        match = _CROP.match(base_of(name))
        if match is not None:
            found[folder_of(name)][int(match["crop"])].setdefault(int(match["plane"]), name)
    return found


def has_crops(names: list[str]) -> bool:
    """Whether there are crops with their table, or a folder of complete stacks alone."""
    folders = _crops(names)
    if not folders:
        return False
    if any(base_of(n) == _TABLE for n in names):
        return True
    complete = set(range(PLANES))
    return any(all(complete == set(p) for p in crops.values()) for crops in folders.values())


def read_crops(
    tree: FileTree, problems: Problems, used: set[str]
) -> Iterator[tuple[str, SourceImage]]:
    """Every crop with its folder, in order of folder and crop number; `used` as for the fields."""
    names = tree.names()
    folders = _crops(names)
    if not folders:
        return
    for strip in filter(_STRIP.search, names):
        used.add(strip)
        problems.note(
            "images of all planes side by side: the crops contain the same, and are converted",
            record=strip,
        )
    labels: _Labels = {}
    for name in names:
        if base_of(name) == _TABLE:
            used.add(name)
            with problems.caught():
                labels[name] = read_crop_labels(tree.file(name), problems)
    files = [
        crops[crop][plane]
        for _, crops in sorted(folders.items())
        for crop in sorted(crops)
        for plane in sorted(crops[crop])
    ]
    used.update(files)
    headers = probe_all(tree, files, problems)
    seen: set[int] = set()
    for folder, crops in sorted(folders.items()):
        for crop, planes in sorted(crops.items()):
            label = _label_of(folder, crop, labels, len(folders) == 1)
            if label is not None:
                seen.add(id(label[1]))
            elif labels:
                problems.note(f"crops that {_TABLE} does not list", record=f"{folder}/{crop}")
            with problems.caught():
                image = stack_image(tree, str(crop), planes, headers, problems)
                if image is not None:
                    yield folder, replace(image, attributes=_attributes(folder, crop, label))
    for file, rows in labels.items():
        for row in rows:
            if id(row) not in seen:
                problems.skip(
                    "a listed crop has no image files",
                    file=file,
                    record=f"line {row.line}: crop {row.crop_index} of {row.test_id}",
                )


def _label_of(folder: str, crop: int, labels: _Labels, alone: bool) -> tuple[str, CropLabel] | None:
    """The row of a crop: of the test that its folder is named after.

    If all crops are in one folder that is not named after a test, the row is found by the number
    alone, if that is unique.
    """
    above = [
        (file, row)
        for file, rows in labels.items()
        if f"{folder}/".startswith(f"{folder_of(file)}/".lstrip("/"))
        for row in rows
    ]
    same = [(file, row) for file, row in above if row.crop_index == crop]
    for file, row in same:
        if row.test_id == base_of(folder):
            return file, row
    tests = Counter(row.test_id for _, row in above)
    return same[0] if alone and len(same) == 1 and base_of(folder) not in tests else None


def _attributes(folder: str, crop: int, label: tuple[str, CropLabel] | None) -> dict[str, object]:
    if label is None:
        return {"crop_index": crop} | ({"test": base_of(folder)} if folder else {})
    file, row = label
    return {
        "crop_index": crop,
        "test": row.test_id,
        "img_num": row.img_num,
        "cell_location": list(row.cell_location),
        "labels": {"file": file, "row": dict(row.row), "line": row.line},
    }
