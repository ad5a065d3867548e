"""Units in processes of this machine: for sources whose reading holds the interpreter's lock."""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from ngff_bio.engine.plan.plan import Job, OwnJob, Unit, WorkPlan
from ngff_bio.engine.run.runners import (
    Workers,
    described,
    memory_limit,
    refuse_private_storage,
    worker_count,
)
from ngff_bio.engine.run.scheduler import Scheduler
from ngff_bio.engine.write.records import UnitRecord
from ngff_bio.engine.write.tables import without_pandas
from ngff_bio.engine.write.units import run_unit
from ngff_bio.errors import WorkerError
from ngff_bio.model import OnError
from ngff_bio.parallel import WorkerPool
from ngff_bio.storage import Storage

#: Number of times that a unit is begun before it is considered to be what kills its worker.
TRIES = 3

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


@dataclass(frozen=True)
class ProcessRunner:
    """Processes of this machine. They are spawned, so that no lock or thread of this one is copied.

    A script that uses it needs ``if __name__ == "__main__":``, since each process imports the script.
    A process that is killed is replaced, and its unit done again.

    Parameters
    ----------
    workers
        Number of processes; 0 for one per processor.
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
        """Start processes; they load while the first unit runs here."""
        refuse_private_storage(storage)
        pool = _Processes(storage, on_error, worker_count(self.workers), memory_limit(self.memory))
        try:
            yield pool
        finally:
            pool.close()


@dataclass(eq=False)
class _Worker:
    process: Any
    pipe: Connection
    unit: Unit | None = None


class _Processes:
    def __init__(self, storage: Storage, on_error: OnError, count: int, memory: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._storage, self._on_error, self._memory = storage, on_error, memory
        self._count = count
        self._exit_code: int | None = None  # of the worker that was replaced last
        # Workers may be killed: their temporary files are in a folder that outlives them.
        self._folder = tempfile.TemporaryDirectory(prefix="ngff-bio-")
        self._workers = [self._start() for _ in range(count)]

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve,
            args=(theirs, self._storage, self._on_error, self._folder.name),
            daemon=True,
        )
        process.start()
        theirs.close()  # so that the end of the process ends the pipe
        return _Worker(process, ours)

    def run(self, scheduler: Scheduler) -> Iterator[tuple[Unit, UnitRecord]]:
        """Yield each unit with its record as it is done."""
        tries: dict[str, int] = {}
        while scheduler.left:
            for unit in scheduler.ready(self._count, self._memory):
                self._give(scheduler.plan, unit, tries)
            busy = [w for w in self._workers if w.unit is not None]
            for pipe in wait([w.pipe for w in busy]):
                worker = next(w for w in busy if w.pipe is pipe)
                if worker.unit is None:
                    continue
                done = worker.unit
                outcome = self._outcome(worker)
                worker.unit = None
                if outcome is None:
                    self._replace(worker)
                    self._give(scheduler.plan, done, tries)
                    continue
                if isinstance(outcome, BaseException):
                    raise outcome
                scheduler.done(done, outcome)
                yield done, outcome

    def _give(self, plan: WorkPlan, unit: Unit, tries: dict[str, int]) -> None:
        tries[unit.id] = tries.get(unit.id, 0) + 1
        if tries[unit.id] > TRIES:
            if self._exit_code == 1:  # by an exception before the unit was begun
                raise _not_started()
            raise WorkerError(
                f"a worker was killed {TRIES} times at the same unit of work",
                **described(plan, unit),
                hint="if memory is short, use fewer --workers or a smaller --shard; "
                "the same command resumes the conversion",
            )
        for _ in range(TRIES):
            worker = next(w for w in self._workers if w.unit is None)
            try:
                worker.pipe.send(plan.job(unit))
            except (BrokenPipeError, ConnectionError):  # it died while it had nothing to do
                self._replace(worker)
            else:
                worker.unit = unit
                return
        raise _not_started()

    def _replace(self, worker: _Worker) -> None:
        worker.pipe.close()
        worker.process.join(1)
        self._exit_code = worker.process.exitcode
        self._workers[self._workers.index(worker)] = self._start()

    def _outcome(self, worker: _Worker) -> UnitRecord | BaseException | None:
        """What a worker has sent; ``None`` if it has died."""
        try:
            found: UnitRecord | BaseException = worker.pipe.recv()
        except (EOFError, ConnectionError):
            return None
        return found

    def close(self) -> None:
        """End the processes. Objects that they were writing do not appear, see Storage.put."""
        for worker in self._workers:
            if worker.unit is None:
                with suppress(OSError):
                    worker.pipe.send(None)
            else:
                worker.process.kill()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(0.5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._folder.cleanup()


def _not_started() -> WorkerError:
    return WorkerError(
        "worker processes die as soon as they are started",
        hint='if this is a script, put its work below `if __name__ == "__main__":`',
    )


def _serve(pipe: Connection, storage: Storage, on_error: OnError, folder: str) -> None:
    """Do units until there are no more. Errors are sent to the parent, which then ends this process.

    Temporary files go to `folder`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tempfile.tempdir = folder
    _keep_freed_memory()
    without_pandas()
    pool = WorkerPool()
    while True:
        try:
            job: Job | OwnJob | None = pipe.recv()
        except (EOFError, ConnectionError):
            sys.exit()  # the parent has died
        if job is None:
            return
        outcome: UnitRecord | Exception
        try:
            outcome = run_unit(job, storage, pool, on_error)
        except Exception as error:
            outcome = error
        try:
            pipe.send(outcome)
        except (BrokenPipeError, ConnectionError):
            sys.exit()
        except Exception:  # an error that does not pickle
            pipe.send(RuntimeError(f"{type(outcome).__name__}: {outcome}"))


def _keep_freed_memory() -> None:
    """Let this process keep up to 256 MB that it has freed, for the next unit.

    By default, glibc returns large blocks to the system at once and requests new ones page by page,
    which takes a third of the time with a fast codec. Does nothing with another C library.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, 32 << 20)
    mallopt(_M_TRIM_THRESHOLD, 256 << 20)
