"""The one pool of threads, and the one count of processors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ngff_bio.parallel import Cancelled, WorkerPool, cgroup_quota, cpu_count, shared_pool


def test_map_keeps_order_and_uses_every_thread() -> None:
    pool, seen = WorkerPool(4), set()
    meet = threading.Barrier(4)

    def work(number: int) -> int:
        if number < 4:
            meet.wait(timeout=30)  # passes only if four work at once
        seen.add(threading.get_ident())
        return number * number

    assert pool.map(work, range(40)) == [n * n for n in range(40)]
    assert len(seen) == 4


def test_many_callers_of_a_small_pool_do_not_block_each_other() -> None:
    pool = WorkerPool(2)
    results = []

    def ask(number: int) -> None:
        outer = pool.map(lambda i: pool.map(lambda j: i * j, range(5)), range(5))
        results.append(outer)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [[[i * j for j in range(5)] for i in range(5)]] * 8


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_error_is_raised_and_a_closed_pool_cancels(threads: int) -> None:
    pool = WorkerPool(threads)
    with pytest.raises(ZeroDivisionError):
        pool.map(lambda n: 1 // (n - 3), range(9))
    with pytest.raises(ZeroDivisionError):
        list(pool.imap((lambda n=n: 1 // (n - 3)) for n in range(9)))
    pool.close()
    with pytest.raises(Cancelled):
        pool.map(str, range(9))
    assert pool.map(str, []) == []


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_imap_gives_results_in_order_and_runs_few_calls_ahead(threads: int) -> None:
    begun = []

    def call(number: int) -> int:
        begun.append(number)
        return number

    with WorkerPool(threads) as pool:
        results = pool.imap((lambda n=n: call(n)) for n in range(100))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        assert len(begun) < 40
        assert list(results) == list(range(3, 100))


def test_no_call_of_imap_runs_when_its_error_is_raised() -> None:
    begun, running = threading.Event(), []

    def slow() -> None:
        running.append("slow")
        begun.set()
        time.sleep(0.2)
        running.clear()

    def fails() -> None:
        begun.wait(30)
        raise ZeroDivisionError

    with WorkerPool(3) as pool, pytest.raises(ZeroDivisionError):
        list(pool.imap([fails, slow]))
    assert begun.is_set()
    assert not running


def test_processors_are_counted_by_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "process_cpu_count" if hasattr(os, "process_cpu_count") else "sched_getaffinity"
    found = 1 if name == "process_cpu_count" else {5}
    monkeypatch.setattr(os, name, lambda *_: found)
    assert cpu_count() == 1


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"a/b": "150000 100000"}, 2),
        ({"a": "400000 100000", "a/b": "max 100000"}, 4),
        ({"": "50000 100000", "a/b": "800000 100000"}, 1),
    ],
)
def test_processors_are_counted_by_the_quota_of_cgroups(
    tmp_path: Path, limits: dict[str, str], expected: int
) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    for folder, limit in limits.items():
        (tmp_path / folder / "cpu.max").write_text(f"{limit}\n")
    own = tmp_path / "cgroup"
    own.write_text("1:name=systemd:/else\n0::/a/b\n")
    assert cgroup_quota(tmp_path, own) == expected


def test_no_quota_leaves_every_processor(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path, tmp_path / "none") > 10_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_forked_process_makes_its_own_threads() -> None:
    assert shared_pool(remote=True).map(abs, [-1, -2]) == [1, 2]
    child = os.fork()
    if child == 0:
        os._exit(0 if shared_pool(remote=True).map(abs, [-1, -2]) == [1, 2] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_decoders_are_asked_for_by_many_threads_at_once() -> None:
    """In a process of its own: msgspec ends it if two make the first decoder of a type at once."""
    code = """
import sys, threading
from dataclasses import make_dataclass
from typing import TypedDict
from ngff_bio.parallel import decoder_of
sys.setswitchinterval(1e-6)
for number in range(60):
    inner = TypedDict("Inner", {"count": int, "start": list[int]}, total=False)
    part = make_dataclass("Part", [("array", int), ("objects", dict[str, inner])])
    whole = make_dataclass("Whole", [("id", str), ("parts", list[part])])
    start, found = threading.Barrier(8), []
    text = b'{"id": "a", "parts": [{"array": 1, "objects": {"0:1": {"count": 2, "start": [3]}}}]}'
    def decode():
        start.wait()
        found.append(decoder_of(whole).decode(text))
    threads = [threading.Thread(target=decode) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(found) == 8
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
