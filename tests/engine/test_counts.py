"""Each count of a report counts what its name says: time points, objects, records of annotations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

import ngff_bio
from ngff_bio.checks.source.verify import verify
from ngff_bio.export.run import export

GREY = np.full((20, 30), 9, np.uint8)


def test_planes_are_no_frames(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for t in range(2):
        for z in range(3):
            Image.fromarray(GREY).save(folder / f"a_t{t}_z{z}.png")
    tifffile.imwrite(folder / "b.tif", np.stack([GREY] * 5), imagej=True, metadata={"axes": "ZYX"})
    report = ngff_bio.convert(folder, tmp_path / "o.zarr")
    assert (report.images, report.frames) == (2, 2 + 1)


def test_shapes_of_one_group_are_one_instance(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(GREY).save(folder / "a.png")
    shapes = [
        {"label": "cell", "group_id": group, "shape_type": "rectangle", "flags": {},
         "points": [[x, 2], [x + 3, 6]]}
        for x, group in ((2, 1), (8, 1), (14, None), (20, 2))
    ]  # fmt: skip
    content = {"version": "5.0.1", "flags": {}, "shapes": shapes, "imagePath": "a.png",
               "imageData": None, "imageHeight": 20, "imageWidth": 30}  # fmt: skip
    (folder / "a.json").write_text(json.dumps(content))
    store = tmp_path / "o.zarr"
    report = ngff_bio.convert(folder, store)
    assert (report.instances, report.annotations) == (3, 4)
    assert verify(store, folder).instances == 3
    exported = export(store, tmp_path / "out", to="labelme")
    assert (exported.instances, exported.annotations) == (3, 4)


def test_an_instance_of_two_annotation_files_is_counted_once(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(GREY).save(folder / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 30, "height": 20}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "bbox": [x, 1, 4, 4], "area": 16,
             "iscrowd": 0, "segmentation": [[x, 1, x + 4, 1, x + 4, 5, x, 5]]}
            for i, x in ((1, 2), (2, 12))
        ],
    }  # fmt: skip
    for name in ("all.json", "some.json"):
        (folder / name).write_text(json.dumps(content))
    store = tmp_path / "o.zarr"
    report = ngff_bio.convert(folder, store)
    assert report.instances == 2
    exported = export(store, tmp_path / "out", to="coco")
    assert (exported.instances, exported.annotations) == (2, 4)
