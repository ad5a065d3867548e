"""Images that a conversion skipped are notes of its verification; missing images are differences."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

import ngff_bio
from ngff_bio.checks.source.verify import verify


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three image files; the header of one can be read, but not its pixels."""
    rng = np.random.default_rng(0)
    place = tmp_path / "images"
    place.mkdir()
    for name in ("one", "two", "three"):
        pixels = rng.integers(0, 255, (40, 30), np.uint8)
        tifffile.imwrite(place / f"{name}.tif", pixels, compression="zlib", metadata=None)
    with tifffile.TiffFile(place / "two.tif") as tiff:
        first = tiff.pages.first.dataoffsets[0]
    with (place / "two.tif").open("r+b") as file:
        file.seek(first)
        file.write(bytes(64))
    return place


def test_a_damaged_image_file_that_was_skipped_is_a_note(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    report = ngff_bio.convert(folder, store, on_error="skip")
    assert report.images == 2
    assert len(report.skipped) == 1
    done = verify(store, folder)
    assert done.differences == []
    assert done.images == 2
    assert [note for note in done.notes if "two" in note]


def test_an_intact_image_file_without_image_is_a_difference(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    ngff_bio.convert(folder, store, on_error="skip")
    shutil.copy(folder / "one.tif", folder / "two.tif")  # it was repaired later
    assert "image" in {d.kind for d in verify(store, folder).differences}


def test_an_image_is_skipped_for_a_damaged_label_file_too(folder: Path, tmp_path: Path) -> None:
    (folder / "masks").mkdir()
    for name in ("one", "two", "three"):
        (folder / f"{name}.tif").rename(folder / "masks" / f"{name}.tif")
        tifffile.imwrite(folder / f"{name}.tif", np.full((40, 30), 7, np.uint8), metadata=None)
    store = tmp_path / "a.zarr"
    report = ngff_bio.convert(folder, store, on_error="skip", options={"labels": ["cell=masks/*"]})
    assert report.images == 2
    done = verify(store, folder)
    assert done.differences == []
    assert [note for note in done.notes if "two" in note]
