"""Files of microscopes: CZI files that Zeiss's own library writes, an Imaris file made by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import ome_types
import openreadout
import pytest
import tifffile
import zarr
from makers.microscope import write_czi
from pylibCZIrw import czi

import ngff_bio
from ngff_bio.checks import validate
from ngff_bio.errors import ArgumentError, SourceError

SIZE = (48, 60)


@pytest.fixture
def pixels() -> np.ndarray:
    """Noise of two time points, two channels, three planes."""
    rng = np.random.default_rng(1)
    return rng.integers(0, 60000, (2, 2, 3, *SIZE, 1)).astype(np.uint16)


def test_czi_with_time_channels_and_planes(tmp_path: Path, pixels: np.ndarray) -> None:
    path = tmp_path / "cells.czi"
    write_czi(
        path, pixels, channel_names={0: "DAPI", 1: "GFP"},
        scale_x=0.5e-6, scale_y=0.25e-6, scale_z=2e-6,
    )  # fmt: skip
    ngff_bio.convert(path, tmp_path / "out.zarr")
    root = zarr.open_group(tmp_path / "out.zarr", mode="r")
    np.testing.assert_array_equal(root["0"][:], pixels[..., 0])
    ome = root.attrs["ome"]
    axes = {a["name"]: a for a in ome["multiscales"][0]["axes"]}
    scale = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale[2:] == pytest.approx([2, 0.25, 0.5])
    assert {axes[a]["unit"] for a in "zyx"} == {"micrometer"}
    assert [c["label"] for c in ome["omero"]["channels"]] == ["DAPI", "GFP"]
    documents = root.attrs["ngff_bio"]["dataset"]["attributes"]["ome_xml"]
    assert 'Name="DAPI"' in documents["cells.czi"]


def test_samples_of_rgb_pixels_are_channels(tmp_path: Path) -> None:
    rgb = np.random.default_rng(2).integers(0, 255, (1, 1, 1, *SIZE, 3)).astype(np.uint8)
    write_czi(tmp_path / "slide.czi", rgb)
    with czi.open_czi(str(tmp_path / "slide.czi")) as file:
        bgr = file.read(plane={"T": 0, "C": 0, "Z": 0})  # Zeiss's order of samples
    ngff_bio.convert(tmp_path / "slide.czi", tmp_path / "out.zarr")
    stored = zarr.open_group(tmp_path / "out.zarr", mode="r")["0"][:]
    np.testing.assert_array_equal(stored, np.moveaxis(bgr[..., ::-1], 2, 0))


def test_each_scene_is_an_image(tmp_path: Path) -> None:
    plane = np.random.default_rng(3).integers(0, 200, (1, 1, 1, *SIZE, 1)).astype(np.uint8)
    write_czi(tmp_path / "wells.czi", plane, scenes=3)
    report = ngff_bio.convert(tmp_path / "wells.czi", tmp_path / "out.zarr")
    assert report.images == 3
    root = zarr.open_group(tmp_path / "out.zarr", mode="r")
    for scene in range(3):
        stored = root[f"wells_Scene_{scene}/0"][0]
        np.testing.assert_array_equal(stored, plane[0, 0, 0, :, :, 0] + scene)
    document = ome_types.from_xml((tmp_path / "out.zarr/OME/METADATA.ome.xml").read_text())
    assert [i.id for i in document.images] == [f"Image:wells_Scene_{n}" for n in range(3)]
    assert "openreadout" in (document.creator or "")  # the source's own


def test_the_metadata_of_several_files_are_one_document(tmp_path: Path, pixels: np.ndarray) -> None:
    plane = np.random.default_rng(3).integers(0, 200, (1, 1, 1, *SIZE, 1)).astype(np.uint8)
    (tmp_path / "in").mkdir()
    write_czi(tmp_path / "in/b.czi", pixels, scale_x=0.5e-6, scale_y=0.25e-6, scale_z=2e-6)
    write_czi(tmp_path / "in/a.czi", plane, scenes=2)
    ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    document = ome_types.from_xml((tmp_path / "out.zarr/OME/METADATA.ome.xml").read_text())
    root: Any = zarr.open_group(tmp_path / "out.zarr", mode="r")
    series = root["OME"].attrs["ome"]["series"]
    assert [i.id for i in document.images] == [f"Image:{n}" for n in series]
    found = {i.id.removeprefix("Image:"): i for i in document.images}
    assert sorted(found) == ["a_Scene_0", "a_Scene_1", "b"]
    for name, file, number in (("a_Scene_0", "a", 0), ("a_Scene_1", "a", 1), ("b", "b", 0)):
        own = ome_types.from_xml(openreadout.File(str(tmp_path / f"in/{file}.czi")).ome_xml())
        expected, image = own.images[number], found[name]
        assert (image.name, image.acquisition_date) == (expected.name, expected.acquisition_date)
        assert len(image.pixels.planes) == len(expected.pixels.planes)
        assert image.pixels.physical_size_y == expected.pixels.physical_size_y
        assert [c.name for c in image.pixels.channels] == [c.name for c in expected.pixels.channels]
    ids = [e.id for i in document.images for e in (i.pixels, *i.pixels.channels)]
    assert len(set(ids)) == len(ids)
    assert not [f for f in validate(tmp_path / "out.zarr") if f.level == "error"]


def test_a_mosaic_is_one_image(tmp_path: Path) -> None:
    tiles = np.random.default_rng(5).integers(1, 60000, (4, 40, 50, 1)).astype(np.uint16)
    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for number, tile in enumerate(tiles):  # they overlap by ten pixels
            at = ((number % 2) * 40, (number // 2) * 30)
            file.write(tile, plane={"T": 0, "C": 0, "Z": 0}, location=at)
    with czi.open_czi(str(tmp_path / "a.czi")) as file:
        expected = file.read(plane={"T": 0, "C": 0, "Z": 0})[..., 0]
    assert expected.shape == (70, 90)
    ngff_bio.convert(tmp_path / "a.czi", tmp_path / "out.zarr")
    stored = zarr.open_group(tmp_path / "out.zarr", mode="r")["0"][0]
    np.testing.assert_array_equal(stored, expected)


def write_svs(path: Path) -> np.ndarray:
    """A slide as Aperio writes it: tiles, two levels, a thumbnail, a label; its pixels."""
    pixels = np.random.default_rng(6).integers(0, 255, (150, 210, 3)).astype(np.uint8)
    head = "Aperio Image Library v11.2.1\r\n210x150 [0,0 210x150] (64x64)"
    more = "|AppMag = 20|MPP = 0.4990"
    tiled = {"tile": (64, 64), "photometric": "rgb", "metadata": None, "compression": "zlib"}
    plain = {"photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path) as file:
        file.write(pixels, description=f"{head} JPEG/RGB Q=70{more}", **tiled)
        file.write(pixels[::3, ::3], description=f"Aperio Image Library{more}", **plain)
        file.write(pixels[::2, ::2], description=f"{head} -> 105x75{more}", **tiled)
        file.write(pixels[:20, :30], description="Aperio\r\nlabel 30x20", subfiletype=1, **plain)
    return pixels


def test_a_slide_equals_its_tiff_and_its_other_images_are_reported(tmp_path: Path) -> None:
    pixels = write_svs(tmp_path / "a.svs")
    report = ngff_bio.convert(tmp_path / "a.svs", tmp_path / "out.zarr")
    root = zarr.open_group(tmp_path / "out.zarr", mode="r")
    np.testing.assert_array_equal(root["0"][:], np.moveaxis(pixels, 2, 0))
    scale = root.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]
    assert scale["scale"] == pytest.approx([1, 0.499, 0.499])
    skipped = [n.what for n in report.notices if n.kind == "skipped"]
    assert [w.partition(": ")[2] for w in skipped] == [
        "image Thumbnail of 50 x 70 pixels",
        "image Label of 20 x 30 pixels",
    ]


def test_a_slide_of_phenoimager_equals_its_tiff(tmp_path: Path) -> None:
    pixels = np.random.default_rng(7).integers(0, 4000, (2, 96, 80)).astype(np.uint16)
    kind = "<ImageType>{}</ImageType><Name>{}</Name><Color>0,0,255</Color>"
    about = f"<PerkinElmer-QPI-ImageDescription>{kind}</PerkinElmer-QPI-ImageDescription>"
    same = {"tile": (64, 64), "metadata": None, "software": "PerkinElmer-QPI"}
    size = {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(tmp_path / "a.qptiff") as file:
        for level, text in ((1, "FullResolution"), (2, "ReducedResolution")):
            for plane, name in zip(pixels, ("DAPI", "Opal 520"), strict=True):
                file.write(
                    plane[::level, ::level], photometric="minisblack", contiguous=False,
                    description=about.format(text, name), **same, **size,
                )  # fmt: skip
    ngff_bio.convert(tmp_path / "a.qptiff", tmp_path / "out.zarr")
    root = zarr.open_group(tmp_path / "out.zarr", mode="r")
    np.testing.assert_array_equal(root["0"][:], pixels)
    ome = root.attrs["ome"]
    assert [c["label"] for c in ome["omero"]["channels"]] == ["DAPI", "Opal 520"]
    scale = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale == pytest.approx([1, 0.5, 0.5])


def test_metadata_that_are_refused_do_not_make_a_file_unreadable(
    tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_czi(tmp_path / "a.czi", pixels, scale_x=0.5e-6, scale_y=0.5e-6, scale_z=1e-6)
    written = openreadout.File.ome_xml

    def refused(file: openreadout.File) -> str:
        return str(written(file)).replace('Type="uint16"', 'Type="short"', 1)

    monkeypatch.setattr(openreadout.File, "ome_xml", refused)
    report = ngff_bio.convert(tmp_path / "a.czi", tmp_path / "out.zarr")
    assert any("metadata that cannot be parsed" in n.what for n in report.notices)
    root = zarr.open_group(tmp_path / "out.zarr", mode="r")
    np.testing.assert_array_equal(root["0"][:], pixels[..., 0])
    kept = root.attrs["ngff_bio"]["dataset"]["attributes"]["ome_xml"]["a.czi"]
    assert 'Type="short"' in kept
    assert "UUID" not in kept


@pytest.mark.parametrize(
    ("name", "hint"),
    [("a.dv", "pip install bioio bioio-dv"), ("a.nd2", 'pip install "ngff-bio[vendor]"')],
)
def test_a_file_that_no_plug_in_reads_names_the_one_to_install(
    tmp_path: Path, name: str, hint: str
) -> None:
    (tmp_path / name).write_bytes(b"\0" * 2000)
    with pytest.raises(SourceError, match="no installed plug-in") as caught:
        ngff_bio.convert(tmp_path / name, tmp_path / "out.zarr")
    assert hint in (caught.value.hint or "")


def test_a_plug_in_that_cannot_be_loaded_is_not_a_damaged_file(
    tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_czi(tmp_path / "a.czi", pixels)

    def broken(path: str) -> None:
        raise ModuleNotFoundError("No module named 'resource_backed_dask_array'")

    monkeypatch.setattr("bioio.BioImage", broken)
    with pytest.raises(SourceError, match="plug-in of bioio cannot be loaded") as caught:
        ngff_bio.convert(tmp_path / "a.czi", tmp_path / "out.zarr")
    assert "pip install" in (caught.value.hint or "")


def test_imaris_equals_its_hdf5(tmp_path: Path) -> None:
    volume = np.random.default_rng(4).integers(0, 4000, (4, 32, 40)).astype(np.uint16)
    text = lambda value: np.array([c.encode() for c in str(value)], dtype="S1")  # noqa: E731
    with h5py.File(tmp_path / "a.ims", "w") as file:
        file.attrs["DataSetDirectoryName"] = text("DataSet")
        file.attrs["DataSetInfoDirectoryName"] = text("DataSetInfo")
        file.attrs["ImarisDataSet"] = text("ImarisDataSet")
        file.attrs["ImarisVersion"] = text("5.5.0")
        file.attrs["NumberOfDataSets"] = np.array([1], dtype=np.uint32)
        channel = file.create_group("DataSet/ResolutionLevel 0/TimePoint 0/Channel 0")
        for name, size in zip("ZYX", volume.shape, strict=True):
            channel.attrs[f"ImageSize{name}"] = text(size)
        channel.create_dataset("Data", data=volume, chunks=(2, 16, 16))
        info = file.create_group("DataSetInfo/Image")
        for name, size, extent in zip("ZYX", volume.shape, (8, 16, 20), strict=True):
            info.attrs[name] = text(size)
            at = "XYZ".index(name)
            info.attrs[f"ExtMin{at}"] = text("0")
            info.attrs[f"ExtMax{at}"] = text(extent)
        info.attrs["Unit"] = text("um")
        file.create_group("DataSetInfo/Channel 0").attrs["Name"] = text("GFP")
        time = file.create_group("DataSetInfo/TimeInfo")
        time.attrs["DatasetTimePoints"] = text(1)
        time.attrs["FileTimePoints"] = text(1)
    ngff_bio.convert(tmp_path / "a.ims", tmp_path / "out.zarr")
    root = zarr.open_group(tmp_path / "out.zarr", mode="r")
    np.testing.assert_array_equal(root["0"][0], volume)
    scale = root.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]
    assert scale["scale"][1:] == pytest.approx([2, 0.5, 0.5])


def test_a_store_is_verified_against_the_file(tmp_path: Path, pixels: np.ndarray) -> None:
    path = tmp_path / "a.czi"
    write_czi(path, pixels)
    ngff_bio.convert(path, tmp_path / "out.zarr")
    assert not ngff_bio.verify(tmp_path / "out.zarr", source=path).differences
    path.unlink()
    write_czi(path, pixels[:, ::-1])
    assert ngff_bio.verify(tmp_path / "out.zarr", source=path).differences


@pytest.mark.parametrize("kept", [0, 10, 3000, 30000, 52000])
def test_a_truncated_file_is_an_error(tmp_path: Path, pixels: np.ndarray, kept: int) -> None:
    write_czi(tmp_path / "whole.czi", pixels)
    content = (tmp_path / "whole.czi").read_bytes()
    (tmp_path / "a.czi").write_bytes(content[:kept])
    with pytest.raises(SourceError) as caught:
        ngff_bio.convert(tmp_path / "a.czi", tmp_path / "out.zarr")
    assert Path(caught.value.file or "").name == "a.czi"
    assert not (tmp_path / "out.zarr" / "zarr.json").exists()


def test_other_files_are_kept_when_one_is_skipped(tmp_path: Path, pixels: np.ndarray) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    write_czi(folder / "a.czi", pixels)
    (folder / "b.nd2").write_bytes(b"not a file of Nikon's")
    report = ngff_bio.convert(folder, tmp_path / "out.zarr", on_error="skip")
    assert report.images == 1
    assert [n.file for n in report.notices if n.kind == "skipped"] == ["b.nd2"]


def test_without_the_extra_the_error_says_what_installs_it(tmp_path: Path) -> None:
    (tmp_path / "a.czi").write_bytes(b"ZISRAWFILE")
    code = (
        "import sys; sys.modules['bioio'] = sys.modules['bioio_base'] = None;"
        "from ngff_bio.cli import main; sys.argv[0] = 'ngff-bio'; main()"
    )
    arguments = ["convert", "a.czi", "out.zarr"]
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert run.returncode == 2
    assert 'pip install "ngff-bio[vendor]"' in run.stderr


def test_real_files(samples: Path, tmp_path: Path) -> None:
    folder = samples / "generic" / "czi"
    if not folder.is_dir():
        pytest.skip("no CZI samples")
    report = ngff_bio.convert(folder, tmp_path / "out.zarr")
    assert report.images == 4
    with czi.open_czi(str(folder / "LLS7_small.czi")) as file:
        planes = [
            [
                [file.read(plane={"T": t, "C": c, "Z": z})[..., 0] for z in range(3)]
                for c in range(2)
            ]
            for t in range(2)
        ]
    stored = zarr.open_group(tmp_path / "out.zarr", mode="r")["LLS7_small/0"]
    np.testing.assert_array_equal(stored[:], planes)


def test_a_folder_with_image_files_too_needs_a_choice(tmp_path: Path, pixels: np.ndarray) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    write_czi(folder / "a.czi", pixels)
    tifffile.imwrite(folder / "b.tif", pixels[0, 0, 0, ..., 0])
    with pytest.raises(ArgumentError, match="several formats") as caught:
        ngff_bio.convert(folder, tmp_path / "out.zarr")
    assert "microscope" in str(caught.value.found)
    assert "images" in str(caught.value.found)
