"""Threads that lend a hand: one large unit then uses every core, and can be stopped in its midst.

The one who asks works too, and helpers never wait for anything, so that no number of units that ask
at once can block each other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Stopped(Exception):  # noqa: N818 - not an error: it was asked for
    """Work was given up because the conversion is being stopped."""


class Crew:
    """Some helper threads, shared by all units of a process.

    Parameters
    ----------
    helpers
        Threads beside those that ask. They are daemons: a process that ends does not wait for them.
    """

    def __init__(self, helpers: int = 0) -> None:
        self.stop = threading.Event()
        self._free: SimpleQueue[_Task | None] = SimpleQueue()
        self._helpers = helpers
        self._started = False
        self._starting = threading.Lock()

    def check(self) -> None:
        """Give up if the conversion is being stopped.

        Raises
        ------
        Stopped
            If it is.
        """
        if self.stop.is_set():
            raise Stopped

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Results in the order of the items; the first error is raised when all have let go."""
        task = _Task(self, function, list(items))
        hands = min(self._helpers, len(task.items) - 1)
        if hands > 0:
            self._start()
        for _ in range(hands):
            self._free.put(task)
        task.work()
        task.done.wait()
        if task.error is not None:
            raise task.error
        return task.results

    def close(self) -> None:
        """Let the helpers go."""
        self.stop.set()
        for _ in range(self._helpers if self._started else 0):
            self._free.put(None)

    def _start(self) -> None:
        with self._starting:
            if not self._started:
                self._started = True
                for number in range(self._helpers):
                    name = f"helper-{number}"
                    threading.Thread(target=self._help, name=name, daemon=True).start()

    def _help(self) -> None:
        while (task := self._free.get()) is not None:
            task.work()
            del task  # its blocks would stay in memory until the next one comes


class _Task:
    """Items that several threads take one by one."""

    def __init__(self, crew: Crew, function: Callable[[Any], Any], items: list[Any]) -> None:
        self.crew, self.function, self.items = crew, function, items
        self.results: list[Any] = [None] * len(items)
        self.error: BaseException | None = None
        self.done = threading.Event()
        self._lock = threading.Lock()
        self._next = self._running = 0
        if not items:
            self.done.set()

    def work(self) -> None:
        while (index := self._take()) is not None:
            try:
                self.crew.check()
                self.results[index] = self.function(self.items[index])
            except BaseException as error:
                self._end(error)
            else:
                self._end(None)

    def _take(self) -> int | None:
        with self._lock:
            if self._next >= len(self.items):
                return None
            self._next += 1
            self._running += 1
            return self._next - 1

    def _end(self, error: BaseException | None) -> None:
        with self._lock:
            self._running -= 1
            if error is not None:
                self.error = self.error or error
                self._next = len(self.items)
            if self._running == 0 and self._next >= len(self.items):
                self.done.set()
