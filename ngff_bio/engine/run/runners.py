"""Where units run. One interface: units in, records out, in any order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from ngff_bio.engine.plan.plan import Unit, WorkPlan
from ngff_bio.engine.run.scheduler import Scheduler
from ngff_bio.engine.write.records import UnitRecord
from ngff_bio.engine.write.units import run_unit
from ngff_bio.errors import ArgumentError
from ngff_bio.model import OnError
from ngff_bio.parallel import WorkerPool, cpu_count
from ngff_bio.storage import Storage

#: Seconds that units have to notice that they are cancelled; then their threads are abandoned.
_TIMEOUT = 1.5

#: Units in flight beyond the number of threads if storage has latency: some wait, others compute.
_EXTRA_UNITS = 2

#: Memory that is assumed to be free if the system does not report it.
DEFAULT_MEMORY = 8 << 30


class Workers(Protocol):
    """Workers that are ready."""

    def run(self, scheduler: Scheduler) -> Iterator[tuple[Unit, UnitRecord]]:
        """Yield each unit with its record when it is done; the first error ends the run."""
        ...


class Runner(Protocol):
    """A kind of workers."""

    def start(
        self, storage: Storage, on_error: OnError, plan: WorkPlan | None = None
    ) -> AbstractContextManager[Workers]:
        """Start workers that write into a storage. On exit all have stopped, or are abandoned.

        Those that may lack what they need are asked for it, and for the sources of the plan.
        """
        ...


@dataclass(frozen=True)
class ThreadRunner:
    """Threads of this process: decoding, reduction and compression release the interpreter's lock.

    The default, since nothing has to be started or sent. Threads help each other, so that a single
    large unit uses all of them.

    Parameters
    ----------
    workers
        Number of threads; 0 for one per processor.
    memory
        Bytes that the units in flight may take together; 0 for half of the free memory. A unit that
        would take more than twice as much is an error.
    """

    workers: int = 0
    memory: int = 0

    @contextmanager
    def start(
        self, storage: Storage, on_error: OnError = "stop", plan: WorkPlan | None = None
    ) -> Iterator[Workers]:
        """Start threads."""
        threads = _Threads(storage, on_error, worker_count(self.workers), memory_limit(self.memory))
        try:
            yield threads
        finally:
            threads.close()


class _Threads:
    """Daemon threads that take units from a queue: one that hangs in a read is abandoned."""

    def __init__(self, storage: Storage, on_error: OnError, count: int, memory: int) -> None:
        self._storage, self._on_error, self._memory = storage, on_error, memory
        self._pool = WorkerPool(count)
        self._limit = count + (_EXTRA_UNITS if storage.locality == "network" else 0)
        self._todo: SimpleQueue[tuple[WorkPlan, Unit] | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[Unit, UnitRecord | BaseException]] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def run(self, scheduler: Scheduler) -> Iterator[tuple[Unit, UnitRecord]]:
        """Yield each unit with its record when it is done."""
        needed = min(self._limit, scheduler.waiting)
        while scheduler.left:
            for unit in scheduler.ready(self._limit, self._memory):
                if len(self._threads) < needed:
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
        """Cancel the units in flight, and wait a moment for them."""
        self._pool.close()
        for _ in self._threads:
            self._todo.put(None)
        until = time.monotonic() + _TIMEOUT
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))


def worker_count(workers: int) -> int:
    """Number of workers; 0 is one per processor."""
    if workers < 0:
        raise ArgumentError("there is at least one worker", expected="1 or more", found=workers)
    return workers or cpu_count()


def memory_limit(memory: int) -> int:
    """Bytes that units in flight may take together; 0 is half of what is free."""
    return memory or free_memory() // 2


def free_memory() -> int:
    """Bytes of memory that this process may still take: of the machine, and of its cgroup."""
    free = DEFAULT_MEMORY
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) << 10
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit != "max":  # a container
            stat = Path("/sys/fs/cgroup/memory.stat").read_text().split()
            free = min(free, int(limit) - int(stat[stat.index("anon") + 1]))
    except (OSError, ValueError):
        pass
    return max(free, 0)


def refuse_private_storage(storage: Storage) -> None:
    """Refuse a storage that other processes cannot write to.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it is in the memory of this process.
    """
    if storage.locality == "process":
        raise ArgumentError(
            "other processes cannot write to a store in the memory of this process",
            found=storage.url,
            hint="use threads, or write to a folder or bucket",
        )


def described(plan: WorkPlan, unit: Unit) -> dict[str, str]:
    """Images and memory of a unit, for the error of a worker that died."""
    names = sorted(set(plan.job(unit).names.values()))
    return {
        "record": ", ".join(names[:5]),
        "expected": f"about {unit.memory >> 20} MB of memory for it",
    }
