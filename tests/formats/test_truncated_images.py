"""A file with missing pixels is an error, wherever it was cut and whatever follows the cut."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from ngff_bio.errors import SourceError
from ngff_bio.formats.arrays.nifti import open_nifti
from ngff_bio.formats.arrays.npy import open_npy
from ngff_bio.formats.images.decoding import decode_image
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.images.headers import probe_image
from ngff_bio.formats.limits import Limits
from ngff_bio.formats.tiff.images import open_tiff
from ngff_bio.sources.files.ranges import LocalFile
from ngff_bio.sources.files.tree import open_tree

#: Shares of the file that are kept.
CUTS = (0.2, 0.5, 0.9, 0.99)


def example_image(mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[:96, :128]
    noise = np.random.default_rng(0).integers(0, 30, (96, 128, 3))
    colors = np.stack([x + y, 2 * y, 90 + 60 * np.sin(x / 9)], axis=-1) + noise
    return Image.fromarray(colors.clip(0, 255).astype(np.uint8)).convert(mode)


def saved(format: str, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    example_image(mode).save(out, format, **options)
    return out.getvalue()


def read_all(path: Path) -> None:
    stack = stack_frames([LocalFile(str(path.parent), path.name)])
    stack.read(tuple((0, n) for n in stack.shape))


def assert_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        read_all(path)
    assert caught.value.file == path.name


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_jpeg_that_was_cut_is_an_error(cut, mode, options, tmp_path):
    data = saved("JPEG", mode, **options)
    assert_refused(tmp_path / "a.jpg", data[: int(len(data) * cut)])


@pytest.mark.parametrize("cut", CUTS)
def test_a_jpeg_with_a_thumbnail_that_was_cut_is_an_error(cut, tmp_path):
    """The end marker of the thumbnail is not that of the image."""
    exif = Image.Exif()
    small = saved("JPEG")
    data = saved("JPEG", exif=exif)
    segment = b"Exif\0\0" + small
    data = data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]
    (tmp_path / "whole.jpg").write_bytes(data)
    read_all(tmp_path / "whole.jpg")
    scan = len(small) + 40
    assert_refused(tmp_path / "a.jpg", data[: scan + int((len(data) - scan) * cut)])


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_was_cut_before_its_end_marker_is_an_error(cut, mode, progressive, tmp_path):
    data = saved("JPEG", mode, progressive=progressive)
    assert_refused(tmp_path / "a.jpg", data[: int(len(data) * cut)] + b"\xff\xd9")


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_with_a_gray_corner_is_read(mode, tmp_path):
    gray = Image.new(mode, (64, 64), 128 if mode == "L" else (128, 128, 128))
    gray.save(tmp_path / "a.jpg")
    read_all(tmp_path / "a.jpg")


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_png_that_was_cut_is_an_error(cut, mode, tmp_path):
    data = saved("PNG", mode)
    kept = data[: int(len(data) * cut)]
    assert_refused(tmp_path / "a.png", kept)
    assert_refused(tmp_path / "b.png", kept + data[-12:])


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "zstd", "jpeg"])
def test_a_tiff_whose_strip_was_cut_is_an_error(cut, compression, tmp_path):
    """The file is cut at its end, or a strip is shorter than its pixels."""
    pixels = np.asarray(example_image("RGB"))
    out = io.BytesIO()
    options = {"photometric": "rgb", "metadata": None, "rowsperstrip": 32}
    tifffile.imwrite(out, pixels, compression=compression, **options)
    data = out.getvalue()
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        start, count = tiff.pages.first.dataoffsets[1], tiff.pages.first.databytecounts[1]
        tag = tiff.pages.first.tags["StripByteCounts"]
        place, width = tag.valueoffset, {3: 2, 4: 4, 16: 8}[int(tag.dtype)]
    short = bytearray(data)
    short[place + width : place + 2 * width] = int(count * cut).to_bytes(width, "little")
    if compression is not None:  # an uncompressed strip is as long as its pixels
        assert_refused(tmp_path / "a.tif", bytes(short))
        with pytest.raises(SourceError):
            whole(open_tiff(LocalFile(str(tmp_path), "a.tif"))[0].pixels)
    path = tmp_path / "b.tif"
    assert_refused(path, data[: start + int((len(data) - start) * cut)])


def whole(pixels) -> None:
    pixels.read(tuple((0, n) for n in pixels.shape))


VALUES = np.random.default_rng(5).integers(0, 255, (24, 30)).astype(np.uint8)


def file_of(folder: Path, name: str, data: bytes) -> LocalFile:
    (folder / name).write_bytes(data)
    return LocalFile(str(folder), name)


def read_nifti(file: LocalFile) -> None:
    pixels = open_nifti(file, Limits()).pixels
    pixels.read(tuple((0, n) for n in pixels.shape))


@pytest.mark.parametrize("level", [0, 6])
def test_any_changed_byte_of_a_compressed_nifti_is_an_error(level, tmp_path):
    volume = nibabel.Nifti1Image(np.stack([VALUES] * 2, axis=-1), np.eye(4)).to_bytes()
    data = gzip.compress(volume, level)
    for at in range(len(data) - 700, len(data) - 8, 40):
        damaged = data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]
        with pytest.raises((OSError, zlib.error, EOFError)):  # what the reference says of it
            gzip.decompress(damaged)
        with pytest.raises(SourceError):
            read_nifti(file_of(tmp_path, "a.nii.gz", damaged))


def test_a_compressed_nifti_that_goes_on_without_end_is_an_error(tmp_path):
    volume = nibabel.Nifti1Image(VALUES[None], np.eye(4)).to_bytes()
    file = file_of(tmp_path, "a.nii.gz", gzip.compress(volume + bytes(3 << 20)))
    with pytest.raises(SourceError) as caught:
        read_nifti(file)
    assert "goes on behind" in str(caught.value.found)


def stored(name: str) -> bytes:
    out = io.BytesIO()
    if name.endswith(".npy"):
        np.save(out, VALUES)
    elif name.endswith(".tif"):
        tifffile.imwrite(out, VALUES, metadata=None)
    else:
        Image.fromarray(VALUES).save(out, "BMP")
    return out.getvalue()


READ = {
    "a.npy": lambda file: open_npy(file, Limits()).read(((0, 24), (0, 30))),
    "a.tif": lambda file: open_tiff(file)[0].pixels.read(((0, 24), (0, 30))),
    "a.bmp": decode_image,
}


@pytest.mark.parametrize("name", READ)
def test_a_changed_byte_of_a_stored_member_of_a_zip_is_an_error(name, tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, stored(name))
    good = path.read_bytes()
    for at in (None, 700, 650, None):
        data = bytearray(good)
        if at is None:
            path.write_bytes(data)
            assert (READ[name](open_tree(path).file(name)) == VALUES).all()
            continue
        data[at] ^= 1
        path.write_bytes(data)
        assert zipfile.ZipFile(path).testzip() == name
        with pytest.raises(SourceError, match="damaged"):
            READ[name](open_tree(path).file(name))


def test_a_stack_of_imagej_that_was_cut_is_an_error_or_named(tmp_path):
    out = io.BytesIO()
    text = "ImageJ=1.53t\nimages=5\nslices=5\n"  # one page, and all planes behind it (hyperstack)
    tifffile.imwrite(out, VALUES, description=text, metadata=None)
    with tifffile.TiffFile(io.BytesIO(out.getvalue())) as tiff:
        start = tiff.pages.first.dataoffsets[0]
    whole = out.getvalue()[:start] + np.stack([VALUES] * 5).tobytes()
    assert open_tiff(file_of(tmp_path, "a.tif", whole))[0].pixels.shape == (5, 24, 30)
    for cut in (1, 700, 2000):
        for read in (open_tiff, probe_image):
            with pytest.raises(SourceError, match="truncated"):
                read(file_of(tmp_path, "a.tif", whole[:-cut]))
    (one,) = open_tiff(file_of(tmp_path, "a.tif", out.getvalue()))
    assert one.pixels.shape == (24, 30)
    assert [n.kind for n in one.notices] == ["warning"]
