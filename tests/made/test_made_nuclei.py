"""The made nuclei collection is what its truth says, read by other libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import make_nuclei
from makers.nuclei import NucleiTruth
from PIL import Image
from pycocotools.coco import COCO

from ngff_bio.errors import ArgumentError

STAGE_1, STAGE_1_TEST, STAGE_2 = (
    "nuclei_stage1_train",
    "nuclei_stage_1_test",
    "nuclei_stage_2_test",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> NucleiTruth:
    return make_nuclei(tmp_path_factory.mktemp("nuclei"))


def read(truth: NucleiTruth, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(truth.annotation_files[name].read_text())
    return content


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    made = [
        make_nuclei(tmp_path / name, seed=seed, sets=[STAGE_1, "BBBC006"], processes=processes)
        for name, seed, processes in (("a", 1, 1), ("b", 1, 2), ("c", 2, 1))
    ]
    content = [[file.read_bytes() for file in truth.files] for truth in made]
    assert content[0] == content[1]
    assert content[0] != content[2]


def test_all_fourteen_sets_are_where_the_page_lists_them(whole: NucleiTruth) -> None:
    assert len(whole.sets) == 14
    assert {path.name for path in (whole.root / "annotations").iterdir()} == {
        "stage1_train.json",
        "stage_1_local_train_split.json",
        "stage_1_local_val_split.json",
        "stage_1_test.json",
        "stage_2_test.json",
        "cluster_nuclei.json",
        "BBBC007.json",
        "BBBC006.json",
        "BBBC018.json",
        "BBBC020.json",
        "nucleisegmentationbenchmark.json",
        "2009_ISBI_2DNuclei.json",
        "nuclei_partial_annotations.json",
        "TNBC_NucleiSegmentation.json",
    }
    assert (whole.root / "stage_1_train").is_dir()
    assert all(image.path.is_file() for images in whole.sets.values() for image in images)


def test_annotation_files_hold_the_records_of_the_truth(whole: NucleiTruth) -> None:
    for name in whole.sets:
        content = read(whole, name)
        assert content == whole.coco(name)
        assert list(content) == ["annotations", "categories", "images", "info"]


def test_records_have_the_shape_of_the_real_ones(whole: NucleiTruth, samples: Path) -> None:
    real = json.loads((samples / "nuclei/Nuclei/annotations/stage1_train.json").read_text())
    made = read(whole, STAGE_1)
    for key in ("annotations", "images", "categories"):
        assert made[key][0].keys() == real[key][0].keys()
    first, real_first = made["annotations"][0], real["annotations"][0]
    assert {key: type(value) for key, value in first.items()} == {
        key: type(value) for key, value in real_first.items()
    }
    assert first["id"] == real_first["id"] == 0
    assert isinstance(first["segmentation"]["counts"], str)
    assert made["categories"] == real["categories"]
    assert made["info"] == real["info"]


def test_pycocotools_decodes_the_masks_of_the_truth(whole: NucleiTruth) -> None:
    for name in ("BBBC006", STAGE_1_TEST, "TNBC_NucleiSegmentation"):
        coco = COCO(str(whole.annotation_files[name]))
        for image in whole.sets[name]:
            records = coco.imgToAnns[image.image_id]
            assert len(records) == len(image.masks) > 0
            for record, mask in zip(records, image.masks, strict=True):
                np.testing.assert_array_equal(coco.annToMask(record), mask)
                assert record["area"] == mask.sum()


def test_images_are_jpegs_of_three_channels_with_nuclei_where_masks_are(
    whole: NucleiTruth,
) -> None:
    for images in whole.sets.values():
        image = images[0]
        with Image.open(image.path) as img:
            assert (img.format, img.mode) == ("JPEG", "RGB")
            assert img.size == image.recipe.shape[::-1]
            pixels = np.asarray(img).astype(float)
        drawn = image.draw()
        assert np.abs(pixels - drawn.pixels).mean() < 6
        covered = np.any(drawn.masks, axis=0)
        assert abs(pixels[covered].mean() - pixels[~covered].mean()) > 40


def test_ids_start_at_0_and_run_on_over_the_stages(whole: NucleiTruth) -> None:
    for name, images in whole.sets.items():
        if name not in (STAGE_1_TEST, STAGE_2, "nuclei_stage_1_local_val_split"):
            assert (images[0].image_id, images[0].first_annotation) == (0, 0)
    stage_1, test, stage_2 = (read(whole, name) for name in (STAGE_1, STAGE_1_TEST, STAGE_2))
    assert test["images"][0]["id"] == stage_1["images"][-1]["id"] + 1
    assert stage_2["images"][0]["id"] == test["images"][-1]["id"] + 1
    assert test["annotations"][0]["id"] == stage_1["annotations"][-1]["id"] + 1
    assert stage_2["annotations"] == []


def test_local_splits_part_stage_1_under_the_same_ids(whole: NucleiTruth) -> None:
    parts = [
        read(whole, f"nuclei_stage_1_local_{split}_split")["images"] for split in ("train", "val")
    ]
    assert all(parts)
    together = sorted(parts[0] + parts[1], key=lambda each: each["id"])
    assert together == read(whole, STAGE_1)["images"]


def test_external_names_hold_colons_spaces_and_two_extensions(whole: NucleiTruth) -> None:
    assert whole.sets["BBBC007"][0].file_name == "A9 p5d.tif.jpg"
    assert ":0_80_x_0_80.jpg" in whole.sets["nucleisegmentationbenchmark"][0].file_name


def test_masks_overlap_only_where_the_published_ones_do(tmp_path: Path) -> None:
    truth = make_nuclei(tmp_path / "a", sets=["BBBC006", "BBBC020", "BBBC007", STAGE_1])
    deepest = {
        name: max(int(np.sum(image.masks, axis=0).max()) for image in images)
        for name, images in truth.sets.items()
    }
    assert deepest["BBBC006"] > 1
    assert deepest["BBBC020"] > 1
    assert deepest["BBBC007"] == deepest[STAGE_1] == 1
    apart = make_nuclei(tmp_path / "b", sets=["BBBC006"], overlap=False)
    assert np.sum(apart.sets["BBBC006"][0].masks, axis=0).max() == 1


def test_one_annotation_may_be_several_blobs(tmp_path: Path) -> None:
    from skimage.measure import label

    plain = make_nuclei(tmp_path / "a", sets=["BBBC018"])
    parted = make_nuclei(tmp_path / "b", sets=["BBBC018"], parts_every=3)
    assert len(parted.sets["BBBC018"][0].masks) < len(plain.sets["BBBC018"][0].masks)
    blobs = [label(mask).max() for mask in parted.sets["BBBC018"][0].masks]
    assert max(blobs) > 1
    coco = COCO(str(parted.annotation_files["BBBC018"]))
    np.testing.assert_array_equal(
        coco.annToMask(coco.imgToAnns[0][2]), parted.sets["BBBC018"][0].masks[2]
    )


def test_files_annotations_and_keys_may_be_missing(tmp_path: Path) -> None:
    truth = make_nuclei(
        tmp_path,
        sets=[STAGE_1, STAGE_2, "BBBC018"],
        without_file=1,
        without_annotations=1,
        stage_2_annotations="missing",
    )
    listed = {each["file_name"] for each in read(truth, "BBBC018")["images"]}
    there = {path.name for path in (truth.root / "BBBC018").iterdir()}
    assert len(listed - there) == 1
    assert [image.written for image in truth.sets["BBBC018"]] == [True, True, False]
    assert "annotations" not in read(truth, STAGE_2)
    assert 0 not in {each["image_id"] for each in read(truth, STAGE_1)["annotations"]}
    assert all(read(truth, name) == truth.coco(name) for name in truth.sets)


def test_names_may_collide_or_be_plain(tmp_path: Path) -> None:
    truth = make_nuclei(tmp_path / "a", sets=["BBBC007"], colliding_names=True)
    first, second = (image.file_name for image in truth.sets["BBBC007"][:2])
    assert first != second == first.replace(" ", "_")
    plain = make_nuclei(
        tmp_path / "b", sets=["BBBC007", "nucleisegmentationbenchmark"], plain_names=True
    )
    assert not any(set(" :") & set(path.name) for path in plain.files)


def test_an_unknown_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="nuclei set"):
        make_nuclei(tmp_path, sets=["BBBC999"])
