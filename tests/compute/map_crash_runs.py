"""Kill `map_images(write=...)` at random moments, go on, and compare the end byte for byte.

    python tests/compute/map_crash_runs.py --kills 100        # on threads and on a cluster

The client is a process of its own, and is killed with `kill -9`. On a cluster, so many workers are
killed too, which must not end the client. After each kill the store opens, validates and verifies, with
all results or none.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from crash_runs import FORKS
from references import contents
from scenes import plate

import ngff_bio
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.storage import FolderStorage, MemoryStorage

KINDS: dict[str, dict[str, Any]] = {
    "labels/found": {},
    "images/smooth": {"over": "plane"},
    "tables/rows": {"over": "block", "block": 60},
}

# A client starts with all of it: it is killed at its work, and not while it imports.
FORKS.set_forkserver_preload(
    [
        "map_crash_runs",
        "distributed",
        "ngff_bio.compute.result_writer",
        "ngff_bio.engine.write.finish",
    ]
)

#: Kills of a store at most, after which a run is left to end.
MOST = 6

#: Seconds that a run took that was not disturbed, by target: moments to be killed at.
TAKES: dict[str, float] = {}


def child(asked: dict[str, Any], ready: Any) -> None:
    """Map in this process, as described."""
    os.setsid()
    ready.send(None)
    ngff_bio.map_images(
        asked["store"],
        WithTarget(asked["target"], asked["slow"]),
        write=asked["target"],
        author="A",
        cluster=asked["scheduler"],
        workers=2,
        **KINDS[asked["target"]],
    )


class WithTarget:
    """Labels, pixels or rows, by the target; it takes its time."""

    def __init__(self, target: str, seconds: float) -> None:
        self.target, self.seconds = target, seconds

    def __call__(self, part: Any) -> Any:
        time.sleep(self.seconds)
        pixels = part["image"].values
        if self.target.startswith("labels"):
            return (pixels > 150).astype("u2") * (1 + pixels % 3)
        if self.target.startswith("images"):
            return pixels // 2
        return {"mean": float(pixels.mean())}


def make(storage: Any) -> None:
    """The store that is worked on."""
    write_dataset(plate(frames=3, fields=4), storage, Settings(chunk=(32, 48), shard_bytes=1 << 15))


def start(asked: dict[str, Any]) -> Any:
    """A client in a process of its own."""
    ready, theirs = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=child, args=(asked, theirs))
    process.start()
    theirs.close()
    with suppress(EOFError):  # it ended in an error
        ready.recv()
    return process


class Workers:
    """A cluster of two workers, each with a nanny that starts another in the place of a dead one."""

    def __init__(self) -> None:
        import dask
        import distributed

        # Else a worker that has not started again within 15 s is given up.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "10m"})
        self._cluster = distributed.LocalCluster(
            2, threads_per_worker=1, dashboard_address=None, silence_logs="ERROR"
        )
        self.address = self._cluster.scheduler_address

    def running(self) -> list[int]:
        """Processes of the workers that the scheduler knows."""
        known = {w.nanny for w in list(self._cluster.scheduler.workers.values())}
        return [n.pid for n in list(self._cluster.workers.values()) if n.address in known]

    def wait(self) -> None:
        """Wait until both run; what a nanny gave up is started again, as a queue of jobs does it."""
        until = time.monotonic() + 300
        while len(self.running()) < 2:
            assert time.monotonic() < until, "a worker did not start again"
            self._cluster.scale(2)
            time.sleep(0.1)

    def kill(self, rng: random.Random) -> bool:
        """Kill one; whether there was one."""
        if not (running := self.running()):
            return False
        os.kill(rng.choice(running), signal.SIGKILL)
        return True

    def close(self) -> None:
        """Stop all."""
        self._cluster.close()


def check(store: Path, target: str) -> bool:
    """Whether the results are there: all or none, in a valid store."""
    assert not [f for f in ngff_bio.validate(store) if f.level == "error"]
    found = ngff_bio.verify(store)
    assert found.equal, found.differences[:3]
    kind, _, name = target.partition("/")
    names = {"labels": "labels", "images": "derived", "tables": "tables"}[kind]
    there = {name in getattr(image, names) for image in ngff_bio.open(store).values()}
    assert len(there) == 1, "some images have it, others do not"
    return there.pop()


def one_store(
    asked: dict[str, Any], rng: random.Random, expected: dict[str, str], workers: Workers | None
) -> list[str]:
    """Interrupt a run again and again until it ends."""
    store, states = Path(asked["store"]), []
    make(FolderStorage(store))
    while True:
        last = len(states) == MOST
        process = start(asked)
        began, whole_run = time.monotonic(), not states
        seconds = TAKES.get(asked["target"])
        if last or seconds is None:
            process.join(300)
        else:  # what is resumed takes less time
            process.join(rng.uniform(0.0, seconds / min(1 + len(states), 3)))
        if process.is_alive() and workers is not None and rng.random() < 0.5:
            if workers.kill(rng):
                states.append("workers")
            process.join(300)
            assert process.exitcode == 0, f"the client noticed that a worker was killed: {states}"
        elif process.is_alive():
            assert not last, "it does not end"
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
            states.append("clients")
        elif whole_run:  # none of its kills were early enough
            TAKES[asked["target"]] = time.monotonic() - began
        whole = check(store, asked["target"])
        if process.exitcode == 0 or (whole and process.exitcode == 1):  # there already
            break
        assert process.exitcode == -signal.SIGKILL, states
    assert check(store, asked["target"])
    found = contents(FolderStorage(store))
    if found != expected:
        differ = {k for k in {*found, *expected} if found.get(k) != expected.get(k)}
        raise AssertionError(f"after {states} the store differs in {sorted(differ)[:5]}")
    return states


def main() -> None:
    """Threads and a cluster, many moments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--on", default="threads,dask")
    parser.add_argument("--slow", type=float, default=0.05)
    given = parser.parse_args()
    os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
    os.environ["DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT"] = "5m"  # starts can take long
    rng, home = random.Random(given.seed), Path(tempfile.mkdtemp())
    expected = {}
    for target, how in KINDS.items():
        storage = MemoryStorage()
        make(storage)
        ngff_bio.map_images(storage, WithTarget(target, 0.0), write=target, author="A", **how)
        expected[target] = contents(storage)
    for on in given.on.split(","):
        workers = Workers() if on == "dask" else None
        wanted = ("clients", "workers") if workers else ("clients",)
        killed, number = Counter[str](), 0
        began = time.monotonic()
        while min(killed[k] for k in wanted) < given.kills:
            if workers:
                workers.wait()
            target = list(KINDS)[number % len(KINDS)]
            asked = {
                "store": str(home / f"{on}-{number}"),
                "target": target,
                "slow": given.slow,
                "scheduler": workers.address if workers else None,
            }
            killed.update(one_store(asked, rng, expected[target], workers))
            number += 1
            took = time.monotonic() - began
            counts = ", ".join(f"{killed[k]} {k} killed" for k in wanted)
            print(f"{on:8} {counts}, {number} stores equal, {took:.0f} s", flush=True)
        if workers:
            workers.close()


if __name__ == "__main__":
    import map_crash_runs  # workers load the function from there

    map_crash_runs.main()
