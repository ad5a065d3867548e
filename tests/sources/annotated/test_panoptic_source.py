"""COCO panoptic as https://cocodataset.org/#format-data describes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import converted, exported, labels, rows, write_files
from PIL import Image

import ngff_bio
from ngff_bio.errors import SourceError
from ngff_bio.testing import check_source

SIZE = (12, 20)

CATEGORIES = [
    {"id": 1, "name": "person", "supercategory": "person", "isthing": 1, "color": [220, 20, 60]},
    {
        "id": 92,
        "name": "banner",
        "supercategory": "textile",
        "isthing": 0,
        "color": [255, 255, 128],
    },
]
IDS = np.zeros(SIZE, np.uint32)
IDS[:4, :5], IDS[6:, 10:], IDS[7, 12] = 3226956, 300, 0
SEGMENTS: list[dict[str, Any]] = [
    {"id": 3226956, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 5, 4], "area": 20},
    {"id": 300, "category_id": 92, "iscrowd": 0, "bbox": [10, 6, 10, 6], "area": 59},
]


def dataset(folder: Path, segments: Any = None, ids: Any = IDS, split: str = "val2017") -> Path:
    segments = SEGMENTS if segments is None else segments
    size = {"height": SIZE[0], "width": SIZE[1]}
    content = {
        "info": {"description": "COCO 2018 Panoptic Dataset"},
        "licenses": [],
        "images": [{"id": 139, "file_name": "000000000139.jpg", "license": 2, **size}],
        "annotations": [
            {"segments_info": segments, "file_name": "000000000139.png", "image_id": 139}
        ],
        "categories": CATEGORIES,
    }
    files: dict[str, str | tuple[int, int]] = {
        f"annotations/panoptic_{split}.json": json.dumps(content),
        f"{split}/000000000139.jpg": SIZE,
    }
    write_files(folder, files)
    place = folder / f"annotations/panoptic_{split}"
    place.mkdir()
    # id = R + 256 G + 256 * 256 B
    colors = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)
    Image.fromarray(colors).save(place / "000000000139.png")
    return folder


def test_segments_are_instances_with_the_pixels_of_their_color(tmp_path: Path) -> None:
    source = dataset(tmp_path / "in")
    check_source("coco-panoptic", source)
    data = converted(source, tmp_path / "out.zarr")
    assert list(data) == [""]
    drawn = labels(data)
    assert ((drawn == 1) == (IDS == 3226956)).all()
    assert ((drawn == 2) == (IDS == 300)).all()
    table = rows(data)
    assert [json.loads(r["record"]) for r in table] == SEGMENTS
    assert [
        (r["source_id"], r["category"], r["area"], r["iscrowd"], r["pixels"]) for r in table
    ] == [
        ("3226956", "person", 20, 0, 20),
        ("300", "banner", 59, 0, 59),
    ]
    categories = data[""].label_attributes("objects")["categories"]
    assert [c["record"]["isthing"] for c in categories] == [1, 0]


def test_two_files_are_splits(tmp_path: Path) -> None:
    source = dataset(tmp_path / "in")
    other = dataset(tmp_path / "other", split="train2017")
    for file in other.rglob("*.*"):
        place = source / file.relative_to(other)
        place.parent.mkdir(exist_ok=True, parents=True)
        file.rename(place)
    data = converted(source, tmp_path / "out.zarr")
    assert {p: data[p].attributes["frames"][0]["splits"] for p in data} == {
        "train2017/000000000139": ["train2017"],
        "val2017/000000000139": ["val2017"],
    }


@pytest.mark.parametrize(
    ("segments", "ids", "file", "found"),
    [
        (SEGMENTS[:1], IDS, ".png", "(44, 1, 0), id 300: 59 pixels"),
        (None, IDS[:, :-1], ".png", "12 x 19"),
        ([SEGMENTS[0] | {"category_id": 7}, SEGMENTS[1]], IDS, ".json", "7"),
        ([SEGMENTS[0] | {"id": 1 << 24}, SEGMENTS[1]], IDS, ".json", "16777216"),
    ],
)
def test_segments_and_colors_that_do_not_fit_are_an_error_or_are_skipped(
    segments: Any, ids: Any, file: str, found: str, tmp_path: Path
) -> None:
    source = dataset(tmp_path / "in", segments, ids)
    with pytest.raises(SourceError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert str(error.value.file).endswith(file)
    assert error.value.found == found
    assert error.value.expected is not None
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert done.images == 1
    assert done.skipped


def test_the_sample_has_a_segment_image_of_another_size(samples: Path, tmp_path: Path) -> None:
    source = samples / "generic" / "coco_panoptic"
    with pytest.raises(SourceError, match="another size") as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.file == "annotations/panoptic_train/a.png"
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert (done.images, done.instances) == (2, 2)


def test_the_export_equals_the_source(tmp_path: Path) -> None:
    source = dataset(tmp_path / "in")
    files = exported(source, tmp_path, "coco-panoptic")
    json_name, png_name = (
        "annotations/panoptic_val2017.json",
        "annotations/panoptic_val2017/000000000139.png",
    )
    assert set(files) == {json_name, png_name}
    assert json.loads(files[json_name]) == json.loads((source / json_name).read_text())
    colors = [np.asarray(Image.open(p / png_name)) for p in (tmp_path / "exported", source)]
    assert (colors[0] == colors[1]).all()


def test_an_export_of_another_source_converts_to_the_same_labels(tmp_path: Path) -> None:
    pixels = np.zeros(SIZE, np.uint8)
    pixels[3:9, 4:12], pixels[4, 6], pixels[0:2, 15:20] = 3, 0, 7
    (tmp_path / "in").mkdir()
    Image.fromarray(np.full(SIZE, 9, np.uint8)).save(tmp_path / "in/a.png")
    Image.fromarray(pixels).save(tmp_path / "in/a_mask.png")
    ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr")
    ngff_bio.export(tmp_path / "a.zarr", tmp_path / "out", to="coco-panoptic", images=True)
    data = converted(tmp_path / "out", tmp_path / "b.zarr")
    (layer,) = data[""].layers
    drawn = labels(data, layer=layer)
    assert ((drawn == 1) == (pixels == 3)).all()
    assert ((drawn == 2) == (pixels == 7)).all()
