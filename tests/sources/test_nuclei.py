"""The nuclei collection: every quirk of its files, and every mask pixel for pixel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from makers import make_nuclei
from makers.damage import edit_json
from makers.nuclei import NucleiTruth
from PIL import Image as Picture
from pycocotools import mask as coco_mask
from stores import attributes, mask_of, pixels, table

import ngff_bio
from ngff_bio.errors import SourceError


def converted(
    tmp_path: Path, **quirks: object
) -> tuple[NucleiTruth, Path, ngff_bio.reader.Dataset]:
    truth = make_nuclei(tmp_path, size="tiny", **quirks)
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    return truth, tmp_path / "out.zarr", ngff_bio.open(tmp_path / "out.zarr")


def by_file(dataset: ngff_bio.reader.Dataset) -> dict[str, str]:
    """Path of each image by the name of its file."""
    return {dataset[p].attributes["frames"][0]["name"]: p for p in dataset}


def test_every_existing_image_file_is_an_image_with_its_pixels(tmp_path: Path) -> None:
    truth, store, dataset = converted(tmp_path)
    paths = by_file(dataset)
    files = {p.relative_to(truth.root).as_posix() for p in truth.files if p.suffix == ".jpg"}
    assert set(paths) == files
    for name, path in paths.items():
        decoded = np.moveaxis(np.asarray(Picture.open(truth.root / name)), -1, 0)
        np.testing.assert_array_equal(pixels(store, path), decoded)
        assert path.split("/")[0] == name.split("/")[0]


@pytest.mark.parametrize("quirks", [{"overlap": False}, {"overlap": True, "parts_every": 2}])
def test_every_mask_equals_what_pycocotools_decodes(tmp_path: Path, quirks: dict) -> None:
    truth, store, dataset = converted(tmp_path, **quirks)
    paths, checked, hidden = by_file(dataset), 0, 0
    for name, listed in truth.sets.items():
        if "local" in name:
            continue
        for image in listed:
            if not (image.written and image.annotated):
                continue
            path = paths[image.path.relative_to(truth.root).as_posix()]
            records = image.records()
            rows = table(store, path, "nucleus")
            assert len(rows) == len(records)
            for record, (_, row) in zip(records, rows.iterrows(), strict=True):
                want = coco_mask.decode(record["segmentation"]).astype(bool)
                np.testing.assert_array_equal(mask_of(store, path, row), want)
                assert row["pixels"] == want.sum()
                assert row["source_id"] == str(record["id"])
                hidden += "hidden" in row["label_image"]
                checked += 1
    assert checked > 100
    assert (hidden > 0) == quirks["overlap"]


def test_ids_that_start_at_0_are_columns_and_never_label_values(tmp_path: Path) -> None:
    truth, store, dataset = converted(tmp_path, sets=["nuclei_stage1_train"])
    rows = [table(store, path, "nucleus") for path in dataset]
    assert any("0" in set(r["source_id"]) for r in rows)
    assert all(r["label"].min() == 1 for r in rows)


def test_masks_that_are_no_crowds_are_run_lengths_kept_verbatim(tmp_path: Path) -> None:
    truth, store, dataset = converted(tmp_path, sets=["nuclei_stage1_train"])
    paths = by_file(dataset)
    (image, *_) = truth.sets["nuclei_stage1_train"]
    rows = table(store, paths[image.path.relative_to(truth.root).as_posix()], "nucleus")
    for record, (_, row) in zip(image.records(), rows.iterrows(), strict=True):
        assert row["rle_counts"] == record["segmentation"]["counts"]
        assert list(row["rle_size"]) == record["segmentation"]["size"]
        assert row["iscrowd"] == 0
        kept = json.loads(row["record"])
        assert {**kept, "segmentation": record["segmentation"]} == record


def test_local_splits_are_membership_and_not_new_pixels(tmp_path: Path) -> None:
    truth, store, dataset = converted(
        tmp_path,
        sets=[
            "nuclei_stage1_train",
            "nuclei_stage_1_local_train_split",
            "nuclei_stage_1_local_val_split",
        ],
    )
    assert len(dataset) == sum(i.written for i in truth.sets["nuclei_stage1_train"])
    paths = by_file(dataset)
    for name, split in (
        ("nuclei_stage_1_local_train_split", "stage_1_local_train_split"),
        ("nuclei_stage_1_local_val_split", "stage_1_local_val_split"),
    ):
        inside = {i.file_name for i in truth.sets[name]}
        for file, path in paths.items():
            splits = dataset[path].attributes["frames"][0]["splits"]
            assert "stage1_train" in splits
            assert (split in splits) == (file.split("/")[1] in inside)
    for path in dataset:
        assert dataset[path].labels == ("nucleus",)


def test_two_spellings_of_stage_1_belong_together(tmp_path: Path) -> None:
    truth, _, dataset = converted(tmp_path, sets=["nuclei_stage1_train"])
    assert (truth.root / "annotations" / "stage1_train.json").exists()
    assert all(p.startswith("stage_1_train/") for p in dataset)


def test_stage_2_has_no_annotations_and_keeps_its_images(tmp_path: Path) -> None:
    truth, _, dataset = converted(tmp_path, sets=["nuclei_stage_2_test"])
    assert len(dataset) == len(truth.sets["nuclei_stage_2_test"]) > 0
    assert all(dataset[p].labels == () for p in dataset)


def test_file_names_with_colons_spaces_and_double_endings_are_made_safe_and_kept(
    tmp_path: Path,
) -> None:
    truth, store, dataset = converted(tmp_path, colliding_names=True)
    names = {p.name for p in truth.files if p.suffix == ".jpg"}
    assert any(":" in n for n in names)
    assert any(" " in n for n in names)
    assert any(n.count(".") > 1 for n in names)
    for path in dataset:
        assert not set(path) & set(': "*?<>|\\')
        assert not path.lower().endswith((".jpg", ".tif"))
    kept = {n.rpartition("/")[2] for n in by_file(dataset)}
    assert kept == names
    assert attributes(store, "OME")["ome"]["series"] == list(dataset)


def test_listed_images_without_a_file_are_reported(tmp_path: Path) -> None:
    truth = make_nuclei(tmp_path, size="tiny", without_file=1)
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    absent = [i for images in truth.sets.values() for i in images if not i.written]
    assert absent
    assert sum(n.count for n in report.skipped) >= len({i.path for i in absent})


def test_nuclei_class_is_an_attribute_of_the_image(tmp_path: Path) -> None:
    truth, _, dataset = converted(tmp_path, sets=["nuclei_stage1_train"])
    paths = by_file(dataset)
    for image in truth.sets["nuclei_stage1_train"]:
        path = paths[image.path.relative_to(truth.root).as_posix()]
        assert dataset[path].attributes["attributes"]["nuclei_class"] == image.nuclei_class


def test_the_files_other_keys_are_kept(tmp_path: Path) -> None:
    truth, _, dataset = converted(tmp_path, sets=["nuclei_stage1_train"])
    (kept,) = dataset.attributes["attributes"]["coco"]
    content = truth.coco("nuclei_stage1_train")
    assert kept["keys"] == list(content)
    assert "licenses" not in kept["rest"]
    assert kept["rest"] == {k: v for k, v in content.items() if k not in ("images", "annotations")}


def test_an_entry_of_another_size_than_its_image_is_an_error_or_skipped(tmp_path: Path) -> None:
    truth = make_nuclei(tmp_path, size="tiny", sets=["nuclei_stage1_train"])
    file = truth.root / "annotations" / "stage1_train.json"

    def wider(content: dict) -> dict:
        content["images"][0]["width"] += 1
        return content

    edit_json(file, wider)
    with pytest.raises(SourceError, match="another size than its entry") as caught:
        ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert "images[0]" in str(caught.value)
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr", on_error="skip")
    written = sum(i.written for i in truth.sets["nuclei_stage1_train"])
    assert report.images == written
    dataset = ngff_bio.open(tmp_path / "out.zarr")
    assert [dataset[p].labels for p in dataset].count(()) == 1
    assert any("another size than its entry" in n.what for n in report.skipped)


def test_the_real_images_and_masks(samples: Path, tmp_path: Path) -> None:
    source = samples / "nuclei" / "Nuclei"
    report = ngff_bio.convert(samples / "nuclei", tmp_path / "out.zarr")
    assert (report.images, report.instances) == (8, 235)
    dataset = ngff_bio.open(tmp_path / "out.zarr")
    content = json.loads((source / "annotations" / "stage1_train.json").read_text())
    paths = {n.rpartition("/")[2]: p for n, p in by_file(dataset).items()}
    for image in content["images"]:
        path = paths[image["file_name"]]
        decoded = np.asarray(Picture.open(source / "stage_1_train" / image["file_name"]))
        np.testing.assert_array_equal(
            pixels(tmp_path / "out.zarr", path), np.moveaxis(decoded, -1, 0)
        )
        records = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        rows = table(tmp_path / "out.zarr", path, "nucleus")
        for record, (_, row) in zip(records, rows.iterrows(), strict=True):
            np.testing.assert_array_equal(
                mask_of(tmp_path / "out.zarr", path, row),
                coco_mask.decode(record["segmentation"]).astype(bool),
            )
