"""Names of files as plates: what is one, what is not, and patterns that a user gives."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

import ngff_bio
from ngff_bio.errors import ArgumentError, SourceError


def write(folder: Path, *names: str, shape: tuple[int, ...] = (6, 8)) -> Path:
    """Image files, each with its position in `names` as the value of all pixels."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full(shape, number, np.uint16)
        tifffile.imwrite(folder / name, pixels, photometric="minisblack", metadata=None)
    return folder


def stored(store: Path) -> dict[str, list[int]]:
    """Values of each image, a number per plane, by its path."""
    paths = ngff_bio.open(store).images["path"]
    arrays = {p: zarr.open_array(store / p / "0", mode="r")[:] for p in paths}
    return {p: a.reshape(-1, 48).max(axis=1).tolist() for p, a in arrays.items()}


UUID = "4996E914-A4B6-49AF-8081-5B58A8653201"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            [f"20585/IXM_A01_s{s}_w{w}{UUID}.tif" for s in (1, 2) for w in (1, 2)],
            {"A/1/0": [0, 1], "A/1/1": [2, 3]},
        ),
        (
            [
                f"2023-01-01/20585/TimePoint_{t}/ZStep_{z}/IXM_A01_s1_w1{UUID}.tif"
                for t in (1, 2)
                for z in (1, 2)
            ],
            {"A/1/0": [0, 1, 2, 3]},
        ),
        (
            [f"Well{w}_Channel{c}_Seq000{n}.tif" for n, w in enumerate(("A01", "A02")) for c in "ab"],
            {"A/1/0": [0, 1], "A/2/0": [2, 3]},
        ),
        (
            [
                f"field--X0{x}--Y00/image--L0000--S00--U01--V00--J08--E00--O00--X0{x}--Y00--T0000"
                f"--Z00--C0{c}.tif"
                for x in (0, 1)
                for c in (0, 1)
            ],
            {"A/2/0": [0, 1], "A/2/1": [2, 3]},
        ),
        (
            [f"r02c03f{f:02}p01-ch{c}sk1fk1fl1.tiff" for f in (1, 9) for c in (1, 2)],
            {"B/3/0": [0, 1], "B/3/1": [2, 3]},
        ),
        (["P1_P24_T0001F001L01A01Z01C01.tif", "P1_P24_T0001F001L01A01Z02C01.tif"], {"P/24/0": [0, 1]}),
        (
            ["A - 01(fld 1 wv DAPI - DAPI).tif", "A - 01(fld 1 wv FITC - FITC).tif"],
            {"A/1/0": [0, 1]},
        ),
        (
            ["Phase_B2_1_2024y01m31d_08h00m.tif", "Phase_B2_1_2024y01m31d_12h00m.tif"],
            {"B/2/0": [0, 1]},
        ),
        (
            ["B2_01_1_1_DAPI_001.tif", "B2_01_2_1_Phase Contrast_001.tif", "B2_01_1_2_DAPI_001.tif",
             "B2_01_2_2_Phase Contrast_001.tif"],
            {"B/2/0": [0, 1], "B/2/1": [2, 3]},
        ),
        (["E5_01_4_1Z0_Confocal CY5_001.tif", "E5_01_4_1Z1_Confocal CY5_001.tif"], {"E/5/0": [0, 1]}),
        (["r02c03f01p01-ch1t01.tiff", "r02c03f01p01-ch1t02.tiff"], {"B/3/0": [0, 1]}),
        (
            [f"MFGTMP_140206180002_A01f{f:02}d{c}.TIF" for f in (0, 1) for c in (0, 1)],
            {"A/1/0": [0, 1], "A/1/1": [2, 3]},
        ),
        (
            [f"0/{w}_0_{z}_Fluorescence_405_nm_Ex.tiff" for w in ("A1", "H12") for z in (0, 1)],
            {"A/1/0": [0, 1], "H/12/0": [2, 3]},
        ),
        (["Channel1-01-A-01.tif", "Channel2-01-A-01.tif"], {"A/1/0": [0, 1]}),
        (["x_A01_f02_z01.tif", "x_A01_f02_z03.tif"], {"A/1/0": [0, 1]}),
    ],
)  # fmt: skip
def test_names_of_each_instrument(
    tmp_path: Path, names: list[str], expected: dict[str, list[int]]
) -> None:
    write(tmp_path / "in", *names)
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert report.format == "plate"
    assert stored(tmp_path / "out.zarr") == expected


@pytest.mark.parametrize("version", [1, 2])
def test_documents_of_micromanager_describe_planes(tmp_path: Path, version: int) -> None:
    """``metadata.txt`` as versions 1.4 and 2 of Micro-Manager write it beside separate image files."""
    names = []
    for site in (0, 1):
        folder, content = f"B2-Site_{site}", dict[str, object](Summary={"PixelSize_um": 0.65})
        for c, z in ((0, 0), (0, 1), (1, 0), (1, 1)):
            channel = ("DAPI", "GFP")[c]
            name = f"img_000000000_{channel}_{z:03}.tif"
            if version == 2:
                name = f"img_channel{c:03}_position{site:03}_time000000000_z{z:03}.tif"
            names.append(f"{folder}/{name}")
            record = {"FileName": name if version == 1 else names[-1], "Channel": channel,
                      "XPositionUm": 90.5 * site, "YPositionUm": 5, "ZPositionUm": 10 - 2.5 * z,
                      "ElapsedTime-ms": 1500, "Exposure-ms": 20}  # fmt: skip
            content[f"FrameKey-0-{c}-{z}" if version == 1 else f"Metadata-{names[-1]}"] = record
        (tmp_path / "in" / folder).mkdir(parents=True)
        (tmp_path / "in" / folder / "metadata.txt").write_text(json.dumps(content))
    write(tmp_path / "in", *names)
    ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert stored(tmp_path / "out.zarr") == {"B/2/0": [1, 0, 3, 2], "B/2/1": [5, 4, 7, 6]}
    dataset = ngff_bio.open(tmp_path / "out.zarr")
    image = dataset["B/2/1"]
    assert [c.label for c in image.meta.channels] == ["DAPI", "GFP"]
    assert image.pixels.scale(0) == {"c": 1, "z": 2.5, "y": 0.65, "x": 0.65}
    assert image.pixels.translation(0) == {"c": 0, "z": 7.5, "y": 5, "x": 90.5}
    assert {*dataset.plate.table("planes")["Exposure-ms"]} == {"20"}


@pytest.mark.parametrize("summary", [[1], "x", {"PixelSize_um": -0.65}])
def test_documents_of_micromanager_that_make_no_sense_give_no_size(
    tmp_path: Path, summary: object
) -> None:
    names = [f"A1-Site_0/img_000000000_DAPI_00{z}.tif" for z in (0, 1)]
    write(tmp_path / "in", *names)
    record = {"FileName": "img_000000000_DAPI_000.tif", "Channel": "DAPI"}
    content = json.dumps({"Summary": summary, "FrameKey-0-0-0": record})
    (tmp_path / "in" / "A1-Site_0" / "metadata.txt").write_text(content)
    ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", format="plate")
    image = ngff_bio.open(tmp_path / "out.zarr")["A/1/0"]
    assert image.scale["x"] == image.scale["y"] == 1


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["P1_A01_T0001F001L01A01Z01C01.tif", "P1_A02_T0001F001L01A01Z01C01.tif",
          "P1_A03_T0001F001L01A01Z01C01.tif", "DC_sCMOS #1_CAM1.tif"], "3 files .* CellVoyager"),
        ([f"data/--W0000{w}--P00001--Z00000--T00000--DAPI.tif" for w in (1, 2)], "scanR"),
    ],
)  # fmt: skip
def test_why_files_are_not_a_plate_is_a_note(tmp_path: Path, names: list[str], what: str) -> None:
    write(tmp_path / "in", *names)
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert [n.record for n in report.notices if re.search(what, n.what)] == [
        name for name in names if "DC" in name or "W00001" in name
    ]


def test_rows_and_columns_can_be_counted_from_0(tmp_path: Path) -> None:
    """Leica's matrix screener: U is the column of a well, V its row."""
    names = [f"image--L0--S00--U{u:02}--V{v:02}--C00.tif" for v in (0, 1) for u in (0, 11)]
    write(tmp_path / "in", *names)
    pattern = r"U(?P<column>\d+)--V(?P<row>\d+)--C(?P<channel>\d+)"
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", options={"pattern": pattern})
    assert any("counted from 0" in n.what for n in report.notices)
    assert stored(tmp_path / "out.zarr") == {
        "A/1/0": [0], "A/12/0": [1], "B/1/0": [2], "B/12/0": [3]
    }  # fmt: skip


@pytest.mark.parametrize("summary", ["text", None, [1]])
def test_a_document_of_micromanager_may_have_no_summary(tmp_path: Path, summary: object) -> None:
    write(tmp_path / "in", *(f"{w}-Site_0/img_000000000_DAPI_000.tif" for w in ("A1", "A2")))
    record = {"FileName": "img_000000000_DAPI_000.tif", "Channel": "DAPI", "XPositionUm": 1}
    document = json.dumps({"Summary": summary, "FrameKey-0-0-0": record})
    (tmp_path / "in/A1-Site_0/metadata.txt").write_text(document)
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert (report.format, report.images) == ("plate", 2)


def write_set(folder: Path, names: list[str], *, mixed: bool = False) -> None:
    """OME-TIFFs of two planes, each with the metadata of all, as Micro-Manager writes them.

    If they are `mixed`, the second plane of an image is in the next file.
    """
    images = "".join(
        f'<Image ID="Image:{i}" Name="{name[:-8]}"><Pixels ID="Pixels:{i}" DimensionOrder="XYZCT" '
        'Type="uint16" SizeX="8" SizeY="6" SizeZ="2" SizeC="1" SizeT="1" PhysicalSizeX="0.65" '
        f'PhysicalSizeY="0.65"><Channel ID="Channel:{i}:0" Name="GFP" SamplesPerPixel="1"/>'
        + "".join(
            f'<TiffData IFD="{z}" PlaneCount="1" FirstZ="{z}"><UUID FileName="{names[at]}">urn:uuid:'
            f"{at:08}-0000-4000-8000-000000000000</UUID></TiffData>"
            for z in (0, 1)
            for at in [(i + z * mixed) % len(names)]
        )
        + "</Pixels></Image>"
        for i, name in enumerate(names)
    )
    folder.mkdir()
    for i, name in enumerate(names):
        document = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{i:08}-0000-4000-8000-000000000000">{images}</OME>'
        )
        with tifffile.TiffWriter(folder / name) as file:
            for z in (0, 1):
                plane, text = np.full((6, 8), 10 * i + z, np.uint16), document if z == 0 else None
                file.write(plane, metadata=None, photometric="minisblack", description=text)


@pytest.mark.parametrize("format", [None, "images"])
def test_each_file_of_a_set_of_ome_tiffs_is_one_image(tmp_path: Path, format: str | None) -> None:
    """Each describes all images of the set: all were read from each file."""
    sites = ("A1-Site_0", "A1-Site_1", "B2-Site_0")
    write_set(tmp_path / "in", [f"p_MMStack_{site}.ome.tif" for site in sites])
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", format=format)
    paths = ["A/1/0", "A/1/1", "B/2/0"]
    if format == "images":
        paths = [f"p_MMStack_{site}" for site in sites]
    assert report.images == 3
    assert stored(tmp_path / "out.zarr") == {p: [10 * i, 10 * i + 1] for i, p in enumerate(paths)}
    dataset = ngff_bio.open(tmp_path / "out.zarr")
    assert [dataset[p].frames[0]["name"][10:19] for p in paths] == [*sites]
    assert {dataset[p].pixels.scale(0)["y"] for p in paths} == {0.65}
    assert ngff_bio.verify(tmp_path / "out.zarr", tmp_path / "in").equal


def test_a_set_whose_images_are_in_several_files_each_is_one_error(tmp_path: Path) -> None:
    write_set(tmp_path / "in", [f"p_MMStack_A1-Site_{n}.ome.tif" for n in (0, 1)], mixed=True)
    with pytest.raises(SourceError, match="has several images"):
        ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")


def test_images_whose_names_have_wells_are_said_to_be_a_plate(tmp_path: Path) -> None:
    write(tmp_path / "in", *(f"x {w}_{n}_DAPI.tif" for w in ("A01", "H12") for n in (1, 2)))
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    (note,) = (n for n in report.notices if "contain a well" in n.what)
    assert (report.format, note.record) == ("images", "2 wells")
    pattern = note.what.split("'")[1]
    ngff_bio.convert(tmp_path / "in", tmp_path / "plate.zarr", options={"pattern": pattern})
    assert stored(tmp_path / "plate.zarr") == {
        "A/1/0": [0], "A/1/1": [1], "H/12/0": [2], "H/12/1": [3]
    }  # fmt: skip


def test_dates_in_names_are_times(tmp_path: Path) -> None:
    write(tmp_path / "in", "g_A1_1_2024y01m31d_22h00m.tif", "g_A1_1_2024y02m01d_01h30m.tif")
    ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert ngff_bio.open(tmp_path / "out.zarr").frames["hours"].tolist() == [0.0, 3.5]
    wrong = "g_A1_1_2024y02m31d_01h30m.tif"
    write(tmp_path / "in", wrong)
    with pytest.raises(SourceError, match="does not exist") as caught:
        ngff_bio.convert(tmp_path / "in", tmp_path / "wrong.zarr")
    assert caught.value.file == wrong
    ngff_bio.convert(tmp_path / "in", tmp_path / "rest.zarr", on_error="skip")
    assert ngff_bio.open(tmp_path / "rest.zarr").frames["hours"].tolist() == [0.0, 3.5]


@pytest.mark.parametrize(
    "names",
    [
        ("mouse_A01_s1.tif", "mouse_A01_s2.tif"),  # slides of an animal
        ("A01.tif", "A02.tif"),
        ("exp_B02_t001_z001.tif", "exp_B02_t002_z001.tif"),
        ("A01_s1_w1.tif", "A01_s1_w2.tif", "overview.tif"),
    ],
)
def test_names_that_are_a_plates_by_chance_are_images(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    write(tmp_path / "in", *names)
    assert ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr").format == "images"


def test_a_pattern_places_any_names(tmp_path: Path) -> None:
    names = [
        "day1/well B 7 pos3 red.tif",
        "day1/well B 7 pos3 green.tif",
        "day2/well B 7 pos3 red.tif",
    ]
    write(tmp_path / "in", *names, "day2/well B 7 pos3 green.tif")
    pattern = (
        r"(?P<acquisition>\d)/well (?P<row>.) (?P<column>\d+) p\w+(?P<field>\d) (?P<channel>\w+)"
    )
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", options={"pattern": pattern})
    assert report.format == "plate"
    assert stored(tmp_path / "out.zarr") == {"B/7/0": [1, 0], "B/7/1": [3, 2]}
    ome = zarr.open_group(tmp_path / "out.zarr", mode="r").attrs["ome"]["plate"]
    assert [a["name"] for a in ome["acquisitions"]] == ["1", "2"]
    well = zarr.open_group(tmp_path / "out.zarr/B/7", mode="r").attrs["ome"]["well"]["images"]
    assert [i["acquisition"] for i in well] == [0, 1]
    assert ngff_bio.verify(tmp_path / "out.zarr", source=tmp_path / "in").equal


def test_columns_and_rows_of_fields_are_one_number(tmp_path: Path) -> None:
    """As of Leica's matrix screener; images are numbered from 1 in the order of their names here."""
    names = [f"U00--V0{v}--X0{x}--Y0{y}.tif" for v in (0, 1) for y in (0, 1) for x in (0, 1, 2)]
    write(tmp_path / "in", *names)
    pattern = r"U(?P<column>\d+)--V(?P<row>\d+)--X(?P<field_x>\d+)--Y(?P<field_y>\d+)"
    ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", options={"pattern": pattern})
    found = stored(tmp_path / "out.zarr")
    expected = {f"{row}/1/{n}": [n + 6 * k] for k, row in enumerate("AB") for n in range(6)}
    assert found == expected


def test_a_pattern_of_a_store_that_never_ends_is_not_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in", f"{'a' * 60}A1.tif", f"{'a' * 60}A2.tif")
    pattern = r"(?P<well>[A-H]\d)"
    ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", options={"pattern": pattern})
    assert ngff_bio.verify(tmp_path / "out.zarr", tmp_path / "in").equal
    document = tmp_path / "out.zarr" / "zarr.json"
    hostile = json.dumps("(a+)+!(?P<well>x)")
    document.write_text(document.read_text().replace(json.dumps(pattern), hostile))
    monkeypatch.setattr("ngff_bio.checks.source.verify._SECONDS", 0.5)
    with pytest.raises(ArgumentError, match="takes too long"):
        ngff_bio.verify(tmp_path / "out.zarr", tmp_path / "in")
    found = ngff_bio.verify(tmp_path / "out.zarr", tmp_path / "in", options={"pattern": pattern})
    assert all(difference.kind == "object" for difference in found.differences)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("(?P<well>a{99999999999})", "not a regular expression"),
        (f"{'(' * 5000}(?P<well>a){')' * 5000}", "not a regular expression"),
        (r"(?P<well>\w)(?P<field_x>\d)", "groups of the pattern"),
        ("(?P<well>", "not a regular expression"),
        (r"(?P<field>\d)", "groups of the pattern"),
        (r"(?P<well>\w)(?P<site>\d)", "groups of the pattern"),
    ],
)
def test_a_pattern_that_places_nothing_is_an_error(tmp_path: Path, pattern: str, what: str) -> None:
    write(tmp_path / "in", "a.tif")
    with pytest.raises(ArgumentError, match=what):
        ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", options={"pattern": pattern})


def test_files_that_a_pattern_does_not_match_are_not_left_out_silently(tmp_path: Path) -> None:
    write(tmp_path / "in", "A1-1.tif", "A2-1.tif", "B-x.tif")
    with pytest.raises(SourceError, match="would not be read") as caught:
        ngff_bio.convert(
            tmp_path / "in", tmp_path / "out.zarr", options={"pattern": r"(?P<well>[A-H]\d)-"}
        )
    assert caught.value.file == "B-x.tif"


def test_pages_of_a_file_are_planes_of_a_field(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", "A01_s1_w1.tif", "A01_s1_w2.tif", shape=(3, 6, 8))
    ngff_bio.convert(folder, tmp_path / "out.zarr")
    assert stored(tmp_path / "out.zarr") == {"A/1/0": [0, 0, 0, 1, 1, 1]}
    assert ngff_bio.open(tmp_path / "out.zarr")["A/1/0"].axes == "czyx"
