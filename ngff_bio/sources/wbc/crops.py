"""Crops of white blood cells: ten focal planes of each, and ``labels.csv`` that says where from."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from ngff_bio.formats.images.frames import ImageHeader, stack_frames
from ngff_bio.formats.milab import CropLabel, read_crop_labels
from ngff_bio.formats.problems import Problems
from ngff_bio.model import SourceImage, axes_from
from ngff_bio.sources.assembly import base_of, folder_of, probe_all
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.wbc.fields import PLANES, plane_frames, tell_missing_planes

_CROP = re.compile(r"^(?P<crop>\d+)_(?P<plane>\d{1,2})\.jpe?g$", re.IGNORECASE)
_STRIP = re.compile(r"(?:^|/)annotation/\d+\.jpe?g$", re.IGNORECASE)
_TABLE = "labels.csv"

#: Planes of each crop of a folder, by crop number.
_Crops = dict[int, dict[int, str]]


def _crops(names: list[str]) -> dict[str, _Crops]:
    found: dict[str, _Crops] = defaultdict(lambda: defaultdict(dict))
    for name in names:
        match = _CROP.match(base_of(name))
        if match is not None:
            found[folder_of(name)][int(match["crop"])].setdefault(int(match["plane"]), name)
    return found


def looks_like(names: list[str]) -> bool:
    """Whether there are crops with their table, or a folder of full sets of planes alone."""
    folders = _crops(names)
    if not folders:
        return False
    if any(base_of(n) == _TABLE for n in names):
        return True
    full = set(range(PLANES))
    return any(all(full == set(p) for p in crops.values()) for crops in folders.values())


def read_crops(
    tree: FileTree, problems: Problems, used: set[str]
) -> Iterator[tuple[str, SourceImage]]:
    """Every crop with its folder, in order of folder and crop number; `used` as for the fields."""
    names = tree.names()
    folders = _crops(names)
    if not folders:
        return
    strips = [n for n in names if _STRIP.search(n)]
    for strip in strips:
        problems.note(
            "pictures of all planes side by side: the crops hold the same, and are converted",
            record=strip,
        )
    used.update(strips)
    labels = _labels(tree, names, problems, used)
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
            if label is None:
                if labels:
                    problems.note(f"crops that {_TABLE} does not list", record=f"{folder}/{crop}")
            else:
                seen.add(id(label[1]))
            with problems.caught():
                image = _image(tree, folder, crop, planes, label, headers, problems)
                if image is not None:
                    yield folder, image
    for file, rows in labels.items():
        for row in rows:
            if id(row) not in seen:
                problems.skip(
                    "a listed crop has no pictures",
                    file=file,
                    record=f"line {row.line}: crop {row.crop_index} of {row.test_id}",
                )


def _labels(
    tree: FileTree, names: list[str], problems: Problems, used: set[str]
) -> dict[str, tuple[CropLabel, ...]]:
    found: dict[str, tuple[CropLabel, ...]] = {}
    for name in names:
        if base_of(name) == _TABLE:
            used.add(name)
            with problems.caught():
                found[name] = read_crop_labels(tree.file(name), problems)
    return found


def _label_of(
    folder: str, crop: int, labels: dict[str, tuple[CropLabel, ...]], alone: bool
) -> tuple[str, CropLabel] | None:
    """The row of a crop: of the test that its folder is named after.

    Where all crops lie in one folder that is not named after a test, the number alone has to do; then
    it must be that of one row.
    """
    above = {file: rows for file, rows in labels.items() if f"{folder}/".startswith(_below(file))}
    for file, rows in above.items():
        for row in rows:
            if row.crop_index == crop and row.test_id == base_of(folder):
                return file, row
    if alone:
        same = [(f, r) for f, rows in above.items() for r in rows if r.crop_index == crop]
        tests = Counter(r.test_id for _, rows in above.items() for r in rows)
        if len(same) == 1 and base_of(folder) not in tests:
            return same[0]
    return None


def _below(file: str) -> str:
    folder = folder_of(file)
    return f"{folder}/" if folder else ""


def _image(
    tree: FileTree,
    folder: str,
    crop: int,
    files: dict[int, str],
    label: tuple[str, CropLabel] | None,
    headers: dict[str, ImageHeader],
    problems: Problems,
) -> SourceImage | None:
    planes = [plane for plane in sorted(files) if files[plane] in headers]
    if not planes:
        problems.skip("no plane of the crop can be read", file=files[min(files)])
        return None
    names = [files[plane] for plane in planes]
    found = [headers[name] for name in names]
    pixels = stack_frames([tree.file(n) for n in names], "z", headers=found, limits=tree.limits)
    tell_missing_planes(planes, names[0], problems)
    attributes: dict[str, Any] = {"crop_index": crop}
    if label is not None:
        file, row = label
        attributes |= {
            "test": row.test_id,
            "img_num": row.img_num,
            "cell_location": list(row.cell_location),
            "labels": {"file": file, "row": dict(row.row), "line": row.line},
        }
    elif folder:
        attributes["test"] = base_of(folder)
    return SourceImage(
        path="",
        name=str(crop),
        axes=axes_from(pixels.axes),
        pixels=pixels,
        channels=found[0].channels,
        frames=plane_frames(names, planes, pixels, [{}] * len(planes)),
        attributes=attributes,
    )
