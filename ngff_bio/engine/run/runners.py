"""Where units run. One interface: units in, records out, in any order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Protocol

from ngff_bio.engine.plan.plan import Plan, Unit
from ngff_bio.engine.run.memory import free_memory
from ngff_bio.engine.run.scheduler import Scheduler
from ngff_bio.engine.write.records import UnitRecord
from ngff_bio.engine.write.units import run_unit
from ngff_bio.errors import ArgumentError
from ngff_bio.model import OnError
from ngff_bio.parallel import WorkerPool, cpu_count
from ngff_bio.storage import Storage

#: Seconds that units have to notice that they are to stop; then they are left behind.
_PATIENCE = 1.5

#: Units beyond the cores where objects travel: while one waits for an answer another computes.
_TRAVELLING = 2


class Workers(Protocol):
    """Workers that are at hand."""

    def run(self, scheduler: Scheduler) -> Iterator[tuple[Unit, UnitRecord]]:
        """Yield each unit with its record as it is done; the first error ends the run."""
        ...


class Runner(Protocol):
    """A kind of workers."""

    def start(self, storage: Storage, on_error: OnError) -> AbstractContextManager[Workers]:
        """Make workers ready to write into a storage. On exit all of them have stopped, or can no
        longer be waited for.
        """
        ...


@dataclass(frozen=True)
class ThreadRunner:
    """Threads of this process: decoding, reduction and compression leave the interpreter's lock.

    The default, since nothing has to be started or sent. Threads help each other, so that a single
    large unit uses all of them.

    Parameters
    ----------
    workers
        Number of threads; 0 for one per core.
    memory
        Bytes that the units in flight may take together; 0 for half of what is free. One unit is
        always in flight, whatever it takes.
    """

    workers: int = 0
    memory: int = 0

    @contextmanager
    def start(self, storage: Storage, on_error: OnError = "stop") -> Iterator[Workers]:
        """Make threads ready."""
        count = self.workers or cpu_count()
        pool = WorkerPool(count)
        threads = _Threads(
            storage, on_error, pool, lanes(count, storage), self.memory or free_memory() // 2
        )
        try:
            yield threads
        finally:
            threads.close()


class _Threads:
    """Threads that take units from a queue. They are daemons: one that hangs in a read is left."""

    def __init__(
        self, storage: Storage, on_error: OnError, pool: WorkerPool, lanes: int, memory: int
    ) -> None:
        self._storage, self._on_error, self._pool = storage, on_error, pool
        self._lanes, self._memory = lanes, memory
        self._todo: SimpleQueue[tuple[Plan, Unit] | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[Unit, UnitRecord | BaseException]] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def run(self, scheduler: Scheduler) -> Iterator[tuple[Unit, UnitRecord]]:
        """Yield each unit with its record as it is done."""
        most = min(self._lanes, scheduler.waiting)
        while scheduler.left:
            for unit in scheduler.ready(self._lanes, self._memory):
                if len(self._threads) < most:
                    name = f"unit-{len(self._threads)}"
                    thread = threading.Thread(target=self._work, name=name, daemon=True)
                    self._threads.append(thread)
                    thread.start()
                self._todo.put((scheduler.plan, unit))
            unit, outcome = self._done.get()
            if isinstance(outcome, BaseException):
                raise outcome
            scheduler.done(unit, outcome)
            yield unit, outcome

    def _work(self) -> None:
        while (task := self._todo.get()) is not None:
            plan, unit = task
            try:
                self._pool.check()
                record = run_unit(plan.job(unit), self._storage, self._pool, self._on_error)
                self._done.put((unit, record))
            except BaseException as error:
                self._done.put((unit, error))

    def close(self) -> None:
        """Stop what runs, and wait a moment for it."""
        self._pool.close()
        for _ in self._threads:
            self._todo.put(None)
        until = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))


def lanes(workers: int, storage: Storage) -> int:
    """Units in flight for a number of cores."""
    if workers < 1:
        raise ArgumentError("there is at least one worker", expected="1 or more", found=workers)
    return workers + (_TRAVELLING if storage.locality == "network" else 0)
