"""Small files that ask for much memory or time are refused, in a process with a limit of both."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import makers
import numpy as np
import pytest
import tifffile
from makers import damage
from PIL import Image

import ngff_bio
from ngff_bio.checks.source.redraw import redraw
from ngff_bio.errors import SourceError
from ngff_bio.model import Box, Instance, Polygons, Rle, Shape
from ngff_bio.raster.boxes import coco_boxes, fill_boxes
from ngff_bio.raster.polygons import rasterize_polygons

#: Address space, in bytes, and seconds of a conversion of a trap.
MEMORY, SECONDS = 6 << 30, 60

LIMITED = (
    "import resource; resource.setrlimit(resource.RLIMIT_AS, ({0}, {0}));"
    "from ngff_bio.cli import main; main()"
)


def command_line(*arguments: str | Path, temporary: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIMITED.format(MEMORY), *map(str, arguments)],
        env={**os.environ, "TMPDIR": str(temporary), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def endless_times(folder: Path) -> None:
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="8" '
        'SizeY="8" SizeZ="1" SizeC="1" SizeT="1000000000"><Channel ID="Channel:0" '
        'SamplesPerPixel="1"/><TiffData/></Pixels></Image></OME>'
    )
    pixels = np.zeros((8, 8), np.uint8)
    tifffile.imwrite(folder / "a.ome.tif", pixels, description=xml, metadata=None)


def many_points(folder: Path) -> None:
    makers.make_coco_folder(folder, size=(24, 30), images=1, instances=1)
    points = ", ".join(["1.5, 2.5", "20.5, 3.5", "9.5, 20.5"] * 1_000_000)
    for path in folder.rglob("*.json"):
        content = json.loads(path.read_text())
        for record in content["annotations"]:
            record["segmentation"] = [["POINTS"]]
        path.write_text(json.dumps(content).replace('"POINTS"', points))


def many_points_of_a_shape(folder: Path) -> None:
    Image.new("L", (30, 24)).save(folder / "a.png")
    points = ", ".join(["[1.5, 2.5], [20.5, 3.5], [9.5, 20.5]"] * 1_000_000)
    shape = f'{{"label": "cell", "shape_type": "polygon", "points": [{points}]}}'
    text = f'{{"imagePath": "a.png", "imageHeight": 24, "imageWidth": 30, "shapes": [{shape}]}}'
    (folder / "a.json").write_text(text)


def huge_colors(folder: Path) -> None:
    tifffile.imwrite(
        folder / "a.tif",
        np.zeros((16, 16, 3), np.uint16),
        photometric="rgb",
        compression="zlib",
        metadata=None,
    )
    with tifffile.TiffFile(folder / "a.tif", mode="r+") as tiff:
        for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tiff.pages.first.tags[tag].overwrite(126_000)
    content = {
        "images": [{"id": 1, "file_name": "a.tif", "height": 126_000, "width": 126_000}],
        "annotations": [],
        "categories": [],
    }
    (folder / "a.json").write_text(json.dumps(content))


def huge_colors_alone(folder: Path) -> None:
    huge_colors(folder)
    (folder / "a.json").unlink()


def huge_jpeg(folder: Path) -> None:
    out = io.BytesIO()
    Image.new("RGB", (16, 16)).save(out, "JPEG")
    data = bytearray(out.getvalue())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 40_000, 40_000)
    (folder / "a.jpg").write_bytes(bytes(data))


def overlapping_members(folder: Path) -> None:
    """A directory whose 300 entries all name the bytes of one member."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("image.tif", "w") as member:
            for _ in range(200):
                member.write(bytes(1 << 20))
        one = archive.infolist()[0]
        for number in range(300):
            copy = zipfile.ZipInfo(f"image{number}.tif")
            for name in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
                setattr(copy, name, getattr(one, name))
            archive.filelist.append(copy)
    (folder / "a.zip").write_bytes(out.getvalue())


@pytest.mark.parametrize(
    "make",
    [
        endless_times,
        many_points,
        many_points_of_a_shape,
        huge_colors,
        huge_colors_alone,
        huge_jpeg,
        overlapping_members,
    ],
)
def test_a_trap_is_refused_in_little_memory(make, tmp_path):
    source, temporary = tmp_path / "source", tmp_path / "temporary"
    source.mkdir()
    temporary.mkdir()
    make(source)
    archive = source / "a.zip"
    given = archive if archive.exists() else source
    done = command_line("convert", given, tmp_path / "a.zarr", temporary=temporary)
    assert done.returncode == 2, done.stderr
    assert done.stderr.lstrip().startswith("error: ")
    assert "MemoryError" not in done.stderr
    assert list(temporary.iterdir()) == []


def test_no_temporary_file_of_a_compressed_tar_stays(tmp_path):
    source, temporary = tmp_path / "source", tmp_path / "temporary"
    temporary.mkdir()
    makers.make_coco_folder(source, size=(24, 30), images=2, instances=3)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(source, "data")
    store = tmp_path / "a.zarr"
    for arguments in (
        ("convert", tmp_path / "a.tar.gz", store, "--verify"),
        ("convert", tmp_path / "a.tar.gz", tmp_path / "b.zarr", "--runner", "processes"),
        ("verify", store, "--source", tmp_path / "a.tar.gz"),
        ("convert", tmp_path / "a.tar.gz", store),  # which exists already
    ):
        done = command_line(*arguments, temporary=temporary)
        assert done.returncode in (0, 2), done.stderr
        assert list(temporary.iterdir()) == []


FAR = (2**31, 2**31 - 1, -(2**31), 2.0**40, 1e300, float("inf"), float("nan"))


@pytest.mark.parametrize("far", FAR)
def test_a_coordinate_beyond_32_bits_is_refused_before_it_is_drawn(far):
    for geometry in (
        Polygons(((1.0, 1.0, far, 2.0, 5.0, 9.0),)),
        Box(1.0, 1.0, far, 9.0),
    ):
        with pytest.raises(SourceError):
            redraw([Instance(value=1, geometry=geometry)], (24, 30))


def test_counts_that_do_not_fit_are_refused_before_they_are_drawn():
    for geometry in (
        Rle((24, 30), [0, 2**40]),
        Rle((24, 30), [5, -5, 720]),
        Rle((2**31, 2**31), [2**62]),
        Rle((24, 30), "oooooO" * 3),
    ):
        with pytest.raises(SourceError):
            redraw([Instance(value=1, geometry=geometry)], (24, 30))


@pytest.mark.parametrize("far", [1e3, 1e6, 2e8, -2e8])
def test_an_outline_far_outside_is_drawn_the_same_by_both(far):
    shape = (24, 30)
    parts = [[1.0, 1.0, far, 2.0, 5.0, 9.0]]
    polygon = rasterize_polygons([parts], shape).row_major()
    box = fill_boxes(coco_boxes([[1.0, 1.0, far - 1.0, 8.0]], shape), shape).row_major()
    geometries = (Polygons(tuple(map(tuple, parts))), Box(1.0, 1.0, far, 9.0))
    for geometry, runs in zip(geometries, (polygon, box), strict=True):
        (drawn,) = redraw([Instance(value=1, geometry=geometry)], shape)
        expected = [
            p for s, n in zip(runs.starts, runs.lengths, strict=True) for p in range(s, s + n)
        ]
        assert drawn.tolist() == expected


def test_a_circle_of_millions_of_pixels_is_refused():
    circle = Shape("circle", ((5.0, 5.0), (1e7, 5.0)))
    with pytest.raises(SourceError):
        redraw([Instance(value=1, geometry=circle)], (24, 30))


def test_a_zip_bomb_is_refused_by_the_ratio_of_its_sizes(tmp_path):
    """Deflate packs at most 1032 bytes into one."""
    path = damage.zip_bomb(tmp_path / "a.zip", size=1 << 20)
    data = path.read_bytes()
    end = data.rindex(b"PK\1\2")
    changed = data[: end + 24] + struct.pack("<I", 2**31) + data[end + 28 :]
    path.write_bytes(changed)
    done = command_line("convert", path, tmp_path / "a.zarr", temporary=tmp_path)
    assert done.returncode == 2
    assert "larger than its data" in done.stderr


@pytest.mark.parametrize("command", ["open", "info", "validate", "verify"])
def test_two_billion_declared_chunks_are_not_looked_for(command, tmp_path):
    source, store = tmp_path / "source", tmp_path / "a.zarr"
    source.mkdir()
    Image.new("L", (30, 24), 7).save(source / "a.png")
    assert command_line("convert", source, store, temporary=tmp_path).returncode == 0
    place, root = store / "0" / "zarr.json", store / "zarr.json"
    array, group = json.loads(place.read_text()), json.loads(root.read_text())
    array["shape"] = [2**31 - 1, 30]
    array["chunk_grid"]["configuration"]["chunk_shape"] = [1, 1]
    array["codecs"] = [{"name": "bytes"}]
    group["consolidated_metadata"]["metadata"]["0"] = array
    place.write_text(json.dumps(array))
    root.write_text(json.dumps(group))
    if command == "open":
        level = ngff_bio.open(store)[""].level(0)
        assert level.sizes["y"] == 2**31 - 1
        return
    done = command_line(command, store, temporary=tmp_path)
    assert done.returncode == (0 if command == "info" else 1), done.stderr
    if command == "validate":  # the one chunk that exists is too small
        assert "1 errors" in done.stdout


def test_a_unit_that_needs_more_than_the_memory_limit_is_refused_before_it_begins(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    Image.new("L", (4000, 3000), 7).save(source / "a.png")  # which is decoded as a whole
    convert = ("convert", source, tmp_path / "a.zarr")
    done = command_line(*convert, "--memory", "10M", temporary=tmp_path)
    assert done.returncode == 2
    needed = re.search(r"expected: --memory (\d+M) or more", done.stderr)
    assert needed is not None
    assert "record: a.png" in done.stderr
    assert command_line(*convert, "--memory", needed[1], temporary=tmp_path).returncode == 0


def test_limits_that_a_conversion_needed_are_options_of_its_verification(tmp_path):
    source, store = tmp_path / "source", tmp_path / "a.zarr"
    source.mkdir()
    Image.new("L", (300, 200), 7).save(source / "a.png")
    assert command_line("convert", source, store, temporary=tmp_path).returncode == 0
    verify = ("verify", store, "--source", source, "--max-pixels")
    assert command_line(*verify, "59999", temporary=tmp_path).returncode == 2
    assert command_line(*verify, "60K", temporary=tmp_path).returncode == 0
