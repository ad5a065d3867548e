"""Who is converting into a destination: only one may at a time, and a dead one does not count.

The claim is an object in the destination's state that names a process. Whether that process still
runs is asked of the system where it ran on this machine (its number and its start time, so that
another process with the same number does not count). From elsewhere it is told by the claim being
renewed: one that has been silent for two minutes is void.
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

from ngff_bio.engine.write.records import STATE
from ngff_bio.errors import StorageError, StoreBusyError
from ngff_bio.storage import Storage

LEASE = f"{STATE}/claim.json"

#: Seconds between two signs of life, and the silence after which a claim from elsewhere is void.
HEARTBEAT_SECONDS = 15.0
LEASE_TIMEOUT = 120.0

#: Claims that this process holds: one that it could not give back (no answer) is void.
_held: set[str] = set()


class Lease:
    """The right to write into a destination, held from entry to exit.

    Parameters
    ----------
    lost
        Called if another process has taken the claim over: this one was silent for too long.
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
        threading.Thread(target=self._renew, name="claim", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        _held.discard(self._content["token"])
        with suppress(StorageError):  # what went wrong before is what the user has to know
            if self._storage.get(LEASE) == self._written:
                self._storage.delete(LEASE)

    def _take(self) -> None:
        for _ in range(10):
            found = self._storage.get(LEASE)
            if found == self._written:  # a request that was repeated: the first one had succeeded
                return
            if found is not None and alive(other := _parsed(found)):
                raise StoreBusyError(
                    "another conversion is writing into this destination",
                    file=self._storage.url,
                    found=f"process {other.get('pid')} on {other.get('host')}, last heard of "
                    f"{max(0, time.time() - other.get('beat', 0)):.0f} s ago",
                    hint="wait until it has ended, or stop it; one that is dead on another machine "
                    f"no longer counts after {LEASE_TIMEOUT:.0f} s",
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
                mine = self._storage.compare_and_swap(LEASE, self._written, renewed)
                if mine or self._storage.get(LEASE) == renewed:
                    self._written = renewed
                elif not self._done.is_set():
                    self._lost()
                    return
            except StorageError:
                continue  # the units will find out for themselves


def alive(claim: dict[str, Any]) -> bool:
    """Whether the process of a claim still runs, as far as can be known."""
    if claim.get("machine") == machine() and claim.get("started") is not None:
        if claim.get("pid") == os.getpid():
            return claim.get("token") in _held
        return started(int(claim.get("pid", 0))) == str(claim["started"])
    return abs(time.time() - float(claim.get("beat", 0.0))) < LEASE_TIMEOUT


def machine() -> str:
    """This machine since it was switched on, and the space in which its processes are numbered."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:  # not Linux
        return f"{socket.gethostname()} {uuid.getnode():x}"


def started(pid: int) -> str | None:
    """When a process of this machine started, in the system's own unit; ``None`` if none runs."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if Path("/proc/self/stat").exists() or os.name != "posix":
            return None
    else:
        # The name in parentheses may hold anything; state is the first field after it, start time
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
    """The claim on a destination if its process still runs, else ``None``."""
    found = storage.get(LEASE)
    claim = None if found is None else _parsed(found)
    return claim if claim is not None and alive(claim) else None


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()


def _parsed(found: bytes) -> dict[str, Any]:
    try:
        content = json.loads(found)
    except ValueError:  # no claim of ours: it names nobody who could be alive
        return {}
    return content if isinstance(content, dict) else {}
