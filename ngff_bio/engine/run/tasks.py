"""Tasks on a dask.distributed cluster, whose workers and scheduler may die: no wait is for ever."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, wait
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import Any, Generic, TypeVar

from ngff_bio.engine.run.runners import DEFAULT_MEMORY
from ngff_bio.errors import ArgumentError, DependencyError, WorkerError

#: How long to wait for a scheduler to answer, for the first time and later. It itself waits for 30 s
#: for a worker that is asked and does not answer.
_TIMEOUT = "30s"
_ANSWER = 90.0

#: Seconds to wait for workers if dask's setting ``distributed.scheduler.no-workers-timeout`` has no
#: other time: a nanny starts another process in the place of one that was killed.
_PATIENCE = 60.0

#: Seconds without a result after which the cluster is asked whether it is there.
_LOOK = 2.0

SAME_PACKAGES = "install the same packages on the scheduler and the workers as here"
_AGAIN = "the same command, or call, then does what is missing"

T = TypeVar("T")


class ClusterTasks(Generic[T]):
    """Calls that workers of a cluster do, each with what it is for.

    Parameters
    ----------
    cluster
        A ``distributed.Client``, the address of a scheduler, or the file that it wrote.
    described
        Returns what a call is for, as parts of an error: record, expected.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If no scheduler answers at the address.
    ngff_bio.errors.WorkerError
        If there are no workers.
    ngff_bio.errors.DependencyError
        If distributed is not installed.
    """

    def __init__(self, cluster: Any, described: Callable[[T], dict[str, str]]) -> None:
        self.client, self._own = connect(cluster)
        self._described = described
        self._running: dict[Any, T] = {}
        self._done: SimpleQueue[Any] = SimpleQueue()
        self._alone_since: float | None = None
        try:
            workers = self.workers().values()
        except BaseException:
            self.close()
            raise
        #: Threads and bytes of memory of all workers.
        self.threads: int = sum(w["nthreads"] for w in workers)
        self.memory: int = sum(w["memory_limit"] or DEFAULT_MEMORY for w in workers)

    def __len__(self) -> int:
        return len(self._running)

    def workers(self) -> dict[str, dict[str, Any]]:
        """What is known of each worker, by address; waits a while until there is one."""
        while True:
            found = self._answer(lambda client: client.scheduler.identity(n_workers=-1))
            if found["workers"]:
                return found["workers"]  # type: ignore[no-any-return]  # JSON of the scheduler
            self._check()
            sleep(0.1)

    def submit(self, item: T, function: Any, *args: Any, **options: Any) -> None:
        """Have a worker call a function for an item."""
        self._check_connection()
        future = self.client.submit(function, *args, pure=False, **options)
        self._running[future] = item
        future.add_done_callback(self._done.put)

    def next(self) -> tuple[T, Any]:
        """Wait for a call that is done; returns its item and what the function returned.

        Raises
        ------
        ngff_bio.errors.WorkerError
            If workers were killed several times at the item, all are gone for too long, or the
            scheduler does not answer.
        Exception
            What the function raised.
        """
        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import NoWorkerError

        while True:
            try:
                future = self._done.get(timeout=_LOOK)
                break
            except Empty:
                self._check()
        item = self._running.pop(future)
        try:
            result = self._result(future)
        except KilledWorker:
            raise WorkerError(
                "workers of the cluster were killed several times at the same piece of work",
                **self._described(item),
                hint=f"if memory is short, give the workers more memory or fewer threads; {_AGAIN}",
            ) from None
        except NoWorkerError:
            raise self._alone() from None
        except CommClosedError as error:
            raise self._lost() from error
        except CancelledError as error:
            self._check_connection()
            raise WorkerError(
                "work on the dask cluster was cancelled",
                **self._described(item),
                found=error,
                hint=f"another client may have restarted the workers; {_AGAIN}",
            ) from None
        except RuntimeError as error:
            if "deserialization of the task graph" not in str(error):  # it has no type of its own
                raise
            raise WorkerError(
                "the dask scheduler cannot load what it needs",
                expected="the same packages as here",
                found=error.__cause__ or "another environment",
                hint=SAME_PACKAGES,
            ) from None
        future.release()
        return item, result

    def _result(self, future: Any) -> Any:
        """The result, which can be lost with its worker and made again by another."""
        found = asyncio.run_coroutine_threadsafe(
            self.client.gather(future, asynchronous=True), self.client.loop.asyncio_loop
        )
        try:
            while not wait([found], _LOOK).done:
                self._check()
            return found.result()
        finally:
            found.cancel()

    def close(self) -> None:
        """Cancel what has not begun. What runs finishes, which does no harm."""
        if self._running and self.client.status == "running":
            self.client.cancel(list(self._running), force=True)
        self._running.clear()
        if self._own:
            log = logging.getLogger("distributed.client")
            level = log.level
            if self.client.status != "running":  # it logs that it does not connect again
                log.setLevel(logging.CRITICAL)
            self.client.close()
            log.setLevel(level)

    def run_on(self, workers: list[str], function: Any, *args: Any) -> dict[str, Any]:
        """What a function returns on each of some workers, or the error."""
        return self._answer(  # type: ignore[no-any-return]  # distributed has no types
            lambda client: client.run(
                function, *args, workers=workers, on_error="return", asynchronous=True
            )
        )

    def _answer(self, question: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        """The scheduler's answer."""
        self._check_connection()
        asked = asyncio.run_coroutine_threadsafe(
            question(self.client), self.client.loop.asyncio_loop
        )
        try:
            return asked.result(_ANSWER)
        except OSError as error:
            asked.cancel()
            raise self._lost() from error

    def _check(self) -> None:
        """Raise if the scheduler is gone, or all workers are for too long."""
        if self._answer(lambda client: client.nthreads(asynchronous=True)):
            self._alone_since = None
            return
        now = monotonic()
        self._alone_since = self._alone_since or now
        if now - self._alone_since > _patience():
            raise self._alone()

    def _check_connection(self) -> None:
        if self.client.status != "running":  # distributed has given up all calls by then
            raise self._lost()

    def _lost(self) -> WorkerError:
        return WorkerError(
            "the dask scheduler does not answer any more",
            found=_address_of(self.client),
            hint=f"start the cluster again; {_AGAIN}",
        )

    def _alone(self) -> WorkerError:
        return WorkerError(
            "the dask cluster has no workers",
            expected=f"a worker within {_patience():.0f} s",
            found=_address_of(self.client),
            hint=f"start some: dask worker ADDRESS; {_AGAIN}",
        )


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
        client: Callable[..., Any] = distributed.Client  # without types of its own
        return client(**place, timeout=_TIMEOUT), True
    except (OSError, ValueError):
        raise ArgumentError(
            "no dask scheduler answers at this address",
            found=cluster,
            expected="the address that `dask scheduler` prints, like tcp://host:8786, or the file that "
            "it wrote with --scheduler-file FILE.json",
        ) from None  # the original holds the address as it is


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


def _patience() -> float:
    import dask
    from dask.utils import parse_timedelta

    given = dask.config.get("distributed.scheduler.no-workers-timeout", None)
    return _PATIENCE if given is None else float(parse_timedelta(given))


def _address_of(client: Any) -> str:
    return str(getattr(client.scheduler, "address", None) or "a client that is closed")
