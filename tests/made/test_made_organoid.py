"""The made organoid collection is what its truth says, read by other libraries."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from makers import make_organoid
from makers.organoid import SIZES, OrganoidTruth
from PIL import Image


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> OrganoidTruth:
    return make_organoid(tmp_path_factory.mktemp("organoid"))


def read(path: Path | None) -> dict[str, Any]:
    assert path is not None
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    made = [
        make_organoid(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    content = [[file.read_bytes() for file in truth.files] for truth in made]
    assert content[0] == content[1] != content[2]


def test_trees_and_pairs_lie_as_published(whole: OrganoidTruth) -> None:
    assert whole.root.name == "Organoid"
    assert (whole.root / "Detection/W_C10_0/Proj_1.tif").is_file()
    assert (whole.root / "Tracking/W_E4_12/Proj_12.json").is_file()
    assert {len(well.frames) for well in whole.wells.values()} == {1, 2, 3, 5, 12}
    well = whole.wells["Tracking/W_F10_15"]
    assert (well.well, well.index) == ("F10", 15)


def test_images_and_annotations_read_back_as_made(whole: OrganoidTruth) -> None:
    for well in whole.wells.values():
        for frame in well.frames:
            assert frame.image_file is not None
            pixels = tifffile.imread(frame.image_file)
            assert (pixels.dtype, pixels.shape) == (np.uint8, (96, 120))
            np.testing.assert_array_equal(pixels, frame.pixels)
            content = read(frame.json_file)
            assert content == frame.content()
            assert (content["imageHeight"], content["imageWidth"]) == pixels.shape
            for shape, box in zip(content["shapes"], frame.boxes, strict=True):
                points = np.array(shape["points"])
                assert (*points.min(axis=0), *points.max(axis=0)) == box.box
                assert shape["label"] == box.label


def test_the_json_has_the_keys_of_the_page(whole: OrganoidTruth) -> None:
    content = whole.wells["Detection/W_C10_0"].frames[0].content()
    assert list(content) == [
        "version",
        "flags",
        "shapes",
        "imagePath",
        "imageData",
        "imageHeight",
        "imageWidth",
    ]
    assert list(content["shapes"][0]) == [
        "label",
        "line_color",
        "fill_color",
        "points",
        "shape_type",
        "flags",
    ]


def test_boxes_are_dragged_in_every_order(whole: OrganoidTruth) -> None:
    orders = {
        (a[0] < b[0], a[1] < b[1])
        for well in whole.wells.values()
        for frame in well.frames
        for a, b in frame.corners
    }
    assert len(orders) == 4


def test_tracks_have_gaps_and_a_zero_and_detections_only_zeros(whole: OrganoidTruth) -> None:
    labels = {
        tree: {
            box.label
            for well in whole.wells.values()
            if well.tree == tree
            for frame in well.frames
            for box in frame.boxes
        }
        for tree in ("Detection", "Tracking")
    }
    assert labels["Detection"] == {"0"}
    assert {"0", "1", "3"} <= labels["Tracking"]
    assert "2" not in labels["Tracking"]
    long = whole.wells["Tracking/W_E4_12"]
    assert len({frozenset(box.label for box in frame.boxes) for frame in long.frames}) > 1
    for frame in long.frames:
        names = [box.label for box in frame.boxes]
        assert len(set(names)) == len(names)


def test_boxes_nest_and_show_an_organoid(whole: OrganoidTruth) -> None:
    frame = whole.wells["Tracking/W_E4_12"].frames[0]
    outer, inner = frame.boxes[0].box, frame.boxes[1].box
    assert outer[0] < inner[0] < inner[2] < outer[2]
    left, top, right, bottom = (int(value) for value in outer)
    assert frame.pixels[top:bottom, left:right].mean() < frame.pixels.mean() - 15


@pytest.mark.parametrize("kind", ["sibling", "stale", "windows"])
def test_image_paths_may_be_of_another_machine(tmp_path: Path, kind: Any) -> None:
    truth = make_organoid(tmp_path, trees=["Detection"], image_path=kind)
    frame = truth.wells["Detection/W_C10_1"].frames[1]
    path = read(frame.json_file)["imagePath"]
    assert path.startswith({"sibling": "Proj_2", "stale": "XXX", "windows": "D:\\"}[kind])


def test_the_image_may_be_in_the_json_with_odd_keys(tmp_path: Path) -> None:
    truth = make_organoid(
        tmp_path,
        trees=["Detection"],
        image_data="base64",
        flags_null=True,
        group_id=True,
        extra_keys=True,
    )
    frame = truth.wells["Detection/W_C10_0"].frames[0]
    content = read(frame.json_file)
    with Image.open(io.BytesIO(base64.b64decode(content["imageData"]))) as img:
        np.testing.assert_array_equal(np.asarray(img), frame.pixels)
    assert content["flags"] is content["shapes"][0]["flags"] is None
    assert content["shapes"][0]["group_id"] is None
    assert "reviewedBy" in content


def test_boxes_may_reach_out_be_flat_and_share_a_label(tmp_path: Path) -> None:
    truth = make_organoid(
        tmp_path, trees=["Tracking"], outside=True, flat_box=True, double_label=True
    )
    for frame in truth.wells["Tracking/W_E4_12"].frames:
        shapes = read(frame.json_file)["shapes"]
        assert np.array(shapes[0]["points"]).max() > 120
        assert np.ptp(np.array(shapes[-1]["points"])[:, 1]) == 0
        assert shapes[0]["label"] == shapes[1]["label"]


def test_sizes_may_differ_between_frames_and_from_the_json(tmp_path: Path) -> None:
    truth = make_organoid(tmp_path, trees=["Tracking"], unequal_sizes=True, json_scale=2)
    frames = truth.wells["Tracking/W_F10_3"].frames
    shapes = [tifffile.imread(frame.image_file).shape for frame in frames]
    assert shapes == [frame.shape for frame in frames]
    assert len(set(shapes)) > 1
    assert read(frames[0].json_file)["imageHeight"] == 192


def test_pairs_and_numbers_may_be_missing(tmp_path: Path) -> None:
    truth = make_organoid(
        tmp_path, trees=["Tracking"], number_gap=True, without_json=1, without_image=1
    )
    folder = truth.root / "Tracking/W_E4_12"
    images = {path.stem for path in folder.glob("*.tif")}
    jsons = {path.stem for path in folder.glob("*.json")}
    assert images - jsons == {"Proj_1"}
    assert jsons - images == {"Proj_13"}
    assert "Proj_2" not in images | jsons


@pytest.mark.parametrize("kind", ["lzw", "tiled"])
def test_tiffs_come_in_other_layouts(tmp_path: Path, kind: Any) -> None:
    truth = make_organoid(tmp_path, trees=["Detection"], tiff=kind)
    frame = truth.wells["Detection/W_C10_0"].frames[0]
    with tifffile.TiffFile(frame.image_file) as tiff:
        assert tiff.pages[0].is_tiled == (kind == "tiled")
        assert (tiff.pages[0].compression == 5) == (kind == "lzw")
        np.testing.assert_array_equal(tiff.asarray(), frame.pixels)


def test_full_size_is_the_published_one() -> None:
    assert SIZES["full"].shape == (9122, 9163)
