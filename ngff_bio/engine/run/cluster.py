"""Units on a dask.distributed cluster. Its workers need this package, the source, the destination."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ngff_bio.engine.plan.plan import Job, Plan, Unit
from ngff_bio.engine.run.memory import keep_freed_memory
from ngff_bio.engine.run.runners import Workers
from ngff_bio.engine.run.scheduler import Scheduler
from ngff_bio.engine.write.records import UnitRecord
from ngff_bio.engine.write.units import run_unit
from ngff_bio.errors import ArgumentError, DependencyError, WorkerError
from ngff_bio.model import OnError
from ngff_bio.storage import Storage

#: Units sent ahead for each worker thread, so that none waits for the scheduler.
_AHEAD = 2

#: Seconds to wait for a scheduler to answer, and for a first worker to come.
_PATIENCE = "30s"


@dataclass(frozen=True)
class DaskRunner:
    """Workers of a dask.distributed cluster.

    A worker that dies costs the units that it had in hand: they are done again elsewhere.

    Parameters
    ----------
    cluster
        A ``distributed.Client``, or the address of a scheduler (``tcp://host:8786``).
    memory
        Bytes that the units in flight may take together, over all workers; 0 for half of the
        memory that the workers say they have.
    """

    cluster: Any
    memory: int = 0

    @contextmanager
    def start(self, storage: Storage, on_error: OnError = "stop") -> Iterator[Workers]:
        """Connect to the cluster."""
        if storage.locality == "process":
            raise ArgumentError(
                "a store in the memory of this process cannot be written by others",
                found=storage.url,
                hint="use threads, or a folder or bucket that the workers reach",
            )
        client, own = _connect(self.cluster)
        work = _Cluster(client, storage, on_error, self.memory)
        try:
            yield work
        finally:
            work.close()
            if own:
                client.close()


def _connect(cluster: Any) -> tuple[Any, bool]:
    try:
        import distributed
    except ImportError as error:
        raise DependencyError(
            "a dask cluster needs the package distributed",
            hint="pip install 'ngff-bio[cluster]'",
        ) from error
    if not isinstance(cluster, str):
        return cluster, False
    try:
        return _untyped(distributed.Client)(cluster, timeout=_PATIENCE), True
    except (OSError, ValueError) as error:
        raise ArgumentError(
            "no dask scheduler answers at this address",
            found=cluster,
            expected="the address that `dask scheduler` prints, like tcp://host:8786",
        ) from error


class _Cluster:
    def __init__(self, client: Any, storage: Storage, on_error: OnError, memory: int) -> None:
        self._client, self._storage, self._on_error = client, storage, on_error
        self._memory = memory
        self._flying: dict[Any, Unit] = {}

    def run(self, scheduler: Scheduler) -> Iterator[tuple[Unit, UnitRecord]]:
        """Yield each unit with its record as it is done."""
        if not scheduler.left:
            return
        import distributed

        threads, memory = self._capacity()
        memory = self._memory or memory // 2
        arrived: Any = _untyped(distributed.as_completed)(raise_errors=False)
        while scheduler.left:
            for unit in scheduler.ready(_AHEAD * threads, memory):
                future = self._client.submit(
                    _run, scheduler.plan.job(unit), self._storage, self._on_error, pure=False
                )
                self._flying[future] = unit
                arrived.add(future)
            future = next(arrived)
            unit = self._flying.pop(future)
            record = self._record(future, scheduler.plan, unit)
            scheduler.done(unit, record)
            yield unit, record

    def _capacity(self) -> tuple[int, int]:
        """Threads and bytes of memory of all workers; waits until there is one."""
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise WorkerError(
                "the dask cluster has no workers",
                found=self._client.scheduler.address,
                hint="start some: dask worker ADDRESS",
            ) from error
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        threads = sum(w["nthreads"] for w in workers)
        return threads, sum(w["memory_limit"] or (8 << 30) for w in workers)

    def _record(self, future: Any, plan: Plan, unit: Unit) -> UnitRecord:
        from distributed import KilledWorker

        error = future.exception()
        if isinstance(error, KilledWorker):
            raise WorkerError(
                "workers of the cluster were killed several times at the same unit of work",
                record=", ".join(sorted(set(plan.job(unit).names.values()))[:5]),
                expected=f"about {unit.memory >> 20} MB of memory for it",
                hint="if memory is short, give the workers more or fewer threads; the same "
                "command goes on where it stopped",
            ) from None
        if error is not None:
            raise error
        record: UnitRecord = future.result()
        future.release()
        return record

    def close(self) -> None:
        """Give up what has not begun. What runs ends its unit, which does no harm."""
        if self._flying:
            self._client.cancel(list(self._flying), force=True)


def _untyped(thing: Any) -> Any:
    """distributed has no types of its own."""
    return thing


def _run(job: Job, storage: Storage, on_error: OnError) -> UnitRecord:
    keep_freed_memory()
    return run_unit(job, storage, None, on_error)
