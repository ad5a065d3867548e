"""More instances on top of each other than there are hidden label images."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

import ngff_bio
from ngff_bio.checks import validate
from ngff_bio.checks.source.verify import verify
from ngff_bio.reader.access.image import PartlyUnreadableWarning

HEIGHT, WIDTH = 60, 80


def crowd(folder, count):
    """Outlines that all cover the middle of one image; returns them by id."""
    folder.mkdir()
    Image.new("L", (WIDTH, HEIGHT)).save(folder / "a.png")
    rng = np.random.default_rng(5)
    shifts = rng.integers(0, 8, (count, 2)).tolist()
    outlines = {
        n: [10 + x, 10 + y, 60 + x, 14 + y, 55 + x, 45 + y, 16 + x, 40 + y]
        for n, (x, y) in enumerate(shifts, 1)
    }
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": 1, "segmentation": [o], "iscrowd": 0}
            for n, o in outlines.items()
        ],
    }
    (folder / "a.json").write_text(json.dumps(content))
    return outlines


def drawn(outline):
    return coco_mask.decode(coco_mask.frPyObjects([outline], HEIGHT, WIDTH))[..., 0].astype(bool)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crowded")
    outlines = crowd(folder / "source", 60)
    report = ngff_bio.convert(folder / "source", folder / "a.zarr")
    return folder / "source", folder / "a.zarr", outlines, report


def in_no_label_image(store):
    rows = ngff_bio.open(store)[""].annotations(columns=["label", "label_image"])
    return set(rows["label"][rows["label_image"].isna()].tolist())


def test_thousands_of_outlines_on_one_place_give_few_objects(tmp_path):
    crowd(tmp_path / "source", 8000)
    ngff_bio.convert(tmp_path / "source", tmp_path / "a.zarr")
    assert sum(path.is_file() for path in (tmp_path / "a.zarr").rglob("*")) < 100
    assert verify(tmp_path / "a.zarr", tmp_path / "source").equal


def test_the_report_counts_the_instances_that_are_in_the_table_only(crowded):
    _, store, _, report = crowded
    (notice,) = report.notices
    assert "in the table only" in notice.what
    assert notice.count == len(in_no_label_image(store)) > 0


def test_such_a_store_is_valid_and_equal_to_its_source(crowded):
    source, store, _, _ = crowded
    assert verify(store, source).equal
    assert [f for f in validate(store) if f.level == "error"] == []


def test_exports_draw_what_no_label_image_contains_from_the_table(crowded, tmp_path):
    _, store, outlines, _ = crowded
    ngff_bio.export(store, tmp_path / "cut.json", to="coco", region={"x": (20, 50), "y": (5, 30)})
    records = json.loads((tmp_path / "cut.json").read_text())["annotations"]
    assert len(records) == len(outlines)
    for record, outline in zip(records, outlines.values(), strict=True):
        rle = record["segmentation"]
        if isinstance(rle["counts"], list):
            rle = coco_mask.frPyObjects(rle, *rle["size"])
        assert np.array_equal(coco_mask.decode(rle), drawn(outline)[5:30, 20:50])


def test_an_export_of_label_images_counts_what_they_do_not_contain(crowded, tmp_path):
    _, store, _, _ = crowded
    report = ngff_bio.export(store, tmp_path / "labels", to="rle-json")
    (notice,) = [n for n in report.skipped if "table only" in n.what]
    assert notice.count == len(in_no_label_image(store))


def test_masks_and_measures_leave_out_what_is_not_whole(crowded):
    _, store, outlines, _ = crowded
    image = ngff_bio.open(store)[""]
    missing = in_no_label_image(store)
    with pytest.warns(PartlyUnreadableWarning, match=f"{len(missing)} instances"):
        masks = image.instances()
    assert {m.label for m in masks} == set(outlines) - missing
    for one in masks:
        (y0, y1), (x0, x1) = one.box
        assert np.array_equal(one.mask, drawn(outlines[one.label])[y0:y1, x0:x1])
    with pytest.warns(PartlyUnreadableWarning, match=f"{len(missing)} instances"):
        table = ngff_bio.measure(store)
    assert set(table["label"]) == set(outlines) - missing
    assert table["pixels"].tolist() == [int(drawn(outlines[n]).sum()) for n in table["label"]]
