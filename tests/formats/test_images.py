"""Image files: headers without decoding, pixels as the libraries give them, stacks with padding."""

from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.images.headers import probe_image
from ngff_bio.formats.limits import Limits
from ngff_bio.formats.names import safe_name, safe_names
from ngff_bio.sources.files.ranges import LocalFile

GREY = (np.arange(40 * 50) % 251).astype(np.uint8).reshape(40, 50)
RGB = np.dstack([GREY, GREY[::-1], 255 - GREY])


def put(folder: Path, name: str, data: bytes) -> LocalFile:
    (folder / name).write_bytes(data)
    return LocalFile(str(folder), name)


def saved(array: np.ndarray, kind: str, mode: str | None = None, **options: object) -> bytes:
    stream = io.BytesIO()
    img = Image.fromarray(array)
    (img.convert(mode) if mode else img).save(stream, kind, **options)
    return stream.getvalue()


def tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, metadata=None, **options)
    return stream.getvalue()


PICTURES = {
    "grey jpeg": saved(GREY, "JPEG"),
    "rgb jpeg": saved(RGB, "JPEG"),
    "cmyk jpeg": saved(RGB, "JPEG", "CMYK"),
    "progressive jpeg": saved(RGB, "JPEG", progressive=True),
    "grey png": saved(GREY, "PNG"),
    "one-bit png": saved(GREY, "PNG", "1"),
    "16-bit png": saved(GREY.astype(np.uint16) * 257, "PNG"),
    "rgb png": saved(RGB, "PNG"),
    "rgba png": saved(RGB, "PNG", "RGBA"),
    "grey-alpha png": saved(GREY, "PNG", "LA"),
    "palette png": saved(RGB, "PNG", "P"),
    "palette png with transparency": saved(RGB, "PNG", "P", transparency=3),
    "grey bmp": saved(GREY, "BMP"),
    "rgb bmp": saved(RGB, "BMP"),
    "palette bmp": saved(RGB, "BMP", "P"),
    "lzw tiff": tiff(GREY, compression="lzw", predictor=True, rowsperstrip=7),
    "deflate tiff": tiff(GREY.astype(np.uint16), compression="zlib", rowsperstrip=7),
    "big-endian tiff": tiff(GREY.astype(np.uint16) * 3, byteorder=">", rowsperstrip=7),
    "float tiff": tiff(GREY.astype(np.float32)),
    "rgb tiff": tiff(RGB, photometric="rgb"),
    "planar rgb tiff": tiff(np.moveaxis(RGB, 2, 0), photometric="rgb", planarconfig="separate"),
    "tiled tiff": tiff(GREY, tile=(16, 16), compression="lzw"),
    "palette tiff": saved(RGB, "TIFF", "P"),
}


def read_all(file: LocalFile) -> np.ndarray:
    stack = stack_frames([file])
    return stack.read(tuple((0, n) for n in stack.shape))


def reference(name: str, data: bytes) -> np.ndarray:
    """(c, y, x) or (y, x), by a library that the package does not use for this format."""
    if name.endswith("tiff") and "palette" not in name:
        array = tifffile.imread(io.BytesIO(data))
        return np.moveaxis(array, 2, 0) if array.shape[-1] == 3 else array
    with Image.open(io.BytesIO(data)) as img:
        if img.mode == "P":
            mode = "RGBA" if "transparency" in img.info else "RGB"
        else:
            mode = {"CMYK": "RGB", "1": "L"}.get(img.mode, img.mode)
        array = np.asarray(img if mode == img.mode else img.convert(mode))
    return np.moveaxis(array, 2, 0) if array.ndim == 3 else array


@pytest.mark.parametrize("name", PICTURES)
def test_an_image_file_has_the_pixels_that_another_library_reads(name: str, tmp_path: Path) -> None:
    file = put(tmp_path, "img", PICTURES[name])
    expected = reference(name, PICTURES[name])
    stack = stack_frames([file])
    assert (stack.shape, stack.dtype) == (expected.shape, expected.dtype.newbyteorder("="))
    assert stack.axes == ("cyx" if expected.ndim == 3 else "yx")
    assert stack.read_block_shape == stack.shape
    whole = stack.read(tuple((0, n) for n in stack.shape))
    np.testing.assert_array_equal(whole, expected)
    assert whole.flags.c_contiguous
    inner = (*[(0, n) for n in stack.shape[:-2]], (5, 31), (7, 20))
    np.testing.assert_array_equal(stack.read(inner), expected[..., 5:31, 7:20])


def test_indices_of_a_palette_are_read_for_label_images(tmp_path: Path) -> None:
    from ngff_bio.formats.images.decoding import decode_image

    img = Image.fromarray(GREY % 5, "P")
    img.putpalette([9, 9, 9] * 256)
    for kind in ("PNG", "TIFF", "BMP"):
        stream = io.BytesIO()
        img.save(stream, kind)
        file = put(tmp_path, "labels", stream.getvalue())
        np.testing.assert_array_equal(decode_image(file, indices=True), GREY % 5)


def test_the_header_has_pages_and_series_of_a_tiff(tmp_path: Path) -> None:
    stack = tmp_path / "stack.tif"
    tifffile.imwrite(stack, np.zeros((3, 8, 9), np.uint8), imagej=True, metadata={"axes": "ZYX"})
    header = probe_image(LocalFile(str(tmp_path), "stack.tif"))
    assert (header.axes, header.shape, header.single) == ("zyx", (3, 8, 9), False)
    with tifffile.TiffWriter(tmp_path / "two.tif") as writer:
        writer.write(np.zeros((8, 9), np.uint8))
        writer.write(np.zeros((18, 9), np.uint8))
    assert probe_image(LocalFile(str(tmp_path), "two.tif")).series == 2
    with pytest.raises(SourceError, match="more than one plane"):
        stack_frames([LocalFile(str(tmp_path), "stack.tif")])


def test_frames_of_unequal_size_are_padded_at_the_lower_right(tmp_path: Path) -> None:
    files = [
        put(tmp_path, "a", saved(GREY[:30, :50], "PNG")),
        put(tmp_path, "b", saved(GREY, "PNG")),
    ]
    stack = stack_frames([*files, None], "t")
    assert stack.sizes == ((30, 50), (40, 50), (0, 0))
    assert stack.shape == (3, 40, 50)
    read = stack.read(((0, 3), (20, 40), (10, 50)))
    np.testing.assert_array_equal(read[0, :10], GREY[20:30, 10:50])
    assert not read[0, 10:].any()
    assert not read[2].any()
    np.testing.assert_array_equal(read[1], GREY[20:, 10:])


def test_frames_stack_along_two_axes_the_last_varying_fastest(tmp_path: Path) -> None:
    files = [put(tmp_path, f"{i}", saved(RGB[..., :] // (i + 1), "PNG")) for i in range(6)]
    stack = stack_frames(files, "tz", (2, 3))
    assert (stack.axes, stack.shape, stack.read_block_shape) == (
        "tczyx",
        (2, 3, 3, 40, 50),
        (1, 3, 1, 40, 50),
    )
    block = stack.read(((1, 2), (1, 3), (0, 2), (0, 40), (0, 50)))
    for z in (0, 1):
        np.testing.assert_array_equal(block[0, :, z], np.moveaxis(RGB // (4 + z), 2, 0)[1:])


def test_frames_of_different_kinds_are_not_stacked(tmp_path: Path) -> None:
    files = [put(tmp_path, "a", saved(GREY, "PNG")), put(tmp_path, "b", saved(RGB, "PNG"))]
    with pytest.raises(SourceError, match="differ in type") as caught:
        stack_frames(files, "t")
    assert caught.value.file == "b"


@pytest.mark.parametrize("name", ["rgb jpeg", "grey png", "lzw tiff", "rgb bmp", "float tiff"])
def test_a_truncated_image_file_is_one_clear_error(name: str, tmp_path: Path) -> None:
    data = PICTURES[name]
    for keep in (6, 20, len(data) // 2, len(data) * 9 // 10):
        file = put(tmp_path, "cut", data[:keep])
        with pytest.raises(SourceError) as caught:
            read_all(file)
        assert caught.value.file == "cut"


def test_a_file_that_is_not_an_image_is_named(tmp_path: Path) -> None:
    for data in (b"", b"<html>not found</html>"):
        with pytest.raises(SourceError, match="not an image file of a known format"):
            probe_image(put(tmp_path, "x.jpg", data))


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    data = bytearray(saved(GREY, "PNG"))
    data[16:24] = struct.pack(">II", 2**31 - 1, 2**31 - 1)
    bomb = put(tmp_path, "bomb.png", bytes(data))
    with pytest.raises(SourceError, match="larger than allowed") as caught:
        probe_image(bomb)
    assert "--max-pixels" in str(caught.value)
    with pytest.raises(SourceError, match="larger than allowed"):
        probe_image(put(tmp_path, "a.png", saved(GREY, "PNG")), Limits(max_pixels=1999))
    assert probe_image(bomb, Limits(max_pixels=2**63)).size == (2**31 - 1, 2**31 - 1)


def test_a_changed_image_file_is_found(tmp_path: Path) -> None:
    stack = stack_frames([put(tmp_path, "a", saved(GREY, "PNG"))])
    put(tmp_path, "a", saved(GREY[:20], "PNG"))
    with pytest.raises(SourceError, match="does not match its header"):
        stack.read(((0, 40), (0, 50)))


def test_a_stack_pickles_small(tmp_path: Path) -> None:
    stack = stack_frames([put(tmp_path, "a", saved(GREY, "PNG"))] * 40, "t")
    assert len(pickle.dumps(stack)) < 1500
    assert pickle.loads(pickle.dumps(stack)) == stack


def test_real_image_files_have_the_pixels_of_their_own_decoders(samples: Path) -> None:
    wbc = next((samples / "wbc").rglob("*.jpg"))
    livecell = next((samples / "livecell").rglob("*.tif"))
    for path, expected in (
        (wbc, np.moveaxis(imagecodecs.jpeg8_decode(wbc.read_bytes()), 2, 0)),
        (livecell, tifffile.imread(livecell)),
    ):
        stack = stack_frames([LocalFile(str(path.parent), path.name)])
        np.testing.assert_array_equal(stack.read(tuple((0, n) for n in stack.shape)), expected)


def test_safe_names_are_ascii_and_drop_every_image_extension() -> None:
    assert safe_name("A9 p10d.tif.jpg") == "A9_p10d"
    assert safe_name("scan:0_500_x_0_400.jpg") == "scan_0_500_x_0_400"
    assert safe_name("Zellkern Größe 3µm.png") == "Zellkern_Gro_e_3um"
    assert safe_name("labels.tif") == "labels_"
    assert safe_name("../../etc/passwd") == "etc_passwd"
    assert safe_name("細胞.tif") == safe_name("細胞.tif") != safe_name("核.tif")


@given(st.lists(st.text(min_size=1, max_size=200), unique=True, max_size=30))
def test_safe_names_are_all_different_even_without_letter_case(names: list[str]) -> None:
    safe = list(safe_names(names).values())
    assert len({s.lower() for s in safe}) == len(names)
    for name in safe:
        assert name.isascii()
        assert "/" not in name
        assert not name.startswith((".", "__"))
        assert 0 < len(name) <= 140
