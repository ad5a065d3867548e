"""The store of each kind of dataset is verified, valid, and has no unknown objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import makers
import pytest

import ngff_bio
from ngff_bio.checks import validate
from ngff_bio.checks.source.verify import verify

Make = Callable[[Path], Any]

#: Format, options of the conversion, and how its source is made.
SOURCES: dict[str, tuple[str, dict[str, Any], Make]] = {
    "platelet-em": ("platelet-em", {}, makers.make_platelet_em),
    "nuclei": ("nuclei", {}, makers.make_nuclei),
    "livecell": ("livecell", {}, makers.make_livecell),
    "livecell-stitched": ("livecell", {"stitch": True}, makers.make_livecell),
    "organoid": ("organoid", {}, makers.make_organoid),
    "organoid-unequal": (
        "organoid",
        {},
        lambda folder: makers.make_organoid(folder, unequal_sizes=True, outside=True),
    ),
    "wbc": ("wbc", {}, makers.make_wbc),
    "wbc-crops": ("wbc", {}, makers.make_wbc_crops),
    "plate": ("plate", {}, makers.make_plate),
    "plate-stitched": ("plate", {"stitch": True}, makers.make_plate),
    "coco": ("coco", {}, makers.make_coco_folder),
    "labelme": ("labelme", {}, makers.make_labelme_folder),
    "tiff": ("tiff", {}, makers.make_tiff_folder),
    "tiff-labels": (
        "images",
        {},
        lambda folder: makers.make_tiff_folder(folder, labels=True),
    ),
}

#: Crops are one cell each, outlined nowhere; plates have no outlines.
WITHOUT_INSTANCES = ("wbc-crops", "tiff", "plate", "plate-stitched")


@pytest.mark.parametrize("name", SOURCES)
def test_a_store_of_each_source_is_verified_equal_and_valid(name, tmp_path):
    format, options, make = SOURCES[name]
    make(tmp_path / "source")
    ngff_bio.convert(tmp_path / "source", tmp_path / "a.zarr", format=format, options=options)
    done = verify(tmp_path / "a.zarr", tmp_path / "source")
    assert [str(d) for d in done.differences] == []
    assert done.notes == []
    assert done.images > 0
    assert done.instances > 0 or name in WITHOUT_INSTANCES
    wrong = [str(f) for f in validate(tmp_path / "a.zarr") if f.level == "error"]
    assert wrong == []


def test_a_store_of_an_older_specification_is_verified_equal(tmp_path):
    makers.make_organoid(tmp_path / "source")
    settings = ngff_bio.Settings(version="0.4")
    ngff_bio.convert(tmp_path / "source", tmp_path / "a.zarr", settings=settings)
    assert verify(tmp_path / "a.zarr", tmp_path / "source", pixels=True).differences == []
    assert not [f for f in validate(tmp_path / "a.zarr") if f.level == "error"]


def test_a_source_in_archives_is_verified_equal(tmp_path):
    makers.make_livecell(tmp_path / "source", zipped=True)
    ngff_bio.convert(tmp_path / "source", tmp_path / "a.zarr")
    assert verify(tmp_path / "a.zarr", tmp_path / "source").differences == []


def test_the_options_of_a_conversion_are_known_to_verify(tmp_path):
    makers.make_livecell(tmp_path / "source")
    ngff_bio.convert(tmp_path / "source", tmp_path / "a.zarr", options={"stitch": True})
    assert verify(tmp_path / "a.zarr", tmp_path / "source").equal
    assert not verify(tmp_path / "a.zarr", tmp_path / "source", options={}).equal


@pytest.mark.parametrize(
    "folder",
    ["platelet-em", "nuclei", "livecell", "wbc", "labelme/bbox_detection", "labelme/primitives"],
)
def test_real_files_are_verified_equal_and_valid(folder, samples, tmp_path):
    ngff_bio.convert(samples / folder, tmp_path / "a.zarr")
    assert verify(tmp_path / "a.zarr", samples / folder, pixels=True).differences == []
    assert not [f for f in validate(tmp_path / "a.zarr") if f.level == "error"]
