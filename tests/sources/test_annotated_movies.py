"""labelme and COCO annotations of the frames of a movie: one image with axis t, on request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from PIL import Image

import ngff_bio
from ngff_bio.checks.source.verify import verify
from ngff_bio.errors import ArgumentError
from ngff_bio.export.run import export

#: Boxes (x, y, width, height) on each of four frames; the third has none.
BOXES = [[(2, 3, 4, 5), (12, 3, 6, 6)], [(3, 4, 4, 5)], [], [(20, 9, 5, 5)]]


def frame(t: int) -> np.ndarray:
    return np.full((20, 30), 10 * t, np.uint8)


def images(folder: Path) -> list[str]:
    folder.mkdir()
    names = [f"cells_{t}.png" for t in (1, 2, 9, 10)]  # 10 sorts before 2 by its letters
    for t, name in enumerate(names):
        Image.fromarray(frame(t)).save(folder / name)
    return names


def coco(folder: Path) -> Path:
    names = images(folder)
    placed = [(t, box) for t, boxes in enumerate(BOXES) for box in boxes]
    content = {
        "images": [
            {"id": t + 7, "file_name": n, "width": 30, "height": 20} for t, n in enumerate(names)
        ],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [
            {"id": i, "image_id": t + 7, "category_id": 1, "bbox": [x, y, w, h], "area": w * h,
             "iscrowd": 0, "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]]}
            for i, (t, (x, y, w, h)) in enumerate(placed)
        ],
    }  # fmt: skip
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


def labelme(folder: Path) -> Path:
    for t, name in enumerate(images(folder)):
        shapes: list[dict[str, Any]] = [
            {"label": "cell", "points": [[x, y], [x + w, y], [x + w, y + h], [x, y + h]],
             "group_id": None, "shape_type": "polygon", "flags": {}}
            for x, y, w, h in BOXES[t]
        ]  # fmt: skip
        content = {"version": "5.0.1", "flags": {}, "shapes": shapes, "imagePath": name,
                   "imageData": None, "imageHeight": 20, "imageWidth": 30}  # fmt: skip
        if shapes:
            (folder / name).with_suffix(".json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("make", [coco, labelme])
def test_frames_of_a_movie_are_one_image_with_rows_for_each(tmp_path: Path, make: Any) -> None:
    source, store = make(tmp_path / "in"), tmp_path / "o.zarr"
    report = ngff_bio.convert(source, store, options={"series": "t"})
    assert (report.images, report.frames, report.instances) == (1, 4, 4)
    assert any("--series t" in n.what for n in report.notices)
    image = ngff_bio.open(store)[""]
    assert dict(image.sizes) == {"t": 4, "y": 20, "x": 30}
    pixels = zarr.open_array(store / "0", mode="r")[:]
    np.testing.assert_array_equal(pixels, np.stack([frame(t) for t in range(4)]))
    rows = image.annotations().sort_values("label")
    assert list(rows["t"]) == [t for t, boxes in enumerate(BOXES) for _ in boxes]
    assert rows["label"].is_unique
    names = [f["name"] for f in image.frames]
    assert names == [f"cells_{t}.png" for t in (1, 2, 9, 10)]
    assert verify(store, source).equal


@pytest.mark.parametrize("make", [coco, labelme])
def test_annotations_of_a_movie_are_exported_equal_to_the_source(tmp_path: Path, make: Any) -> None:
    source, store = make(tmp_path / "in"), tmp_path / "o.zarr"
    ngff_bio.convert(source, store, options={"series": "t"})
    export(store, tmp_path / "out", to=make.__name__, images=False)
    files = sorted(p.relative_to(source) for p in source.rglob("*.json"))
    assert (
        sorted(p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.json")) == files
    )
    for file in files:
        again = json.loads((tmp_path / "out" / file).read_text())
        assert again == json.loads((source / file).read_text())


@pytest.mark.parametrize("make", [coco, labelme])
def test_frames_are_separate_images_otherwise(tmp_path: Path, make: Any) -> None:
    source = make(tmp_path / "in")
    assert ngff_bio.convert(source, tmp_path / "a.zarr").images == 4
    with pytest.raises(ArgumentError, match="along t only"):
        ngff_bio.convert(source, tmp_path / "b.zarr", options={"series": "z"})


@pytest.mark.parametrize("make", [coco, labelme])
def test_frames_of_another_size_are_separate_and_reported(tmp_path: Path, make: Any) -> None:
    source = make(tmp_path / "in")
    Image.fromarray(np.zeros((25, 30), np.uint8)).save(source / "cells_9.png")
    if make is coco:
        content = json.loads((source / "instances.json").read_text())
        content["images"][2]["height"] = 25
        (source / "instances.json").write_text(json.dumps(content))
    report = ngff_bio.convert(source, tmp_path / "o.zarr", options={"series": "t"})
    assert report.images == 4
    assert any("differ in size" in n.what for n in report.notices)
