"""Encoded chunks that were cut off are found without decoding them, whoever wrote them."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from numcodecs.zstd import compress

from ngff_bio.errors import StoreError
from ngff_bio.zarrio.encoded import ChecksumStep

RANDOM = np.random.default_rng(0).integers(0, 255, 300_000, np.uint8).tobytes()  # several blocks
SMOOTH = bytes(range(256)) * 1200
ZEROS = bytes(1_000_000)  # blocks of one repeated byte


def streamed(data: bytes) -> bytes:
    """A frame that does not state the size of its content."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(data)
    return sink.getvalue().to_pybytes()


WRITERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "zstd": ("zstd", lambda data: compress(data, 3)),
    "with a checksum": ("zstd", lambda data: compress(data, 1, True)),
    "streamed": ("zstd", streamed),
    "two frames": ("zstd", lambda data: compress(data[:99], 1) + compress(data[99:], 1)),
    "skippable": ("zstd", lambda d: b"\x5a\x2a\x4d\x18\x03\0\0\0abc" + compress(d, 1)),
    "gzip": ("gzip", gzip.compress),
    "two members": ("gzip", lambda data: gzip.compress(data[:99]) + gzip.compress(data[99:])),
}


@pytest.mark.parametrize("data", [RANDOM, SMOOTH, ZEROS, RANDOM[:100]])
@pytest.mark.parametrize("writer", WRITERS)
def test_whole_chunks_pass_and_those_that_are_cut_off_do_not(writer: str, data: bytes) -> None:
    codec, encode = WRITERS[writer]
    encoded = encode(data)
    step = ChecksumStep(there=False, wanted=False, codec=codec, nbytes=len(data))
    assert step.apply(encoded, "a") == [encoded]
    for cut in (1, 2, 4, 5, 9, len(encoded) // 2, len(encoded) - 6, len(encoded) - 1, len(encoded)):
        with pytest.raises(StoreError, match="a chunk is damaged"):
            step.apply(encoded[:-cut], "a")
    if codec == "zstd":
        with pytest.raises(StoreError, match="a chunk is damaged"):
            step.apply(encoded + b"\0", "a")
