"""A server in front of an object store that fails as networks and stores do, by a plan with a seed.

What happens to a request depends on the seed, the request and how often it was made: not on the order
in which threads make requests. A plan that failed once fails again.
"""

from __future__ import annotations

import hashlib
import http.client
import http.server
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

#: What can happen to a request, and to which ones.
FAULTS = {
    "500": "any: an answer, nothing is executed",
    "503": "any: SlowDown, nothing is executed",
    "429": "any: too many requests, nothing is executed",
    "reset": "any: the connection is reset, nothing is executed",
    "lost": "any: the request is executed, the connection is reset instead of an answer",
    "cut": "reads: the body ends half way",
    "stale": "lists: the answer is the one before",
    "flip": "reads of chunks: one bit of the body is another one",
}

_BODIES = {
    "500": b"<Error><Code>InternalError</Code></Error>",
    "503": b"<Error><Code>SlowDown</Code></Error>",
    "429": b"<Error><Code>TooManyRequests</Code></Error>",
}


@dataclass
class FaultPlan:
    """Which requests fail, and how.

    ``rate`` is the part of all requests that fail; ``kinds`` are the faults that occur. ``done`` counts
    what has happened.
    """

    seed: int
    rate: float
    kinds: tuple[str, ...] = tuple(FAULTS)
    done: Counter[str] = field(default_factory=Counter)
    _made: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, method: str, path: str) -> tuple[str | None, int]:
        """The fault of a request, if any, and a number that its details are made of."""
        with self._lock:
            self._made[f"{method} {path}"] += 1
            count = self._made[f"{method} {path}"]
        text = f"{self.seed} {method} {path} {count}".encode()
        number = int.from_bytes(hashlib.sha256(text).digest()[:12], "big")
        if number % 10_000 >= self.rate * 10_000:
            return None, number
        number //= 10_000
        listing = method == "GET" and "list-type=2" in path
        chunk = method == "GET" and "/c/" in path.partition("?")[0]
        possible = [
            k
            for k in self.kinds
            if k not in ("cut", "stale", "flip")
            or (k == "cut" and method == "GET")
            or (k == "stale" and listing)
            or (k == "flip" and chunk)
        ]
        if not possible:
            return None, number
        kind = possible[number % len(possible)]
        with self._lock:
            self.done[kind] += 1
        return kind, number // len(possible)


#: Decides what happens to a request, by its method and its path with the query.
Decide = Callable[[str, str], tuple[str | None, int]]


@contextmanager
def faulty(endpoint: str, decide: Decide) -> Iterator[str]:
    """Run the server in front of a store's endpoint; yields its own endpoint."""
    upstream = endpoint.removeprefix("http://")
    listings: dict[str, tuple[int, list[tuple[str, str]], bytes]] = {}

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.onward = http.client.HTTPConnection(upstream)

        def finish(self) -> None:
            self.onward.close()
            with suppress(OSError):  # the connection was reset on purpose
                super().finish()

        def log_message(self, *_: Any) -> None: ...

        def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            self.onward.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                self.onward.putheader(name, value)
            self.onward.endheaders(body)
            reply = self.onward.getresponse()
            return reply.status, reply.getheaders(), reply.read()

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault, number = decide(self.command, self.path)
            if fault == "reset":
                self._reset()
                return
            if fault in _BODIES:
                self._reply(int(fault), [], _BODIES[fault])
                return
            if fault == "stale" and self.path in listings:
                self._reply(*listings[self.path])
                return
            status, headers, data = self._forward(body)
            if "list-type=2" in self.path and status == 200:
                listings[self.path] = status, headers, data
            if fault == "lost":
                self._reset()
            elif fault == "cut" and data:
                self._reply(status, headers, data, len(data) // 2)
                self._reset()
            else:
                if fault == "flip" and data and status < 300:
                    flipped = bytearray(data)
                    flipped[number % len(data)] ^= 1 << (number // len(data) % 8)
                    data = bytes(flipped)
                self._reply(status, headers, data)

        def _reply(
            self, status: int, headers: list[tuple[str, str]], data: bytes, sent: int | None = None
        ) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            size = {k.lower(): v for k, v in headers}.get("content-length")
            head = self.command == "HEAD"
            self.send_header("Content-Length", size if head and size else str(len(data)))
            self.end_headers()
            if not head and status not in (204, 304):
                self.wfile.write(data[:sent])
                self.wfile.flush()

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _handle

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that went away is no news here."""

    server = Server(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
