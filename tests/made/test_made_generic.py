"""Made COCO, labelme and TIFF folders are what their truths say, read by other libraries."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from makers import make_coco_folder, make_labelme_folder, make_tiff_folder
from makers.generic_coco import SEGMENTATIONS
from makers.generic_labelme import SHAPE_TYPES
from makers.generic_tiff import TIFF_KINDS, TiffFolderTruth
from PIL import Image
from pycocotools.coco import COCO

from ngff_bio.errors import ArgumentError


@pytest.mark.parametrize("make", [make_coco_folder, make_labelme_folder, make_tiff_folder])
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, make: Any) -> None:
    made = [make(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    content = [[file.read_bytes() for file in truth.files] for truth in made]
    assert content[0] == content[1] != content[2]


def test_coco_files_and_masks_read_back_as_made(tmp_path: Path) -> None:
    truth = make_coco_folder(tmp_path, segmentations=("polygon", "parts", "rle_str", "rle_list"))
    for name, content in truth.content.items():
        assert json.loads(truth.annotation_files[name].read_text()) == content
        coco = COCO(str(truth.annotation_files[name]))
        for record in coco.anns.values():
            drawn = coco.annToMask(record)
            assert drawn.sum() == pytest.approx(record["area"], rel=0.25)
            image = truth.images[coco.imgs[record["image_id"]]["file_name"]]
            grey = image.pixels.reshape(*image.pixels.shape[:2], -1)[..., 0].astype(float)
            assert grey[drawn > 0].mean() > grey[drawn == 0].mean() + 50


@pytest.mark.parametrize("kind", ["png", "png16", "rgba", "palette", "jpg", "tif"])
def test_coco_images_come_in_every_kind(tmp_path: Path, kind: Any) -> None:
    truth = make_coco_folder(tmp_path, images=1, kinds=[kind])
    image = next(iter(truth.images.values()))
    if kind == "tif":
        found = tifffile.imread(image.path)
    else:
        with Image.open(image.path) as img:
            modes = {"png16": "I;16", "rgba": "RGBA", "palette": "P", "jpg": "RGB"}
            assert img.mode == modes.get(kind, "L")
            found = np.asarray(img)
    assert found.shape == image.pixels.shape
    if image.lossy:
        assert np.abs(found.astype(float) - image.pixels).mean() < 8
    else:
        np.testing.assert_array_equal(found, image.pixels)


def test_coco_quirks_are_switched_one_by_one(tmp_path: Path) -> None:
    truth = make_coco_folder(
        tmp_path,
        segmentations=SEGMENTATIONS,
        files=["all"],
        beside=True,
        subfolders=True,
        string_ids=True,
        first_id=-1,
        keypoints=True,
        extra_keys=True,
        unknown_category=True,
    )
    content = json.loads((truth.root / "all.json").read_text())
    assert content["images"][0]["id"] == "-1"
    assert (truth.root / content["images"][0]["file_name"]).is_file()
    assert "/" in content["images"][0]["file_name"]
    first = content["annotations"][:6]
    assert [("segmentation" in each, each["iscrowd"]) for each in first] == [
        (True, 0),
        (True, 0),
        (True, 1),
        (True, 1),
        (False, 0),
        (True, 0),
    ]
    assert [type(first[index]["segmentation"]["counts"]) for index in (2, 3)] == [str, list]
    assert len(first[0]["keypoints"]) == 9
    assert first[0]["attributes"] == {"mitotic": True}
    assert content["annotations"][-1]["category_id"] not in {
        each["id"] for each in content["categories"]
    }
    assert content == truth.content["all"]


def test_coco_keys_may_be_missing(tmp_path: Path) -> None:
    truth = make_coco_folder(tmp_path, categories="missing", without_area=True, files=["only"])
    content = json.loads(truth.annotation_files["only"].read_text())
    assert "categories" not in content
    assert not {"area", "iscrowd"} & content["annotations"][0].keys()


def test_labelme_files_have_every_shape_type(tmp_path: Path, samples: Path) -> None:
    real = json.loads((samples / "labelme/primitives/primitives.json").read_text())
    truth = make_labelme_folder(tmp_path)
    for image in truth.images.values():
        content = json.loads(image.json_file.read_text("utf-8"))
        assert content == image.content
        assert content.keys() == real.keys()
        assert content["shapes"][0].keys() == real["shapes"][0].keys()
        assert {shape["shape_type"] for shape in content["shapes"]} == set(SHAPE_TYPES)
        with Image.open(image.image_file) as img:
            np.testing.assert_array_equal(np.asarray(img), image.pixels)
    assert {shape["shape_type"] for shape in real["shapes"]} <= set(SHAPE_TYPES)


def test_labelme_shapes_lie_on_bright_blobs(tmp_path: Path) -> None:
    from skimage.draw import disk, polygon

    image = make_labelme_folder(tmp_path, shape_types=("polygon", "circle")).images["image_1"]
    red = image.pixels[..., 0]
    for shape in image.content["shapes"]:
        points = np.array(shape["points"])
        if shape["shape_type"] == "circle":
            centre, rim = points
            covered = disk(centre[::-1], np.hypot(*(rim - centre)), shape=red.shape)
        else:
            covered = polygon(points[:, 1], points[:, 0], shape=red.shape)
        assert red[covered].mean() > red.mean() + 30


def test_labelme_masks_lie_where_their_points_say(tmp_path: Path) -> None:
    image = make_labelme_folder(tmp_path).images["image_1"]
    assert image.masks
    for index, whole in image.masks.items():
        shape = image.content["shapes"][index]
        (left, top), (right, bottom) = shape["points"]
        with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as img:
            part = np.asarray(img)
        assert part.shape == (bottom - top + 1, right - left + 1)
        np.testing.assert_array_equal(
            whole[int(top) : int(bottom) + 1, int(left) : int(right) + 1], part
        )
        assert whole.sum() == part.sum()


def test_labelme_quirks_are_switched_one_by_one(tmp_path: Path) -> None:
    truth = make_labelme_folder(
        tmp_path,
        groups=True,
        image_data=True,
        with_flags=True,
        extra_keys=True,
        split_folders=True,
        without_shapes=1,
    )
    first, second = (
        json.loads((truth.root / f"json/image_{number}.json").read_text("utf-8"))
        for number in (1, 2)
    )
    assert first["shapes"] == []
    assert [shape["group_id"] for shape in second["shapes"][:4]] == [0, 0, 1, 1]
    assert second["shapes"][0]["flags"] == {"dividing": True}
    assert second["shapes"][0]["description"] == "shape 0"
    assert (
        base64.b64decode(first["imageData"])
        == (truth.root / "json" / first["imagePath"]).read_bytes()
    )


@pytest.fixture(scope="module")
def tiffs(tmp_path_factory: pytest.TempPathFactory) -> TiffFolderTruth:
    return make_tiff_folder(tmp_path_factory.mktemp("tiff"))


@pytest.mark.parametrize("kind", [kind for kind in TIFF_KINDS if kind != "series"])
def test_tiffs_read_back_as_made(tiffs: TiffFolderTruth, kind: str) -> None:
    image = tiffs.images[kind]
    with tifffile.TiffFile(image.paths[0]) as tiff:
        np.testing.assert_array_equal(tiff.asarray(), image.pixels)
        series = tiff.series[0]
        if "Q" not in image.axes:
            assert series.axes == image.axes
        assert series.dtype == image.pixels.dtype


def test_tiffs_have_the_layouts_of_their_names(tiffs: TiffFolderTruth) -> None:
    pages = {}
    for kind, image in tiffs.images.items():
        with tifffile.TiffFile(image.paths[0]) as tiff:
            pages[kind] = tiff.pages[0]
            assert tiff.is_imagej == (kind == "imagej")
            assert tiff.is_ome == kind.startswith("ome")
            assert tiff.is_bigtiff == (kind == "bigtiff")
            assert (tiff.byteorder == ">") == (kind in ("big_endian", "imagej"))
            if kind == "palette":
                assert image.palette is not None
                np.testing.assert_array_equal(tiff.pages[0].colormap, image.palette.T)
    assert pages["deflate_tiled"].is_tiled
    assert (pages["lzw_predictor"].compression, pages["lzw_predictor"].predictor) == (5, 2)
    assert (pages["rgb"].planarconfig, pages["rgb_planar"].planarconfig) == (1, 2)
    assert pages["minis_white"].photometric == 0
    assert pages["palette"].photometric == 3


def test_tiffs_say_their_calibration(tiffs: TiffFolderTruth) -> None:
    with tifffile.TiffFile(tiffs.images["imagej"].paths[0]) as tiff:
        metadata = tiff.imagej_metadata
        assert metadata is not None
        assert (metadata["unit"], metadata["spacing"], metadata["finterval"]) == ("um", 1.5, 2.0)
        assert tiff.pages[0].tags["XResolution"].value == (4, 1)
    with tifffile.TiffFile(tiffs.images["ome"].paths[0]) as tiff:
        assert tiff.ome_metadata is not None
        assert 'PhysicalSizeZ="1.5"' in tiff.ome_metadata
        assert 'Name="DAPI"' in tiff.ome_metadata
    with tifffile.TiffFile(tiffs.images["resolution"].paths[0]) as tiff:
        assert tiff.pages[0].tags["ResolutionUnit"].value == 3
    assert tiffs.images["resolution"].spacing["X"] == (0.25, "µm")


def test_a_series_is_numbered_without_padding(tiffs: TiffFolderTruth) -> None:
    image = tiffs.images["series"]
    assert len(image.paths) == 24
    assert sorted(path.name for path in image.paths) != [path.name for path in image.paths]
    found = np.stack([tifffile.imread(path) for path in image.paths])
    np.testing.assert_array_equal(found.reshape(image.pixels.shape), image.pixels)


def test_label_images_may_lie_beside(tmp_path: Path) -> None:
    truth = make_tiff_folder(tmp_path, kinds=["plain"], labels=True)
    image = truth.images["plain"]
    assert image.paths[0] == truth.root / "images/plain.tif"
    assert image.label_path == truth.root / "masks/plain.tif"
    labels = tifffile.imread(image.label_path)
    np.testing.assert_array_equal(labels, image.labels)
    assert set(np.unique(labels)) == {0, 1, 2, 40, 300}


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="TIFF"):
        make_tiff_folder(tmp_path, kinds=["czi"])
