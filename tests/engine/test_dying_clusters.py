"""A cluster that dies, or that lacks something: one error, soon, and what is done is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from references import contents
from scenes import Deadly, Wrapped, plate

import ngff_bio
from ngff_bio.engine import DaskRunner, Settings, ThreadRunner, progress_of, write_dataset
from ngff_bio.engine.run.tasks import ClusterTasks
from ngff_bio.errors import IncompleteStoreError, WorkerError
from ngff_bio.model import SourceParts
from ngff_bio.sources.files.ranges import LocalFile
from ngff_bio.storage import FolderStorage, MemoryStorage

distributed = pytest.importorskip("distributed")

TINY = Settings(chunk=(32, 48), shard_bytes=1 << 14)

#: A scheduler and its worker in one process: one kill ends both.
PROGRAM = """
import distributed, sys
with distributed.LocalCluster(
    1, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address=None
) as cluster:
    print(cluster.scheduler_address, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def address() -> Iterator[str]:
    """Of a scheduler in a process of its own."""
    root, engine = Path(ngff_bio.__file__).parents[1], Path(__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{engine}"},
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


def test_a_scheduler_that_dies_is_one_error_and_the_same_call_resumes(
    address: str, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    trap.write_text("1")
    dataset = plate(fields=1, frames=8)
    deadly = Deadly(dataset.images[0].pixels, str(trap), 5)
    dataset = replace(dataset, images=(replace(dataset.images[0], pixels=deadly),))
    storage, expected = FolderStorage(tmp_path / "s"), MemoryStorage()
    with pytest.raises(WorkerError, match="the dask scheduler does not answer") as caught:
        write_dataset(dataset, storage, TINY, runner=DaskRunner(address))
    assert caught.value.exit_code == 2
    assert caught.value.found == address
    with pytest.raises(IncompleteStoreError):
        ngff_bio.open(storage)
    assert write_dataset(dataset, storage, TINY, runner=ThreadRunner(1)).resumed > 0
    write_dataset(plate(fields=1, frames=8), expected, TINY)
    assert contents(storage) == contents(expected)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of this process, which has workers or not."""
    with distributed.LocalCluster(
        1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as found:
        yield found


class UnmountedFile(LocalFile):
    """A file that workers do not have, or of which they have another version."""

    def __reduce__(self) -> tuple[Any, ...]:
        return LocalFile, (f"{self.root}/worker", self.name)


class UnmountedFolder(FolderStorage):
    """A folder in whose place workers have another one."""

    def __reduce__(self) -> tuple[Any, ...]:
        return FolderStorage, (self.root / "worker",)


@dataclass(frozen=True)
class FilePixels(Wrapped):
    """Pixels that are read from a file."""

    pixels: Any
    file: LocalFile

    def source_parts(self) -> SourceParts:
        return (self.file,)


def _missing() -> None:
    raise ModuleNotFoundError("No module named 'ngff_bio'")


class Missing:
    """A function of a module that the scheduler, which reads it first, does not have."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _missing, ()

    def __call__(self) -> None:
        """Never called."""


def test_a_scheduler_that_lacks_the_package_is_one_error(cluster: Any) -> None:
    tasks: ClusterTasks[int] = ClusterTasks(cluster.scheduler_address, lambda item: {})
    tasks.submit(1, Missing())
    with pytest.raises(WorkerError, match="scheduler cannot load what it needs") as caught:
        tasks.next()
    assert caught.value.found == "No module named 'ngff_bio'"
    tasks.close()


def _is_client() -> bool:
    return threading.current_thread() is threading.main_thread()


def test_workers_that_do_not_see_source_or_store_are_found_before_anything_is_written(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.raw").write_bytes(b"here")
    dataset, file = plate(fields=1), UnmountedFile(str(tmp_path), "a.raw")
    pixels = FilePixels(dataset.images[0].pixels, file)
    dataset = replace(dataset, images=(replace(dataset.images[0], pixels=pixels),))
    runner = DaskRunner(cluster.scheduler_address)
    store = FolderStorage(tmp_path / "s")
    for content, found in ((None, "FileNotFoundError"), (b"else", None), (b"longer", None)):
        if content is not None:
            (tmp_path / "worker").mkdir(exist_ok=True)
            (tmp_path / "worker" / "a.raw").write_bytes(content)
        with pytest.raises(WorkerError, match="does not see the source") as caught:
            write_dataset(dataset, store, TINY, runner=runner)
        assert caught.value.file == str(tmp_path / "a.raw")
        assert (caught.value.found or "").partition(":")[0] == (found or "")
        assert list(store.list()) == []
    with pytest.raises(WorkerError, match="does not see the store"):
        write_dataset(plate(fields=1), UnmountedFolder(tmp_path / "s"), TINY, runner=runner)
    assert list(store.list()) == []
    real = os.access  # that of a worker, which is in this process
    monkeypatch.setattr(os, "access", lambda p, mode: _is_client() and real(p, mode))
    with pytest.raises(WorkerError, match="may not use the store"):
        write_dataset(plate(fields=1), store, TINY, runner=runner)
    monkeypatch.undo()
    assert list(store.list()) == []
    write_dataset(plate(fields=1), store, TINY, runner=runner)
    new = write_dataset(plate(fields=1), store, TINY, runner=runner, overwrite=True)
    assert new.units > 0
    assert ngff_bio.verify(store).equal


CLUSTER: list[Any] = []


def leave(part: Any) -> Any:
    """Return a row; the second one is the last that any worker does."""
    if CLUSTER and part.attrs["path"] != "A/1/0":
        cluster = CLUSTER.pop()
        cluster.scale(0)
        while cluster.scheduler.workers:
            time.sleep(0.01)
    return {"mean": float(part["image"].mean())}


def test_workers_that_are_gone_for_good_are_one_error_and_others_do_the_rest(
    cluster: Any, tmp_path: Path
) -> None:
    import dask

    store = FolderStorage(tmp_path / "s")
    write_dataset(plate(fields=3), store, TINY)
    CLUSTER[:] = [cluster]
    where: Any = {"write": "tables/x", "over": "plane", "memory": 1 << 30}
    with distributed.Client(cluster, set_as_default=False) as client:
        with dask.config.set({"distributed.scheduler.no-workers-timeout": "1s"}):
            with pytest.raises(WorkerError, match="has no workers") as caught:
                ngff_bio.map_images(store, leave, cluster=client, **where)
            assert caught.value.expected == "a worker within 1 s"
            with pytest.raises(WorkerError, match="has no workers"):
                ngff_bio.measure(store, cluster=client)
            new = FolderStorage(tmp_path / "new")
            with pytest.raises(WorkerError, match="has no workers"):
                write_dataset(plate(fields=1), new, TINY, runner=DaskRunner(client))
        assert progress_of(new) is None
        assert not ngff_bio.open(store)["A/1/0"].tables[1:]
        assert ngff_bio.verify(store).equal
        cluster.scale(1)
        found = ngff_bio.map_images(store, leave, cluster=client, **where)
    assert found.resumed > 0
    assert all("x" in image.tables for image in ngff_bio.open(store).values())
