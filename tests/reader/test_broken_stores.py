"""Broken parts are named, and the others are read where that is safe."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from written_stores import by_hand, example_pixels, our_plate

import ngff_bio
from ngff_bio.errors import (
    IncompleteStoreError,
    NameNotFoundError,
    StorageError,
    StoreError,
    StoreNotFoundError,
)
from ngff_bio.reader.access.image import PartlyUnreadableWarning
from ngff_bio.storage import FolderStorage


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    by_hand("/")["plate"](tmp_path / "plate")
    return tmp_path / "plate"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    by_hand("/")["image"](tmp_path / "image")
    return tmp_path / "image"


def change(file: Path, how: Any) -> None:
    content = json.loads(file.read_text())
    how(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("make", [lambda p: None, lambda p: (p / "a.txt").write_text("a")])
def test_what_is_no_store_is_not_opened(tmp_path: Path, make: Any) -> None:
    make(tmp_path)
    with pytest.raises(StoreNotFoundError, match="no Zarr store here"):
        ngff_bio.open(tmp_path)
    with pytest.raises(FileNotFoundError):
        ngff_bio.open(tmp_path / "nothing")


def test_a_zarr_store_of_something_else_is_not_ome_zarr(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(3,), dtype="u1")
    with pytest.raises(StoreError, match="no OME-Zarr image"):
        ngff_bio.open(tmp_path / "a.zarr")


def test_an_incomplete_store_is_reported_as_one(tmp_path: Path) -> None:
    our_plate(FolderStorage(tmp_path / "p"))
    (tmp_path / "p" / "zarr.json").unlink()
    (tmp_path / "p" / ".ngff_bio").mkdir()
    (tmp_path / "p" / ".ngff_bio" / "plan.json").write_text("{}")
    with pytest.raises(IncompleteStoreError, match="incomplete"):
        ngff_bio.open(tmp_path / "p")


@pytest.mark.parametrize("text", ["{", "[]", '"a"', "\x00"])
def test_metadata_that_is_no_json_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "zarr.json").write_text(text)
    with pytest.raises(StoreError, match=r"zarr\.json"):
        ngff_bio.open(tmp_path)


def test_an_unknown_version_is_named(image: Path) -> None:
    def later(content: Any) -> None:
        content["ome"] = {"version": "7.1", "multiscales": content.pop("multiscales")}

    change(image / ".zattrs", later)
    with pytest.raises(StoreError, match=r"7\.1") as caught:
        ngff_bio.open(image)
    assert caught.value.file == str(image)


def test_metadata_of_nan_is_read(image: Path) -> None:
    text = (image / ".zattrs").read_text()
    (image / ".zattrs").write_text(text[:-1] + ', "quality": NaN}')
    assert ngff_bio.open(image)[""].shape == (1, 2, 1, 96, 120)


def test_a_level_that_is_listed_and_absent_is_left_out(image: Path) -> None:
    shutil.rmtree(image / "s1")
    dataset = ngff_bio.open(image)
    found = dataset[""]
    with pytest.raises(StoreError, match="is missing") as caught:
        found.level(1)
    assert caught.value.record == "level 1"
    with pytest.warns(PartlyUnreadableWarning, match=r"levels \[1\]"):
        tree = found.to_datatree()
    assert list(tree.children) == ["0", "2"]
    np.testing.assert_array_equal(
        found.level(2)["image"].values[0, :, 0], example_pixels()[:, ::4, ::4]
    )
    assert found.region(resolution=0.6).attrs["level"] == 0
    assert dataset.images["problem"].tolist() == ["no level 1"]


def test_broken_images_of_a_plate_are_marked_and_the_others_read(plate: Path) -> None:
    shutil.rmtree(plate / "B" / "7" / "0" / "s0")
    (plate / "B" / "7" / "1" / ".zattrs").write_text("{not json")
    shutil.rmtree(plate / "C" / "7" / "0" / "labels" / "cell")
    dataset = ngff_bio.open(plate)
    table = dataset.images.set_index("path")["problem"]
    assert "level that the metadata lists is missing" in table["B/7/0"]
    assert table["B/7/1"] == "metadata is not JSON"
    assert "labels/cell" in table["C/7/0"]
    assert table.isna()["C/7/1"]
    assert "cannot be read" in repr(dataset)
    assert "cannot be read" in dataset._repr_html_()
    with pytest.warns(PartlyUnreadableWarning):
        tree = dataset.to_datatree()
    np.testing.assert_array_equal(tree["C/7/1/0"]["image"].values[0, :, 0], example_pixels(3))
    with pytest.raises(StoreError, match="not JSON"):
        dataset["B/7/1"]


def test_a_well_that_is_absent_is_marked(plate: Path) -> None:
    shutil.rmtree(plate / "B")
    dataset = ngff_bio.open(plate)
    broken = dataset.images[dataset.images["problem"].notna()]
    assert broken["well"].tolist() == ["B7"]
    assert dataset["C/7/1"].shape == (1, 2, 1, 96, 120)
    with pytest.warns(PartlyUnreadableWarning, match="'B/7'"):
        assert len(dataset.annotations()) == 0
    with pytest.raises(StoreError, match="a well is listed by its plate but missing"):
        dataset.plate["B7"]["0"]


def test_labels_that_are_float_are_refused_and_the_image_read(image: Path) -> None:
    shutil.rmtree(image / "labels" / "cell" / "s0")
    zarr.create_array(
        image / "labels" / "cell" / "s0", shape=(1, 1, 1, 96, 120), dtype="f4", zarr_format=2
    )
    dataset = ngff_bio.open(image)
    with pytest.raises(StoreError, match="not integers") as caught:
        dataset[""].label("cell")
    assert caught.value.found == "float32"
    with pytest.warns(PartlyUnreadableWarning, match="cell"):
        level = dataset[""].level(0)
    assert list(level) == ["image"]
    assert "not integers" in dataset.images["problem"][0]


def test_two_scales_are_not_guessed_at(image: Path) -> None:
    def twice(content: Any) -> None:
        steps = content["multiscales"][0]["datasets"][0]["coordinateTransformations"]
        steps.append(dict(steps[0]))

    change(image / ".zattrs", twice)
    with pytest.raises(StoreError, match="two scales"):
        ngff_bio.open(image)


def test_axes_that_do_not_fit_the_array_are_named(image: Path) -> None:
    def fewer(content: Any) -> None:
        one = content["multiscales"][0]
        one["axes"] = one["axes"][2:]
        for dataset in one["datasets"]:
            dataset["coordinateTransformations"] = []

    change(image / ".zattrs", fewer)
    with pytest.raises(StoreError, match="does not have the axes"):
        ngff_bio.open(image)[""].level(0)


def test_missing_dimension_names_are_no_matter(tmp_path: Path) -> None:
    our_plate(FolderStorage(tmp_path / "p"), consolidated=False)
    file = tmp_path / "p" / "B" / "7" / "0" / "0" / "zarr.json"
    change(file, lambda content: content.pop("dimension_names"))
    image = ngff_bio.open(tmp_path / "p")["B/7/0"]
    assert image.level(0)["image"].dims == ("t", "y", "x")


def test_names_that_are_not_there_offer_the_nearest(plate: Path) -> None:
    dataset = ngff_bio.open(plate)
    with pytest.raises(NameNotFoundError, match="C/7/1"):
        dataset["C/7/11"]
    with pytest.raises(KeyError, match="C7"):
        dataset.plate["C8"]
    with pytest.raises(NameNotFoundError, match="cell"):
        dataset["C/7/1"].label("cells")
    with pytest.raises(NameNotFoundError, match="no tables"):
        dataset["C/7/1"].annotations("cell")
    with pytest.raises(NameNotFoundError, match="no plate"):
        _ = ngff_bio.open(plate / "C" / "7" / "1").plate
    assert dataset.plate["c07"].path == "C/7"


def test_a_store_without_rights_names_the_place_and_no_secret(bucket_server: Any) -> None:
    wrong = {**bucket_server.options, "secret_access_key": "swordfish-of-the-user"}
    storage = bucket_server.storage()
    with pytest.raises(StorageError) as caught:
        ngff_bio.open(storage.address, wrong)
    assert storage.url in str(caught.value)
    assert "swordfish" not in str(caught.value)
    assert "access is denied" in str(caught.value)


@pytest.mark.parametrize("name", ["../../../secret.zarr/0", "/secret.zarr/0", "..\\secret.zarr\\0"])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("consolidated", [True, False])
def test_a_level_outside_of_the_store_is_refused(
    tmp_path: Path, version: Any, consolidated: bool, name: str
) -> None:
    zarr.create_array(tmp_path / "secret.zarr" / "0", data=np.ones((3, 96, 120), "u1"))
    our_plate(FolderStorage(tmp_path / "a" / "p"), version=version, consolidated=consolidated)

    def lead_out(content: Any) -> None:
        if "metadata" in content.get("consolidated_metadata", content):
            copies = content.get("consolidated_metadata", content)["metadata"]
            lead_out(copies["B/7/0" if version == "0.5" else "B/7/0/.zattrs"])
            return
        content = content.get("attributes", content)
        content.get("ome", content)["multiscales"][0]["datasets"][0]["path"] = name

    names = ("zarr.json",) if version == "0.5" else (".zattrs",)
    for file in names:
        change(tmp_path / "a" / "p" / "B" / "7" / "0" / file, lead_out)
    if consolidated:
        root = "zarr.json" if version == "0.5" else ".zmetadata"
        change(tmp_path / "a" / "p" / root, lead_out)
    dataset = ngff_bio.open(tmp_path / "a" / "p")
    with pytest.raises(StoreError, match="leads out of the store"):
        dataset["B/7/0"].level(0)
    assert "leads out of the store" in dataset.images.set_index("path")["problem"]["B/7/0"]
    ngff_bio.validate(tmp_path / "a" / "p")
