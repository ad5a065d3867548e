"""Units on a dask.distributed cluster. Its workers need this package and access to source and store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ngff_bio.engine.plan.plan import Unit, WorkPlan
from ngff_bio.engine.run.asking import Seen, check_workers, read_store, source_file, written_store
from ngff_bio.engine.run.runners import Workers, described, refuse_private_storage
from ngff_bio.engine.run.scheduler import Scheduler
from ngff_bio.engine.run.tasks import ClusterTasks
from ngff_bio.engine.write.records import UnitRecord
from ngff_bio.engine.write.units import run_unit
from ngff_bio.model import OnError, SourceFile
from ngff_bio.storage import Storage

#: Units in flight for each worker thread, so that none waits for the scheduler.
_AHEAD = 2

#: Files of the source of which is compared what workers see and what is seen here.
_COMPARED = 4

#: A unit, and the plan that it is of.
_InFlight = tuple[WorkPlan, Unit]


@dataclass(frozen=True)
class DaskRunner:
    """Workers of a dask.distributed cluster. Units of a worker that dies are done again by others.

    Settings of the workers' C library are not changed. With a fast codec, workers that are started
    with ``MALLOC_TRIM_THRESHOLD_=268435456`` and ``MALLOC_MMAP_THRESHOLD_=33554432`` in their
    environment are up to a third faster, since they keep the memory that they free between units.

    Parameters
    ----------
    cluster
        A ``distributed.Client``, the address of a scheduler (``tcp://host:8786``), or the file that it
        wrote (``dask scheduler --scheduler-file FILE.json``).
    memory
        Bytes that the units in flight may take together, over all workers; 0 for half of the memory
        limits of the workers.
    """

    cluster: Any
    memory: int = 0

    @contextmanager
    def start(
        self, storage: Storage, on_error: OnError = "stop", plan: WorkPlan | None = None
    ) -> Iterator[Workers]:
        """Connect to the cluster, and ask its workers whether they can do the work."""
        refuse_private_storage(storage)
        tasks: ClusterTasks[_InFlight] = ClusterTasks(self.cluster, lambda i: described(*i))
        try:
            sources = () if plan is None else islice(plan.sources(), _COMPARED)
            check_workers(tasks, [written_store(storage), *map(_seen, sources)])
            yield _Cluster(tasks, storage, on_error, self.memory)
        finally:
            tasks.close()


def _seen(thing: SourceFile | Storage) -> Seen:
    return read_store(thing) if isinstance(thing, Storage) else source_file(thing)


class _Cluster:
    def __init__(
        self, tasks: ClusterTasks[_InFlight], storage: Storage, on_error: OnError, memory: int
    ) -> None:
        self._tasks, self._storage, self._on_error = tasks, storage, on_error
        self._memory = memory or tasks.memory // 2

    def run(self, scheduler: Scheduler) -> Iterator[tuple[Unit, UnitRecord]]:
        """Yield each unit with its record as it is done."""
        while scheduler.left:
            for unit in scheduler.ready(_AHEAD * self._tasks.threads, self._memory):
                job = scheduler.plan.job(unit)
                item = scheduler.plan, unit
                self._tasks.submit(item, run_unit, job, self._storage, None, self._on_error)
            (_, unit), record = self._tasks.next()
            scheduler.done(unit, record)
            yield unit, record
