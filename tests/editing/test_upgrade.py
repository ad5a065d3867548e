"""``upgrade``: metadata of another version in place, all or nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ome_types
import pandas as pd
import pytest
import zarr
from reader.written_stores import WRITERS, example_pixels
from test_converted_stores import older

import ngff_bio
from ngff_bio.checks.store.documents import Documents, read_documents
from ngff_bio.errors import ArgumentError, StoreBusyError
from ngff_bio.storage import Storage


def chunks(path: Path) -> dict[Path, bytes]:
    names = ("zarr.json", ".zattrs", ".zmetadata", "manifest.parquet", "manifest.crc32c")
    files = (p for p in path.rglob("*") if p.is_file() and p.name not in names)
    return {p: p.read_bytes() for p in files}


def test_a_store_of_ours_becomes_0_6_and_stays_valid(tmp_path: Path) -> None:
    path = tmp_path / "store.zarr"
    WRITERS["ours 0.5"]["plate"](path)
    before, scale = chunks(path), ngff_bio.open(path)["B/7/1"].pixels.translation(1)
    report = ngff_bio.upgrade(path, dry_run=True)
    assert "B/7/1/labels/cell" in report.groups
    assert ngff_bio.open(path).version == "0.5"
    ngff_bio.upgrade(path)
    assert chunks(path) == before
    opened = ngff_bio.open(path)
    assert opened.version == "0.6"
    assert opened["B/7/1"].pixels.translation(1) == scale
    assert len(opened["B/7/1"].annotations("cell")) == 15
    assert not [f for f in ngff_bio.validate(path) if f.level == "error"]
    assert ngff_bio.verify(path).equal
    root = json.loads((path / "zarr.json").read_text())["consolidated_metadata"]["metadata"]
    assert root["B/7/1"]["attributes"]["ome"]["version"] == "0.6"
    assert not ngff_bio.upgrade(path).groups


def test_nobody_else_writes_between_reading_and_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its lists of labels and tables would be those of before."""
    path = tmp_path / "store.zarr"
    WRITERS["ours 0.5"]["image"](path)

    def reading(storage: Storage) -> Documents:
        with pytest.raises(StoreBusyError):
            ngff_bio.write_table(ngff_bio.open(path)[""], "mine", pd.DataFrame({"a": [1]}))
        return read_documents(storage)

    monkeypatch.setattr("ngff_bio.editing.version.read_documents", reading)
    assert ngff_bio.upgrade(path).groups


def test_old_versions_become_0_4(tmp_path: Path) -> None:
    path = tmp_path / "store.zarr"
    older(path, "0.2")
    report = ngff_bio.upgrade(path)
    assert (report.version, report.versions) == ("0.4", ["0.2"])
    assert not [f for f in ngff_bio.validate(path) if f.level == "error"]
    assert (ngff_bio.open(path)["B/7/0"].pixels.array(0)[0, :, 0] == example_pixels()).all()


def test_arrays_are_not_changed_in_place(tmp_path: Path) -> None:
    path = tmp_path / "store.zarr"
    WRITERS["ome-zarr 0.4"]["image"](path)
    with pytest.raises(ArgumentError, match="arrays would have to change") as error:
        ngff_bio.upgrade(path, "0.5")
    assert "ngff-bio convert" in str(error.value)


def test_a_collection_without_ome_xml_gets_one(tmp_path: Path) -> None:
    path, key = tmp_path / "store.zarr", "OME/METADATA.ome.xml"
    WRITERS["ours 0.5"]["image"](path / "only")
    root = zarr.open_group(path, mode="a", zarr_format=3)
    root.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    root.create_group("OME").attrs["ome"] = {"version": "0.5", "series": ["only"]}
    report = ngff_bio.upgrade(path, "0.5")
    assert (report.groups, report.documents) == ([], [key])
    (image,) = ome_types.from_xml((path / key).read_text()).images
    array: Any = zarr.open_group(path / "only", mode="r")["0"]
    assert image.id == "Image:only"
    assert (image.pixels.size_y, image.pixels.size_x) == array.shape[-2:]
    assert not ngff_bio.upgrade(path, "0.5").documents
