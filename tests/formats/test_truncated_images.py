"""A file with missing pixels is an error, wherever it was cut and whatever follows the cut."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.tiff.images import open_tiff
from ngff_bio.sources.files.ranges import LocalFile

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
