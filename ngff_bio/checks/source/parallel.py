"""Many small pieces of work on a few threads, without holding all of their results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

#: Pieces of work that wait or run at once: enough to keep threads busy, few enough for memory.
_AHEAD = 16


def run_all(pool: ThreadPoolExecutor, work: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Results of calls in their order, a bounded number of calls ahead of the reader."""
    running: deque[Future[T]] = deque()
    try:
        for call in work:
            running.append(pool.submit(call))
            if len(running) >= _AHEAD:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()
