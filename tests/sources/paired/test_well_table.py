"""Tables of images by well: channels are joined, wells are in the record of the frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from makers import make_well_table
from stores import attributes, pixels

import ngff_bio
from ngff_bio.errors import NgffBioError


def test_a_table_of_wells(tmp_path: Path) -> None:
    source, store = make_well_table(tmp_path / "in").root, tmp_path / "out.zarr"
    report = ngff_bio.convert(source, store)
    assert (report.images, report.instances) == (2, 10)
    for well in ("B02", "C03"):
        stem = f"Week1_150607_{well}_s1"
        folder = source / "Week1/Week1_22123"
        files = [tifffile.imread(folder / f"{stem}_w{c}.tif") for c in (1, 2)]
        group = f"{well[0]}/{int(well[1:])}/0"
        assert (pixels(store, group) == np.stack(files)).all()
        labels = tifffile.imread(folder / f"{stem}_w1_SegmentedNuclei.tif")
        assert (pixels(store, f"{group}/labels/segmentednuclei") == labels).all()
        about = attributes(store, group)
        assert [c["label"] for c in about["ome"]["omero"]["channels"]] == ["DAPI", "Actin"]
        row = about["ngff_bio"]["frames"][0]["record"]["row"]
        assert (row["Image_Metadata_Well_DAPI"], row["Image_Metadata_Compound"]) == (well, "taxol")
    assert ngff_bio.verify(store, source, pixels=True).equal
    assert not [f for f in ngff_bio.validate(store) if f.level == "error"]
    plate = attributes(store, "")["ome"]["plate"]
    assert [w["path"] for w in plate["wells"]] == ["B/2", "C/3"]
    assert plate["name"] == "Week1_22123"


def test_rows_without_wells_are_a_collection(tmp_path: Path) -> None:
    source, store = make_well_table(tmp_path / "in").root, tmp_path / "out.zarr"
    table = source / "BBBC021_v1_image.csv"
    table.write_text(table.read_text().replace(",C03,", ",,"))
    ngff_bio.convert(source, store)
    assert set(ngff_bio.open(store)) == {f"Week1_150607_{w}_s1_w1" for w in ("B02", "C03")}


def test_a_row_without_its_file_is_one_error_or_is_skipped(tmp_path: Path) -> None:
    source = make_well_table(tmp_path / "in").root
    (source / "Week1/Week1_22123/Week1_150607_C03_s1_w2.tif").unlink()
    with pytest.raises(NgffBioError, match="not there") as error:
        ngff_bio.convert(source, tmp_path / "a.zarr")
    assert error.value.file == "BBBC021_v1_image.csv"
    assert error.value.record == "line 3, Image_FileName_Actin"
    report = ngff_bio.convert(source, tmp_path / "b.zarr", on_error="skip", ignore_unread=True)
    assert report.images == 1
