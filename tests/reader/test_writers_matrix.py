"""Every writer, version and kind of store: pixels, labels and places are those of plain zarr."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from written_stores import SCALE, WRITERS, by_hand

import ngff_bio

KINDS = [(w, k) for w, kinds in WRITERS.items() for k in kinds]


def plain_levels(path: Path) -> list[Any]:
    """Arrays of an image by its own metadata, opened by zarr alone."""
    group = zarr.open_group(path, mode="r")
    attributes: Any = group.attrs.asdict()
    image = attributes.get("ome", attributes)["multiscales"][0]
    return [group[d["path"]] for d in image["datasets"]]


def check_image(root: Path, image: ngff_bio.reader.Image) -> None:
    place = root / image.path
    levels = plain_levels(place)
    assert len(image.pixels) == len(levels)
    for number, expected in enumerate(levels):
        found = image.level(number)
        np.testing.assert_array_equal(image.pixels.array(number)[...], expected[...])
        np.testing.assert_array_equal(found["image"].values, expected[...])
        np.testing.assert_array_equal(image.level(number, chunks=None)["image"], expected[...])
        for axis in "yx":
            step = SCALE * expected.shape[-1] / levels[0].shape[-1]
            assert found[axis].values[1] - found[axis].values[0] == pytest.approx(
                image.pixels.scale(number)[axis]
            )
            assert image.pixels.scale(number)[axis] == pytest.approx(SCALE**2 / step, rel=0.1)
        for name in image.labels:
            label = plain_levels(place / "labels" / name)[number]
            assert (
                found[name].dims
                == tuple(d for d in found["image"].dims if d != "c")[-found[name].ndim :]
            )
            np.testing.assert_array_equal(
                found[name].values, np.asarray(label[...]).reshape(found[name].shape)
            )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("writer", "kind"), KINDS)
def test_pixels_labels_and_scales(tmp_path: Path, writer: str, kind: str) -> None:
    path = tmp_path / "store.zarr"
    WRITERS[writer][kind](path)
    dataset = ngff_bio.open(path)
    if writer[-3:] in ("0.4", "0.5", "0.6"):
        assert dataset.version == writer[-3:]
    assert len(dataset) == {"image": 1, "plate": 4, "collection": 2}[kind]
    for one in dataset:
        assert dataset[one].labels[0] == "cell"
        check_image(path, dataset[one])
    assert dataset.images["problem"].isna().all()
    assert list(dataset.images["path"]) == list(dataset)
    if kind == "plate":
        column = "07" if "ngio" in writer else "7"
        assert sorted(dataset.plate) == [f"B{column}", f"C{column}"]
        np.testing.assert_array_equal(
            dataset.plate["C7"]["1"].pixels.array(0)[...],
            dataset[f"C/{column}/1"].pixels.array(0)[...],
        )


@pytest.mark.parametrize("writer", ["ours 0.5", "by hand /"])
def test_a_zip_is_opened_like_its_folder(tmp_path: Path, writer: str) -> None:
    path = tmp_path / "store.zarr"
    WRITERS[writer]["plate"](path)
    place = tmp_path / "store.ozx"
    with zipfile.ZipFile(place, "w") as archive:
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(path).as_posix())
    folder, zipped = ngff_bio.open(path), ngff_bio.open(place)
    assert list(zipped) == list(folder)
    for one in folder:
        np.testing.assert_array_equal(
            zipped[one].level(1)["image"].values, folder[one].level(1)["image"].values
        )


def test_a_group_inside_a_store_is_opened_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "store.zarr"
    WRITERS["ours 0.5"]["plate"](path)
    whole = ngff_bio.open(path)["B/7/1"]
    assert list(ngff_bio.open(path / "B" / "7")) == ["0", "1"]
    alone = ngff_bio.open(path / "B" / "7" / "1")
    assert list(alone) == [""]
    assert alone[""].level(0).equals(whole.level(0))
    labels = ngff_bio.open(path / "B" / "7" / "1" / "labels")
    assert list(labels) == ["cell", "cell-hidden-1"]


def test_plain_groups_of_plates_and_collections_list_what_is_below(tmp_path: Path) -> None:
    path = tmp_path / "all.zarr"
    zarr.open_group(path, mode="w", zarr_format=2)
    WRITERS["by hand /"]["plate"](path / "A172")
    WRITERS["by hand /"]["collection"](path / "crops")
    WRITERS["by hand /"]["image"](path / "one")
    before = ngff_bio.open(path)
    assert list(before.plates) == ["A172"]
    fields = [f"A172/{row}/7/{field}" for row in "BC" for field in "01"]
    assert list(before) == [*fields, "crops/0", "crops/1", "one"]
    zarr.consolidate_metadata(path, zarr_format=2)
    after = ngff_bio.open(path)
    assert list(after) == list(before)
    assert after["A172/C/7/1"].level(2).equals(before["A172/C/7/1"].level(2))


def test_consolidated_metadata_can_be_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "store.zarr"
    WRITERS["by hand /"]["image"](path)
    shutil.move(path / "labels", tmp_path / "labels")
    zarr.consolidate_metadata(path, zarr_format=2)
    shutil.move(tmp_path / "labels", path / "labels")
    assert ngff_bio.open(path)[""].labels == ()
    assert ngff_bio.open(path, consolidated=False)[""].labels == ("cell",)


def test_a_nested_collection_is_found_from_its_own_group(tmp_path: Path) -> None:
    by_hand("/", nested_in="inside")["collection"](tmp_path / "store.zarr")
    assert list(ngff_bio.open(tmp_path / "store.zarr" / "inside")) == ["0", "1"]
