"""Codecs, both ways: what is encoded is decoded, by this package and by zarr-python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr

from ngff_bio.errors import StoreError
from ngff_bio.storage import FolderStorage
from ngff_bio.zarrio.arrays import ArrayMeta, ShardIndex, parse_array
from ngff_bio.zarrio.chunks import decode_chunk, objects_in, write_block
from ngff_bio.zarrio.codecs import CRC32C, Codec, CodecPipeline, parse_codec
from ngff_bio.zarrio.documents import to_json

SHAPE = (3, 50, 70)
WHOLE = tuple((0, n) for n in SHAPE)
CHAINS: dict[str, tuple[Codec, ...]] = {
    "none": (),
    "blosc": (parse_codec("blosc-lz4-5-bitshuffle"),),
    "zstd": (parse_codec("zstd-1"),),
    "gzip": (Codec("gzip", level=1),),
    "checked": (CRC32C,),
    "blosc, checked": (parse_codec("blosc-zstd-1-shuffle-64k"), CRC32C),
    "zstd, checked": (parse_codec("zstd-3"), CRC32C),
}


def pixels(dtype: str = "u2") -> np.ndarray:
    made = np.random.default_rng(0).integers(0, 99, SHAPE).astype(dtype)
    made[:, :20, :20] = 0
    return made


def write(tmp_path: Any, chain: str, **how: Any) -> tuple[FolderStorage, ArrayMeta]:
    how = {"zarr_format": 3, "dtype": np.dtype("u2"), "chunk": (1, 16, 16), "prefix": "c", **how}
    order = how.pop("order", None)
    meta = ArrayMeta("a", shape=SHAPE, pipeline=CodecPipeline(CHAINS[chain], order), **how)
    storage = FolderStorage(tmp_path)
    name = "zarr.json" if meta.zarr_format == 3 else ".zarray"
    storage.put(f"a/{name}", to_json(meta.document()))
    write_block(
        meta, (0, 0, 0), pixels(meta.dtype.str), storage.put, lambda f, x: [f(i) for i in x]
    )
    return storage, meta


@pytest.mark.parametrize("order", [None, (2, 0, 1)])
@pytest.mark.parametrize("shard", [None, (1, 32, 64), (3, 64, 80)])
@pytest.mark.parametrize("chain", CHAINS)
def test_zarr_python_reads_what_is_encoded(
    tmp_path: Any, chain: str, shard: Any, order: Any
) -> None:
    index = ShardIndex(checked=order is None, at_start=order is not None)
    storage, meta = write(tmp_path, chain, shard=shard, order=order, index=index)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a", mode="r")[...], pixels())
    if shard is None:
        assert parse_array(meta.document(), 3, "a").pipeline == meta.pipeline
        out = np.zeros(SHAPE, "u2")
        for at, (chunk,) in objects_in(meta, WHOLE):
            if (data := storage.get(meta.key(at))) is not None:
                decode_chunk(meta, data, chunk, out, "a")
        np.testing.assert_array_equal(out, pixels())


@pytest.mark.parametrize("chain", ["none", "blosc", "zstd", "gzip"])
def test_zarr_python_reads_what_is_encoded_for_zarr_v2(tmp_path: Any, chain: str) -> None:
    write(tmp_path, chain, zarr_format=2, prefix="")
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a", mode="r")[...], pixels())


@pytest.mark.parametrize("chain", [c for c in CHAINS if "checked" in c])
def test_a_flipped_bit_in_a_checked_chunk_is_an_error(tmp_path: Any, chain: str) -> None:
    storage, meta = write(tmp_path, chain)
    data = bytearray(storage.get("a/c/1/2/3") or b"")
    (chunk,) = dict(objects_in(meta, WHOLE))[1, 2, 3]
    for at in (0, len(data) // 2, len(data) - 1):
        data[at] ^= 1
        with pytest.raises(StoreError, match="CRC-32C") as caught:
            decode_chunk(meta, bytes(data), chunk, np.zeros(SHAPE, "u2"), "store/a/c/1/2/3")
        assert caught.value.file == "store/a/c/1/2/3"
        data[at] ^= 1


def test_a_codec_that_is_not_chosen_encodes_nothing() -> None:
    with pytest.raises(ValueError, match="not been chosen"):
        parse_codec("auto").encode(b"a")
