"""Where pieces of work run: threads of this process, or the workers of a dask.distributed cluster.

Pieces are sent in batches that are made while the work goes on: there is no graph of all of it, and a
scheduler only sees what is in flight. A batch lasts at least a second, and holds at least 64 MB unless
that takes longer than 10 seconds. The last ones are smaller, so that all workers end together.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from ngff_bio.engine.run.asking import check_workers, read_store, written_store
from ngff_bio.engine.run.runners import memory_limit, refuse_private_storage, worker_count
from ngff_bio.engine.run.tasks import ClusterTasks, current_client
from ngff_bio.errors import ArgumentError
from ngff_bio.storage import Storage

#: Bytes and seconds of a batch at least, seconds at most; bytes of the first, whose speed is unknown.
_BYTES = 64 << 20
_SHORT, _LONG = 1.0, 10.0
_FIRST = 4 << 20

#: Batches in flight for each thread of a cluster, so that none waits for the scheduler.
_AHEAD = 2

#: Memory of a piece while a function works on it, as a multiple of what is read.
_MEMORY_FACTOR = 3


class Piece(Protocol):
    """What is done at a time."""

    @property
    def nbytes(self) -> int:
        """Bytes that are read."""
        ...

    @property
    def name(self) -> str:
        """Name for messages."""
        ...


P = TypeVar("P", bound=Piece)
R = TypeVar("R")


@dataclass
class Batches(Generic[P]):
    """Pieces in batches, whose size follows the speed of those that are done.

    Parameters
    ----------
    pieces
        In the order in which they are done; taken from when a batch is made.
    threads
        Number of threads that work on them.
    left
        Returns which part of all pieces has not been taken yet, 0 to 1.
    """

    pieces: Iterator[P]
    threads: int
    left: Callable[[], float]
    _taken: int = 0
    _done: int = 0
    _seconds: float = 0.0
    _next: list[P] = field(default_factory=list)

    def make(self) -> list[P]:
        """The next batch; empty if all pieces are taken."""
        rate = self._seconds / self._done if self._done else None  # seconds for each byte
        limit = float(_FIRST) if rate is None else max(_BYTES, _SHORT / max(rate, 1e-12))
        if rate is not None:
            limit = min(limit, max(_LONG / max(rate, 1e-12), 1.0))
            part = self.left()
            waiting = self._taken * part / max(1 - part, 1e-9)
            limit = min(limit, max(waiting / (2 * self.threads), float(_FIRST)))
        batch, size = self._next, sum(p.nbytes for p in self._next)
        self._next = []
        for piece in self.pieces:
            if batch and size + piece.nbytes > limit:
                self._next = [piece]
                break
            batch.append(piece)
            size += piece.nbytes
        self._taken += size
        return batch

    def done(self, batch: Sequence[P], seconds: float) -> None:
        """A batch has taken so many seconds of one thread."""
        self._done += sum(max(p.nbytes, 1) for p in batch)
        self._seconds += seconds


class Pool(Protocol):
    """Threads or a cluster, ready to work."""

    threads: int
    #: Bytes of memory of each thread.
    memory: int

    def check(self, storage: Storage, function: object, *, writing: bool) -> None:
        """Raise if the workers cannot do the work: found before it begins."""
        ...

    def run(
        self, work: Callable[[list[P]], R], batches: Batches[P], label: str
    ) -> Iterator[tuple[list[P], R]]:
        """Yield each batch with the result when it is done; the first error ends the work."""
        ...

    def close(self) -> None:
        """Give up what has not begun."""
        ...


def start_pool(cluster: Any = None, workers: int = 0, memory: int = 0) -> Pool:
    """Threads, or a cluster.

    Parameters
    ----------
    cluster
        A ``distributed.Client`` or the address of a scheduler; if ``None``, the client that is current
        in this process, else threads.
    workers
        Number of threads; 0 for one per processor.
    memory
        Bytes for all threads together; 0 for half of what is free, or of the limits of the workers.
    """
    if cluster is None and (cluster := current_client()) is None:
        return Threads(worker_count(workers), memory_limit(memory))
    return Cluster(cluster, memory)


class Threads:
    """Threads of this process."""

    def __init__(self, threads: int, memory: int) -> None:
        self.threads, self.memory = threads, memory // threads
        self._all = memory
        self._pool = ThreadPoolExecutor(threads, "map")

    def check(self, storage: Storage, function: object, *, writing: bool) -> None:
        """Nothing can be wrong with them."""

    def run(
        self, work: Callable[[list[P]], R], batches: Batches[P], label: str
    ) -> Iterator[tuple[list[P], R]]:
        """Yield each batch with its result."""
        running: dict[Future[tuple[R, float]], list[P]] = {}
        while True:
            while len(running) < self.threads and (batch := batches.make()):
                running[self._pool.submit(timed, work, batch)] = batch
            if not running:
                return
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                batch = running.pop(future)
                result, seconds = future.result()
                batches.done(batch, seconds)
                yield batch, result

    def close(self) -> None:
        """Give up what has not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Cluster:
    """The workers of a dask.distributed cluster."""

    def __init__(self, cluster: Any, memory: int) -> None:
        self._tasks: ClusterTasks[list[Any]] = ClusterTasks(cluster, _described)
        self.client = self._tasks.client
        self.threads = self._tasks.threads
        self.memory = (memory or self._tasks.memory // 2) // self.threads

    def check(self, storage: Storage, function: object, *, writing: bool) -> None:
        """Ask workers for their package, the function and the store."""
        refuse_private_storage(storage)
        seen = written_store(storage) if writing else read_store(storage)
        check_workers(self._tasks, [seen], function)

    def run(
        self, work: Callable[[list[P]], R], batches: Batches[P], label: str
    ) -> Iterator[tuple[list[P], R]]:
        """Yield each batch with its result."""
        while True:
            while len(self._tasks) < _AHEAD * self.threads and (batch := batches.make()):
                more = f"+{len(batch) - 1}" if len(batch) > 1 else ""
                key = f"{label}-{batch[0].name}{more}-{uuid.uuid4().hex[:8]}"
                self._tasks.submit(batch, timed, work, batch, key=key)
            if not len(self._tasks):
                return
            batch, (result, seconds) = self._tasks.next()
            batches.done(batch, seconds)
            yield batch, result

    def close(self) -> None:
        """Cancel what has not begun."""
        self._tasks.close()


def _described(batch: Sequence[Piece]) -> dict[str, str]:
    return {
        "record": ", ".join(dict.fromkeys(p.name for p in batch[:5])),
        "expected": f"about {_MEMORY_FACTOR * max(p.nbytes for p in batch) >> 20} MB of memory",
    }


def timed(work: Callable[[list[P]], R], batch: list[P]) -> tuple[R, float]:
    """The result of a batch, and the seconds that it took."""
    began = monotonic()
    return work(batch), monotonic() - began


def check_memory(pool: Pool, piece: Piece, hint: str) -> None:
    """Refuse a piece that is too large for a thread."""
    needed = _MEMORY_FACTOR * piece.nbytes
    if needed > 2 * pool.memory:  # what is needed is estimated high
        raise ArgumentError(
            "a piece of work would take more memory than a worker has for it",
            record=piece.name,
            expected=f"at most {2 * pool.memory >> 20:,} MB",
            found=f"about {needed >> 20:,} MB",
            hint=hint,
        )


def checked_pieces(pool: Pool, pieces: Iterable[P], hint: str) -> Iterator[P]:
    """Pieces that fit into the memory of a thread, as they are taken."""
    for piece in pieces:
        check_memory(pool, piece, hint)
        yield piece
