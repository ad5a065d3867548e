"""Kill `map_images(write=...)` at random moments, go on, and compare the end byte for byte.

    python tests/compute/map_crash_runs.py --kills 100        # on threads and on a cluster

The client is a process of its own, and is killed with `kill -9`. On a cluster, half of the kills hit a
worker instead. After each kill the store opens, validates and verifies, with all results or none.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

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


def child(asked: dict[str, Any]) -> None:
    """Map in this process, as described."""
    print("ready", flush=True)
    ngff_bio.map_images(
        asked["store"],
        WithTarget(asked["target"], asked["slow"]),
        write=asked["target"],
        author="A",
        cluster=asked["scheduler"],
        workers=2,
        overwrite=asked["overwrite"],
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
    write_dataset(plate(frames=3, fields=8), storage, Settings(chunk=(32, 48), shard_bytes=1 << 15))


def start(asked: dict[str, Any]) -> subprocess.Popen[str]:
    """A client in a process of its own."""
    return subprocess.Popen(
        [sys.executable, __file__, "--child", json.dumps(asked)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
    )


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
    asked: dict[str, Any], rng: random.Random, expected: dict[str, str], workers: Any
) -> list[str]:
    """Interrupt a run again and again until it ends."""
    store, states = Path(asked["store"]), []
    make(FolderStorage(store))
    for _ in range(4):
        process = start(asked)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(rng.uniform(0.0, 2.0))
        except subprocess.TimeoutExpired:
            if workers is not None and rng.random() < 0.5:
                os.kill(rng.choice(workers()), signal.SIGKILL)
                states.append("worker killed")
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
            else:
                os.killpg(process.pid, signal.SIGKILL)
                states.append("client killed")
        process.communicate()
        if check(store, asked["target"]) and process.returncode == 0:
            break
    if process.returncode:
        last = start({**asked, "overwrite": False})
        _, output = last.communicate(timeout=300)
        if last.returncode and "of this name" not in output:
            raise RuntimeError(output)
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
    parser.add_argument("--child")
    given = parser.parse_args()
    if given.child:
        child(json.loads(given.child))
        return
    os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
    rng, home = random.Random(given.seed), Path(tempfile.mkdtemp())
    expected = {}
    for target, how in KINDS.items():
        storage = MemoryStorage()
        make(storage)
        ngff_bio.map_images(storage, WithTarget(target, 0.0), write=target, author="A", **how)
        expected[target] = contents(storage)
    for on in given.on.split(","):
        cluster = workers = None
        if on == "dask":
            import distributed

            cluster = distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None)

            def workers(nannies: Any = cluster.workers) -> list[int]:
                return [n.pid for n in nannies.values() if n.pid]

        killed = number = 0
        began = time.monotonic()
        while killed < given.kills:
            target = list(KINDS)[number % len(KINDS)]
            asked = {
                "store": str(home / f"{on}-{number}"),
                "target": target,
                "slow": given.slow,
                "overwrite": False,
                "scheduler": cluster.scheduler_address if cluster else None,
            }
            killed += len(one_store(asked, rng, expected[target], workers))
            number += 1
        took = time.monotonic() - began
        print(f"{on:8} {killed} kills, {number} stores equal, {took:.0f} s", flush=True)
        if cluster is not None:
            cluster.close()


if __name__ == "__main__":
    main()
