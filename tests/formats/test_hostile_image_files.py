"""Files that are traps end in one clear error, soon, without filling the memory."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
from makers import damage
from PIL import Image

from ngff_bio.errors import SourceError
from ngff_bio.formats.arrays.hdf5 import hdf5_datasets, open_hdf5
from ngff_bio.formats.images.decoding import decode_image
from ngff_bio.formats.images.headers import probe_image
from ngff_bio.formats.limits import Limits
from ngff_bio.formats.tiff.images import open_tiff, open_tiff_volume
from ngff_bio.sources.files.ranges import LocalFile
from ngff_bio.sources.files.tree import open_tree

READERS: dict[str, Callable[[LocalFile], object]] = {
    "probe": probe_image,
    "open": open_tiff,
    "stack": open_tiff_volume,
}


def endless(path: Path) -> Path:
    tifffile.imwrite(path, np.zeros((3, 40, 50), np.uint8), metadata=None)
    return damage.endless_tiff(path)


def web_page(path: Path) -> Path:
    return damage.replace_with(path, b"<!doctype html><title>404</title>")


@pytest.mark.parametrize("reader", ["probe", "open"])
@pytest.mark.parametrize("trap", [damage.huge_tiff, endless, web_page, damage.empty])
def test_a_tiff_that_is_a_trap_is_one_error(reader: str, trap: object, tmp_path: Path) -> None:
    path = trap(tmp_path / "a.tif")  # type: ignore[operator]
    tracemalloc.start()
    with pytest.raises(SourceError) as caught:
        READERS[reader](LocalFile(str(tmp_path), path.name))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.file == "a.tif"
    assert peak < 50_000_000


def test_a_stack_with_a_circle_of_pages_is_one_error(tmp_path: Path) -> None:
    endless(tmp_path / "a.tif")
    with pytest.raises(SourceError):
        open_tiff_volume(LocalFile(str(tmp_path), "a.tif"))


def test_a_png_that_claims_to_be_huge_is_refused_by_its_header(tmp_path: Path) -> None:
    path = damage.huge_png(tmp_path / "a.png")
    with pytest.raises(SourceError, match="larger than allowed") as caught:
        probe_image(LocalFile(str(tmp_path), path.name))
    assert "--max-pixels" in str(caught.value)


def test_a_zip_bomb_is_refused_by_its_directory(tmp_path: Path) -> None:
    path = damage.zip_bomb(tmp_path / "a.zip", size=1 << 24)
    tree = open_tree(path, limits=Limits(max_bytes=1 << 20))
    with pytest.raises(SourceError, match="larger than allowed") as caught:
        tree.file(tree.names()[0])
    assert "--max-bytes" in str(caught.value)


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "tif"])
def test_any_flipped_bit_gives_pixels_or_one_error(kind: str, tmp_path: Path) -> None:
    from ngff_bio.formats.images.frames import stack_frames

    rng = np.random.default_rng(3)
    path = tmp_path / f"a.{kind}"
    for place in np.linspace(0, 0.999, 60):
        Image.fromarray(rng.integers(0, 255, (30, 40), np.uint8)).save(path)
        damage.flip_bit(path, float(place), bit=int(rng.integers(8)))
        with suppress(SourceError):  # and nothing but that
            stack = stack_frames([LocalFile(str(tmp_path), path.name)], limits=Limits(10**6))
            stack.read(tuple((0, n) for n in stack.shape))


def coded_tile(path: Path, compression: str) -> None:
    """A TIFF whose only tile, of 16 x 16 pixels, is an image file that states 60000 x 60000."""
    small = np.zeros((16, 16), np.uint8)
    if compression == "jpeg2000":
        data = bytearray(imagecodecs.jpeg2k_encode(small, codecformat="j2k"))
        at, sizes = data.index(b"\xff\x51") + 6, struct.Struct(">II")
        sizes.pack_into(data, at, 60_000, 60_000)
        sizes.pack_into(data, at + 16, 60_000, 60_000)
    elif compression == "jpeg":
        data = bytearray(imagecodecs.jpeg_encode(small))
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 60_000, 60_000)
    else:
        data = bytearray(imagecodecs.png_encode(small))
        struct.pack_into(">II", data, 16, 60_000, 60_000)
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(
            iter([bytes(data)]), shape=(16, 16), dtype="u1", tile=(16, 16), compression=compression,
            metadata=None,
        )  # fmt: skip


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "png"])
def test_a_tile_that_states_another_size_than_the_tiff_is_not_decoded(compression, tmp_path):
    coded_tile(tmp_path / "a.tif", compression)
    file = LocalFile(str(tmp_path), "a.tif")
    pixels = open_tiff(file)[0].pixels
    for read in (lambda: pixels.read(((0, 16), (0, 16))), lambda: decode_image(file)):
        with pytest.raises(SourceError) as caught:
            read()
        assert any(word in str(caught.value.found) for word in ("states 60000 x 60000", "pixels)"))


def test_a_jpeg_of_thousands_of_scans_is_not_decoded(tmp_path):
    out = io.BytesIO()
    Image.new("L", (64, 64)).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    last = data[data.rindex(b"\xff\xda") : -2]
    file = LocalFile(str(tmp_path), "a.jpg")
    (tmp_path / "a.jpg").write_bytes(data)
    assert decode_image(file).shape == (64, 64)
    (tmp_path / "a.jpg").write_bytes(data[:-2] + last * 200 + data[-2:])
    with pytest.raises(SourceError) as caught:
        decode_image(file)
    assert "scans" in str(caught.value.found)


def test_a_tiff_that_lists_fewer_tiles_than_it_needs_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, np.zeros((16, 16), np.uint8), tile=(16, 16), compression="zlib", metadata=None
    )
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for tag, value in {"TileWidth": 1, "TileLength": 1, "ImageWidth": 100_000}.items():
            tiff.pages.first.tags[tag].overwrite(value)
    for read in (probe_image, open_tiff):
        with pytest.raises(SourceError, match="fewer strips or tiles"):
            read(LocalFile(str(tmp_path), "a.tif"))


@pytest.mark.parametrize(
    ("shape", "chunks", "what"),
    [
        ((10**9, 64, 64), (1, 64, 64), "larger than its data"),
        ((30_000, 30_000), (1, 1), "more chunks than allowed"),
    ],
)
def test_a_dataset_of_hdf5_that_states_more_than_it_has_is_refused(shape, chunks, what, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as made:
        made.create_dataset("exported_data", shape=shape, dtype="u1", chunks=chunks)
    with pytest.raises(SourceError, match=what):
        open_hdf5(LocalFile(str(tmp_path), "a.h5"), Limits())


def test_groups_of_hdf5_that_contain_each_other_are_read_once(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as made:
        for number in range(10):
            made[f"root{number}"] = made["/"]
        inner = made.create_group("inner")
        inner["data"] = np.zeros((4, 5), np.uint8)
        for number in range(10):
            inner[f"same{number}"] = inner["data"]
    with h5py.File(tmp_path / "a.h5") as opened:
        assert [path for path, _ in hdf5_datasets(opened)] == ["inner/data"]
    image = open_hdf5(LocalFile(str(tmp_path), "a.h5"), Limits())
    assert image.pixels.shape == (4, 5)
