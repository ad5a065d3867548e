"""Units on a dask.distributed cluster. Its workers need this package and access to source and store."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ngff_bio.engine.plan.plan import Unit, WorkPlan
from ngff_bio.engine.run.runners import DEFAULT_MEMORY, Workers, described, refuse_private_storage
from ngff_bio.engine.run.scheduler import Scheduler
from ngff_bio.engine.write.records import UnitRecord
from ngff_bio.engine.write.units import run_unit
from ngff_bio.errors import ArgumentError, DependencyError, WorkerError
from ngff_bio.model import OnError
from ngff_bio.storage import Storage

#: Units in flight for each worker thread, so that none waits for the scheduler.
_AHEAD = 2

#: How long to wait for the scheduler to answer, and for the first worker.
_TIMEOUT = "30s"


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
    def start(self, storage: Storage, on_error: OnError = "stop") -> Iterator[Workers]:
        """Connect to the cluster."""
        refuse_private_storage(storage)
        client, own = connect(self.cluster)
        work = _Cluster(client, storage, on_error, self.memory)
        try:
            yield work
        finally:
            work.close()
            if own:
                client.close()


def connect(cluster: Any) -> tuple[Any, bool]:
    """A client, and whether it was made here.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If no scheduler answers at the address.
    ngff_bio.errors.DependencyError
        If distributed is not installed.
    """
    try:
        import distributed
    except ImportError as error:
        raise DependencyError(
            "a dask cluster needs the package distributed",
            hint="pip install 'ngff-bio[cluster]'",
        ) from error
    if not isinstance(cluster, str):
        return cluster, False
    place = {"scheduler_file" if cluster.endswith(".json") else "address": cluster}
    try:
        if "scheduler_file" in place:
            Path(cluster).stat()  # distributed would wait for it
        return _untyped(distributed.Client)(**place, timeout=_TIMEOUT), True
    except (OSError, ValueError) as error:
        raise ArgumentError(
            "no dask scheduler answers at this address",
            found=cluster,
            expected="the address that `dask scheduler` prints, like tcp://host:8786, or the file that "
            "it wrote with --scheduler-file FILE.json",
        ) from error


def capacity_of(client: Any) -> tuple[int, int]:
    """Threads and bytes of memory of all workers; waits until there is one.

    Raises
    ------
    ngff_bio.errors.WorkerError
        If there are no workers.
    """
    try:
        client.wait_for_workers(1, timeout=_TIMEOUT)
    except TimeoutError as error:
        raise WorkerError(
            "the dask cluster has no workers",
            found=client.scheduler.address,
            hint="start some: dask worker ADDRESS",
        ) from error
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    threads = sum(w["nthreads"] for w in workers)
    return threads, sum(w["memory_limit"] or DEFAULT_MEMORY for w in workers)


def current_client() -> Any:
    """The ``distributed.Client`` that is current in this process, if there is one."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    import dask

    if dask.config.get("scheduler", None) not in (None, "dask.distributed", "distributed"):
        return None
    try:
        return distributed.get_client() if _in_task(distributed) else distributed.default_client()
    except ValueError:
        return None


def _in_task(distributed: Any) -> bool:
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True


class _Cluster:
    def __init__(self, client: Any, storage: Storage, on_error: OnError, memory: int) -> None:
        self._client, self._storage, self._on_error = client, storage, on_error
        self._memory = memory
        self._in_flight: dict[Any, Unit] = {}

    def run(self, scheduler: Scheduler) -> Iterator[tuple[Unit, UnitRecord]]:
        """Yield each unit with its record as it is done."""
        if not scheduler.left:
            return
        import distributed

        threads, memory = capacity_of(self._client)
        memory = self._memory or memory // 2
        completed = _untyped(distributed.as_completed)
        arrived: Any = completed(loop=self._client.loop, raise_errors=False)
        while scheduler.left:
            for unit in scheduler.ready(_AHEAD * threads, memory):
                future = self._client.submit(
                    run_unit,
                    scheduler.plan.job(unit),
                    self._storage,
                    None,
                    self._on_error,
                    pure=False,
                )
                self._in_flight[future] = unit
                arrived.add(future)
            future = next(arrived)
            unit = self._in_flight.pop(future)
            record = self._record(future, scheduler.plan, unit)
            scheduler.done(unit, record)
            yield unit, record

    def _record(self, future: Any, plan: WorkPlan, unit: Unit) -> UnitRecord:
        from distributed import KilledWorker

        error = future.exception()
        if isinstance(error, KilledWorker):
            raise WorkerError(
                "workers of the cluster were killed several times at the same unit of work",
                **described(plan, unit),
                hint="if memory is short, give the workers more memory or fewer threads; the same "
                "command resumes the conversion",
            ) from None
        if error is not None:
            raise error
        record: UnitRecord = future.result()
        future.release()
        return record

    def close(self) -> None:
        """Cancel units that have not begun. Those that run finish, which does no harm."""
        if self._in_flight:
            self._client.cancel(list(self._in_flight), force=True)


def _untyped(thing: Any) -> Any:
    """distributed has no types of its own."""
    return thing
