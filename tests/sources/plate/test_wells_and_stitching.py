"""Tables of wells, fields put together by their positions, maps of plates, appended plates."""

from __future__ import annotations

from pathlib import Path

import ngio
import numpy as np
import pandas as pd
import pytest
import zarr
from makers.plates import PIXEL, PlateTruth, make_plate
from typer.testing import CliRunner

import ngff_bio
from ngff_bio.cli.app import app
from ngff_bio.errors import ArgumentError, SourceError, SourceNotFoundError

CSV = (
    "Well;compound;dose;count;name;batch;id\nA01;DMSO;0.5;3;x;1_1;007\nb2;drug, red;;4;y;1_2;008\n"
)


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> PlateTruth:
    """Two wells of four fields with two channels."""
    folder = tmp_path_factory.mktemp("plate")
    return make_plate(folder, "cellvoyager", wells=((1, 1), (2, 2)), fields=4, times=1, planes=2)


def test_a_table_of_wells_is_of_the_plate_and_of_its_images(
    plate: PlateTruth, tmp_path: Path
) -> None:
    layout = tmp_path / "layout.csv"
    layout.write_text(CSV)
    ngff_bio.convert(plate.root, tmp_path / "out.zarr", options={"wells": str(layout)})
    ds = ngff_bio.open(tmp_path / "out.zarr")
    assert ds.images["compound"].tolist() == ["DMSO"] * 4 + ["drug, red"] * 4
    assert [i.path for i in ds.select(compound="DMSO")] == [f"A/1/{n}" for n in range(4)]
    assert ds.images["wells_name"].tolist() == ["x"] * 4 + ["y"] * 4  # `name` is the image's
    rows = ds.plate.table("wells")
    assert rows["dose"].tolist()[0] == 0.5
    assert np.isnan(rows["dose"].tolist()[1])
    assert rows["count"].tolist() == [3, 4]
    assert rows["batch"].tolist() == ["1_1", "1_2"]
    assert rows["id"].tolist() == ["007", "008"]
    table = ngio.open_ome_zarr_plate(tmp_path / "out.zarr").get_table("wells")
    assert table.table_type() == "condition_table"
    assert table.dataframe["compound"].tolist() == ["DMSO", "drug, red"]
    options = {"wells": str(layout)}  # a store is not asked which file is read
    assert ngff_bio.verify(tmp_path / "out.zarr", source=plate.root, options=options).equal
    layout.write_text(CSV.replace("DMSO", "water"))
    found = ngff_bio.verify(tmp_path / "out.zarr", source=plate.root, options=options).differences
    assert [d.what for d in found] == [
        "column compound of a table of the plate is not the source's"
    ]


def test_a_table_of_another_program_that_is_named_wells_is_left_alone(
    plate: PlateTruth, tmp_path: Path
) -> None:
    ngff_bio.convert(plate.root, tmp_path / "out.zarr")
    rows = pd.DataFrame({"label": [1, 2], "area": [2.0, 3.0]})
    made = ngio.open_ome_zarr_plate(tmp_path / "out.zarr")
    made.add_table("wells", ngio.tables.GenericTable(rows), backend="parquet")
    ds = ngff_bio.open(tmp_path / "out.zarr", consolidated=False)
    assert ds.plate.tables == ("planes", "wells")
    assert "area" not in ds.images


@pytest.mark.parametrize(
    ("text", "what", "record"),
    [
        ("well,a\nA1,1\nA01,2\n", "has a well twice", "line 3"),
        ("well,a\nA13,1\n", "the plate does not have", "line 2"),
        ("well,a\nfirst,1\n", "the plate does not have", "line 2"),
        ("well,a\nA1,1,2\n", "another number of values", "line 2"),
        ("name,a\nA1,1\n", "lacks the column of wells", None),
        ("well,a,A\nA1,1,1\n", "occur twice", None),
        ("well,a\n", "no row", None),
        ("", "lacks the column of wells", None),
    ],
)
def test_a_wrong_table_of_wells_is_an_error(
    plate: PlateTruth, tmp_path: Path, text: str, what: str, record: str | None
) -> None:
    layout = tmp_path / "layout.csv"
    layout.write_text(text or " ")
    with pytest.raises(SourceError, match=what) as caught:
        ngff_bio.convert(plate.root, tmp_path / "out.zarr", options={"wells": str(layout)})
    assert caught.value.record == record


def test_a_table_of_wells_that_is_not_there(plate: PlateTruth, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="table of wells"):
        ngff_bio.convert(plate.root, tmp_path / "out.zarr", options={"wells": "no.csv"})


def test_wells_without_a_row_or_images_are_reported(plate: PlateTruth, tmp_path: Path) -> None:
    (tmp_path / "layout.csv").write_text("row\tcolumn\tdose\nA\t1\t2\nH\t12\t3\n")
    report = ngff_bio.convert(
        plate.root, tmp_path / "out.zarr", options={"wells": str(tmp_path / "layout.csv")}
    )
    found = {n.what: n.record for n in report.notices}
    assert found["wells with images are not in the table of wells"] == "1: B2"
    assert found["wells of the table have no images"] == "1: H12"
    with pytest.raises(ArgumentError, match="table of wells of the conversion") as caught:
        ngff_bio.verify(tmp_path / "out.zarr", source=plate.root)  # may be any file of the machine
    assert "dose" not in str(caught.value)
    given = {"wells": str(tmp_path / "layout.csv")}
    assert ngff_bio.verify(tmp_path / "out.zarr", source=plate.root, options=given).equal


def test_fields_are_stitched_by_their_positions(plate: PlateTruth, tmp_path: Path) -> None:
    ngff_bio.convert(plate.root, tmp_path / "out.zarr", options={"stitch": True})
    height, width = 12, 16
    for well in ("A1", "B2"):
        expected = np.zeros((2, 2, height + 3, 3 * (width - 2) + width), np.uint16)
        for n in reversed(range(4)):  # the lower number is kept
            at = np.s_[..., n : n + height, n * (width - 2) : n * (width - 2) + width]
            expected[at] = plate.fields[well, n][0]
        image = zarr.open_group(tmp_path / f"out.zarr/{well[0]}/{well[1]}/0", mode="r")
        np.testing.assert_array_equal(image["0"][:], expected)
        fields = image.attrs["ngff_bio"]["attributes"]["stitched"]
        assert [f["offset"] for f in fields] == [[n, n * (width - 2)] for n in range(4)]
    assert ngff_bio.verify(tmp_path / "out.zarr", source=plate.root).equal


def test_fields_without_positions_are_not_stitched(tmp_path: Path) -> None:
    names = make_plate(tmp_path, "names", wells=((1, 1),), times=1, planes=1)
    with pytest.raises(ArgumentError, match="positions"):
        ngff_bio.convert(names.root, tmp_path / "out.zarr", options={"stitch": True})


def test_a_position_far_away_does_not_fill_the_memory(tmp_path: Path) -> None:
    made = make_plate(tmp_path, "harmony", wells=((1, 1),), times=1, planes=1)
    index = made.root / "Images/Index.idx.xml"
    far = f'<PositionX Unit="m">{14 * PIXEL * 1e-6!r}</PositionX>'
    assert far in index.read_text()
    index.write_text(index.read_text().replace(far, '<PositionX Unit="m">1e9</PositionX>'))
    with pytest.raises(SourceError, match="larger than allowed"):
        ngff_bio.convert(made.root, tmp_path / "out.zarr", options={"stitch": True})


def test_a_dry_run_prints_the_map_of_the_plate(plate: PlateTruth, tmp_path: Path) -> None:
    arguments = ["convert", str(plate.root), str(tmp_path / "out.zarr"), "--dry-run", "-q"]
    lines = CliRunner().invoke(app, arguments).output.splitlines()
    assert "  P7: 2 wells, 8 fields" in lines
    row = next(line for line in lines if line.strip().startswith("B"))
    assert row.split() == ["B", ".", "4", *["."] * 10]
    assert not (tmp_path / "out.zarr").exists()


def test_wells_are_appended(tmp_path: Path) -> None:
    whole = make_plate(tmp_path, "names", wells=((1, 1), (2, 2)), times=1, planes=1)
    later = [f for f in whole.files if f.name.startswith("B02")]
    aside = {f: f.read_bytes() for f in later}
    for file in later:
        file.unlink()
    ngff_bio.convert(whole.root, tmp_path / "out.zarr")
    for file, content in aside.items():
        file.write_bytes(content)
    ngff_bio.convert(whole.root, tmp_path / "out.zarr", append=True)
    assert ngff_bio.verify(tmp_path / "out.zarr", source=whole.root).equal
    assert len(ngff_bio.open(tmp_path / "out.zarr").plate.table("planes")) == 8
