"""The made blood cell data is what its truth says, read by other libraries."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import make_wbc, make_wbc_crops
from makers.wbc import SIZES, crop_corner
from PIL import Image

NAME = re.compile(r"^(\d{4})_(\d+)_(\d+)_(\d{3})_(\d+)\.jpg$")


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    made = [make_wbc(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    made += [make_wbc_crops(tmp_path / name, seed=1) for name in ("d", "e")]  # type: ignore[misc]
    content = [[file.read_bytes() for file in truth.files] for truth in made]
    assert content[0] == content[1] != content[2]
    assert content[3] == content[4]


def test_file_names_group_into_stacks_of_ten_planes(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)
    stacks = defaultdict(list)
    for path in truth.root.glob("*.jpg"):
        match = NAME.match(path.name)
        assert match
        stacks[match[1], match[2], match[3]].append((int(match[4]), match[5]))
    assert len(stacks) == len(truth.stacks) == SIZES["tiny"].stacks
    for planes in stacks.values():
        assert sorted(plane for plane, _ in planes) == list(range(10))
        assert len({score for _, score in planes}) == 10


def test_json_has_the_shape_of_the_real_one(tmp_path: Path, samples: Path) -> None:
    real = json.loads((samples / "wbc/miLab_test/analyze_result.json").read_text())
    truth = make_wbc(tmp_path)
    made = json.loads(truth.json_file.read_text())
    assert truth.json_file.name == "analyze_result.json"
    assert made == truth.content

    def outline(entry: dict[str, Any]) -> Any:
        cell = next(iter(entry["cell_prediction"].values()))
        return entry.keys(), {key: type(value) for key, value in cell.items()}

    assert outline(next(iter(made.values()))) == outline(next(iter(real.values())))
    for stack in truth.stacks:
        entry = made[str(stack.img_num - 1)]
        assert (truth.root / entry["img_name"]).is_file()
        assert entry["cell_prediction"].keys() == {cell.key for cell in stack.cells}


def test_every_class_is_there_and_boxes_lie_in_the_image(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path)
    rows, columns = SIZES["tiny"].shape
    cells = [cell for stack in truth.stacks for cell in stack.cells]
    assert {0, 1} < {cell.prediction for cell in cells}
    for x, y, width, height in (cell.location for cell in cells):
        assert 0 <= x < x + width <= columns
        assert 0 <= y < y + height <= rows


def test_images_show_cells_in_their_boxes_sharpest_at_their_focus(tmp_path: Path) -> None:
    stack = make_wbc(tmp_path).stacks[0]
    planes = []
    for plane, path in stack.files.items():
        with Image.open(path) as img:
            assert (img.format, img.mode) == ("JPEG", "RGB")
            planes.append(np.asarray(img).astype(float))
        assert np.abs(planes[-1] - stack.pixels(plane)).mean() < 6
    cell = next(cell for cell in stack.cells if cell.prediction >= 2)
    x, y, width, height = cell.location
    inside = [plane[y : y + height, x : x + width, 1] for plane in planes]
    sharpness = [np.abs(np.diff(each, axis=0)).mean() for each in inside]
    assert abs(int(np.argmax(sharpness)) - cell.focus) <= 1
    assert inside[0].mean() < planes[0][..., 1].mean() - 15


def test_the_old_schema_has_boxes_alone(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path, schema="old")
    assert truth.json_file.name == "milab_result.json"
    made = json.loads(truth.json_file.read_text())
    stack = truth.stacks[0]
    assert made[str(stack.img_num - 1)] == {cell.key: list(cell.location) for cell in stack.cells}


def test_json_and_files_may_lack_each_other(tmp_path: Path) -> None:
    truth = make_wbc(
        tmp_path, listed_without_file=1, without_listing=1, without_cells=1, missing_planes=2
    )
    made = json.loads(truth.json_file.read_text())
    on_disk = {int(path.name[:4]) for path in truth.root.glob("*.jpg")}
    listed = {int(key) + 1 for key in made}
    assert (len(listed - on_disk), len(on_disk - listed)) == (1, 1)
    assert made[str(truth.stacks[0].img_num - 1)]["cell_prediction"] == {}
    assert [len(stack.files) for stack in truth.stacks] == [10, 10, 8, 0]


def test_keys_are_sparse_by_default(tmp_path: Path) -> None:
    sparse, dense = make_wbc(tmp_path / "a"), make_wbc(tmp_path / "b", sparse=False)
    assert list(dense.content) == ["0", "1", "2"]
    assert list(sparse.content) == ["0", "1", "3"]
    assert [cell.key for cell in sparse.stacks[0].cells] == ["0", "1", "2", "4", "5"]


def test_comments_make_it_no_json_until_they_are_stripped(tmp_path: Path) -> None:
    truth = make_wbc(tmp_path, comments=True)
    text = truth.json_file.read_text()
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    stripped = "\n".join(line.split(" // ")[0] for line in text.splitlines())
    assert json.loads(stripped) == truth.content


def test_crops_are_those_of_the_authors_rule(tmp_path: Path) -> None:
    truth = make_wbc_crops(tmp_path)
    rows, columns = SIZES["tiny"].shape
    with truth.labels_file.open() as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["", "crop_index", "test_id", "img_num", "cell_location"]
    assert tuple(map(tuple, lines[1:])) == truth.rows
    assert ',Example_TEST,1,"[' in truth.labels_file.read_text()
    for crop, line in zip(truth.crops, lines[1:], strict=True):
        assert json.loads(line[4]) == list(crop.location)
        assert [path.name for path in crop.files] == [
            f"{crop.crop_index}_{plane}.jpg" for plane in range(10)
        ]
        x, y = crop.corner
        assert 0 <= x <= columns - 200
        assert 0 <= y <= rows - 200
        whole = crop.stack.pixels(3)
        with Image.open(crop.files[3]) as img:
            assert img.size == (200, 200)
            found = np.asarray(img).astype(float)
        assert np.abs(found - whole[y : y + 200, x : x + 200]).mean() < 6
        assert crop.strip is not None
        with Image.open(crop.strip) as img:
            assert img.size == (2000, 200)
    assert all(
        cell.prediction >= 2
        for crop in truth.crops
        for cell in crop.stack.cells
        if cell.location == crop.location
    )


def test_crops_move_inwards_at_the_border() -> None:
    assert crop_corner((618, 33, 114, 99), (1200, 1920)) == (575, 0)
    assert crop_corner((1900, 1180, 20, 20), (1200, 1920)) == (1720, 1000)
    assert crop_corner((678, 765, 117, 99), (1200, 1920)) == (636, 714)


def test_crop_indices_may_be_out_of_order(tmp_path: Path) -> None:
    ordered = make_wbc_crops(tmp_path / "a", test_ids=("A", "B"), strips=False)
    shuffled = make_wbc_crops(tmp_path / "b", test_ids=("A", "B"), strips=False, shuffled=True)

    def origins(crops: Any) -> list[tuple[str, int]]:
        return [(crop.test_id, crop.img_num) for crop in crops]

    assert origins(ordered.crops) == sorted(origins(ordered.crops))
    assert origins(shuffled.crops) != origins(ordered.crops)
    assert sorted(origins(shuffled.crops)) == origins(ordered.crops)
