"""Proof and validation of a store in a bucket and on a web server."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from full_store import SMALL, full_dataset, set_pixel, write_full_store

from ngff_bio.checks import validate
from ngff_bio.checks.source.verify import verify
from ngff_bio.engine import write_dataset


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def web(tmp_path) -> Iterator[tuple[Path, str]]:
    """A store, and its URL on a web server."""
    store = write_full_store(tmp_path / "a.zarr")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield store, f"http://127.0.0.1:{server.server_port}/a.zarr"
    server.shutdown()
    server.server_close()


def test_a_store_in_a_bucket_is_verified_and_valid(bucket_server):
    storage = bucket_server.storage()
    write_dataset(full_dataset(), storage, SMALL)
    assert verify(storage, pixels=True).differences == []
    assert verify(storage.address, full_dataset(), storage_options=bucket_server.options).equal
    found = validate(storage.address, storage_options=bucket_server.options)
    assert [str(f) for f in found if f.level == "error"] == []


def test_damage_in_a_bucket_is_found(bucket_server):
    storage = bucket_server.storage()
    write_dataset(full_dataset(), storage, SMALL)
    chunk = next(key for key, _ in storage.list("movie/0/c"))
    storage.put(chunk, (storage.get(chunk) or b"")[::-1])
    storage.delete("volume/zarr.json")
    storage.put("stray", b"x")
    assert {d.path for d in verify(storage).differences} == {chunk, "volume/zarr.json", "stray"}


def test_a_store_on_a_web_server_is_verified_and_valid(web):
    _, url = web
    done = verify(url, full_dataset(), pixels=True)
    assert done.differences == []
    assert [str(f) for f in validate(url) if f.level == "error"] == []


def test_damage_behind_a_url_is_found(web):
    store, url = web
    set_pixel(store, "volume/labels/class/0", (0, 0, 0), 9)
    (store / "movie/labels/cell/zarr.json").unlink()
    assert "movie/labels/cell/zarr.json" in {d.path for d in verify(url).differences}
    rules = {f.rule for f in validate(url)}
    assert {"class-unknown", "labels-there", "consolidated-equal"} <= rules


def test_a_store_in_a_zip_is_verified_and_valid(tmp_path):
    store = write_full_store(tmp_path / "a.zarr")
    with zipfile.ZipFile(tmp_path / "a.zarr.zip", "w") as archive:
        for path in sorted(p for p in store.rglob("*") if p.is_file()):
            archive.write(path, path.relative_to(store).as_posix())
    zipped = tmp_path / "a.zarr.zip"
    assert verify(zipped, full_dataset(), pixels=True).differences == []
    assert [str(f) for f in validate(zipped) if f.level == "error"] == []
