"""Folders as people keep them: joined right, or refused with a way on; never joined by chance."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import ngff_bio
from ngff_bio.conversion import estimate
from ngff_bio.errors import NgffBioError

RNG = np.random.default_rng(3)


def image(path: Path, *shape: int) -> None:
    _put(path, RNG.integers(5, 250, shape or (24, 30)).astype(np.uint8))


def cells(path: Path, values: tuple[int, ...] = (1, 2)) -> np.ndarray:
    plane = np.zeros((24, 30), np.uint8)
    for n, value in enumerate(values):
        plane[3:9, 3 + 9 * n : 9 + 9 * n] = value
    _put(path, plane)
    return plane


def dots(path: Path, value: int | tuple[int, int, int]) -> None:
    plane = np.zeros((24, 30, 3) if isinstance(value, tuple) else (24, 30), np.uint8)
    plane[5, 6] = plane[9, 20] = plane[17, 4] = value
    _put(path, plane)


def _put(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        Image.fromarray(pixels).save(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize(
    ("pixels", "label", "layer"),
    [
        ("image.tif", "mask.tif", "mask"),
        ("raw.png", "labels.png", "labels"),
        ("img.png", "gt.png", "gt"),
        ("plant_rgb.png", "plant_label.png", "label"),
        ("train-volume.png", "train-labels.png", "labels"),
    ],
)
def test_an_image_and_a_label_image_that_share_a_folder_are_one(
    pixels: str, label: str, layer: str, tmp_path: Path
) -> None:
    expected = {}
    for folder, values in (("s1", (1, 2)), ("s2", (3, 1))):
        image(tmp_path / "in" / folder / pixels)
        expected[folder] = cells(tmp_path / "in" / folder / label, values)
    ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    data = ngff_bio.open(tmp_path / "out.zarr")
    assert [path.partition("/")[0] for path in data] == ["s1", "s2"]
    for path in data:
        assert (np.asarray(data[path].level(0)[layer]) == expected[path.partition("/")[0]]).all()


def test_several_label_images_of_the_only_image_of_a_folder_are_layers(tmp_path: Path) -> None:
    image(tmp_path / "in/1/img.png")
    made = {n: cells(tmp_path / f"in/1/{n}_mask.png", v) for n, v in (("a", (1, 2)), ("b", (2, 5)))}
    ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    found = ngff_bio.open(tmp_path / "out.zarr")[""].level(0)
    assert all((np.asarray(found[f"{n}_mask"]) == plane).all() for n, plane in made.items())


def brush(folder: Path) -> None:
    """Label Studio numbers its tasks by itself: task 1 may be of any image."""
    for n in (1, 2):
        image(folder / f"images/img_{n}.png")
        cells(folder / f"task-{n}-annotation-7-by-1-tag-Nucleus-0.png", (255, 255))


def counted(folder: Path) -> None:
    for n in (1, 2):
        image(folder / f"00{n}cell.png", 24, 30, 3)
        dots(folder / f"00{n}dots.png", (255, 0, 0))


def centers(folder: Path) -> None:
    for n in (1, 2):
        image(folder / f"plant{n}.png")
        dots(folder / f"seeds{n}.png", 1)


def neighbors(folder: Path) -> None:
    """The only image of a folder is not that of a label image with a name of its own."""
    image(folder / "x/a.png")
    cells(folder / "x/b_mask.png")


@pytest.mark.parametrize("make", [brush, counted, centers, neighbors])
def test_label_images_of_no_certain_image_are_refused(
    make: Callable[[Path], object], tmp_path: Path
) -> None:
    make(tmp_path / "in")
    with pytest.raises(NgffBioError, match="label images without their image") as error:
        estimate(tmp_path / "in")
    assert "--labels none" in str(error.value.hint)


def test_a_pattern_may_match_the_beginning_of_the_name_of_an_image(tmp_path: Path) -> None:
    for n in (1, 2, 11):
        image(tmp_path / f"in/{n}cell.png")
        dots(tmp_path / f"in/{n}dots.png", 255)
    ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", options={"labels": "dots=*dots.png"})
    data = ngff_bio.open(tmp_path / "out.zarr")
    assert sorted(data) == ["11cell", "1cell", "2cell"]
    assert all(np.count_nonzero(data[path].level(0)["dots"]) == 3 for path in data)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("_classes.csv", "Pixel Value, Class\n0, background\n1, RBC\n", "columns of annotations"),
        ("labels.csv", ",Image,Category\n0,0,NEUTROPHIL\n", "columns of annotations"),
        ("train.csv", "ID,Target\n5c27f04c-bb99,8|5\n", "names images"),
        (
            "figure.json",
            json.dumps({"panels": [{"shapes": [{"type": "Rectangle", "x": 3}]}]}),
            "JSON",
        ),
        ("masks/1.npy", "\x93NUMPY", "NumPy arrays"),
        ("data.qpdata", "\xac", "objects of a QuPath project"),
        ("neuron.swc", "1 1 3 4 0 1 -1\n", "traces of neurons"),
        (
            "hasty.json",
            json.dumps({"project_name": "x", "images": [{"image_name": "a.png", "labels": []}]}),
            "JSON",
        ),
        (
            "darwin.json",
            json.dumps({"item": {"name": "a.png"}, "annotations": [{"name": "cell", "id": "x"}]}),
            "JSON",
        ),
    ],
)
def test_files_that_may_hold_annotations_end_the_conversion(
    name: str, content: str, kind: str, tmp_path: Path
) -> None:
    folder = tmp_path / "my_masks"  # the name of the dataset is not that of a folder of masks
    for channel in ("red", "green"):
        image(folder / f"images/5c27f04c-bb99_{channel}.png")
    text(folder / name, content)
    with pytest.raises(NgffBioError, match="would not be read") as error:
        estimate(folder)
    assert kind in str(error.value.found)
    if "arrays" in kind or "QuPath" in kind:
        assert str(error.value.hint).startswith(("to convert arrays", "export its objects"))


def test_settings_of_an_instrument_are_not_annotations(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    text(tmp_path / "Image0001.txt", "[General]\nName=x\n")
    assert estimate(tmp_path).account.unread == {"Image0001.txt": "other text"}


def test_drawings_of_supervisely_accompany_its_annotations(tmp_path: Path) -> None:
    image(tmp_path / "ds/img/a.png", 24, 30, 3)
    cells(tmp_path / "ds/masks_machine/a.png")
    image(tmp_path / "ds/masks_human/a.png", 24, 30, 3)
    one = {"classTitle": "cell", "geometryType": "polygon", "id": 1}
    one["points"] = {"exterior": [[3, 4], [20, 4], [18, 22]], "interior": []}
    about = {"size": {"height": 24, "width": 30}, "tags": [], "objects": [one]}
    text(tmp_path / "ds/ann/a.png.json", json.dumps(about))
    kind = {"title": "cell", "shape": "polygon", "color": "#FF0000"}
    text(tmp_path / "meta.json", json.dumps({"classes": [kind], "tags": []}))
    account = estimate(tmp_path).account
    assert len(account.read) == 3
    assert sorted(account.belongs) == ["ds/masks_human/a.png", "ds/masks_machine/a.png"]


def test_values_of_many_regions_are_asked_about(tmp_path: Path) -> None:
    planes = {"classes": np.zeros((24, 30), np.uint8), "cells": np.zeros((24, 30), np.uint8)}
    for n in range(6):
        y, x = 2 + 8 * (n // 3), 2 + 9 * (n % 3)
        planes["classes"][y : y + 5, x : x + 6] = 1 + n % 2
        planes["cells"][y : y + 5, x : x + 6] = 1 + n
    found = {}
    for name, plane in planes.items():
        image(tmp_path / name / "images/a.png")
        _put(tmp_path / name / "masks/a.png", plane)
        report = ngff_bio.convert(tmp_path / name, tmp_path / f"{name}.zarr")
        found[name] = [n.kind for n in report.notices if "--label-kind semantic" in n.what]
    assert found == {"classes": ["warning"], "cells": []}
    options = {"label_kind": "semantic"}
    report = ngff_bio.convert(tmp_path / "classes", tmp_path / "again.zarr", options=options)
    assert (report.instances, [n for n in report.notices if n.kind == "warning"]) == (0, [])
