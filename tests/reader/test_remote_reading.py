"""Stores in a bucket and on a web server: the same pixels, few requests, workers on their own."""

from __future__ import annotations

import pickle
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from counting import CountingStorage
from RangeHTTPServer import RangeRequestHandler
from written_stores import OVERLAPPING, example_pixels, our_image, our_plate

import ngff_bio
from ngff_bio.errors import StorageError, StoreNotFoundError
from ngff_bio.reader.xarray.backend import NgffBioBackend
from ngff_bio.storage import FolderStorage, MemoryStorage, Storage, storage_at


@pytest.fixture(scope="module")
def bucket(bucket_server: Any) -> tuple[str, dict[str, Any]]:
    storage = bucket_server.storage("plate.zarr")
    our_plate(storage, shard_bytes=64 * 64 * 2)
    return storage.address, bucket_server.options


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    our_plate(FolderStorage(tmp_path / "plate.zarr"))
    asked: list[str] = []

    class Handler(RangeRequestHandler):
        def log_message(self, form: str, *values: Any) -> None:
            asked.append(str(values[0]) if values else form)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/plate.zarr", asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_bucket_gives_what_was_written(bucket: tuple[str, dict[str, Any]]) -> None:
    dataset = ngff_bio.open(*bucket)
    assert list(dataset) == [f"{row}/7/{field}" for row in "BC" for field in "01"]
    level = dataset["C/7/1"].level(0)
    np.testing.assert_array_equal(level["image"].values, example_pixels(3, (3, 96, 120)))
    rows = dataset["C/7/1"].annotations("cell", t=2)
    assert rows["box_x"].tolist() == [b[0] for b in OVERLAPPING]
    assert "secret" not in repr(dataset)


def test_the_engine_takes_storage_options(bucket: tuple[str, dict[str, Any]]) -> None:
    url, options = bucket
    level = xr.open_dataset(url, engine=NgffBioBackend, group="B/7/0", storage_options=options)
    cut = level["image"].isel(t=1, x=slice(5, 9))
    np.testing.assert_array_equal(cut.values, example_pixels(0, (3, 96, 120))[1, :, 5:9])


def test_a_region_in_a_bucket_costs_its_chunks_and_an_index_a_shard(
    bucket: tuple[str, dict[str, Any]],
) -> None:
    from ngff_bio.storage import storage_at

    counted = CountingStorage(storage_at(*bucket))
    image = ngff_bio.open(counted)["B/7/0"]
    assert counted.counts() == {"get": 1}
    array = image.pixels.array(0)
    assert array.objects != array.chunks == (1, 32, 32)
    part = image.region(t=0, y=(33, 60), x=(33, 60), units="pixel", labels=[], chunks=None)
    np.testing.assert_array_equal(
        part["image"].values, example_pixels(0, (3, 96, 120))[0, 33:60, 33:60]
    )
    assert counted.counts() == {"get_range": 2}  # one index, one chunk
    image.region(t=0, y=(33, 60), x=(33, 60), units="pixel", labels=[])["image"].compute()
    assert counted.counts() == {"get_range": 1}


def test_workers_open_the_bucket_for_themselves(bucket: tuple[str, dict[str, Any]]) -> None:
    level = ngff_bio.open(*bucket)["C/7/0"].level(1)
    expected = level["image"].values
    sent = pickle.dumps(level["image"].data)
    np.testing.assert_array_equal(pickle.loads(sent).compute(scheduler="threads"), expected)


def test_a_shard_that_is_cut_off_in_a_bucket_is_an_error(bucket_server: Any) -> None:
    storage = bucket_server.storage()
    our_plate(storage)
    image = ngff_bio.open(storage)["B/7/0"]
    array = image.pixels.array(0)
    key = next(k for k, _ in storage.list("B/7/0/0/c"))
    data = storage.get(key)
    assert data is not None
    storage.put(key, data[len(data) // 2 :])
    with pytest.raises((ngff_bio.errors.StoreError, StorageError)) as caught:
        array[...]
    assert key in str(caught.value)


def test_what_is_not_in_the_bucket_is_not_found(bucket_server: Any) -> None:
    with pytest.raises(StoreNotFoundError, match="no Zarr store"):
        ngff_bio.open(bucket_server.storage("nothing").address, bucket_server.options)


def test_a_web_server_is_read_by_ranges(web: tuple[str, list[str]]) -> None:
    url, asked = web
    image = ngff_bio.open(url)["B/7/1"]
    assert len(asked) == 1
    part = image.region(t=0, x=(40, 50), y=(40, 50), units="pixel", chunks=None)
    np.testing.assert_array_equal(
        part["image"].values, example_pixels(1, (3, 96, 120))[0, 40:50, 40:50]
    )
    assert not [line for line in asked if "404" in line]
    before = len(asked)
    image.region(t=0, x=(0, 20), y=(0, 20), units="pixel", labels=[], chunks=None).load()
    assert len(asked) == before + 1
    rows = image.annotations("cell", t=0)
    assert len(rows) == len(OVERLAPPING)
    with pytest.raises(StoreNotFoundError):
        ngff_bio.open(f"{url}/nothing")


@pytest.fixture(params=["folder", "memory", "zip", "bucket"])
def plain_group(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """A plain group of two images without consolidated metadata, and without a list of them."""
    folder = tmp_path / "g"
    for name in ("first", "second"):
        our_image(FolderStorage(folder / name), consolidated=False)
    FolderStorage(folder).put("zarr.json", b'{"zarr_format": 3, "node_type": "group"}')
    if request.param == "folder":
        return FolderStorage(folder)
    if request.param == "zip":
        with zipfile.ZipFile(tmp_path / "g.zip", "w") as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(folder).as_posix())
        return storage_at(tmp_path / "g.zip")
    storage: Storage = MemoryStorage()
    if request.param == "bucket":
        storage = request.getfixturevalue("bucket_server").storage()
    for key, _ in FolderStorage(folder).list():
        storage.put(key, FolderStorage(folder).get(key) or b"")
    return storage


def test_a_group_that_lists_nothing_opens_from_wherever_it_can_be_listed(
    plain_group: Storage,
) -> None:
    dataset = ngff_bio.open(plain_group)
    assert list(dataset) == ["first", "second"]
    assert dataset["second"].level(0)["image"].values.any()
