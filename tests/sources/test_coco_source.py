"""Any folder with COCO files: found without a word, masks pixel for pixel, odd ids and keys kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from makers import damage, make_coco_folder
from makers.generic_coco import CocoFolderTruth
from PIL import Image
from pycocotools import mask as coco_mask
from stores import attributes, mask_of, pixels, table

import ngff_bio
from ngff_bio.errors import NgffBioError, SourceError
from ngff_bio.sources import find_source, open_tree, read_source


def converted(
    tmp_path: Path, **quirks: Any
) -> tuple[CocoFolderTruth, Path, ngff_bio.reader.Dataset]:
    truth = make_coco_folder(tmp_path, **quirks)
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    return truth, tmp_path / "out.zarr", ngff_bio.open(tmp_path / "out.zarr")


def path_of(dataset: ngff_bio.reader.Dataset, file_name: str) -> str:
    (path,) = [p for p in dataset if dataset[p].attributes["name"].endswith(file_name)]
    return path


def reference_mask(record: dict[str, Any], height: int, width: int) -> np.ndarray:
    """What pycocotools' annToMask gives; its box where a record has no outline."""
    segmentation = record.get("segmentation")
    if not segmentation:
        rle = coco_mask.frPyObjects(np.array([record["bbox"]], float), height, width)[0]
    elif isinstance(segmentation, list):
        rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        rle = coco_mask.frPyObjects(segmentation, height, width)
    else:
        rle = segmentation
    return coco_mask.decode(rle).astype(bool)


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"segmentations": ["polygon", "parts", "rle_str", "rle_list"]},
        {"segmentations": ["polygon", "none", "empty"]},
        {"string_ids": True},
        {"first_id": 0},
        {"first_id": -3},
        {"first_id": 2**40},
        {"categories": "missing"},
        {"categories": "one", "keypoints": True, "extra_keys": True},
        {"without_area": True, "subfolders": True},
        {"beside": True},
        {"instances": 30},
    ],
    ids=str,
)
def test_every_instance_is_whole_and_its_record_is_kept(tmp_path: Path, quirks: Any) -> None:
    truth, store, dataset = converted(tmp_path, **quirks)
    for content in truth.content.values():
        for image in content["images"]:
            path = path_of(dataset, image["file_name"])
            records = [a for a in content["annotations"] if a["image_id"] == image["id"]]
            (layer,) = [x for x in dataset[path].labels if "hidden" not in x]
            rows = table(store, path, layer)
            assert len(rows) == len(records)
            for record, (_, row) in zip(records, rows.iterrows(), strict=True):
                want = reference_mask(record, image["height"], image["width"])
                if want.any():
                    np.testing.assert_array_equal(mask_of(store, path, row), want)
                assert row["pixels"] == want.sum()
                assert row["source_id"] == str(record["id"])
                kept = json.loads(row["record"])
                if "segmentation" in record:
                    assert list(kept) == list(record)
                    kept["segmentation"] = record["segmentation"]
                assert kept == record


def test_image_files_of_every_kind_have_their_pixels(tmp_path: Path) -> None:
    kinds = ["png", "png16", "jpg", "tif"]
    truth, store, dataset = converted(tmp_path, kinds=kinds, images=4)
    for name, image in truth.images.items():
        if name.endswith(".tif"):
            want = tifffile.imread(image.path)
        else:
            want = np.asarray(Image.open(image.path))
        want = np.moveaxis(want, -1, 0) if want.ndim == 3 else want
        found = pixels(store, path_of(dataset, name))
        np.testing.assert_array_equal(found, want)
        assert found.dtype == want.dtype


def test_annotation_files_are_splits(tmp_path: Path) -> None:
    truth, _, dataset = converted(tmp_path)
    for file, content in truth.content.items():
        for image in content["images"]:
            frame = dataset[path_of(dataset, image["file_name"])].attributes["frames"][0]
            assert frame["splits"] == [file]


def test_categories_keep_ids_names_and_all_else(tmp_path: Path) -> None:
    truth, store, dataset = converted(tmp_path, keypoints=True)
    (content, *_) = truth.content.values()
    path = path_of(dataset, content["images"][0]["file_name"])
    layer = dataset[path].labels[0]
    kept = attributes(store, f"{path}/labels/{layer}")["ngff_bio"]["categories"]
    assert [(c["id"], c["name"]) for c in kept] == [
        (c["id"], c["name"]) for c in content["categories"]
    ]


def test_one_image_is_the_root(tmp_path: Path) -> None:
    _, _, dataset = converted(tmp_path, images=1, files=["instances"])
    assert list(dataset) == [""]


def test_a_zip_is_read_without_unpacking(tmp_path: Path) -> None:
    truth = make_coco_folder(tmp_path)
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", truth.root)
    ngff_bio.convert(truth.root, tmp_path / "folder.zarr")
    report = ngff_bio.convert(archive, tmp_path / "zip.zarr")
    assert report.format == "coco"
    one, other = ngff_bio.open(tmp_path / "folder.zarr"), ngff_bio.open(tmp_path / "zip.zarr")
    assert list(one) == list(other)
    for path in one:
        np.testing.assert_array_equal(
            pixels(tmp_path / "folder.zarr", path), pixels(tmp_path / "zip.zarr", path)
        )


def first_file(truth: CocoFolderTruth) -> Path:
    return next(iter(truth.annotation_files.values()))


def _change(content: dict[str, Any], how: str) -> dict[str, Any]:
    first = content["annotations"][0]
    if how == "unknown image":
        first["image_id"] = 4711
    elif how == "odd coordinates":
        first["segmentation"] = [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]]
    elif how == "number for text":
        content["images"][0]["file_name"] = 7
    elif how == "text for number":
        first["segmentation"] = [["a", 1, 2, 3, 4, 5]]
    elif how == "runs of another size":
        first["segmentation"] = {"size": [48, 64], "counts": [5, 5]}
    elif how == "twice the same id":
        content["annotations"][1]["id"] = first["id"]
    elif how == "outside name":
        content["images"][0]["file_name"] = "../../outside.png"
    elif how == "absolute name":
        content["images"][0]["file_name"] = "/etc/passwd"
    return content


@pytest.mark.parametrize(
    "how",
    [
        "unknown image",
        "odd coordinates",
        "number for text",
        "text for number",
        "runs of another size",
        "twice the same id",
        "outside name",
        "absolute name",
    ],
)
def test_a_wrong_record_is_one_clear_error_or_skipped_and_reported(
    tmp_path: Path, how: str
) -> None:
    truth = make_coco_folder(tmp_path, files=["instances"])
    file = first_file(truth)
    damage.edit_json(file, lambda content: _change(content, how))
    with pytest.raises(SourceError) as caught:
        ngff_bio.convert(truth.root, tmp_path / "stop.zarr")
    assert "instances.json" in str(caught.value)
    assert caught.value.record is not None
    report = ngff_bio.convert(truth.root, tmp_path / "skip.zarr", on_error="skip")
    assert report.skipped
    total = sum(len(c["annotations"]) for c in truth.content.values())
    assert 0 < report.instances <= total


def test_a_listed_image_without_a_file_is_an_error_or_skipped_with_its_annotations(
    tmp_path: Path,
) -> None:
    truth = make_coco_folder(tmp_path, files=["instances"])
    absent = next(iter(truth.images.values()))
    absent.path.unlink()
    with pytest.raises(SourceError, match="listed image") as caught:
        ngff_bio.convert(truth.root, tmp_path / "stop.zarr")
    assert absent.file_name in str(caught.value)
    assert not (tmp_path / "stop.zarr").exists()
    report = ngff_bio.convert(truth.root, tmp_path / "skip.zarr", on_error="skip")
    (notice,) = report.skipped
    assert absent.file_name in (notice.record or "")
    own = ngff_bio.open(tmp_path / "skip.zarr").attributes
    entries = truth.content["instances"]["images"]
    assert own["attributes"]["coco"][0]["missing"] == {"0": entries[0]}


@pytest.mark.parametrize(
    "break_it", [damage.truncate, damage.insert_comments, damage.make_latin_1, damage.nest_deeply]
)
def test_a_file_that_is_no_json_is_named(tmp_path: Path, break_it: Any) -> None:
    truth = make_coco_folder(tmp_path, files=["instances"], extra_keys=True)
    break_it(first_file(truth))
    with pytest.raises(NgffBioError) as caught:
        ngff_bio.convert(truth.root, tmp_path / "out.zarr", format="coco")
    assert caught.value.exit_code == 2
    assert not (tmp_path / "out.zarr" / "zarr.json").exists()


def _folders(place: Path, *names: str) -> Path:
    """A folder of image files."""
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5), 1, np.uint8)).save(place / name)
    return place


def _list(file: Path, file_name: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    entry = {"id": 1, "file_name": file_name, "width": 5, "height": 4}
    file.write_text(json.dumps({"images": [entry], "annotations": [], "categories": []}))


def _listing(place: Path) -> dict[str, list[str]]:
    """COCO files that list each image file."""
    dataset = read_source(find_source(open_tree(place), "coco"), open_tree(place))
    return {i.name: [*i.frames[0].splits] for i in dataset.images}


def test_a_file_name_is_resolved_from_the_coco_file_then_from_images_beside_it(
    tmp_path: Path,
) -> None:
    place = _folders(tmp_path / "a", "one/images/x.png", "two/images/x.png", "images/x.png")
    _list(place / "one/a.json", "images/x.png")
    _list(place / "two/b.json", "images/x.png")
    assert _listing(place) == {
        "images/x.png": [],
        "one/images/x.png": ["a"],
        "two/images/x.png": ["b"],
    }
    place = _folders(tmp_path / "b", "x.png", "one/images/x.png")
    _list(place / "one/a.json", "x.png")
    assert _listing(place) == {"x.png": [], "one/images/x.png": ["a"]}


def test_a_file_name_of_several_splits_is_that_of_the_split_of_the_coco_file(
    tmp_path: Path,
) -> None:
    place = _folders(tmp_path, "train2017/x.png", "val2017/x.png", "other/x.png")
    _list(place / "annotations/instances_train2017.json", "x.png")
    _list(place / "annotations/instances_val2017.json", "x.png")
    assert _listing(place) == {
        "other/x.png": [],
        "train2017/x.png": ["instances_train2017"],
        "val2017/x.png": ["instances_val2017"],
    }


def test_a_file_name_of_several_files_is_an_error_that_lists_them(tmp_path: Path) -> None:
    place = _folders(tmp_path / "a", "one/x.png", "two/x.png")
    _list(place / "annotations/a.json", "x.png")
    with pytest.raises(SourceError, match="matches several image files") as caught:
        _listing(place)
    assert str(caught.value.found) == "one/x.png, two/x.png"
    assert "--exclude" in str(caught.value.hint)
    assert ngff_bio.convert(place, tmp_path / "out.zarr", exclude=["two"]).images == 1


def test_an_image_file_of_another_ending_is_taken_if_it_is_the_only_one(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "png").mkdir(parents=True)
    Image.fromarray(np.ones((4, 5), np.uint8)).save(folder / "png" / "a.png")
    listed = {
        "images": [{"id": 1, "file_name": "a.tif", "height": 4, "width": 5}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2],
                         "area": 4, "iscrowd": 0, "segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]]}],
    }  # fmt: skip
    (folder / "coco.json").write_text(json.dumps(listed))
    report = ngff_bio.convert(folder, tmp_path / "one.zarr")
    assert report.instances == 1
    (warning,) = [n for n in report.notices if n.kind == "warning"]
    assert warning.record == "a.tif: png/a.png"
    (folder / "jpg").mkdir()
    Image.fromarray(np.ones((4, 5), np.uint8)).save(folder / "jpg" / "a.jpg")
    with pytest.raises(NgffBioError, match="not found"):
        ngff_bio.convert(folder, tmp_path / "two.zarr")
