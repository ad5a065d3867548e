"""Whole stores, read by zarr-python, tensorstore and ome-zarr-py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from references import mean_level, mode_level
from scenes import collection, noise, plate, volume
from zarr.core.metadata import ArrayV2Metadata, ArrayV3Metadata

from ngff_bio.engine import Settings, parse_codec, write_dataset
from ngff_bio.engine.plan.layout import ArraySpec, plan_array
from ngff_bio.model import ArrayPixels, SourceDataset, SourceImage, axes_from
from ngff_bio.storage import FolderStorage, MemoryStorage
from ngff_bio.zarrio.chunks import write_block
from ngff_bio.zarrio.codecs import Codec

DTYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "?"]
CODECS = [
    "blosc-zstd-5-shuffle",
    "blosc-zstd-1-bitshuffle-64k",
    "blosc-lz4-1-bitshuffle",
    "blosc-zlib-1-noshuffle",
    "zstd-3",
    "none",
]
SMALL = {"chunk": (16, 24), "shard_bytes": 1 << 14}


def read_tensorstore(place: Path, path: str, zarr_format: int) -> Any:
    driver = "zarr3" if zarr_format == 3 else "zarr"
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": str(place / path)}}
    return tensorstore.open(spec).result().read().result()


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("sharded", [True, False])
def test_other_readers_see_every_pixel(tmp_path: Path, version: Any, sharded: bool) -> None:
    dataset = volume(shape=(5, 61, 83))
    chosen = Settings(version=version, sharded=sharded, **SMALL)
    write_dataset(dataset, FolderStorage(tmp_path / "s"), chosen)
    root = zarr.open_group(tmp_path / "s", mode="r")
    image = dataset.images[0]
    arrays = {"": image.pixels.array}
    arrays |= {f"labels/{layer.name}/": layer.pixels.array for layer in image.labels}
    for path, expected in arrays.items():
        number = 0
        while f"{path}{number}" in root:
            found = root[f"{path}{number}"]
            if number:
                factor = tuple(-(-a // b) for a, b in zip(expected.shape, found.shape, strict=True))
                expected = (mode_level if path else mean_level)(expected, factor)
            np.testing.assert_array_equal(found[:], expected)
            np.testing.assert_array_equal(
                read_tensorstore(tmp_path / "s", f"{path}{number}", chosen.zarr_format), expected
            )
            number += 1
        assert number == 3


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("make", [volume, collection, plate])
def test_ome_zarr_py_opens_every_image(tmp_path: Path, version: Any, make: Any) -> None:
    dataset = make()
    write_dataset(dataset, FolderStorage(tmp_path / "s"), Settings(version=version))
    for image in dataset.images:
        nodes = list(Reader(parse_url(tmp_path / "s" / image.path))())
        assert nodes[0].data[0].shape == image.pixels.shape
        np.testing.assert_array_equal(nodes[0].data[0].compute(), image.pixels.array)
        labels = {Path(n.zarr.path).name: n for n in nodes[1:]}
        assert {layer.name for layer in image.labels} <= labels.keys()
        for layer in image.labels:
            expected = zarr.open_array(
                tmp_path / "s" / image.path / f"labels/{layer.name}/0", mode="r"
            )
            np.testing.assert_array_equal(labels[layer.name].data[0].compute(), expected[:])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_py_lays_out_the_wells_of_a_plate(tmp_path: Path, version: Any) -> None:
    dataset = plate(fields=1)
    write_dataset(dataset, FolderStorage(tmp_path / "s"), Settings(version=version))
    (node,) = Reader(parse_url(tmp_path / "s"))()
    frames = dataset.images[0].pixels.array
    rows, columns = frames.shape[1:]
    wells = node.data[0].compute()
    assert wells.shape == (len(frames), 2 * rows, 3 * columns)  # rows A and B, columns 1 to 3
    np.testing.assert_array_equal(wells[:, :rows, :columns], frames)
    assert not wells[:, rows:].any()
    assert not wells[:, :, columns:].any()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_each_type_and_codec_is_read_back(tmp_path: Path, dtype: str, codec: str) -> None:
    pixels = noise((2, 50, 70), "f4").astype(dtype)
    image = SourceImage("", "i", axes_from("cyx"), ArrayPixels(pixels))
    for version, name in (("0.4", "a"), ("0.5", "b")):
        chosen = Settings(version=version, codec=parse_codec(codec), **SMALL)
        dataset = SourceDataset("d", "t", "o", "image", (image,))
        write_dataset(dataset, FolderStorage(tmp_path / name), chosen)
        found = zarr.open_array(tmp_path / name / "0", mode="r")
        assert found.dtype == pixels.dtype
        np.testing.assert_array_equal(found[:], pixels)


def test_big_endian_pixels_are_stored_as_little(tmp_path: Path) -> None:
    pixels = noise((50, 70), ">u2")
    image = SourceImage("", "i", axes_from("yx"), ArrayPixels(pixels))
    write_dataset(SourceDataset("d", "t", "o", "image", (image,)), FolderStorage(tmp_path / "s"))
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "s" / "0", mode="r")[:], pixels)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 14), min_size=2, max_size=4),
    st.lists(st.integers(2, 9), min_size=2, max_size=2),
    st.sampled_from(["u1", "i2", "f4", "?", "u8"]),
    st.sampled_from(CODECS),
    st.integers(0, 3),
    st.booleans(),
)
def test_a_block_of_any_shape_becomes_shards_that_zarr_reads(
    shape: list[int], chunk: list[int], dtype: str, codec: str, empty: int, sharded: bool
) -> None:
    pixels = noise(tuple(shape), "f4").astype(dtype)
    pixels[..., : empty * shape[-1] // 3] = 0
    axes = "tcyx"[4 - len(shape) :]
    spec = ArraySpec(
        axes, tuple(shape), pixels.dtype, (1,) * len(shape), (None,) * len(shape),
        codec=parse_codec(codec),
    )  # fmt: skip
    plan = plan_array("", spec, Settings(chunk=tuple(chunk), levels=1, sharded=sharded))
    storage = MemoryStorage()
    meta, start = plan.meta(0), (0,) * len(shape)
    write_block(meta, start, pixels, storage.put, lambda f, items: [f(i) for i in items])
    storage.put("0/zarr.json", json.dumps(plan.meta(0).document()).encode())
    memory = zarr.storage.MemoryStore(
        {k: zarr.core.buffer.cpu.Buffer.from_bytes(v) for k, v in storage.objects.items()}
    )
    np.testing.assert_array_equal(zarr.open_array(memory, path="0", mode="r")[...], pixels)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("sharded", [True, False])
def test_array_metadata_equals_that_of_zarr_python(dtype: str, codec: str, sharded: bool) -> None:
    for version in ("0.4", "0.5"):
        chosen = Settings(version=version, chunk=(8, 8), sharded=sharded)
        spec = ArraySpec(
            "yx", (30, 40), np.dtype(dtype), (1, 1), (None, None), codec=parse_codec(codec)
        )
        plan = plan_array("", spec, chosen)
        mine = plan.meta(0).document()
        kind = ArrayV2Metadata if version == "0.4" else ArrayV3Metadata
        theirs = kind.from_dict({**mine}).to_dict()
        assert json.loads(json.dumps(theirs)).items() >= _as_parsed(mine).items()


def _as_parsed(mine: dict[str, Any]) -> dict[str, Any]:
    """zarr-python leaves out empty attributes, and spells the same codec with all its defaults."""
    plain = json.loads(json.dumps(mine))
    plain.pop("attributes", None)
    return plain


def test_an_empty_image_takes_no_objects_but_metadata(tmp_path: Path) -> None:
    image = SourceImage("", "i", axes_from("yx"), ArrayPixels(np.zeros((300, 300), "u2")))
    report = write_dataset(
        SourceDataset("d", "t", "o", "image", (image,)),
        FolderStorage(tmp_path),
        Settings(chunk=(64, 64)),
    )
    found = {k for k, _ in FolderStorage(tmp_path).list() if not k.startswith("ngff_bio/manifest")}
    assert {Path(k).name for k in found} == {"zarr.json"}
    assert report.objects == len(found) + 2
    assert not zarr.open_array(tmp_path / "0", mode="r")[:].any()


def test_the_report_counts_the_objects_of_the_store(tmp_path: Path) -> None:
    for number, make in enumerate((volume, collection, plate)):
        storage = FolderStorage(tmp_path / str(number))
        report = write_dataset(make(), storage)
        found = dict(storage.list())
        assert (report.objects, report.bytes_stored) == (len(found), sum(found.values()))


def test_the_root_alone_opens_the_store(tmp_path: Path) -> None:
    write_dataset(plate(), FolderStorage(tmp_path))
    consolidated = zarr.open_consolidated(tmp_path)
    every = {p.parent.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("zarr.json")}
    assert {p for p, _ in consolidated.members(max_depth=None)} == every - {"."}


def test_codecs_decode_what_they_encode() -> None:
    chunk = noise((33, 44))
    for name in CODECS:
        codec = parse_codec(name)
        assert str(codec) == name
        found = np.frombuffer(codec.decode(codec.encode(chunk)), chunk.dtype)
        np.testing.assert_array_equal(found.reshape(chunk.shape), chunk)
    with pytest.raises(ValueError, match="not been chosen"):
        Codec("auto").encode(chunk)
