"""Conversions into a real object store: through faults, and without telling the keys."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zarr
from bucket_server import KEY, SECRET, BucketServer
from fault_proxy import faulty
from references import contents
from scenes import collection, plate, volume
from zarr.storage import ObjectStore

import ngff_bio
from ngff_bio.engine import Settings, ThreadRunner, progress_of, write_dataset
from ngff_bio.errors import IncompleteStoreError, StorageError
from ngff_bio.storage import BucketStorage, MemoryStorage

SMALL = Settings(chunk=(32, 48), shard_bytes=1 << 15)


def counted(status: Callable[[int], str | None]) -> Callable[[str, str], tuple[str | None, int]]:
    """A fault for some requests, by their number."""
    count = iter(range(1 << 30))
    return lambda method, path: (status(next(count)), 0)


def test_a_store_that_now_and_then_answers_503_gets_every_object(
    bucket_server: BucketServer,
) -> None:
    expected = MemoryStorage()
    write_dataset(collection(), expected, SMALL)
    with faulty(
        bucket_server.endpoint, counted(lambda n: "503" if n % 5 == 1 else None)
    ) as endpoint:
        storage = bucket_server.storage(endpoint=endpoint)
        write_dataset(collection(), storage, SMALL)
    assert contents(bucket_server.storage(storage.address.rpartition("/")[2])) == contents(expected)


def test_a_lost_connection_is_one_error_and_the_conversion_resumes(
    bucket_server: BucketServer,
) -> None:
    path, lost = "goes-away", []

    def after_a_unit(method: str, path: str) -> tuple[str | None, int]:
        if lost:
            return "503", 0
        if method == "PUT" and "/units/" in path:
            lost.append(path)
        return None, 0

    with faulty(bucket_server.endpoint, after_a_unit) as endpoint:
        storage = bucket_server.storage(path, endpoint=endpoint, max_retries=1)
        with pytest.raises(StorageError, match="503") as caught:
            write_dataset(plate(), storage, SMALL, runner=ThreadRunner(1))
    assert "run the same command again" in str(caught.value)
    back = bucket_server.storage(path)
    assert progress_of(back) is not None
    with pytest.raises(IncompleteStoreError):
        ngff_bio.open(back)
    report = write_dataset(plate(), back, SMALL)
    assert report.resumed > 0
    expected = MemoryStorage()
    write_dataset(plate(), expected, SMALL)
    assert contents(back) == contents(expected)


def test_no_secret_is_in_anything_that_is_written_or_printed(
    bucket_server: BucketServer, caplog: pytest.LogCaptureFixture
) -> None:
    storage = bucket_server.storage()
    seen: list[bytes] = []

    def look(done: int, total: int) -> None:
        seen.extend(storage.get(key) or b"" for key, _ in storage.list(".ngff_bio"))

    with caplog.at_level(logging.DEBUG):
        report = write_dataset(volume(), storage, SMALL, progress=look)
    everything = [storage.get(key) or b"" for key, _ in storage.list()]
    printed = [json.dumps(report.to_json(), default=str), repr(report), caplog.text]
    for text in (*seen, *everything, *(t.encode() for t in printed)):
        assert SECRET.encode() not in text
        assert KEY.encode() not in text


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_zarr_reads_the_store_from_the_bucket(bucket_server: BucketServer, version: Any) -> None:
    dataset = volume()
    storage: BucketStorage = bucket_server.storage()
    write_dataset(dataset, storage, Settings(version=version))
    root = zarr.open_group(ObjectStore(storage.store), mode="r")
    np.testing.assert_array_equal(root["0"][:], dataset.images[0].pixels.array)
