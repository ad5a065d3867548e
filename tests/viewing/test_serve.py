"""The web server as viewers use it: ranges, CORS, and nothing from outside its folder."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from bucket_server import BucketServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makers import make_platelet_em
from obstore.store import HTTPStore
from zarr.storage import ObjectStore

import ngff_bio
from ngff_bio.errors import ArgumentError
from ngff_bio.viewing.serve import StoreServer, open_server

BYTES = bytes(range(256)) * 5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    folder = tmp_path_factory.mktemp("served")
    truth = make_platelet_em(folder, size="tiny", volumes=["50"])
    ngff_bio.convert(truth.root, folder / "a store.zarr")
    (folder / "a store.zarr" / "bytes").write_bytes(BYTES)
    (folder / "secret").write_text("not for you")
    with serving(StoreServer(folder / "a store.zarr")) as running:
        yield running


@contextlib.contextmanager
def serving(server: StoreServer) -> Iterator[StoreServer]:
    with server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def ask(server: StoreServer, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, body


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(a=st.integers(0, 1400), b=st.integers(0, 1400))
def test_a_range_is_what_was_asked_for(server: StoreServer, a: int, b: int) -> None:
    status, headers, body = ask(server, "/a%20store.zarr/bytes", Range=f"bytes={a}-{b}")
    want = BYTES[a : b + 1]
    if not want:
        assert status == 416
    else:
        assert (status, body) == (206, want)
        assert headers["content-range"] == f"bytes {a}-{a + len(want) - 1}/{len(BYTES)}"


def test_the_last_bytes_can_be_asked_for(server: StoreServer) -> None:
    assert ask(server, "/a%20store.zarr/bytes", Range="bytes=-7")[2] == BYTES[-7:]


def test_a_range_of_another_version_is_answered_with_the_whole(server: StoreServer) -> None:
    """RFC 9110, 13.1.5: no answer has an ETag or a date that ``If-Range`` could be equal to."""
    given = {"Range": "bytes=5-9", "If-Range": '"older"'}
    status, headers, body = ask(server, "/a%20store.zarr/bytes", **given)
    assert (status, body, headers.get("content-range")) == (200, BYTES, None)


def test_any_page_may_ask(server: StoreServer) -> None:
    assert ask(server, "/a%20store.zarr/zarr.json")[1]["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "path",
    ["/secret", "/a%20store.zarr/../secret", "/a%20store.zarr/%2e%2e/secret", "//etc/passwd"],
)
def test_nothing_from_outside_is_handed_out(server: StoreServer, path: str) -> None:
    status, _, body = ask(server, path)
    assert (status, body) == (404, b"")


def test_another_reader_gets_every_pixel_through_it(server: StoreServer) -> None:
    store = ObjectStore(HTTPStore(server.url, client_options={"allow_http": True}), read_only=True)
    served = zarr.open_array(store, path="0", mode="r")[...]
    local = zarr.open_array(str(server.root), path="0", mode="r")[...]
    np.testing.assert_array_equal(served, local)


@pytest.mark.parametrize("kind", ["bucket", "zip"])
def test_a_store_in_a_bucket_or_a_zip_is_served(
    kind: str, server: StoreServer, bucket_server: BucketServer, tmp_path: Path
) -> None:
    bucket = bucket_server.storage("served.zarr")
    target: Any = bucket if kind == "bucket" else tmp_path / "served.zip"
    ngff_bio.copy(server.root, target)
    with serving(StoreServer(target)) as other:
        start = f"/{other.name}"
        status, headers, body = ask(other, f"{start}/bytes", Range="bytes=1000-1003")
        assert (status, body) == (206, BYTES[1000:1004])
        assert headers["access-control-allow-origin"] == "*"
        assert ask(other, f"{start}/bytes", Range="bytes=-3")[2] == BYTES[-3:]
        assert ask(other, f"{start}/zarr.json")[2] == (server.root / "zarr.json").read_bytes()
        assert ask(other, f"{start}/nothing")[0] == 404
        assert ask(other, f"{start}/%2e%2e/x")[0] == 404
    if kind == "bucket":
        refused = bucket_server.storage("served.zarr", secret_access_key="no", max_retries=0)
        with serving(StoreServer(refused)) as other:
            assert ask(other, "/served.zarr/bytes")[0] == 502


def test_the_root_is_a_page_with_links_for_the_browser_that_asks(server: StoreServer) -> None:
    for host, expected in (
        ("microscope:8000", "http%3A%2F%2Fmicroscope%3A8000%2F"),
        ("[::1]:80", "http%3A%2F%2F%5B%3A%3A1%5D%3A80%2F"),
        ('x"><script>', "http%3A%2F%2F127.0.0.1"),
    ):
        status, headers, body = ask(server, "/", Host=host)
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert expected in body.decode()
        assert b"<script" not in body


def test_a_server_for_other_machines_names_an_address_that_they_reach(server: StoreServer) -> None:
    with StoreServer(server.root, "0.0.0.0") as other:
        assert "0.0.0.0" not in other.url
        assert not other.local
    with StoreServer(server.root, "::1") as other:
        assert other.url.startswith("http://[::1]:")


def test_an_address_that_is_in_use_is_an_error(server: StoreServer) -> None:
    with pytest.raises(ArgumentError, match="cannot listen") as caught:
        open_server(server.storage, port=server.server_address[1])
    assert "--port 0" in str(caught.value.hint)
    open_server(server.storage, port=0).server_close()


def test_an_address_of_another_machine_is_an_error_that_no_other_port_helps(
    server: StoreServer,
) -> None:
    with pytest.raises(ArgumentError, match="cannot listen") as caught:
        open_server(server.storage, "203.0.113.77")
    assert "--host 127.0.0.1" in str(caught.value.hint)


def test_a_body_does_not_become_a_request(server: StoreServer) -> None:
    hidden = b"GET /a%20store.zarr/zarr.json HTTP/1.1\r\nHost: x\r\n\r\n"
    first = b"GET /a%%20store.zarr/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=10) as line:
        line.sendall(first % len(hidden) + hidden)
        with contextlib.suppress(ConnectionError):
            answer = b"".join(iter(lambda: line.recv(1 << 16), b""))
            assert answer.count(b"HTTP/1.1") == 1


def test_a_link_out_of_the_folder_is_not_followed(server: StoreServer) -> None:
    (server.root / "link").symlink_to(server.root.parent / "secret")
    assert ask(server, "/a%20store.zarr/link")[0] == 404


@pytest.mark.parametrize(
    "path", ["/%00", "/a%20store.zarr/%00", "/" + "a" * 60_000, "/a%20store.zarr/" + "a/" * 3000]
)
def test_names_that_no_file_can_have_are_not_found(server: StoreServer, path: str) -> None:
    assert ask(server, path)[0] in (404, 414)


@pytest.mark.parametrize("span", ["9" * 5000 + "-", "-" + "9" * 5000, "0-" + "9" * 5000])
def test_ranges_of_thousands_of_digits_cannot_be_satisfied(server: StoreServer, span: str) -> None:
    assert ask(server, "/a%20store.zarr/bytes", Range=f"bytes={span}")[0] == 416


def test_idle_connections_keep_nobody_waiting(server: StoreServer) -> None:
    """Each has a thread, until it is closed after a minute."""
    address = ("127.0.0.1", server.server_address[1])
    idle = [socket.create_connection(address, timeout=10) for _ in range(300)]
    try:
        assert ask(server, "/a%20store.zarr/bytes")[2] == BYTES
    finally:
        for connection in idle:
            connection.close()
    assert 0 < server.RequestHandlerClass.timeout <= 60
