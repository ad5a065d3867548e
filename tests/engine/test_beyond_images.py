"""Annotations that reach beyond their image: one notice of all of them, with their number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from annotated import labels, rows, write_files

import ngff_bio

SIZE = (20, 30)
#: x0, y0, x1, y1 of boxes, and whether they reach beyond the image by more than half a pixel.
BOXES = [
    ((2, 2, 6, 6), False),
    ((0, 0, 30, 20), False),
    ((-0.4, 3, 30.4, 20.3), False),
    ((20, 3, 36, 9), True),
    ((4, 12, 9, 28), True),
    ((-5, 2, 4, 9), True),
    ((3, -2, 9, 9), True),
]
BEYOND = sum(beyond for _, beyond in BOXES)


def corners(box: tuple[float, ...]) -> list[list[float]]:
    x0, y0, x1, y1 = box
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def coco(segmentation: bool) -> dict[str, str | tuple[int, int]]:
    found = [
        {"id": n, "image_id": 1, "category_id": 1, "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]],
         "segmentation": [[v for c in corners(b) for v in c]] if segmentation else [],
         "iscrowd": 0, "area": 1}
        for n, (b, _) in enumerate(BOXES)
    ]  # fmt: skip
    image = {"id": 1, "file_name": "a.png", "width": SIZE[1], "height": SIZE[0]}
    content = {"images": [image], "annotations": found, "categories": [{"id": 1, "name": "cell"}]}
    return {"a.png": SIZE, "instances.json": json.dumps(content)}


def labelme() -> dict[str, str | tuple[int, int]]:
    shapes = [
        {"label": "cell", "points": corners(b), "shape_type": "polygon", "group_id": None}
        for b, _ in BOXES
    ]
    # A circle, by its middle and a point on it: its middle is inside.
    shapes.append({"label": "cell", "points": [[25, 10], [25, 18]], "shape_type": "circle"})
    content = {"version": "5.2.1", "flags": {}, "shapes": shapes, "imagePath": "a.png"}
    size = {"imageData": None, "imageHeight": SIZE[0], "imageWidth": SIZE[1]}
    return {"a.png": SIZE, "a.json": json.dumps(content | size)}


def cvat() -> dict[str, str | tuple[int, int]]:
    text = "".join(
        '<box label="cell" occluded="0" xtl="{}" ytl="{}" xbr="{}" ybr="{}" z_order="0"/>'.format(
            *b
        )
        for b, _ in BOXES
    )
    # 3 x 2 pixels, of which the first column alone is inside; and 2 x 2 that are not set beyond.
    text += (
        '<mask label="cell" occluded="0" rle="0, 6" left="29" top="4" width="3" height="2"/>'
        '<mask label="cell" occluded="0" rle="0, 1, 1, 1, 1" left="29" top="8" width="2" height="2"/>'
    )
    image = f'<image id="0" name="a.png" width="{SIZE[1]}" height="{SIZE[0]}">{text}</image>'
    return {
        "a.png": SIZE,
        "annotations.xml": f"<annotations><version>1.1</version>{image}</annotations>",
    }


@pytest.mark.parametrize(
    ("files", "beyond"),
    [
        (coco(True), BEYOND),
        (coco(False), BEYOND),
        (labelme(), BEYOND + 1),
        (cvat(), BEYOND + 1),
    ],
    ids=["coco polygons", "coco boxes", "labelme", "cvat"],
)
def test_annotations_that_are_cut_are_counted(
    files: dict[str, str | tuple[int, int]], beyond: int, tmp_path: Path
) -> None:
    source = write_files(tmp_path / "in", files)
    report = ngff_bio.convert(source, tmp_path / "out.zarr")
    (told,) = [n for n in report.notices if "beyond" in n.what]
    assert (told.kind, told.count) == ("note", beyond)
    assert "a.png" in str(told.record)
    data = ngff_bio.open(tmp_path / "out.zarr")
    right = rows(data, layer="cell")[3]
    shape = right["polygons"]
    assert (right["box_x"] + right["box_width"] if shape is None else np.max(shape[0])) == 36
    assert labels(data, layer="cell").shape == SIZE


def test_corners_in_place_of_sizes_are_a_warning(tmp_path: Path) -> None:
    """As MIDOG 2021 has them: a bbox of COCO that is x0, y0, x1, y1."""
    content = json.loads(str(coco(False)["instances.json"]))
    boxes = [(4, 3, 9, 8), (15, 3, 20, 8), (20, 12, 25, 17)]
    content["annotations"] = [
        {"id": n, "image_id": 1, "category_id": 1, "bbox": box} for n, box in enumerate(boxes)
    ]
    for name in ("corners", "sizes"):
        for one, box in zip(content["annotations"], boxes, strict=True):
            one["bbox"] = box if name == "corners" else (*box[:2], 5, 5)
        source = write_files(
            tmp_path / name, {"a.png": SIZE, "instances.json": json.dumps(content)}
        )
        done = ngff_bio.convert(source, tmp_path / f"{name}.zarr")
        told = [n.kind for n in done.notices if "two corners" in n.what]
        assert told == (["warning"] if name == "corners" else [])
