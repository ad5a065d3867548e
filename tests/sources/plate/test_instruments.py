"""Plates in the layout of each instrument: pixels, sizes, positions equal what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ngio
import numpy as np
import openreadout
import pytest
import tifffile
import zarr
from makers.plates import PIXEL, STEP, WRITERS, PlateTruth, make_plate

import ngff_bio
from ngff_bio.checks import validate

#: Whether an instrument states positions, the distance of planes, and the size of the plate.
STATED = {"names": (False, False, False)}

NAMES = {"names": ["1", "2"]}


@pytest.fixture(scope="module", params=list(WRITERS))
def converted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, PlateTruth, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    truth = make_plate(folder, request.param)
    report = ngff_bio.convert(truth.root, folder / "out.zarr")
    assert report.format == "plate"
    joined = [n for n in report.notices if n.what.startswith("files are joined by")]
    assert [n.record for n in joined] == ["72 planes"]
    return request.param, truth, folder / "out.zarr"


def test_a_plate_of_each_instrument_equals_what_was_written(
    converted: tuple[str, PlateTruth, Path],
) -> None:
    instrument, truth, store = converted
    root = zarr.open_group(store, mode="r")
    positions, steps, sized = STATED.get(instrument, (True, True, True))
    plate = root.attrs["ome"]["plate"]
    assert len(plate["rows"]) == (8 if sized else 3)
    assert len(plate["columns"]) == (12 if sized else 3)
    assert [w["path"] for w in plate["wells"]] == ["A/1", "B/3", "H/12"]
    for (well, number), pixels in truth.fields.items():
        image = root[f"{well[0]}/{well[1:]}/{number}"]
        np.testing.assert_array_equal(image["0"][:], pixels)
        ome = image.attrs["ome"]
        scale, *shift = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
        known = instrument != "names"
        assert scale["scale"][2:] == pytest.approx(
            [STEP if steps else 1, *([PIXEL] * 2 if known else [1, 1])]
        )
        corner = shift[0]["translation"][3:] if shift else [0, 0]
        assert corner == pytest.approx(truth.corners[number] if positions else (0, 0))
        labels = [c["label"] for c in ome["omero"]["channels"]]
        assert labels == NAMES.get(instrument, ["DAPI", "GFP"])
        if instrument not in ("scanr", "names", "metaxpress"):
            assert [c["color"] for c in ome["omero"]["channels"]] == ["0000FF", "00FF00"]
        if instrument == "cellvoyager":
            windows = [c["window"] for c in ome["omero"]["channels"]]
            assert [(w["start"], w["end"]) for w in windows] == [(100, 1000), (100, 2000)]


def test_the_store_is_verified_and_valid(converted: tuple[str, PlateTruth, Path]) -> None:
    instrument, truth, store = converted
    done = ngff_bio.verify(store, source=truth.root)
    assert [str(d) for d in done.differences] == []
    assert [str(f) for f in validate(store) if f.level == "error"] == []


def test_ngio_sees_all_wells_and_fields(converted: tuple[str, PlateTruth, Path]) -> None:
    _, truth, store = converted
    plate = ngio.open_ome_zarr_plate(store)
    assert sorted(plate.wells_paths()) == ["A/1", "B/3", "H/12"]
    assert len(plate.images_paths(max_workers=1)) == len(truth.fields)
    rows = plate.get_table("planes").dataframe
    assert len(rows) == 72
    assert {*rows["file"]} == {
        f.relative_to(truth.root).as_posix()
        for f in truth.files
        if f.suffix in (".tif", ".tiff") and "thumb" not in f.name
    }


@pytest.mark.parametrize(
    ("instrument", "index"),
    [
        ("harmony", "Images/Index.idx.xml"),
        ("cellvoyager", "MeasurementData.mlf"),
        ("metaxpress", "P7.HTD"),
    ],
)
def test_a_plate_equals_what_another_library_reads(
    instrument: str, index: str, tmp_path: Path
) -> None:
    truth = make_plate(tmp_path, instrument, wells=((2, 3),), fields=2, times=1)
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    file = openreadout.File(str(truth.root / index))
    assert len(file.images) == 2
    for number, image in enumerate(file.images):
        stored = zarr.open_group(tmp_path / f"out.zarr/B/3/{number}", mode="r")
        np.testing.assert_array_equal(stored["0"][:], np.asarray(file.to_dask(number))[0])
        ome = stored.attrs["ome"]
        scale = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
        sizes = image["physical_size"]  # of Harmony and MetaXpress, it has not all
        known = [(n, sizes[a]) for n, a in enumerate("zyx") if a in sizes]
        assert [scale[n - 3] for n, _ in known] == pytest.approx([size for _, size in known])
        names = [c["name"] for c in image["channels"]]
        assert [c["label"] for c in ome["omero"]["channels"]] == names


def test_side_files_of_harmony_belong_to_the_plate(tmp_path: Path) -> None:
    truth = make_plate(tmp_path, "harmony", wells=((1, 1),), times=1, planes=1)
    for name in (
        "Assaylayout/96.xml",
        "FFC_Profile/FFC_Profile_Measurement 1.xml",
        "Images/Index.ref.xml",
    ):
        (truth.root / name).parent.mkdir(exist_ok=True)
        (truth.root / name).write_text("<?xml version='1.0'?><a/>")
    index = truth.root / "Images/Index.idx.xml"
    (truth.root / "Images/Index.xml").write_bytes(index.read_bytes())
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert report.images == 2
    assert len(report.account.belongs) == 4


def test_time_points_have_their_times(tmp_path: Path) -> None:
    truth = make_plate(tmp_path, "harmony", wells=((1, 1),), fields=1, times=3, planes=1)
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    frames = ngff_bio.open(tmp_path / "out.zarr").frames
    assert frames["hours"].tolist() == [0.0, 0.5, 1.0]
    assert ngff_bio.open(tmp_path / "out.zarr")["A/1/0"].axes == "tcyx"


@pytest.mark.parametrize("instrument", ["harmony", "metaxpress"])
def test_planes_are_in_the_order_of_rising_z(tmp_path: Path, instrument: str) -> None:
    """A plane that is lower has the lower index, so that scale and translation place it."""
    truth = make_plate(tmp_path, instrument, wells=((1, 1),), fields=1, times=1, channels=("DAPI",))
    changed = [(truth.root / "Images/Index.idx.xml", '<PositionZ Unit="m">')]
    if instrument == "metaxpress":
        changed = [
            (f, 'id="z-position" type="float" value="') for f in truth.root.rglob("*w1????????-*")
        ]
    for file, before in changed:
        if file.suffix == ".tif":
            pixels, text = tifffile.imread(file), tifffile.TiffFile(file).pages[0].description
            tifffile.imwrite(
                file, pixels, photometric="minisblack", metadata=None, software="MetaSeries",
                description=text.replace(before, f"{before}-"),
            )  # fmt: skip
        else:
            file.write_text(file.read_text().replace(before, f"{before}-"))
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert any("order of rising z" in n.what for n in report.notices)
    stored: Any = zarr.open_group(tmp_path / "out.zarr/A/1/0", mode="r")
    np.testing.assert_array_equal(stored["0"][:], truth.fields["A1", 0][0, :, ::-1])
    steps = stored.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert steps[0]["scale"][1] == STEP
    if instrument == "harmony":
        assert steps[1]["translation"][1] == -2 * STEP
    assert ngff_bio.verify(tmp_path / "out.zarr", truth.root).equal


@pytest.mark.parametrize(
    ("instrument", "rows", "columns"), [("cellvoyager", 8, 12), ("harmony", 16, 24)]
)
def test_a_plate_with_all_its_wells(
    tmp_path: Path, instrument: str, rows: int, columns: int
) -> None:
    wells = [(row, column) for row in range(1, rows + 1) for column in range(1, columns + 1)]
    truth = make_plate(
        tmp_path, instrument, rows=rows, columns=columns, wells=wells, fields=1, times=1, planes=1,
        channels=("DAPI",), shape=(4, 4),
    )  # fmt: skip
    report = ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    assert report.images == rows * columns
    plate = ngff_bio.open(tmp_path / "out.zarr").plate
    assert (len(plate.meta.rows), len(plate.meta.columns)) == (rows, columns)
    assert [*plate] == [well for well, _ in truth.fields]
    for well in ("A1", "C7", "H12", [*plate][-1]):
        stored: Any = zarr.open_array(tmp_path / "out.zarr" / plate[well]["0"].path / "0", mode="r")
        np.testing.assert_array_equal(stored[:], truth.fields[well, 0][0, :, 0])
