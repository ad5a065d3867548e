"""A flipped bit in a stored chunk is an error that names its object, and never a pixel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore
import zarr
from references import contents
from scenes import plate, volume

from ngff_bio.engine import Settings, ThreadRunner, parse_codec, write_dataset
from ngff_bio.errors import StoreError
from ngff_bio.reader.access.arrays import StoredArray
from ngff_bio.storage import FolderStorage, MemoryStorage
from ngff_bio.zarrio.codecs import CRC32C
from ngff_bio.zarrio.nodes import read_nodes

FLIPS = 300

SMALL: dict[str, Any] = {"chunk": (32, 48), "shard_bytes": 1 << 14, "levels": 2}

STORES = {
    "0.5 sharded": Settings(**SMALL),
    "0.5 not sharded": Settings(**SMALL, sharded=False),
    "0.5 not compressed": Settings(**SMALL, codec=parse_codec("none")),
    "0.6": Settings(**SMALL, version="0.6"),
    "0.4 zstd": Settings(**SMALL, version="0.4", codec=parse_codec("zstd-1")),
}


def chunk_objects(storage: MemoryStorage) -> dict[str, str]:
    """The array of each object with pixels, by key."""
    nodes, _ = read_nodes(storage)
    return {
        key: array
        for key in storage.objects
        for array in nodes.arrays
        if key.startswith(f"{array}/") and key.rpartition("/")[2].isdecimal()
    }


def read(storage: MemoryStorage, array: str) -> Any:
    nodes, _ = read_nodes(storage)
    return StoredArray(storage, array, nodes.arrays[array], nodes.zarr_format)[...]


@pytest.mark.parametrize("name", STORES)
def test_no_flipped_bit_becomes_a_pixel(name: str) -> None:
    storage = MemoryStorage()
    write_dataset(volume(shape=(3, 61, 83)), storage, STORES[name], runner=ThreadRunner(1))
    arrays = chunk_objects(storage)
    expected = {array: read(storage, array) for array in set(arrays.values())}
    assert len(expected) == 6  # two levels of an image and of two label images
    rng = np.random.default_rng(11)
    keys = sorted(arrays)
    sizes = np.array([len(storage.objects[key]) for key in keys])
    named = []
    for number in rng.choice(len(keys), FLIPS, p=sizes / sizes.sum()):
        key = keys[number]
        whole = storage.objects[key]
        bit = int(rng.integers(8 * len(whole)))
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        storage.objects[key] = bytes(flipped)
        try:
            found = read(storage, arrays[key])
        except StoreError as error:
            named.append((error.file, f"{storage.url}/{key}"))
        else:  # a bit of a zstd frame that no decoder uses
            np.testing.assert_array_equal(found, expected[arrays[key]])
        storage.objects[key] = whole
    assert [file for file, _ in named] == [key for _, key in named]
    assert len(named) > 0.98 * FLIPS if name == "0.4 zstd" else len(named) == FLIPS


@pytest.mark.parametrize("name", STORES)
def test_other_readers_read_checked_chunks(tmp_path: Path, name: str) -> None:
    from ngio import open_ome_zarr_container

    dataset, chosen = volume(shape=(3, 61, 83)), STORES[name]
    write_dataset(dataset, FolderStorage(tmp_path / "s"), chosen)
    expected = dataset.images[0].pixels.array
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "s" / "0", mode="r")[:], expected)
    driver = "zarr3" if chosen.zarr_format == 3 else "zarr"
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": str(tmp_path / "s" / "0")}}
    np.testing.assert_array_equal(tensorstore.open(spec).result().read().result(), expected)
    if chosen.version != "0.6":  # which ngio does not open yet
        image = open_ome_zarr_container(tmp_path / "s").get_image(path="0")
        np.testing.assert_array_equal(np.squeeze(image.get_as_numpy()), expected)


@pytest.mark.parametrize("name", ["0.5 sharded", "0.5 not sharded"])
def test_other_readers_find_the_flipped_bit(tmp_path: Path, name: str) -> None:
    write_dataset(volume(shape=(3, 61, 83)), FolderStorage(tmp_path), STORES[name])
    chunk = next(p for p in sorted((tmp_path / "0" / "c").rglob("*")) if p.is_file())
    data = bytearray(chunk.read_bytes())
    data[100] ^= 4
    chunk.write_bytes(data)
    with pytest.raises(Exception, match="checksum"):
        zarr.open_array(tmp_path / "0", mode="r")[:]
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(tmp_path / "0")}}
    with pytest.raises(Exception, match="Digest mismatch"):
        tensorstore.open(spec).result().read().result()


@pytest.mark.parametrize("checked", [True, False])
def test_a_store_is_continued_with_or_without_checksums_as_it_began(checked: bool) -> None:
    old = Settings(chunk=(32, 48), shard_bytes=1 << 16, frames=1, checksums=checked)
    storage, at_once = MemoryStorage(), MemoryStorage()
    write_dataset(plate(frames=3), storage, old)
    write_dataset(plate(frames=5), at_once, old)
    write_dataset(
        plate(frames=5), storage, Settings(chunk=(32, 48), shard_bytes=1 << 16, frames=1),
        append=True,
    )  # fmt: skip
    mine, theirs = contents(storage), contents(at_once)
    differ = {k for k in theirs if mine.get(k) != theirs[k] and "ngff_bio/" not in k}
    # Windows of channels are those of the old frames.
    image = {"A/1/0/zarr.json", "zarr.json"}
    assert {k for k in differ if not k.endswith("table.parquet")} <= image
    array = json.loads(storage.objects["A/1/0/0/zarr.json"])
    assert (CRC32C.v3(1) in chunk_codecs(array)) == checked


def chunk_codecs(array: Any) -> Any:
    """Codecs of an array's chunks, those of a shard's index left out."""
    first = array["codecs"][0]
    sharded = first["name"] == "sharding_indexed"
    return first["configuration"]["codecs"] if sharded else array["codecs"]
