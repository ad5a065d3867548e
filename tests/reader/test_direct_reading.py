"""What is read directly is what zarr-python reads, for every layout and codec; damage is named."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import (
    BloscCodec,
    BytesCodec,
    Crc32cCodec,
    GzipCodec,
    ShardingCodec,
    TransposeCodec,
    ZstdCodec,
)

from ngff_bio.errors import ArgumentError, DependencyError, StorageError, StoreError
from ngff_bio.reader.access.arrays import StoredArray
from ngff_bio.storage import FolderStorage

SHAPE = (3, 50, 70)


def stored(path: Path) -> StoredArray:
    for name, version in (("zarr.json", 3), (".zarray", 2)):
        if (path / name).exists():
            document = json.loads((path / name).read_text())
            return StoredArray(FolderStorage(path.parent), path.name, document, version)
    raise FileNotFoundError(path)


def pixels(dtype: str = "uint16", shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    rng = np.random.default_rng(1)
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=shape).astype(dtype)
    if dtype == "bool":
        return rng.random(shape) < 0.5
    made = rng.integers(0, 100, shape).astype(dtype)
    made[:, :20, :20] = 0
    return made


REGIONS = [
    ((0, 3), (0, 50), (0, 70)),
    ((1, 2), (10, 43), (5, 69)),
    ((2, 3), (49, 50), (69, 70)),
    ((0, 3), (16, 32), (16, 32)),
    ((0, 0), (0, 50), (0, 70)),
]


def assert_equal_to_zarr(path: Path, *, direct: bool = True) -> None:
    array, reference = stored(path), zarr.open_array(path, mode="r")
    assert array.direct == direct
    assert array.shape == reference.shape
    assert array.dtype == reference.dtype.newbyteorder("=")
    for region in REGIONS:
        cut = tuple(slice(a, b) for a, b in region)
        found = array.read(region)
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, reference[cut])
        assert found.dtype == reference.dtype.newbyteorder("=")


V3_CHAINS: dict[str, list[Any]] = {
    "plain": [BytesCodec()],
    "big endian": [BytesCodec(endian="big")],
    "blosc zstd": [BytesCodec(), BloscCodec(cname="zstd", shuffle="shuffle", typesize=2)],
    "blosc lz4 bitshuffle": [
        BytesCodec(),
        BloscCodec(cname="lz4", shuffle="bitshuffle", typesize=2),
    ],
    "zstd": [BytesCodec(), ZstdCodec(level=1)],
    "zstd checksum": [BytesCodec(), ZstdCodec(level=1, checksum=True)],
    "gzip": [BytesCodec(), GzipCodec(level=1)],
    "crc32c": [BytesCodec(), Crc32cCodec()],
    "zstd crc32c": [BytesCodec(), ZstdCodec(), Crc32cCodec()],
    "transposed": [TransposeCodec(order=(2, 0, 1)), BytesCodec(), ZstdCodec()],
    "big endian zstd": [BytesCodec(endian="big"), ZstdCodec()],
}


def make_v3(path: Path, chain: list[Any], data: np.ndarray, **how: Any) -> Path:
    codecs = [c.to_dict() for c in chain]
    shards = how.pop("shards", None)
    chunk = (1, 16, 16)
    if shards is not None:
        sharding = ShardingCodec(chunk_shape=chunk, codecs=chain, **how.pop("sharding", {}))
        codecs, chunk = [sharding.to_dict()], shards
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(data.shape),
        "data_type": data.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
        "chunk_key_encoding": how.pop(
            "keys", {"name": "default", "configuration": {"separator": "/"}}
        ),
        "fill_value": how.pop("fill", 0),
        "codecs": codecs,
        "attributes": {},
    }
    path.mkdir(parents=True)
    (path / "zarr.json").write_text(json.dumps(document))
    zarr.open_array(path, mode="r+")[...] = data
    return path


@pytest.mark.parametrize("shards", [None, (1, 32, 64), (3, 64, 80)])
@pytest.mark.parametrize("chain", V3_CHAINS)
def test_zarr_v3_chunks_and_shards(
    tmp_path: Path, chain: str, shards: tuple[int, ...] | None
) -> None:
    path = make_v3(tmp_path / "a", V3_CHAINS[chain], pixels(), shards=shards)
    assert_equal_to_zarr(path, direct="big endian" not in chain)


@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("checked", [True, False])
def test_shard_indexes_at_either_end_with_and_without_checksum(
    tmp_path: Path, location: str, checked: bool
) -> None:
    how: dict[str, Any] = {"index_location": location}
    if not checked:
        how["index_codecs"] = [BytesCodec()]
    path = make_v3(tmp_path / "a", [BytesCodec()], pixels(), shards=(1, 32, 64), sharding=how)
    assert_equal_to_zarr(path)


@pytest.mark.parametrize(
    "keys",
    [
        {"name": "default", "configuration": {"separator": "."}},
        {"name": "default"},
        {"name": "v2", "configuration": {"separator": "/"}},
        {"name": "v2"},
    ],
)
def test_chunk_keys_of_zarr_v3(tmp_path: Path, keys: dict[str, Any]) -> None:
    assert_equal_to_zarr(make_v3(tmp_path / "a", [BytesCodec()], pixels(), keys=keys))


@pytest.mark.parametrize("fill", [0, 7])
@pytest.mark.parametrize("shards", [None, (3, 32, 64)])
def test_what_is_not_there_is_the_fill_value(
    tmp_path: Path, fill: int, shards: tuple[int, ...] | None
) -> None:
    data = np.full(SHAPE, fill, "uint16")
    data[0, :10, :10] = 3
    path = make_v3(tmp_path / "a", [BytesCodec()], data, shards=shards, fill=fill)
    assert len([f for f in path.rglob("*") if f.is_file()]) == 2
    assert_equal_to_zarr(path)


V2 = {
    "plain": {"compressor": None},
    "blosc": {"compressor": numcodecs.Blosc("lz4", 5, numcodecs.Blosc.SHUFFLE)},
    "zstd": {"compressor": numcodecs.Zstd(3)},
    "zlib": {"compressor": numcodecs.Zlib(1)},
    "gzip": {"compressor": numcodecs.GZip(1)},
    "bz2": {"compressor": numcodecs.BZ2(1)},
    "lz4": {"compressor": numcodecs.LZ4()},
    "lzma": {"compressor": numcodecs.LZMA(preset=0)},
    "delta": {"compressor": numcodecs.Zlib(1), "filters": [numcodecs.Delta("<u2")]},
    "shuffle": {"compressor": numcodecs.Zlib(1), "filters": [numcodecs.Shuffle(2)]},
    "delta alone": {"compressor": None, "filters": [numcodecs.Delta("<u2")]},
    "fortran": {"compressor": numcodecs.Zlib(1), "order": "F"},
    "big endian": {"compressor": numcodecs.Blosc(), "dtype": ">u2"},
    "flat": {"compressor": None, "separator": "."},
    "no fill": {"compressor": None, "fill_value": None},
}


@pytest.mark.parametrize("kind", V2)
def test_zarr_v2_compressors_filters_orders_and_keys(tmp_path: Path, kind: str) -> None:
    how = {"separator": "/", "dtype": "<u2", "order": "C", "fill_value": 0, **V2[kind]}
    separator, filters = how.pop("separator"), how.pop("filters", None)
    array = zarr.create_array(
        tmp_path / "a",
        shape=SHAPE,
        chunks=(1, 16, 16),
        zarr_format=2,
        compressors=how.pop("compressor"),
        filters=filters,
        chunk_key_encoding={"name": "v2", "separator": separator},
        **how,
    )
    array[...] = pixels()
    direct = kind in ("plain", "blosc", "zstd", "zlib", "gzip", "fortran", "flat", "no fill")
    assert_equal_to_zarr(tmp_path / "a", direct=direct)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "int32", "uint64", "float16", "float32", "float64"]
)
def test_types_of_pixels(tmp_path: Path, dtype: str, zarr_format: Any) -> None:
    data = pixels(dtype)
    array = zarr.create_array(
        tmp_path / "a", shape=SHAPE, chunks=(2, 16, 16), dtype=dtype, zarr_format=zarr_format
    )
    array[...] = data
    assert_equal_to_zarr(tmp_path / "a")


def test_a_layout_that_only_zarr_knows_is_left_to_it(tmp_path: Path) -> None:
    delta = {"name": "numcodecs.delta", "configuration": {"dtype": "<u2"}}
    path = make_v3(tmp_path / "a", [BytesCodec()], pixels())
    document = json.loads((path / "zarr.json").read_text())
    document["codecs"] = [delta, *document["codecs"]]
    (path / "zarr.json").write_text(json.dumps(document))
    zarr.open_array(path, mode="r+")[...] = pixels()
    assert_equal_to_zarr(path, direct=False)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_region_of_any_layout(tmp_path_factory: Any, data: st.DataObject) -> None:
    ndim = data.draw(st.integers(1, 4))
    shape = tuple(data.draw(st.integers(1, 20)) for _ in range(ndim))
    chunk = tuple(data.draw(st.integers(1, n + 3)) for n in shape)
    shards = None
    if data.draw(st.booleans()):
        shards = tuple(c * data.draw(st.integers(1, 4)) for c in chunk)
    path = tmp_path_factory.mktemp("any") / "a"
    array = zarr.create_array(path, shape=shape, chunks=chunk, shards=shards, dtype="uint8")
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    truth = rng.integers(0, 2, shape).astype("uint8") * rng.integers(0, 255, shape, "uint8")
    array[...] = truth
    mine = stored(path)
    region = []
    for n in shape:
        a = data.draw(st.integers(0, n))
        region.append((a, data.draw(st.integers(a, n))))
    cut = tuple(slice(a, b) for a, b in region)
    np.testing.assert_array_equal(mine.read(tuple(region)), truth[cut])


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), 3, slice(None, None, 2)),
        (0, slice(40, 10, -3), -1),
        (..., slice(5, 9)),
        (slice(None), [1, 2, 3, 40], slice(2)),
        (slice(None), slice(None), [60, 2, 2]),
        (1, [], 5),
        (-1,),
        (slice(3, 3),),
    ],
)
def test_indexing_is_that_of_numpy(tmp_path: Path, key: Any) -> None:
    path = make_v3(tmp_path / "a", [BytesCodec()], pixels())
    expected = pixels()
    for axis, one in reversed(
        list(enumerate(key if key[0] is not ... else (slice(None),) * 2 + key[1:]))
    ):
        expected = expected[(slice(None),) * axis + (one,)]
    np.testing.assert_array_equal(stored(path)[key], expected)


@pytest.mark.parametrize("key", [(0, 0, 0, 0), (3,), ([1, 99],), (0, "x")])
def test_an_index_outside_is_an_index_error(tmp_path: Path, key: Any) -> None:
    path = make_v3(tmp_path / "a", [BytesCodec()], pixels())
    with pytest.raises((IndexError, ValueError)):
        stored(path)[key]
    with pytest.raises(ArgumentError, match="not inside"):
        stored(path).read(((0, 4), (0, 50), (0, 70)))


def test_a_damaged_chunk_is_named(tmp_path: Path) -> None:
    path = make_v3(tmp_path / "a", [BytesCodec(), ZstdCodec()], pixels())
    chunk = path / "c" / "1" / "2" / "3"
    chunk.write_bytes(b"\0" * 20)
    with pytest.raises(StoreError) as caught:
        stored(path).read(REGIONS[0])
    assert caught.value.file == str(chunk)
    assert caught.value.record == "chunk 1, 2, 3"
    np.testing.assert_array_equal(stored(path)[0], pixels()[0])


def test_a_chunk_of_another_size_is_damage(tmp_path: Path) -> None:
    path = make_v3(tmp_path / "a", [BytesCodec()], pixels())
    chunk = path / "c" / "1" / "2" / "3"
    chunk.write_bytes(chunk.read_bytes()[:-2])
    with pytest.raises(StoreError, match="510 bytes where 512"):
        stored(path).read(REGIONS[0])


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda b: b[:-1] + bytes([b[-1] ^ 1]), "index of a shard is damaged"),
        (lambda b: b[-40:], "index of a shard is cut off"),
        (lambda b: b[600:], "ends before the chunks"),
    ],
)
def test_a_damaged_shard_is_named(tmp_path: Path, damage: Any, what: str) -> None:
    path = make_v3(tmp_path / "a", [BytesCodec()], pixels(), shards=(1, 64, 80))
    shard = path / "c" / "1" / "0" / "0"
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(StoreError, match=what) as caught:
        stored(path).read(((1, 2), (0, 50), (0, 70)))
    assert caught.value.file == str(shard)


def test_a_codec_that_is_not_installed_names_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zarr.create_array(tmp_path / "a", shape=(4,), dtype="u1", zarr_format=2)
    document = json.loads((tmp_path / "a" / ".zarray").read_text())
    document["compressor"] = {"id": "flac", "level": 5}
    (tmp_path / "a" / ".zarray").write_text(json.dumps(document))
    with pytest.raises(DependencyError, match="flac-numcodecs"):
        StoredArray(FolderStorage(tmp_path), "a", document, 2).read(((0, 4),))
    path = make_v3(tmp_path / "b", [BytesCodec()], pixels())
    document = json.loads((path / "zarr.json").read_text())
    document["codecs"].append({"name": "never-heard-of", "configuration": {}})
    (path / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(DependencyError, match="never-heard-of"):
        stored(path).read(REGIONS[0])
    # One that zarr-python knows, and whose package it looks for when it decodes a chunk.
    for known in (numcodecs.registry.codec_registry, numcodecs.registry.entries):
        monkeypatch.delitem(known, "pcodec", raising=False)
    document["codecs"] = [{"name": "numcodecs.pcodec", "configuration": {}}]
    (path / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(DependencyError, match="install pcodec"):
        stored(path).read(REGIONS[0])


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_chunk_without_rights_is_not_taken_for_missing(tmp_path: Path) -> None:
    path = make_v3(tmp_path / "a", [BytesCodec()], pixels())
    (path / "c" / "0" / "0" / "0").chmod(0)
    with pytest.raises(StorageError, match="rights"):
        stored(path).read(REGIONS[0])


def test_a_process_restores_a_pickled_array_once(tmp_path: Path) -> None:
    path = make_v3(tmp_path / "a", [BytesCodec()], pixels(), shards=(1, 64, 80))
    array = stored(path)
    data = pickle.dumps(array)
    assert len(data) < 2000
    first, second = pickle.loads(data), pickle.loads(data)
    assert first is second
    assert first is not array
    np.testing.assert_array_equal(first[...], pixels())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_reads_too(tmp_path: Path) -> None:
    path = make_v3(tmp_path / "a", [BytesCodec(), ZstdCodec()], pixels())
    array = stored(path)
    assert array[...].sum() == pixels().sum()  # threads are running now
    child = os.fork()
    if child == 0:
        os._exit(0 if (array[...] == pixels()).all() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
