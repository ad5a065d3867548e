"""Plates that are damaged or incomplete: one error, or an entry of the report each."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from makers.plates import PlateTruth, make_plate

import ngff_bio
from ngff_bio.errors import SourceError

INDEX = "Images/Index.idx.xml"


@pytest.fixture
def plate(tmp_path: Path) -> PlateTruth:
    """Two wells of two fields with two channels."""
    return make_plate(tmp_path, "harmony", wells=((1, 1), (2, 2)), times=1, planes=1)


def file_of(plate: PlateTruth, row: int, column: int, field: int, channel: int) -> Path:
    return plate.root / f"Images/r{row:02}c{column:02}f{field:02}p01-ch{channel}sk1fk1fl1.tiff"


def notices(report: ngff_bio.ConversionReport) -> dict[str, str | None]:
    return {n.what: n.record for n in report.notices}


def test_an_index_that_names_missing_files_is_an_error(plate: PlateTruth, tmp_path: Path) -> None:
    file_of(plate, 1, 1, 2, 2).unlink()
    file_of(plate, 2, 2, 1, 1).unlink()
    file_of(plate, 2, 2, 1, 2).unlink()
    with pytest.raises(SourceError, match="names files that are missing") as caught:
        ngff_bio.convert(plate.root, tmp_path / "out.zarr")
    assert caught.value.file == INDEX
    assert "3 of them" in str(caught.value.found)
    report = ngff_bio.convert(plate.root, tmp_path / "out.zarr", on_error="skip")
    assert report.images == 3
    found = notices(report)
    assert found["fields that other wells have are missing"] == "well B2: 1"
    assert found["planes that other fields have are missing; they are 0"] == "P7 A1 field 2: 1 of 2"
    root = zarr.open_group(tmp_path / "out.zarr", mode="r")
    assert not root["A/1/1/0"][1].any()
    np.testing.assert_array_equal(root["A/1/1/0"][0], plate.fields["A1", 1][0, 0, 0])
    np.testing.assert_array_equal(root["B/2/0/0"][:], plate.fields["B2", 1][0, :, 0])
    assert ngff_bio.verify(tmp_path / "out.zarr", source=plate.root).equal


def test_planes_of_a_field_of_different_sizes_are_an_error(
    plate: PlateTruth, tmp_path: Path
) -> None:
    tifffile.imwrite(file_of(plate, 1, 1, 1, 2), np.zeros((5, 5), np.uint16))
    with pytest.raises(SourceError, match="different sizes") as caught:
        ngff_bio.convert(plate.root, tmp_path / "out.zarr")
    assert caught.value.record == "well A1, field 1"
    report = ngff_bio.convert(
        plate.root, tmp_path / "out.zarr", on_error="skip", ignore_unread=True
    )
    assert report.images == 3


def test_fields_of_different_sizes_keep_theirs(plate: PlateTruth, tmp_path: Path) -> None:
    for channel in (1, 2):
        tifffile.imwrite(file_of(plate, 1, 1, 1, channel), np.ones((5, 6), np.uint16))
    report = ngff_bio.convert(plate.root, tmp_path / "out.zarr")
    assert notices(report)["fields of the plate have different sizes: each keeps its own"] == (
        "5 x 6, 12 x 16"
    )
    assert ngff_bio.open(tmp_path / "out.zarr")["A/1/0"].sizes["y"] == 5


def test_two_acquisitions_of_one_plate(plate: PlateTruth, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(plate.root, both / "first")
    shutil.copytree(plate.root, both / "second")
    index = both / "second" / INDEX
    index.write_text(index.read_text().replace("m-1", "m-2"))
    report = ngff_bio.convert(both, tmp_path / "out.zarr")
    assert report.images == 8
    root = zarr.open_group(tmp_path / "out.zarr", mode="r")
    assert root.attrs["ome"]["plate"]["acquisitions"] == [
        {"id": 0, "name": "m-1", "maximumfieldcount": 2},
        {"id": 1, "name": "m-2", "maximumfieldcount": 2},
    ]
    listed = root["A/1"].attrs["ome"]["well"]["images"]
    assert [(i["path"], i["acquisition"]) for i in listed] == [
        ("0", 0),
        ("1", 0),
        ("2", 1),
        ("3", 1),
    ]


def test_two_plates_in_a_folder_are_an_error(plate: PlateTruth, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(plate.root, both / "first")
    shutil.copytree(plate.root, both / "second")
    index = both / "second" / INDEX
    index.write_text(index.read_text().replace("P7", "P8"))
    with pytest.raises(SourceError, match="several plates"):
        ngff_bio.convert(both, tmp_path / "out.zarr")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda text: text[: len(text) // 2], "not valid XML"),
        (lambda text: text.replace("<Row>1</Row>", "<Row></Row>"), "lacks a number"),
        (lambda text: text.replace("<Row>1</Row>", "<Row>77</Row>"), "no plate has"),
        (lambda text: text.replace("<URL>r01", "<URL>../../r01"), "outside its folder"),
        (lambda text: text.replace("<Images>", "<!DOCTYPE a><Images>"), "not valid XML"),
        (
            lambda text: text.replace("<Eval", '<!DOCTYPE a [<!ENTITY b "c">]><Eval', 1),
            "XML entities",
        ),
        (lambda text: text.replace("<FieldID>2", "<FieldID>1"), "same plane"),
    ],
)
def test_a_damaged_index_is_one_error(
    plate: PlateTruth, tmp_path: Path, change: object, what: str
) -> None:
    index = plate.root / INDEX
    index.write_text(change(index.read_text()))  # type: ignore[operator]
    with pytest.raises(SourceError, match=what):
        ngff_bio.convert(plate.root, tmp_path / "out.zarr")
    assert not (tmp_path / "out.zarr" / "zarr.json").exists()


def test_a_time_series_that_ended_early_is_shorter(tmp_path: Path) -> None:
    plate = make_plate(tmp_path, "names", wells=((1, 1), (1, 2)), fields=1, planes=1)
    for channel in (1, 2):
        (plate.root / f"A02_s1_w{channel}_z1_t2.tif").unlink()
    report = ngff_bio.convert(plate.root, tmp_path / "out.zarr")
    assert "planes that other fields have are missing; the image is shorter" in notices(report)
    ds = ngff_bio.open(tmp_path / "out.zarr")
    assert [ds[f"A/{c}/0"].sizes["t"] for c in (1, 2)] == [2, 1]


def test_projections_of_metaxpress_are_reported(tmp_path: Path) -> None:
    plate = make_plate(tmp_path, "metaxpress", wells=((1, 1),), times=1, planes=2, fields=1)
    folder = plate.root / "TimePoint_1"
    shutil.copytree(folder / "ZStep_1", folder / "ZStep_0")
    report = ngff_bio.convert(plate.root, tmp_path / "out.zarr")
    assert "projections of stacks (ZStep_0) are not converted" in notices(report)
    assert ngff_bio.open(tmp_path / "out.zarr")["A/1/0"].sizes["z"] == 2


def test_an_index_of_metaxpress_reports_sites_that_are_missing(tmp_path: Path) -> None:
    plate = make_plate(tmp_path, "metaxpress", wells=((1, 1), (1, 2)), times=1, planes=1)
    for file in (plate.root / "TimePoint_1/ZStep_1").glob("P7_A02_s2*"):
        file.unlink()
    report = ngff_bio.convert(plate.root, tmp_path / "out.zarr")
    assert "1 of 4 sites that were selected are missing" in notices(report)


def test_a_channel_of_metaxpress_that_is_a_projection_alone_is_kept(tmp_path: Path) -> None:
    truth = make_plate(tmp_path, "metaxpress", wells=((1, 1),), times=1, planes=2, fields=1)
    alone = truth.root / "TimePoint_1/ZStep_0"
    alone.mkdir()
    for file in [*truth.root.rglob("ZStep_*/*_w2*")]:  # of the second channel the first plane alone
        if "ZStep_1" in str(file) and "thumb" not in file.name:
            file.rename(alone / file.name)
        else:
            file.unlink()
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert "channels of which there is a projection alone have it as first plane" in notices(report)
    stored: Any = zarr.open_array(tmp_path / "out.zarr/A/1/0/0", mode="r")
    expected = truth.fields["A1", 0][0]
    np.testing.assert_array_equal(stored[0], expected[0])
    np.testing.assert_array_equal(stored[1], [expected[1, 0], 0 * expected[1, 1]])


def test_timelines_of_cellvoyager_are_acquisitions(tmp_path: Path) -> None:
    """Time points of each timeline are counted from 1."""
    truth = make_plate(
        tmp_path, "cellvoyager", wells=((1, 1),), times=2, planes=1, fields=1, channels=("DAPI",)
    )
    index = truth.root / "MeasurementData.mlf"
    text = index.read_text().replace('bts:TimePoint="1"', 'bts:TimePoint="1" bts:TimelineIndex="1"')
    index.write_text(text.replace('bts:TimePoint="2"', 'bts:TimePoint="1" bts:TimelineIndex="2"'))
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    root: Any = zarr.open_group(tmp_path / "out.zarr", mode="r")
    names = [a["name"] for a in root.attrs["ome"]["plate"]["acquisitions"]]
    assert names == ["timeline 1", "timeline 2"]
    for number in (0, 1):
        np.testing.assert_array_equal(
            root[f"A/1/{number}/0"][0], truth.fields["A1", 0][number, 0, 0]
        )


def test_a_table_of_wells_that_is_not_named_is_named_in_the_hint(tmp_path: Path) -> None:
    truth = make_plate(tmp_path, "harmony", wells=((1, 1),), times=1, planes=1, fields=1)
    (truth.root / "layout.csv").write_text("well,compound,dose\nA01,DMSO,0\n")
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert "a table of wells is read with --wells layout.csv" in notices(report)
    (truth.root / "layout.csv").write_text(
        "well,x,y,dose\nA01,1,0,7\n"
    )  # columns of annotations, too
    with pytest.raises(SourceError, match="would not be read") as caught:
        ngff_bio.convert(truth.root, tmp_path / "no.zarr")
    assert "--wells layout.csv" in (caught.value.hint or "")
    ngff_bio.convert(truth.root, tmp_path / "wells.zarr", options={"wells": "layout.csv"})
    assert list(ngff_bio.open(tmp_path / "wells.zarr").images["dose"]) == [7]
