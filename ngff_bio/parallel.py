"""Threads for the whole package: how many processors there are, one pool that applies functions, and
decoders that several of them may ask for at once.

The thread that asks for work also does it, and the pool's threads never wait for anything, so that any
number of callers (nested ones too) can share a pool without blocking each other.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    import msgspec

#: Parameters of glibc's mallopt(3).
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3

T = TypeVar("T")
R = TypeVar("R")

#: Requests at a time to storage with latency: waiting costs nothing, and a bucket answers many at once.
REMOTE_THREADS = 32

#: Calls of :meth:`WorkerPool.imap` that wait or run at once: few enough for memory.
_AHEAD = 16


_decoders: dict[object, msgspec.json.Decoder[Any]] = {}
_decoders_lock = threading.Lock()


@overload
def decoder_of(kind: type[T]) -> msgspec.json.Decoder[T]: ...
@overload
def decoder_of(kind: object) -> msgspec.json.Decoder[Any]: ...
def decoder_of(kind: Any) -> msgspec.json.Decoder[Any]:
    """What decodes JSON of a type; one thread makes it.

    msgspec 0.22 ends the process with a segmentation fault if two threads decode or convert to a type
    at once for the first time: the second finds what the first has not completed. Ask for the decoder
    before `msgspec.convert` too.
    """
    with _decoders_lock:
        found = _decoders.get(kind)
        if found is None:
            import msgspec

            found = _decoders[kind] = msgspec.json.Decoder(kind)
        return found


def cpu_count() -> int:
    """Number of processors that this process may use: its affinity, and its cgroup's quota."""
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        count = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return min(count, cgroup_quota())


@cache
def cgroup_quota(
    mount: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> int:
    """Processors that the CPU quota of the cgroup and of those above it comes to, rounded up.

    Reads ``cpu.max`` (Linux, ``Documentation/admin-guide/cgroup-v2.rst``). Without a quota a number
    larger than any machine has.
    """
    quota = math.inf
    try:
        lines = own.read_text().splitlines()
        path = next(line[3:] for line in lines if line.startswith("0::")).strip("/")
    except (OSError, StopIteration):
        path = ""
    folder = mount / path
    for place in (folder, *folder.parents):
        try:
            limit, period = (place / "cpu.max").read_text().split()
            quota = min(quota, int(limit) / int(period))
        except (OSError, ValueError):  # no such file, or "max": no quota
            pass
        if place == mount:
            break
    return max(1, math.ceil(min(quota, 1 << 20)))


class Cancelled(Exception):  # noqa: N818 - not an error: it was asked for
    """Work was given up because the pool was closed."""


class WorkerPool:
    """Daemon threads that apply functions: a process that ends does not wait for them.

    Parameters
    ----------
    threads
        Number of threads that work on one call of :meth:`map`, the calling one included.
    """

    def __init__(self, threads: int = 1) -> None:
        self._most = threads - 1
        self._closed = threading.Event()
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._starting = threading.Lock()
        self._started = 0

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> None:
        """Raise :class:`Cancelled` if the pool has been closed."""
        if self._closed.is_set():
            raise Cancelled

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Results in the order of the items; the first error is raised when all calls have ended."""
        todo = list(items)
        workers = min(self._most, len(todo) - 1)
        if workers <= 0:
            return [self._call(function, item) for item in todo]
        task = _Task(self, function, todo)
        self._submit(task, workers)
        return task.wait()

    def imap(self, calls: Iterable[Callable[[], R]]) -> Iterator[R]:
        """Results of calls in their order, a bounded number of calls ahead of the consumer.

        On an error, and if the consumer stops, no call runs any more when control returns: what the
        calls write to may be removed.
        """
        running: deque[_Task] = deque()
        try:
            for call in calls:
                task = _Task(self, _apply, [call])
                running.append(task)
                self._submit(task, min(self._most, 1))
                if len(running) >= _AHEAD:
                    yield running.popleft().wait()[0]
            while running:
                yield running.popleft().wait()[0]
        finally:
            for task in running:
                task.cancel()
            for task in running:
                task.ended.wait()

    def close(self) -> None:
        """Cancel what has not begun, and end the threads when they are free."""
        self._closed.set()
        with self._starting:
            for _ in range(self._started):
                self._tasks.put(None)

    def _call(self, function: Callable[[T], R], item: T) -> R:
        self.check()
        return function(item)

    def _submit(self, task: _Task, workers: int) -> None:
        for _ in range(workers):
            self._tasks.put(task)
            if self._idle.acquire(blocking=False):
                continue
            with self._starting:
                if self._started < self._most:
                    self._started += 1
                    name = f"worker-{self._started}"
                    threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                task = self._tasks.get_nowait()
            except Empty:
                self._idle.release()
                task = self._tasks.get()
            if task is None:
                return
            task.work()
            del task  # its items and results would stay in memory until the next one comes


def _apply(call: Callable[[], R]) -> R:
    return call()


class _Task:
    """Items that several threads take one by one."""

    def __init__(self, pool: WorkerPool, function: Callable[[Any], Any], items: list[Any]) -> None:
        self._pool, self._function, self._items = pool, function, items
        self._results: list[Any] = [None] * len(items)
        self._error: BaseException | None = None
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._next = self._running = 0

    def work(self) -> None:
        """Apply the function to items until none is left."""
        while (index := self._take()) is not None:
            error = None
            try:
                self._results[index] = self._pool._call(self._function, self._items[index])
            except BaseException as raised:
                error = raised
            self._end(error)

    def wait(self) -> list[Any]:
        """Work, wait for the others, and return the results."""
        self.work()
        self.ended.wait()
        if self._error is not None:
            raise self._error
        return self._results

    def cancel(self) -> None:
        """Begin no further item; `ended` is set when those that run have ended."""
        with self._lock:
            self._next = len(self._items)
            if self._running == 0:
                self.ended.set()

    def _take(self) -> int | None:
        with self._lock:
            if self._next >= len(self._items):
                return None
            self._next += 1
            self._running += 1
            return self._next - 1

    def _end(self, error: BaseException | None) -> None:
        with self._lock:
            self._running -= 1
            if error is not None:
                self._error = self._error or error
                self._next = len(self._items)
            if self._running == 0 and self._next >= len(self._items):
                self.ended.set()


_shared: dict[int, WorkerPool] = {}
_sharing = threading.Lock()


def shared_pool(*, remote: bool = False) -> WorkerPool:
    """The pool of this process for calls that compute, or for those that wait for a server."""
    threads = REMOTE_THREADS if remote else cpu_count()
    with _sharing:
        if threads not in _shared:
            _shared[threads] = WorkerPool(threads)
        return _shared[threads]


def share_freed_memory() -> None:
    """Let threads of this process use what others have freed; for a command, before it begins.

    By default, glibc has up to eight arenas per processor and keeps blocks of megabytes, and Arrow's
    allocator has a heap for each thread: with 32 threads hundreds of MB that nothing uses.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # another C library
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_M_ARENA_MAX, 2)
            mallopt(_M_MMAP_THRESHOLD, 256 << 10)


def _forget_shared() -> None:
    """A forked process has none of its parent's threads, and may have inherited a held lock."""
    global _sharing
    _shared.clear()
    _sharing = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_shared)
