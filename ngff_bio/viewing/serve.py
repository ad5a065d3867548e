"""A web server for one folder, so that viewers in a browser can read a store on this machine.

It answers GET and HEAD with byte ranges (a shard is read in parts) and allows requests from any origin
(CORS: viewers such as Neuroglancer run on other origins). It is read-only, lists no folders, and serves
nothing outside of its folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote, urlsplit

from ngff_bio.errors import StoreNotFoundError

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})$")
_PIECE = 1 << 20

#: Pages of any origin may read, also parts of files.
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Range, Content-Type",
    "Access-Control-Expose-Headers": "Content-Range, Content-Length, Accept-Ranges",
}


class StoreServer(ThreadingHTTPServer):
    """Serves the files of one folder.

    Parameters
    ----------
    root
        The folder; its name is the first part of every path.
    host, port
        Address to listen on; port 0 for a free port.
    """

    daemon_threads = True

    def __init__(self, root: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        self.root = root.resolve()
        #: JSON documents that are served besides, by path.
        self.documents: dict[str, bytes] = {}
        super().__init__((host, port), _Handler)

    @property
    def origin(self) -> str:
        """URL of the server."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def url(self) -> str:
        """URL of the store."""
        return f"{self.origin}/{quote(self.root.name)}"

    def place_of(self, path: str) -> Path | None:
        """The file of a URL path, or ``None``."""
        name, _, rest = unquote(urlsplit(path).path).lstrip("/").partition("/")
        if name != self.root.name:
            return None
        try:
            place = (self.root / rest).resolve()
            inside = place == self.root or self.root in place.parents
            return place if inside and place.is_file() else None
        except (OSError, ValueError):  # a name that no file can have: too long, with NUL
            return None


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
        document = self.server.documents.get(urlsplit(self.path).path)
        if document is not None:
            self._begin(HTTPStatus.OK, len(document), {"Content-Type": "application/json"})
            self.wfile.write(document if body else b"")
            return
        place = self.server.place_of(self.path)
        if place is None:
            self._begin(HTTPStatus.NOT_FOUND, 0, {})
            return
        size = place.stat().st_size
        span = _span(self.headers.get("Range"), size)
        if span is None:
            wrong = {"Content-Range": f"bytes */{size}"}
            self._begin(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, wrong)
            return
        start, stop = span
        kind = "application/json" if place.suffix == ".json" else "application/octet-stream"
        headers = {"Content-Type": kind, "Accept-Ranges": "bytes"}
        status = HTTPStatus.OK
        if self.headers.get("Range") is not None:
            status = HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self._begin(status, stop - start, headers)
        if body:
            with place.open("rb") as file:
                self._send(file, start, stop)

    def _send(self, file: BinaryIO, start: int, stop: int) -> None:
        file.seek(start)
        while start < stop and (piece := file.read(min(_PIECE, stop - start))):
            self.wfile.write(piece)
            start += len(piece)

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


def folder_of(store: str | os.PathLike[str]) -> Path:
    """The folder of a store on this machine.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If it is not a folder.
    """
    place = Path(store)
    if not place.is_dir():
        raise StoreNotFoundError(
            "there is no such folder", file=place, hint="give the folder of a store"
        )
    return place
