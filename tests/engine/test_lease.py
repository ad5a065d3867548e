"""Only one conversion at a time writes into a destination, and a dead one does not count."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from references import contents
from scenes import collection, plate, volume

from ngff_bio.engine import Settings, ThreadRunner, progress_of, write_dataset
from ngff_bio.engine.resume import lease
from ngff_bio.engine.resume.lease import LEASE, LEASE_TIMEOUT, Lease, alive, machine, started
from ngff_bio.errors import ConversionCancelledError, StorageError, StoreBusyError
from ngff_bio.storage import FolderStorage, MemoryStorage, Storage


@pytest.fixture(params=["folder", "memory", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "bucket":
        yield request.getfixturevalue("bucket_server").storage()
    else:
        yield FolderStorage(tmp_path / "s") if request.param == "folder" else MemoryStorage()


def test_a_second_conversion_is_refused_while_the_first_one_runs(storage: Storage) -> None:
    refused = []

    def second(done: int, total: int) -> None:
        if not refused:
            with pytest.raises(StoreBusyError, match=str(os.getpid())) as caught:
                write_dataset(collection(), storage)
            refused.append(caught.value)

    write_dataset(collection(), storage, progress=second)
    assert refused
    assert storage.get(LEASE) is None


def test_of_several_at_once_one_writes(storage: Storage) -> None:
    start, outcomes = threading.Barrier(4), []

    def run() -> None:
        start.wait()
        try:
            report = write_dataset(volume(slow=0.05), storage)
            outcomes.append("done" if report.objects else "done before")
        except (StoreBusyError, FileExistsError) as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert outcomes.count("done") == 1
    alone = MemoryStorage()
    write_dataset(volume(), alone)
    assert len(contents(storage)) == len(contents(alone))


@pytest.mark.parametrize(
    "dead",
    [
        {"pid": 2**22 + 1},  # no such process
        {"started": "1"},  # its number was given to another one
        {"machine": "elsewhere", "beat": time.time() - 2 * LEASE_TIMEOUT},
        {"machine": "elsewhere", "beat": 0},
    ],
)
def test_a_lease_of_a_dead_process_is_ignored(storage: Storage, dead: dict) -> None:
    storage.put(LEASE, json.dumps({**_mine(), **dead}).encode())
    write_dataset(collection(), storage)
    assert storage.get(LEASE) is None


def test_a_lease_that_is_not_json_is_ignored(storage: Storage) -> None:
    storage.put(LEASE, b"\0\0")
    write_dataset(collection(), storage)


@pytest.mark.parametrize("living", [{}, {"machine": "elsewhere"}])
def test_a_lease_of_a_living_process_is_respected(storage: Storage, living: dict) -> None:
    storage.put(LEASE, json.dumps({**_mine(), **living}).encode())
    before = contents(storage)
    with pytest.raises(StoreBusyError):
        write_dataset(collection(), storage)
    assert contents(storage) == before


def _mine() -> dict:
    return {
        "token": "other",
        "pid": os.getppid(),
        "started": started(os.getppid()),
        "machine": machine(),
        "host": "h",
        "beat": time.time(),
    }


def test_a_killed_process_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    found = {**_mine(), "pid": process.pid, "started": started(process.pid)}
    assert alive(found)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not alive(found)  # a zombie is dead
    process.wait()
    assert not alive(found)


def test_a_lease_is_renewed_and_its_loss_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.01)
    storage, lost = MemoryStorage(), threading.Event()
    with Lease(storage, lost.set):
        first = storage.get(LEASE)
        while storage.get(LEASE) == first:
            time.sleep(0.01)
        assert not lost.is_set()
        storage.put(LEASE, b"{}")
        assert lost.wait(10)
    assert storage.get(LEASE) == b"{}"


def test_a_renewal_without_an_answer_is_not_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.01)

    class Silent(MemoryStorage):
        renewals = 0

        def compare_and_swap(self, key: str, before: bytes | None, after: bytes) -> bool:
            done = super().compare_and_swap(key, before, after)
            self.renewals += before is not None
            if self.renewals == 2:
                raise StorageError("no answer")
            return done

    storage, lost = Silent(), threading.Event()
    with Lease(storage, lost.set):
        while storage.renewals < 5 and not lost.is_set():
            time.sleep(0.01)
    assert not lost.is_set()
    assert storage.get(LEASE) is None


def test_a_lease_is_given_back_though_requests_fail() -> None:
    class Refusing(MemoryStorage):
        refusals = 2

        def delete(self, key: str) -> None:
            self.refusals -= 1
            if self.refusals >= 0:
                raise StorageError("no answer")
            super().delete(key)

    storage = Refusing()
    with Lease(storage, lambda: None):
        pass
    assert storage.objects == {}


def test_a_conversion_that_lost_its_lease_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.01)
    storage = MemoryStorage()

    def steal(done: int, total: int) -> None:
        storage.put(LEASE, json.dumps(_mine()).encode())
        time.sleep(0.1)

    with pytest.raises(StoreBusyError, match="taken over"):
        write_dataset(volume(slow=0.05), storage, progress=steal)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from scenes import volume
from ngff_bio.engine import write_dataset, ThreadRunner, ProcessRunner
from ngff_bio.storage import storage_at
if __name__ == "__main__":
    print("ready", flush=True)
    try:
        write_dataset(volume(slow=60), storage_at({place!r}), runner={runner}(2))
    except KeyboardInterrupt as stopped:
        print(stopped)
"""


@pytest.mark.parametrize("runner", ["ThreadRunner", "ProcessRunner"])
def test_ctrl_c_does_not_wait_for_units_and_hints_how_to_resume(
    tmp_path: Path, runner: str
) -> None:
    script = tmp_path / "run.py"
    place = str(tmp_path / "s")
    tests = str(Path(__file__).parent)
    script.write_text(SCRIPT.format(tests=tests, place=place, runner=runner))
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    while progress_of(FolderStorage(Path(place))) is None:
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)  # a unit takes 60 s
    assert "run the same command again" in output
    found = progress_of(FolderStorage(Path(place)))
    assert found is not None
    assert found.running is None


def test_info_reports_the_progress_of_a_cancelled_conversion() -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    storage, small = MemoryStorage(), Settings(shard_bytes=1 << 16)
    with pytest.raises(ConversionCancelledError, match="1 of 4 units") as caught:
        write_dataset(plate(fields=4), storage, small, runner=ThreadRunner(1), progress=stop)
    assert isinstance(caught.value, KeyboardInterrupt)
    assert write_dataset(plate(fields=4), storage, small).resumed == 1
