"""Buckets: addresses, secrets, repeats, and web servers."""

from __future__ import annotations

import http.server
import logging
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from bucket_server import KEY, SECRET, BucketServer

from ngff_bio.errors import ArgumentError, StorageError
from ngff_bio.storage import BucketStorage, FolderStorage, storage_at
from ngff_bio.storage.failures import scrubbed, shown

OPTIONS = {"access_key_id": "AKIA7", "secret_access_key": "hush-hush", "region": "us-east-1"}


class _Sometimes(http.server.BaseHTTPRequestHandler):
    """Answers the first requests of each path with 503, then as a bucket does."""

    protocol_version = "HTTP/1.1"
    failures = 2
    seen: ClassVar[dict[str, int]] = {}
    body = b"it is back"

    def log_message(self, *_: Any) -> None: ...

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        name = self.path
        self.seen[name] = self.seen.get(name, 0) + 1
        failed = self.seen[name] <= self.failures
        body = b"<Error><Code>SlowDown</Code></Error>" if failed else self.body
        self.send_response(503 if failed else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Sat, 21 Nov 2026 00:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = _answer


@contextmanager
def serve(handler: Any) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_store_that_answers_503_is_asked_again() -> None:
    handler = type("H", (_Sometimes,), {"seen": {}, "failures": 2})
    with serve(handler) as endpoint:
        storage = BucketStorage("s3://b/x", {**OPTIONS, "endpoint": endpoint})
        storage.put("a", b"1")
        assert storage.get("c") == b"it is back"
    assert handler.seen == {"/b/x/a": 3, "/b/x/c": 3}


def test_a_store_that_stays_away_ends_in_one_clear_error() -> None:
    handler = type("H", (_Sometimes,), {"seen": {}, "failures": 99})
    with serve(handler) as endpoint:
        options = {**OPTIONS, "endpoint": endpoint, "max_retries": 1}
        with pytest.raises(StorageError, match="503") as caught:
            BucketStorage("s3://b/x", options).put("a", b"1")
    assert handler.seen == {"/b/x/a": 2}
    assert "run the same command again" in str(caught.value)


def test_wrong_storage_keys_are_an_error_that_does_not_show_them(
    bucket_server: BucketServer,
) -> None:
    storage = bucket_server.storage("x", secret_access_key="not-the-one", max_retries=0)
    with pytest.raises(StorageError, match="the secret key does not belong") as caught:
        storage.put("a", b"1")
    assert "not-the-one" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_no_secret_is_in_what_is_shown(
    bucket_server: BucketServer, caplog: pytest.LogCaptureFixture
) -> None:
    storage = bucket_server.storage("x")
    with caplog.at_level(logging.DEBUG):
        storage.put("a", b"1")
    for text in (repr(storage), str(storage), storage.url, caplog.text):
        assert SECRET not in text
        assert KEY not in text
    assert storage.url == "s3://bench/x"


def test_keys_travel_to_workers(bucket_server: BucketServer) -> None:
    storage = bucket_server.storage()
    storage.put("a", b"1")
    assert pickle.loads(pickle.dumps(storage)).get("a") == b"1"


def test_names_of_other_libraries_are_understood(bucket_server: BucketServer) -> None:
    options = {"key": KEY, "secret": SECRET, "endpoint_url": bucket_server.endpoint}
    storage = storage_at("s3://bench/names", options)
    storage.put("a", b"1")
    assert storage.get("a") == b"1"


def test_a_shown_url_has_no_password_and_no_query() -> None:
    url = "https://me:hush@host.org/a/b.zarr/?sig=abc&X-Amz-Signature=def#x"
    assert shown(url) == "https://host.org/a/b.zarr"
    assert "hush" not in repr(storage_at(url))


def test_messages_are_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from-the-environment")
    text = (
        "PUT https://me:pw@h/x?X-Amz-Signature=abcdef&y=1 hush-hush from-the-environment "
        "<AWSAccessKeyId>AKIA9</AWSAccessKeyId> Authorization: Bearer ey123 authorization: Plain9"
    )
    found = scrubbed(text, OPTIONS)
    for secret in (
        "me:pw",
        "abcdef",
        "hush-hush",
        "from-the-environment",
        "AKIA9",
        "ey123",
        "Plain9",
    ):
        assert secret not in found
    assert "y=1" in found


@pytest.mark.parametrize("url", ["s3://", "ftp://host/x", "gs:///x"])
def test_a_url_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(ArgumentError):
        storage_at(url)


def test_each_cloud_has_its_store() -> None:
    kinds = {
        "s3://b/x": "S3Store",
        "gs://b/x": "GCSStore",
        "az://container/x": "AzureStore",
        "https://host/x": "HTTPStore",
    }
    for url, kind in kinds.items():
        options = {} if url.startswith("http") else {"skip_signature": True}
        if url.startswith("az"):
            options["account_name"] = "someone"
        assert type(BucketStorage(url, options).store).__name__ == kind


def test_a_web_server_is_read_and_not_written(tmp_path: Path) -> None:
    FolderStorage(tmp_path).put("a b.zarr/zarr.json", b"0123456789")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.func.log_message = lambda *_: None  # type: ignore[attr-defined]
    with serve(handler) as endpoint:
        storage = storage_at(f"{endpoint}/a%20b.zarr", {"max_retries": 0})
        assert storage.get("zarr.json") == b"0123456789"
        assert storage.size("zarr.json") == 10
        assert storage.get("nothing") is None
        with pytest.raises(StorageError, match="can only be read"):
            storage.put("a", b"1")
        with pytest.raises(StorageError, match="cannot be listed"):
            list(storage.list())


def test_pages_have_a_content_type_so_that_browsers_show_them() -> None:
    """Amazon S3 serves what was put without one as binary/octet-stream."""
    types: dict[str, str | None] = {}

    class Handler(_Sometimes):
        failures, seen = 0, {}

        def do_PUT(self) -> None:
            types[self.path.rpartition("/")[2]] = self.headers["Content-Type"]
            self._answer()

    with serve(Handler) as endpoint:
        storage = BucketStorage("s3://b/x", {**OPTIONS, "endpoint": endpoint})
        for key in ("index.html", "README.md", "zarr.json", "0/c/0"):
            storage.put(key, b"1")
    assert types == {
        "index.html": "text/html; charset=utf-8",
        "README.md": "text/markdown; charset=utf-8",
        "zarr.json": "application/json",
        "0": None,
    }
