"""The lease on a destination: only one conversion writes at a time, and a dead one does not count.

The lease is an object in the destination's state that names a process. On the same machine the system
reports whether that process still runs (by its number and its start time, since numbers are reused).
A process on another machine renews its lease; one that was not renewed for two minutes has expired.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from ngff_bio.errors import StorageError, StoreBusyError
from ngff_bio.parallel import decoder_of
from ngff_bio.storage import Storage
from ngff_bio.zarrio.journal import STATE

LEASE = f"{STATE}/claim.json"

#: Seconds between renewals, and after which a lease of another machine has expired.
HEARTBEAT_SECONDS = 15.0
LEASE_TIMEOUT = 120.0

#: Attempts to remove a lease, each with the repetitions of its requests.
_GIVES_BACK = 3


class _Lease(msgspec.Struct):
    """Types of the members of a lease."""

    token: str
    pid: int
    started: str | None
    machine: str
    host: str
    beat: float


#: Leases that this process holds: one that it could not give back (no response) has expired.
_held: set[str] = set()


class Lease:
    """The right to write into a destination, held from entry to exit.

    Parameters
    ----------
    lost
        Called if another process has taken over the lease, because it was not renewed in time.
    """

    def __init__(self, storage: Storage, lost: Callable[[], None]) -> None:
        self._storage, self._lost = storage, lost
        self._done = threading.Event()
        self._content: dict[str, Any] = {
            "token": uuid.uuid4().hex,
            "pid": os.getpid(),
            "started": started(os.getpid()),
            "machine": machine(),
            "host": socket.gethostname(),
            "beat": time.time(),
        }
        self._written = _json(self._content)

    def __enter__(self) -> Lease:
        _held.add(self._content["token"])
        try:
            self._take()
        except BaseException:
            _held.discard(self._content["token"])
            raise
        threading.Thread(target=self._renew, name="lease", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        _held.discard(self._content["token"])
        # An earlier error is what the user needs to see; what is not removed expires.
        for _ in range(_GIVES_BACK if kind is None else 1):
            with suppress(StorageError):
                self._give_back()
                return

    def _give_back(self) -> None:
        if self._is_ours(self._storage.get(LEASE)):
            self._storage.delete(LEASE)
        if next(iter(self._storage.list(STATE)), None) is None:
            self._storage.delete_all(STATE)  # folders that are empty now

    def _take(self) -> None:
        for _ in range(10):
            found = self._storage.get(LEASE)
            if self._is_ours(found):  # a repeated request: the first one had succeeded
                return
            if found is not None and alive(other := _parsed(found)):
                raise StoreBusyError(
                    "another conversion is writing into this destination",
                    file=self._storage.url,
                    found=f"process {other.get('pid')} on {other.get('host')}, last active "
                    f"{max(0, time.time() - other.get('beat', 0)):.0f} s ago",
                    hint="wait until it has finished, or stop it; the lease of a dead process on "
                    f"another machine expires after {LEASE_TIMEOUT:.0f} s",
                )
            if self._storage.compare_and_swap(LEASE, found, self._written):
                return
        raise StoreBusyError(
            "other conversions are trying to write into this destination", file=self._storage.url
        )

    def _renew(self) -> None:
        while not self._done.wait(HEARTBEAT_SECONDS):
            renewed = _json({**self._content, "beat": time.time()})
            try:
                if self._storage.compare_and_swap(LEASE, self._written, renewed):
                    self._written = renewed
                elif (found := self._storage.get(LEASE)) is not None and self._is_ours(found):
                    self._written = found  # of a renewal, also an earlier one, without an answer
                elif not self._done.is_set():
                    self._lost()
                    return
            except StorageError:
                continue  # the units will fail on their own

    def _is_ours(self, found: bytes | None) -> bool:
        return found is not None and _parsed(found).get("token") == self._content["token"]


def alive(lease: dict[str, Any]) -> bool:
    """Whether the process of a lease still runs, as far as is known."""
    if lease.get("machine") == machine() and lease.get("started") is not None:
        if lease.get("pid") == os.getpid():
            return lease.get("token") in _held
        return started(int(lease.get("pid", 0))) == str(lease["started"])
    return abs(time.time() - float(lease.get("beat", 0.0))) < LEASE_TIMEOUT


def machine() -> str:
    """An identifier of this machine since it was started, and of the namespace of its processes."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:  # not Linux
        return f"{socket.gethostname()} {uuid.getnode():x}"


def started(pid: int) -> str | None:
    """Start time of a process of this machine, in the system's unit; ``None`` if it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if Path("/proc/self/stat").exists() or os.name != "posix":
            return None
    else:
        # The name in parentheses may contain anything; state is the first field after it, start time
        # the twentieth (proc(5)). A zombie is dead.
        rest = stat.rpartition(")")[2].split()
        return None if rest[0] in "ZX" else rest[19]
    try:
        os.kill(pid, 0)
    except PermissionError:
        return "running"
    except OSError:
        return None
    return "running"


def holder(storage: Storage) -> dict[str, Any] | None:
    """The lease on a destination if its process still runs, else ``None``."""
    found = storage.get(LEASE)
    lease = None if found is None else _parsed(found)
    return lease if lease is not None and alive(lease) else None


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()


def _parsed(found: bytes) -> dict[str, Any]:
    try:
        lease: dict[str, Any] = msgspec.to_builtins(decoder_of(_Lease).decode(found))
        return lease
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}  # not a lease: it names no process
