"""Threads that fetch and decode chunks: one small pool of this process for each kind of place."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

#: Requests under way at once to a place with latency: waiting costs nothing, and a bucket answers
#: many at a time.
REMOTE_THREADS = 32

_pools: dict[int, ThreadPoolExecutor] = {}
_lock = threading.Lock()


def _forget() -> None:
    """A forked process has none of its parent's threads, and may have inherited a held lock."""
    global _lock
    _pools.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _pool(threads: int) -> ThreadPoolExecutor:
    with _lock:
        if threads not in _pools:
            _pools[threads] = ThreadPoolExecutor(threads, "ngff-bio-read")
        return _pools[threads]


def run_all(work: Callable[[Any], object], items: Iterable[Any], *, remote: bool) -> None:
    """Call ``work`` on every item, on several threads, this one included; in no order.

    The first error is raised when all that had begun has ended.
    """
    rest = deque(items)
    threads = REMOTE_THREADS if remote else cores()
    helpers = min(len(rest), threads) - 1
    if helpers <= 0:
        for item in rest:
            work(item)
        return
    errors: list[BaseException] = []

    def drain() -> None:
        while rest and not errors:
            try:
                item = rest.popleft()
            except IndexError:
                return
            try:
                work(item)
            except BaseException as error:
                errors.append(error)

    pool = _pool(threads)
    started = [pool.submit(drain) for _ in range(helpers)]
    drain()
    for one in started:
        if not one.cancel():  # not begun: all items are taken, it would find nothing
            one.result()
    if errors:
        raise errors[0]
