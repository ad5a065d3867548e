from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from labelme_loader import labelme_label_file
from makers import make_coco_folder, make_nuclei
from pycocotools.coco import COCO

from ngff_bio import convert
from ngff_bio.export import export


def ordered(path: Path) -> list:
    """A JSON file with the order of its keys."""
    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)


def assert_files_are_equal(source: Path, exported: Path) -> None:
    files = sorted(p.relative_to(source) for p in source.rglob("*.json"))
    assert files
    assert files == sorted(p.relative_to(exported) for p in exported.rglob("*.json"))
    for name in files:
        assert ordered(exported / name) == ordered(source / name), name


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"parts_every": 3, "colliding_names": True, "stage_2_annotations": "missing"},
        {"without_annotations": 2},
    ],
    ids=str,
)
def test_nuclei_files_come_back_value_for_value(tmp_path, quirks):
    made = make_nuclei(tmp_path, **quirks)
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="coco")
    assert_files_are_equal(made.root, tmp_path / "out")


def test_real_nuclei_come_back_value_for_value(samples, tmp_path):
    convert(samples / "nuclei" / "Nuclei", tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="coco")
    assert_files_are_equal(samples / "nuclei" / "Nuclei", tmp_path / "out")
    (file,) = (tmp_path / "out").rglob("*.json")
    assert len(COCO(file).anns) == 235


@pytest.mark.parametrize(
    "quirks",
    [
        {"segmentations": ("polygon", "rle"), "keypoints": True, "extra_keys": True},
        {"string_ids": True, "categories": "missing", "subfolders": True},
        {"without_area": True, "first_id": 0, "beside": True, "kinds": ("png16", "tif")},
    ],
    ids=str,
)
def test_files_of_any_coco_folder_come_back_value_for_value(tmp_path, quirks):
    made = make_coco_folder(tmp_path, **quirks)
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="coco")
    assert_files_are_equal(made.root, tmp_path / "out")


def test_labelme_reads_nuclei_with_every_mask(samples, tmp_path):
    source = samples / "nuclei" / "Nuclei"
    convert(source, tmp_path / "store.zarr")
    report = export(tmp_path / "store.zarr", tmp_path / "out", to="labelme")
    assert report.instances == 235
    coco = COCO(next(source.rglob("*.json")))
    load, seen = labelme_label_file(), 0
    for image in coco.imgs.values():
        (file,) = (tmp_path / "out").rglob(f"{Path(image['file_name']).stem}.json")
        content = load(str(file))
        assert content.imageData is not None
        masks = {a["id"]: coco.annToMask(a) for a in coco.imgToAnns[image["id"]]}
        assert len(content.shapes) == len(masks)
        for shape in content.shapes:
            drawn = np.zeros((image["height"], image["width"]), np.uint8)
            (x0, y0), (x1, y1) = np.array(shape["points"], int)
            drawn[y0 : y1 + 1, x0 : x1 + 1] = shape["mask"]
            np.testing.assert_array_equal(drawn, masks[int(shape["other_data"]["source_id"])])
            assert shape["label"] == "Nucleus"
            seen += 1
    assert seen == 235
