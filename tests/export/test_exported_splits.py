"""Splits of datasets of several tools: frames of train, val and test, and YOLO's lists of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from makers import make_livecell, make_nuclei
from PIL import Image

import ngff_bio
from ngff_bio.export.run import export

PARTS = ("train", "val", "test")


def coco(folder: Path, file: Path, names: list[str]) -> None:
    """A COCO file with one box on each image, and the images."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30), 9, np.uint8)).save(folder / name)
    content = {
        "images": [
            {"id": i, "file_name": Path(n).name, "width": 30, "height": 20}
            for i, n in enumerate(names)
        ],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12,
             "iscrowd": 0, "segmentation": []}
            for i, _ in enumerate(names)
        ],
    }  # fmt: skip
    file.write_text(json.dumps(content))


def roboflow(folder: Path) -> Path:
    for part, names in {"train": ["a", "b"], "valid": ["c"], "test": ["d"]}.items():
        images = [f"{part}/{n}.png" for n in names]
        (folder / part).mkdir(parents=True)
        coco(folder, folder / part / "_annotations.coco.json", images)
    return folder


def patched(store: Path, split: str) -> set[str]:
    dataset = ngff_bio.open(store)
    found = ngff_bio.patches(dataset, 10, labels=[], split=split)
    return {Path(dataset[frame.path].frames[0]["name"]).name for frame in found.frames}


def listed(out: Path) -> dict[str, set[str]]:
    """Stems of the images that each entry of data.yaml points at."""
    data = yaml.safe_load((out / "data.yaml").read_text())
    found = {}
    for part in PARTS:
        if part not in data:
            continue
        place = out / data[part]
        names = place.read_text().split() if place.is_file() else map(str, place.rglob("*.png"))
        found[part] = {Path(n).stem for n in names}
    return found


def test_roboflow_names_its_splits_by_folders(tmp_path: Path) -> None:
    store = tmp_path / "o.zarr"
    ngff_bio.convert(roboflow(tmp_path / "in"), store)
    assert patched(store, "train") == {"a.png", "b.png"}
    assert patched(store, "val") == {"c.png"}
    frames = ngff_bio.open(store).frames
    assert set(frames["standard_split"]) == set(PARTS)
    assert "valid/_annotations.coco" in set(frames["split"])
    export(store, tmp_path / "yolo", to="yolo", images=True)
    assert listed(tmp_path / "yolo") == {"train": {"a", "b"}, "val": {"c"}, "test": {"d"}}


def test_cvat_names_its_splits_by_subsets(samples: Path, tmp_path: Path) -> None:
    store = tmp_path / "o.zarr"
    ngff_bio.convert(samples / "generic" / "cvat_images" / "export_project", store)
    export(store, tmp_path / "yolo", to="yolo", images=True)
    found = listed(tmp_path / "yolo")
    assert set(found) == set(PARTS)
    assert len(ngff_bio.patches(ngff_bio.open(store), 10, split="train").frames) > 0


def test_folders_of_images_are_splits_beside_one_annotation_file(tmp_path: Path) -> None:
    folder, store = tmp_path / "in", tmp_path / "o.zarr"
    folder.mkdir()
    coco(folder, folder / "instances_default.json", ["train/a.png", "val/b.png"])
    ngff_bio.convert(folder, store)
    assert patched(store, "train") == {"a.png"}
    assert set(ngff_bio.open(store).attributes["splits"]) == {"train", "val"}


def test_livecell_and_nuclei_have_frames_of_train(tmp_path: Path) -> None:
    for make in (make_livecell, make_nuclei):
        root, store = make(tmp_path / make.__name__).root, tmp_path / f"{make.__name__}.zarr"
        ngff_bio.convert(root, store)
        dataset = ngff_bio.open(store)
        frames = {
            part: {
                (f.path, f.fixed)
                for f in ngff_bio.patches(dataset, 8, labels=[], split=part).frames
            }
            for part in ("train", "val")
        }
        assert frames["train"]
        assert frames["val"]
        assert not frames["train"] & frames["val"]


def test_without_splits_data_yaml_names_no_images_for_val(tmp_path: Path) -> None:
    folder, store = tmp_path / "in", tmp_path / "o.zarr"
    folder.mkdir()
    coco(folder, folder / "instances.json", ["a.png", "b.png"])
    ngff_bio.convert(folder, store)
    report = export(store, tmp_path / "yolo", to="yolo", images=True)
    assert listed(tmp_path / "yolo") == {"train": {"a", "b"}}
    assert any("does not name val" in n.what for n in report.notices)


def test_images_that_are_in_train_and_val_are_in_neither_list(tmp_path: Path) -> None:
    folder, store = tmp_path / "in", tmp_path / "o.zarr"
    folder.mkdir()
    for name in ("train.json", "val.json"):
        coco(folder, folder / name, ["a.png", "b.png"])
    ngff_bio.convert(folder, store)
    report = export(store, tmp_path / "yolo", to="yolo", images=True)
    assert listed(tmp_path / "yolo") == {"train": {"a", "b"}}
    assert any("does not name val" in n.what for n in report.notices)


@pytest.mark.parametrize("part", ["train", "val"])
def test_ambiguous_patches_are_an_error_that_lists_the_names(tmp_path: Path, part: str) -> None:
    folder, store = tmp_path / "in", tmp_path / "o.zarr"
    folder.mkdir()
    for name in ("cells_train.json", "cells_val.json"):
        coco(folder, folder / name, ["a.png", "b.png"])
    ngff_bio.convert(folder, store)
    with pytest.raises(ngff_bio.errors.ArgumentError, match="ambiguous") as caught:
        patched(store, part)
    assert "cells_train, cells_val" in str(caught.value.expected)
