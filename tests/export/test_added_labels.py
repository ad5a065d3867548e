"""Labels that were added to a store later: exports of the source's own files name them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ngff_bio

YOLO = {"images/a.png": None, "labels/a.txt": "0 0.5 0.5 0.4 0.4\n", "classes.txt": "cell\n"}
VIA = {
    "a.png": None,
    "via.json": json.dumps(
        {
            "a.png1": {
                "filename": "a.png",
                "size": 1,
                "regions": [
                    {
                        "shape_attributes": {
                            "name": "rect",
                            "x": 2,
                            "y": 3,
                            "width": 5,
                            "height": 4,
                        },
                        "region_attributes": {},
                    }
                ],
                "file_attributes": {},
            }
        }
    ),
}
LABELME = {
    "a.png": None,
    "a.json": json.dumps(
        {
            "version": "5.4.1",
            "flags": {},
            "shapes": [
                {
                    "label": "cell",
                    "points": [[2, 2], [9, 2], [9, 9]],
                    "group_id": None,
                    "shape_type": "polygon",
                    "flags": {},
                }
            ],
            "imagePath": "a.png",
            "imageData": None,
            "imageHeight": 24,
            "imageWidth": 32,
        }
    ),
}
CELLPOSE = {"a.png": None, "a_cp_outlines.txt": "3,2,11,2,11,8,3,8\n"}


@pytest.mark.parametrize(
    ("files", "to", "alone"),
    [
        (YOLO, "yolo", "yolo"),
        (VIA, "via", "coco"),
        (LABELME, "labelme", "labelme"),
        (CELLPOSE, "cellpose", "cellpose"),
    ],
    ids=["yolo", "via", "labelme", "cellpose"],
)
def test_added_labels_are_named_and_can_be_exported_alone(
    tmp_path: Path, files: dict[str, str | None], to: str, alone: str
) -> None:
    source, store = tmp_path / "source", tmp_path / "a.zarr"
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            noise = np.random.default_rng(1).integers(0, 256, (24, 32), dtype=np.uint8)
            Image.fromarray(noise).save(source / name)
        else:
            (source / name).write_text(text)
    ngff_bio.convert(source, store)
    before = ngff_bio.export(store, tmp_path / "before", to=to)
    dataset = ngff_bio.open(store)
    values = np.zeros((24, 32), np.uint8)
    values[12:18, 20:25] = 1
    ngff_bio.write_labels(dataset[next(iter(dataset))], "mine", values)
    done = ngff_bio.export(store, tmp_path / "after", to=to)
    assert done.instances == before.instances == 1
    assert [n.record for n in done.skipped if n not in before.skipped] == ["mine"]
    new = ngff_bio.export(store, tmp_path / "new", to=alone, labels="mine")
    assert new.instances == 1
    assert not [n for n in new.skipped if "added later" in n.what]
