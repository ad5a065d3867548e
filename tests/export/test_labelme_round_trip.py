from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from labelme_loader import assert_files_are_equal, labelme_label_file
from makers import make_organoid

from ngff_bio import convert
from ngff_bio.export import export


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"flags_null": True, "group_id": True, "extra_keys": True, "number_gap": True},
        {"outside": True, "flat_box": True, "unequal_sizes": True, "image_path": "stale"},
        {"trees": ["Tracking"], "tiff": "tiled"},
    ],
    ids=str,
)
def test_organoid_files_come_back_value_for_value(tmp_path, quirks):
    made = make_organoid(tmp_path, **quirks)
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="labelme")
    assert_files_are_equal(made.root, tmp_path / "out")
    for img in made.root.rglob("*.tif"):
        written = tifffile.imread(tmp_path / "out" / img.relative_to(made.root))
        np.testing.assert_array_equal(written, tifffile.imread(img))


def test_images_embedded_in_files_come_back_as_pixels(tmp_path):
    made = make_organoid(tmp_path, image_data="base64", trees=["Detection"])
    convert(made.root, tmp_path / "store.zarr")
    report = export(tmp_path / "store.zarr", tmp_path / "out", to="labelme")
    assert any("imageData" in n.what for n in report.notices)
    assert_files_are_equal(made.root, tmp_path / "out", unlike=("imageData",))
    load = labelme_label_file()
    for path in made.root.rglob("*.json"):
        one = load(str(tmp_path / "out" / path.relative_to(made.root)))
        assert one.imageData.startswith(b"\x89PNG")
        assert len(one.shapes) == len(json.loads(path.read_text())["shapes"])


def test_labelme_reads_the_file_beside_its_image(tmp_path):
    made = make_organoid(tmp_path, image_path="sibling", trees=["Tracking"])
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="labelme")
    load = labelme_label_file()
    for path in made.root.rglob("*.json"):
        one = load(str(tmp_path / "out" / path.relative_to(made.root)))
        shapes = json.loads(path.read_text())["shapes"]
        assert [s["label"] for s in one.shapes] == [s["label"] for s in shapes]
        assert [s["points"] for s in one.shapes] == [s["points"] for s in shapes]


def test_image_files_are_not_written_where_they_are_not_wanted(tmp_path):
    made = make_organoid(tmp_path, trees=["Detection"])
    convert(made.root, tmp_path / "store.zarr")
    export(tmp_path / "store.zarr", tmp_path / "out", to="labelme", images=False)
    assert not list((tmp_path / "out").rglob("*.tif"))


def test_a_region_of_labelme_holds_shapes_within_and_cuts_the_others(tmp_path):
    made = make_organoid(tmp_path, trees=["Detection"])
    convert(made.root, tmp_path / "store.zarr")
    report = export(
        tmp_path / "store.zarr", tmp_path / "out", to="labelme", region="t=0,y=20:60,x=30:90"
    )
    assert report.instances
    load = labelme_label_file()
    kinds = set()
    for path in (tmp_path / "out").rglob("*.json"):
        content = load(str(path))
        for shape in content.shapes:
            kinds.add(shape["shape_type"])
            points = np.array(shape["points"])
            assert (points >= -1).all()
            assert (points <= (61, 41)).all()
    assert "rectangle" in kinds
