"""Threads, processes, a cluster: the same bytes, within memory, and past the death of a worker."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray
from references import contents
from scenes import Deadly, Wrapped, collection, plate, volume

from ngff_bio.engine import (
    DaskRunner,
    ProcessRunner,
    Settings,
    ThreadRunner,
    plan_dataset,
    progress_of,
    write_dataset,
)
from ngff_bio.engine.run.scheduler import Scheduler, pilots
from ngff_bio.engine.write.codec_selection import CodecChoice
from ngff_bio.engine.write.records import UnitRecord
from ngff_bio.errors import ArgumentError, SourceError, WorkerError
from ngff_bio.model import ArrayPixels, Region, SourceDataset
from ngff_bio.storage import FolderStorage, MemoryStorage
from ngff_bio.zarrio.codecs import Codec

SMALL = Settings(chunk=(32, 48), shard_bytes=1 << 16)
ZSTD = Codec("zstd", level=1)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A cluster of worker processes on this machine."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(params=["threads", "processes", "dask"])
def runner(request: pytest.FixtureRequest) -> Any:
    if request.param == "dask":
        return DaskRunner(request.getfixturevalue("client"))
    return ThreadRunner(2) if request.param == "threads" else ProcessRunner(2)


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "bucket":
        return request.getfixturevalue("bucket_server").storage()
    return FolderStorage(tmp_path / "s")


def test_every_runner_and_place_makes_the_same_bytes(runner: Any, storage: Any) -> None:
    dataset = plate(fields=3)
    expected = MemoryStorage()
    write_dataset(dataset, expected, SMALL, runner=ThreadRunner(1))
    report = write_dataset(dataset, storage, SMALL, runner=runner)
    assert contents(storage) == contents(expected)
    assert report.units > 2


def test_a_damaged_source_ends_every_runner_with_the_same_error(
    runner: Any, tmp_path: Path
) -> None:
    storage = FolderStorage(tmp_path / "s")
    dataset = plate(fields=3)
    broken = replace(dataset.images[1], pixels=Broken(dataset.images[1].pixels))
    with pytest.raises(SourceError, match="page 7 is damaged"):
        write_dataset(
            replace(dataset, images=(dataset.images[0], broken, dataset.images[2])),
            storage,
            SMALL,
            runner=runner,
        )
    assert progress_of(storage) is not None


@dataclass(frozen=True)
class Broken(Wrapped):
    pixels: Any

    def read(self, region: Region) -> NDArray[Any]:
        raise SourceError("page 7 is damaged", file="a.tif")


def deadly(trap: Path, deaths: int) -> SourceDataset:
    """The second unit kills its worker so many times."""
    trap.write_text(str(deaths))
    dataset = plate(fields=1, frames=8)
    image = dataset.images[0]
    return replace(dataset, images=(replace(image, pixels=Deadly(image.pixels, str(trap), 5)),))


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_a_worker_that_is_killed_costs_only_its_unit(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    runner = ProcessRunner(2)
    if kind == "dask":
        runner = DaskRunner(request.getfixturevalue("client"))
    tiny = replace(SMALL, shard_bytes=1 << 14)
    expected, storage = MemoryStorage(), FolderStorage(tmp_path / "s")
    write_dataset(plate(fields=1, frames=8), expected, tiny)
    write_dataset(deadly(tmp_path / "trap", 1), storage, tiny, runner=runner)
    assert not (tmp_path / "trap").exists()
    assert list((tmp_path / "temporary").iterdir()) == []  # workers of a cluster have their own
    assert contents(storage) == contents(expected)


def test_a_unit_that_kills_every_worker_ends_clearly_and_can_be_resumed(
    tmp_path: Path,
) -> None:
    tiny = replace(SMALL, shard_bytes=1 << 14)
    expected, storage = MemoryStorage(), FolderStorage(tmp_path / "s")
    write_dataset(plate(fields=1, frames=8), expected, tiny)
    with pytest.raises(WorkerError, match="killed 3 times at the same unit"):
        write_dataset(deadly(tmp_path / "trap", 3), storage, tiny, runner=ProcessRunner(1))
    assert progress_of(storage) is not None
    report = write_dataset(deadly(tmp_path / "trap", 0), storage, tiny, runner=ProcessRunner(1))
    assert report.resumed > 0
    assert contents(storage) == contents(expected)


SCRIPT = """
import sys
sys.path[:0] = [{tests!r}]
from scenes import plate
from ngff_bio.engine import ProcessRunner, Settings, write_dataset
from ngff_bio.storage import storage_at
{guard}write_dataset(
    plate(fields=1), storage_at({place!r}), Settings(shard_bytes=1 << 14), runner=ProcessRunner(1)
)
"""


def test_a_script_that_lacks_its_guard_is_told_of_it(tmp_path: Path) -> None:
    script, place = tmp_path / "run.py", str(tmp_path / "s")
    for guard in ("", 'if __name__ == "__main__": '):
        script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), guard=guard, place=place))
        done = subprocess.run([sys.executable, script], capture_output=True, text=True)
        assert (done.returncode == 0) == bool(guard), done.stderr
        assert guard or 'put its work below `if __name__ == "__main__":`' in done.stderr


def _bytes_kept_after_freeing() -> int:
    """How much larger this process is after it has freed 100 blocks of 1 MB."""

    def size() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = size()
    blocks = [b"x" * (1 << 20) for _ in range(100)]
    assert size() - before > 80 << 20
    del blocks
    return size() - before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_workers_of_a_cluster_return_memory_as_they_did_before(client: Any, tmp_path: Path) -> None:
    write_dataset(collection(), FolderStorage(tmp_path / "s"), runner=DaskRunner(client))
    kept = client.run(_bytes_kept_after_freeing)
    assert all(size < 50 << 20 for size in kept.values()), kept


@pytest.mark.parametrize("runner_kind", [ProcessRunner, lambda: DaskRunner("tcp://127.0.0.1:1")])
def test_what_other_processes_cannot_see_is_refused(runner_kind: Any) -> None:
    with pytest.raises(ArgumentError, match="memory of this process"):
        write_dataset(collection(), MemoryStorage(), runner=runner_kind())


@dataclass
class Counting(Wrapped):
    """Pixels that count how many units read at once."""

    pixels: ArrayPixels
    inside: int = 0
    most: int = 0
    lock: Any = field(default_factory=threading.Lock)
    free: Any = field(default_factory=lambda: threading.Semaphore(0))

    def read(self, region: Region) -> NDArray[Any]:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.free.acquire(timeout=0.05)  # others that may come in do so meanwhile
        with self.lock:
            self.inside -= 1
        return self.pixels.read(region)


@pytest.mark.parametrize(("memory", "most"), [(5 << 20, 1), (1 << 40, 3)])
def test_no_more_units_are_in_flight_than_memory_holds(memory: int, most: int) -> None:
    dataset = volume(shape=(6, 300, 300))
    pixels = Counting(dataset.images[0].pixels)
    dataset = replace(dataset, images=(replace(dataset.images[0], pixels=pixels, labels=()),))
    settings = Settings(chunk=(1, 100, 100), shard_bytes=180_000)
    write_dataset(dataset, MemoryStorage(), settings, runner=ThreadRunner(3, memory))
    assert pixels.most == most


def test_a_scheduler_begins_what_memory_holds_and_always_one() -> None:
    plan = plan_dataset(plate(fields=4), replace(SMALL, codec=ZSTD, label_codec=ZSTD))
    units, each = plan.units, plan.units[0].memory
    scheduler = Scheduler(plan, units)
    assert list(scheduler.ready(9, 2 * each)) == list(units[:2])
    assert list(scheduler.ready(9, 2 * each)) == []
    scheduler.done(units[1], UnitRecord(units[1].id))
    assert list(scheduler.ready(9, 2 * each)) == [units[2]]
    assert list(Scheduler(plan, units).ready(9, each - 1)) == [units[0]]
    with pytest.raises(ArgumentError, match="more memory than allowed"):
        list(Scheduler(plan, units).ready(9, each // 3))
    assert list(Scheduler(plan, units).ready(3, 1 << 40)) == list(units[:3])


def test_the_first_unit_of_a_kind_chooses_its_codec_while_the_others_wait() -> None:
    plan = plan_dataset(plate(fields=4), SMALL)
    kinds = [plan.undecided(unit) for unit in plan.units]
    scheduler = Scheduler(plan, plan.units)
    first = list(scheduler.ready(99, 1 << 40))
    assert first == pilots(plan, plan.units)
    assert len(first) < len(plan.units)
    chosen = [kind for unit, kind in zip(plan.units, kinds, strict=True) if unit in first]
    assert sorted(k for kind in chosen for k in kind) == sorted(set().union(*kinds))
    assert list(scheduler.ready(99, 1 << 40)) == []  # all others wait
    codecs = {k: CodecChoice(ZSTD) for k in kinds[0]}
    scheduler.done(first[0], UnitRecord(first[0].id, choices=codecs))
    now = list(scheduler.ready(99, 1 << 40))
    assert now == [
        u for u, k in zip(plan.units, kinds, strict=True) if u not in first and k <= kinds[0]
    ]
    for unit in now:
        assert {a.codec for a in scheduler.plan.job(unit).arrays.values()} == {ZSTD}


def test_a_unit_that_chose_nothing_leaves_it_to_the_next() -> None:
    plan = plan_dataset(plate(fields=4), SMALL)
    scheduler = Scheduler(plan, plan.units)
    (first, *_) = scheduler.ready(99, 1 << 40)
    scheduler.done(first, UnitRecord(first.id))  # its source was damaged
    (second, *_) = scheduler.ready(99, 1 << 40)
    assert plan.undecided(second) & plan.undecided(first)
