"""COCO stuff: label images of classes, with and without annotation files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from annotated import converted, labels, rows, write_files
from PIL import Image
from pycocotools.coco import COCO

import ngff_bio
from ngff_bio.errors import SourceError
from ngff_bio.testing import check_source

SIZE = (12, 20)


def save(folder: Path, name: str, values: np.ndarray) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(folder / name)


def test_pixel_maps_beside_an_annotation_file(tmp_path: Path) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 12, "width": 20}],
        "annotations": [
            {"id": 5, "image_id": 1, "category_id": 92, "iscrowd": 0, "area": 4, "bbox": [0, 0, 2, 2],
             "segmentation": {"size": [12, 20], "counts": [0, 2, 10, 2, 226]}},
        ],
        "categories": [{"id": 92, "name": "banner"}, {"id": 183, "name": "other"}],
    }  # fmt: skip
    files = {"annotations/stuff_val2017.json": json.dumps(content), "val2017/a.jpg": SIZE}
    source = write_files(tmp_path / "in", files)
    values = np.zeros(SIZE)
    values[:2, :2], values[5:] = 92, 183
    save(source, "annotations/stuff_val2017_pixelmaps/a.png", values)
    check_source("coco", source)
    data = converted(source, tmp_path / "out.zarr")
    assert list(data) == [""]
    assert (labels(data, "", "stuff") == values).all()
    assert [r["category"] for r in rows(data, "", "objects")] == ["banner"]
    names = data[""].label_attributes("stuff")["categories"]
    assert [(c["id"], c["name"]) for c in names] == [(92, "banner"), (183, "other")]
    ngff_bio.export(tmp_path / "out.zarr", tmp_path / "back", to="coco")
    name = "annotations/stuff_val2017"
    assert json.loads((tmp_path / f"back/{name}.json").read_text()) == content
    assert (np.asarray(Image.open(tmp_path / f"back/{name}_pixelmaps/a.png")) == values).all()


def test_classes_of_any_store_are_exported_as_stuff(tmp_path: Path) -> None:
    source = write_files(tmp_path / "in", {"JPEGImages/a.png": SIZE, "JPEGImages/b.png": SIZE})
    (source / "ImageSets/Segmentation").mkdir(parents=True)
    for split, stem in (("train", "a"), ("val", "b")):
        (source / f"ImageSets/Segmentation/{split}.txt").write_text(f"{stem}\n")
    values = np.zeros(SIZE)
    values[:3, :4], values[2:9, 6:], values[11] = 5, 8, 255
    for stem in "ab":
        save(source, f"SegmentationClass/{stem}.png", values)
    data = converted(source, tmp_path / "out.zarr")
    (layer,) = data["a"].layers
    ngff_bio.export(tmp_path / "out.zarr", tmp_path / "stuff", to="coco-stuff", images=True)
    for split, stem in (("train", "a"), ("val", "b")):
        place = tmp_path / "stuff/annotations"
        assert (
            np.asarray(Image.open(place / f"stuff_{split}_pixelmaps/{stem}.png")) == values
        ).all()
        coco = COCO(place / f"stuff_{split}.json")
        (about,) = coco.imgs.values()
        assert (about["file_name"], about["height"], about["width"]) == (f"{stem}.png", *SIZE)
        drawn = {a["category_id"]: coco.annToMask(a) for a in coco.anns.values()}
        assert all((drawn[v] == (values == v)).all() for v in (5, 8, 255))
        assert coco.cats[8]["name"] == "cat"
    again = converted(tmp_path / "stuff", tmp_path / "again.zarr")
    assert (labels(again, "train_a", "stuff") == values).all()


def test_maps_of_things_and_stuff_without_an_annotation_file(tmp_path: Path) -> None:
    text = "0: unlabeled\n1: person\n2: bicycle\n182: wood\n"
    files = {"labels.txt": text, "images/train2017/a.jpg": SIZE, "images/val2017/a.jpg": SIZE}
    source = write_files(tmp_path / "in", files)
    values = np.full(SIZE, 255)
    values[:2], values[5:7] = 0, 181
    for split in ("train2017", "val2017"):
        save(source, f"stuffthingmaps/{split}/a.png", values)
    data = converted(source, tmp_path / "out.zarr")
    assert list(data) == ["train2017_a", "val2017_a"]
    drawn = labels(data, "val2017_a", "stuff")
    assert (drawn == np.select([values == 255, values == 0], [0, 1], 182)).all()
    names = data["val2017_a"].label_attributes("stuff")["categories"]
    assert {c["id"]: c["name"] for c in names} == {1: "person", 2: "bicycle", 182: "wood"}
    values[0, 0] = 77
    save(source, "stuffthingmaps/val2017/a.png", values)
    with pytest.raises(SourceError, match="values of no class") as error:
        ngff_bio.convert(source, tmp_path / "other.zarr")
    assert (error.value.file, error.value.found) == ("stuffthingmaps/val2017/a.png", "77: 1 pixels")
