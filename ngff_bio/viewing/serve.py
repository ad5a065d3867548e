"""A web server for one store, so that viewers in a browser can read it: a folder, a zip, a bucket.

It answers GET and HEAD with byte ranges (a shard is read in parts) and allows requests from any origin
(CORS: viewers such as Neuroglancer run on other origins). It is read-only, lists no folders, and serves
nothing outside of the store. Its root is a page about the store, with links for each image.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import ngff_bio.reader as reader
from ngff_bio.errors import ArgumentError, NgffBioError
from ngff_bio.storage import FolderStorage, Storage, is_key, storage_at
from ngff_bio.viewing.annotations import segment_properties
from ngff_bio.viewing.landing import Description, landing_page
from ngff_bio.viewing.neuroglancer import segments_key
from ngff_bio.viewing.summary import Summary, summarize

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})$")
#: Host of a request, as browsers send it: what else there is, is not repeated in links.
_HOST = re.compile(r"[\w.-]{1,253}(?::\d{1,5})?|\[[0-9a-fA-F:.]{2,45}\](?::\d{1,5})?", re.ASCII)

#: Bytes that are read and sent at a time: from a folder, and by requests.
_PIECE, _REQUEST = 1 << 20, 8 << 20

#: Pages of any origin may read, also parts of files.
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Range, Content-Type",
    "Access-Control-Expose-Headers": "Content-Range, Content-Length, Accept-Ranges",
}
_KINDS = {".json": "application/json", ".html": "text/html; charset=utf-8", ".md": "text/plain"}

#: A page that a store brings along may contain anything: it gets no rights of its own.
_SAFE = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}


class StoreServer(ThreadingHTTPServer):
    """Serves the objects of one store, read-only.

    Parameters
    ----------
    store
        Path or URL of the store, or its storage; its name is the first part of every path.
    host, port
        Address to listen on; port 0 for a free port.
    """

    daemon_threads = True
    #: Connections that wait to be accepted: a browser opens many at once, and retries after seconds.
    request_queue_size = 256

    def __init__(
        self,
        store: str | os.PathLike[str] | Storage,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.storage = storage_at(store)
        # A folder is served under its real name, and nothing that a link leads to outside of it.
        self.root = None
        if isinstance(self.storage, FolderStorage):
            self.root = self.storage.root.resolve()
        place = self.storage.url if self.root is None else self.root.name
        self.name = place.rstrip("/").rpartition("/")[2] or "store"
        self._lock = Lock()
        self._sizes: dict[str, int] = {}
        self._page = ("", b"")
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    @property
    def origin(self) -> str:
        """URL of the server for programs on this machine, or on others if it listens to them."""
        host, port = str(self.server_address[0]), self.server_address[1]
        if host in ("0.0.0.0", "::"):
            host = own_address()
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def url(self) -> str:
        """URL of the store."""
        return f"{self.origin}/{quote(self.name)}"

    @property
    def local(self) -> bool:
        """Whether only programs on this machine reach it."""
        return str(self.server_address[0]).startswith(("127.", "::1"))

    def key_of(self, path: str) -> str | None:
        """Key of the object that a URL path names, if there can be one."""
        try:
            name, _, key = unquote(urlsplit(path).path).lstrip("/").partition("/")
        except ValueError:  # no URL at all
            return None
        if name != self.name or not key or not is_key(key):
            return None
        if self.root is not None:
            try:
                place = (self.root / key).resolve()
            except (OSError, ValueError):  # a name that no file can have: too long, with NUL
                return None
            if self.root not in place.parents:
                return None
        return key

    def size_of(self, key: str) -> int | None:
        """Size of an object; of one behind a network it is asked for once."""
        size = self._sizes.get(key)
        if size is None:
            size = self.storage.size(key)
            if size is not None and self.storage.locality == "network":
                self._sizes[key] = size
        return size

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that closes a connection is not an error."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    @cached_property
    def _dataset(self) -> reader.Dataset:
        return reader.open(self.storage)

    @cached_property
    def _summary(self) -> Summary:
        return summarize(self._dataset)

    def segments(self, key: str) -> bytes | None:
        """What is known about label values, if that is what a key names; see `segments_key`."""
        path, found, label = f"/{key}".rpartition("/labels/")
        name = label.removesuffix(segments_key(""))
        if not found or name == label:
            return None
        with self._lock:
            image = self._dataset.get(path.lstrip("/"))
        if image is None or name not in image.labels:
            return None
        return json.dumps(segment_properties(image, name)).encode()

    def page(self, host: str) -> bytes | None:
        """The page about the store, with links for a browser that knows this server as `host`."""
        url = self.url
        if _HOST.fullmatch(host):
            url = f"http://{host}/{quote(self.name)}"
        with self._lock:  # of several who ask, one reads the store
            try:
                summary = self._summary
            except NgffBioError:
                return None
            if self._page[0] != url:  # its links take time: the last one is kept
                about = Description.of_store(summary.dataset.attributes, self.name)
                self._page = url, landing_page(summary, about, url).encode()
            return self._page[1]


def open_server(storage: Storage, host: str = "127.0.0.1", port: int = 0) -> StoreServer:
    """A server of a store.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it cannot listen on the address.
    """
    try:
        return StoreServer(storage, host, port)
    except OSError as error:
        raise ArgumentError(
            "cannot listen on this address",
            found=f"{host}:{port}: {error.strerror}",
            hint="choose another port, or --port 0 for a free one"
            if error.errno in (errno.EADDRINUSE, errno.EACCES)
            else "give an address of this machine: --host 127.0.0.1, or --host 0.0.0.0 for other "
            "machines too",
        ) from error


def own_address() -> str:
    """Address of this machine for others: that from which it would reach the internet."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing (RFC 5737: an address in no network)
        return str(probe.getsockname()[0])
    return "127.0.0.1"


class _Handler(BaseHTTPRequestHandler):
    server: StoreServer
    protocol_version = "HTTP/1.1"
    #: Seconds after which an idle connection is closed: each has a thread.
    timeout = 60

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_OPTIONS(self) -> None:
        self._begin(HTTPStatus.NO_CONTENT, 0, {})

    def _answer(self, *, body: bool) -> None:
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body is not read, and must not become a request
        try:
            self._send(body)
        except ConnectionError:  # the browser went away
            self.close_connection = True
        except NgffBioError:
            self.close_connection = True
            with suppress(OSError):
                self._begin(HTTPStatus.BAD_GATEWAY, 0, {"Connection": "close"})

    def _send(self, body: bool) -> None:
        if self.path.strip("/") in ("", quote(self.server.name)):
            page = self.server.page(self.headers.get("Host", ""))
            if page is not None:
                self._begin(HTTPStatus.OK, len(page), {"Content-Type": _KINDS[".html"]})
                if body:
                    self.wfile.write(page)
                return
        storage, key = self.server.storage, self.server.key_of(self.path)
        size = None if key is None else self.server.size_of(key)
        made = self.server.segments(key) if key is not None and size is None else None
        if made is not None:
            self._begin(HTTPStatus.OK, len(made), {"Content-Type": _KINDS[".json"], **_SAFE})
            self.wfile.write(made if body else b"")
            return
        if key is None or size is None:
            self._begin(HTTPStatus.NOT_FOUND, 0, {})
            return
        # No answer has a validator that If-Range could name: all is sent (RFC 9110, 13.1.5).
        wanted = None if "If-Range" in self.headers else self.headers.get("Range")
        span = _span(wanted, size)
        if span is None:
            wrong = {"Content-Range": f"bytes */{size}"}
            self._begin(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, wrong)
            return
        start, stop = span
        kind = _KINDS.get(Path(key).suffix, "application/octet-stream")
        headers = {"Content-Type": kind, "Accept-Ranges": "bytes", **_SAFE}
        status = HTTPStatus.OK
        if wanted is not None:
            status = HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        step = _PIECE if storage.locality == "machine" else _REQUEST
        # The first piece is read before the answer begins: an error is then an answer of its own.
        piece = storage.get_range(key, start, min(step, stop - start)) if body else b""
        self._begin(status, stop - start, headers)
        while body and start < stop:
            if not piece:  # the object is shorter now: the browser must not wait for the rest
                self.close_connection = True
                return
            self.wfile.write(piece)
            start += len(piece)
            if start < stop:
                piece = storage.get_range(key, start, min(step, stop - start))

    def _begin(self, status: HTTPStatus, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**_CORS, **headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a viewer sends thousands of requests."""


def _span(header: str | None, size: int) -> tuple[int, int] | None:
    """Half-open byte range of a Range header; ``None`` if it cannot be satisfied (RFC 9110)."""
    if header is None:
        return 0, size
    match = _RANGE.match(header.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return (max(size - int(last), 0), size) if int(last) else None
    start, stop = int(first), min(int(last) + 1, size) if last else size
    return (start, stop) if start < stop else None
