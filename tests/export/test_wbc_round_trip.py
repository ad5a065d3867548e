from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from makers import make_platelet_em, make_wbc, make_wbc_crops
from PIL import Image

from ngff_bio import convert
from ngff_bio.errors import ArgumentError
from ngff_bio.export import export
from ngff_bio.export.formats.wbc_crops import corner


def ordered(path: Path) -> list:
    """A JSON file with the order of its keys."""
    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"schema": "old"},
        {"json_name": "anlayze_result.json", "without_cells": 1, "without_listing": 1},
        {"missing_planes": 2, "sparse": False},
    ],
    ids=str,
)
def test_predictions_come_back_value_for_value(tmp_path, quirks):
    made = make_wbc(tmp_path, **quirks)
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="milab")
    (source,) = made.root.rglob("*.json")
    (written,) = (tmp_path / "out").rglob("*.json")
    assert written.name == source.name
    assert ordered(written) == ordered(source)


def test_real_predictions_come_back_value_for_value(samples, tmp_path):
    convert(samples / "wbc" / "miLab_test", tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "back.json", to="milab")
    assert ordered(tmp_path / "back.json") == ordered(
        samples / "wbc" / "miLab_test" / "analyze_result.json"
    )


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_crops_are_those_of_the_authors(tmp_path):
    """`make_wbc_crops` cuts by its own reading of the authors' script, from the same fields."""
    fields = make_wbc(tmp_path, test_id="Example_TEST")
    convert(fields.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="wbc-crops")
    cells = [
        (stack, cell)
        for stack in fields.stacks
        for cell in sorted(stack.cells, key=lambda c: int(c.key))
        if cell.prediction >= 2
    ]
    header, *rows = rows_of(tmp_path / "out" / "labels.csv")
    assert header == ["", "crop_index", "test_id", "img_num", "cell_location"]
    assert rows == [
        [str(i), str(i), "Example_TEST", str(stack.img_num), str(list(cell.location))]
        for i, (stack, cell) in enumerate(cells)
    ]
    for i, (stack, cell) in enumerate(cells):
        x, y, w, h = cell.location
        rows_, columns = stack.pixels(0).shape[:2]
        left = min(max(0, x + w // 2 - 100), columns - 200)
        top = min(max(0, y + h // 2 - 100), rows_ - 200)
        strip = np.array(Image.open(tmp_path / "out/Example_TEST/annotation" / f"{i}.jpg"))
        assert strip.shape == (200, 2000, 3)
        for plane in range(10):
            crop = np.array(Image.open(tmp_path / "out/Example_TEST" / f"{i}_{plane}.jpg"))
            expected = stack.pixels(plane)[top : top + 200, left : left + 200]
            assert crop.shape == (200, 200, 3)
            assert np.abs(crop.astype(int) - expected).mean() < 4  # JPEG, twice
            part = strip[:, plane * 200 : (plane + 1) * 200]
            assert np.abs(crop.astype(int) - part).mean() < 2
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == len(cells) * 11


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ((618, 33, 114, 99), (575, 0)),
        ((1900, 1190, 20, 10), (1720, 1000)),
        ((0, 0, 30, 31), (0, 0)),
        ((901, 501, 99, 101), (850, 451)),
    ],
)
def test_crops_are_shifted_inwards_and_never_padded(location, expected):
    assert corner(location, 1200, 1920) == expected


@pytest.mark.parametrize("quirks", [{}, {"shuffled": True, "test_ids": ("b", "a")}], ids=str)
def test_crops_that_were_crops_keep_their_numbers_and_their_table(tmp_path, quirks):
    made = make_wbc_crops(tmp_path, **quirks)
    convert(made.root, tmp_path / "store.zarr")
    report = export(tmp_path / "store.zarr", tmp_path / "out", to="wbc-crops")
    assert (tmp_path / "out" / "labels.csv").read_text() == made.labels_file.read_text()
    files = {p.relative_to(made.root) for p in made.root.rglob("*.jpg")}
    assert {p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.jpg")} == files
    assert any("JPEG" in n.what for n in report.notices)
    for name in files:
        one = np.array(Image.open(made.root / name)).astype(int)
        other = np.array(Image.open(tmp_path / "out" / name)).astype(int)
        assert np.abs(one - other).mean() < 2


def test_the_focal_plane_of_each_cell_is_kept_in_coco(tmp_path):
    made = make_wbc(tmp_path)
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "a.json", to="coco")
    content = json.loads((tmp_path / "a.json").read_text())
    names = {i["id"]: i["file_name"] for i in content["images"]}
    found = {
        (names[a["image_id"]].split("_")[3], tuple(a["bbox"]), a["category_id"])
        for a in content["annotations"]
        if int(names[a["image_id"]][:4]) == made.stacks[0].img_num
    }
    expected = {
        (f"{cell.focus:03}", cell.location, cell.prediction) for cell in made.stacks[0].cells
    }
    assert found == expected


def test_other_stores_have_neither_predictions_nor_crops(tmp_path):
    made = make_platelet_em(tmp_path, volumes=["24"], size=(1, 8, 8))
    convert(made.root, tmp_path / "store.zarr")
    for to in ("milab", "wbc-crops"):
        with pytest.raises(ArgumentError, match="to coco"):
            export(tmp_path / "store.zarr", tmp_path / "out", to=to)
        assert not (tmp_path / "out").exists()
