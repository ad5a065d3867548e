"""Kill conversions with `kill -9` at random moments, go on, and compare the end byte for byte.

    python tests/engine/crash_runs.py --kills 50        # in each runner, folder and bucket

A run is a process of its own. Its dataset takes its time, so that there are moments to be killed at.
One of the datasets is made of files, which are changed between the kills: the end is that of the last
version. Half of the conversions replace a store: after each kill it opens and verifies, as the old or
the new one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from references import contents
from scenes import collection, plate, volume

import ngff_bio
from ngff_bio.checks.source.verify import verify
from ngff_bio.checksums import crc32c
from ngff_bio.engine import (
    DaskRunner,
    ProcessRunner,
    Settings,
    ThreadRunner,
    progress_of,
    write_dataset,
)
from ngff_bio.model import Region, SourceDataset, SourceImage, SourceParts, axes_from
from ngff_bio.sources.files.ranges import LocalFile
from ngff_bio.storage import BucketStorage, FolderStorage, MemoryStorage, Storage

SETTINGS = Settings(chunk=(32, 48), shard_bytes=1 << 15)
RUNNERS = ("threads", "processes", "dask")
DATASETS = ("plate", "volume", "collection", "files")

#: Files of the dataset that is made of files, and shape and type of the image in each.
FILES, SHAPE, UINT8 = 8, (64, 96), np.dtype(np.uint8)


@dataclass(frozen=True)
class FilePixels:
    """An image in a file of raw pixels, which takes its time."""

    file: LocalFile
    seconds: float
    shape: tuple[int, ...] = SHAPE
    dtype: Any = UINT8
    read_block_shape: tuple[int, ...] = SHAPE

    def read(self, region: Region) -> NDArray[Any]:
        time.sleep(self.seconds)
        whole = np.frombuffer(self.file.read(), np.uint8).reshape(self.shape)
        return np.ascontiguousarray(whole[tuple(slice(*r) for r in region)])

    def source_parts(self) -> SourceParts:
        return (self.file,)


def change_file(home: Path, rng: random.Random, name: str | None = None) -> None:
    """Write other pixels into a file, of the same size and with the same time of modification."""
    path = home / (name or f"{rng.randrange(FILES)}.raw")
    before = path.stat() if path.exists() else None
    size = SHAPE[0] * SHAPE[1]
    kind = rng.random()
    if kind < 0.2:  # of nothing but background, no object is written
        content = bytes(size)
    elif kind < 0.6:  # another codec is chosen for a slope than for noise
        content = bytes(i // SHAPE[1] + i % SHAPE[1] // 3 % 7 for i in range(size))
    else:
        content = rng.randbytes(size)
    path.write_bytes(content)
    if before is not None:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def dataset(name: str, slow: float, home: Path | None = None) -> SourceDataset:
    """What is converted. Not slow at all would be another layout: slow pixels come in planes."""
    slow = max(slow, 1e-9)
    if name == "files":
        assert home is not None
        images = (
            SourceImage(
                f"{i}", f"{i}", axes_from("yx"), FilePixels(LocalFile(str(home), f"{i}.raw"), slow)
            )
            for i in range(FILES)
        )
        return SourceDataset("files", "test", "here", "collection", tuple(images))
    if name == "plate":
        return plate(frames=6, fields=3, slow=slow)
    return volume(slow) if name == "volume" else collection()


def source_files(asked: dict[str, Any]) -> Iterator[tuple[str, int, int | None]]:
    """Name, size and checksum of each file, by which a store that is whole is recognized."""
    home = Path(asked["home"])
    for path in sorted(home.iterdir()) if asked["dataset"] == "files" else ():
        yield path.name, path.stat().st_size, crc32c(path.read_bytes())


def place(where: dict[str, Any]) -> Storage:
    """The storage of a description."""
    if "folder" in where:
        return FolderStorage(Path(where["folder"]))
    return BucketStorage(where["url"], where["options"])


#: Runs are forked from a process that has loaded all that they need.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["crash_runs", "distributed", "pyarrow.parquet", "obstore", "ngff_bio.engine.write.finish"]
)


def child(asked: dict[str, Any], ready: Any) -> None:
    """Convert in this process, as described."""
    os.setsid()
    runner: Any = ThreadRunner(2)
    if asked["runner"] == "processes":
        runner = ProcessRunner(2)
    elif asked["runner"] == "dask":
        runner = DaskRunner(asked["scheduler"])
    ready.send(None)
    source = dataset(asked["dataset"], asked["slow"], Path(asked["home"]))
    write_dataset(
        source, place(asked["where"]), SETTINGS, runner=runner, overwrite=asked["replaces"],
        source_files=partial(source_files, asked),
    )  # fmt: skip


def run(asked: dict[str, Any], kill_after: float | None) -> int:
    """Start a conversion; kill it and all that it started after so many seconds."""
    ready, theirs = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=child, args=(asked, theirs))
    process.start()
    theirs.close()
    with suppress(EOFError):  # it ended in an error
        ready.recv()
    process.join(900 if kill_after is None else kill_after)
    if process.is_alive():
        assert process.pid is not None
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    if kill_after is None and process.exitcode:
        raise RuntimeError(f"a run that was not killed ended with {process.exitcode}")
    return process.exitcode or 0


def crash_and_go_on(asked: dict[str, Any], storage: Storage, rng: random.Random) -> list[str]:
    """Kill a conversion again and again until it ends; says at which states it was killed."""
    states = []
    if asked["dataset"] == "files":
        Path(asked["home"]).mkdir()
        for number in range(FILES):
            change_file(Path(asked["home"]), rng, f"{number}.raw")
    if asked["replaces"]:
        write_dataset(collection(2), storage, SETTINGS)
    for _ in range(3):
        outcome = run(asked, rng.uniform(0.0, 1.2))
        far = progress_of(storage)
        states.append("ended" if outcome == 0 else f"{far.done}/{far.units}" if far else "no state")
        whole = storage.size("zarr.json") is not None
        if asked["replaces"] or whole:
            assert list(ngff_bio.open(storage))
            checked = verify(storage)
            assert checked.equal, f"after {states}: {checked.differences[:3]}"
        if outcome == 0:
            break
        if whole and not asked["replaces"]:  # another version of the source would be refused
            continue
        if asked["dataset"] == "files" and rng.random() < 0.7:
            change_file(Path(asked["home"]), rng)
            states.append("changed")
    run({**asked, "slow": 0.0}, None)
    found, expected = contents(storage), expectation(asked)
    if found != expected:
        differ = {k for k in {*found, *expected} if found.get(k) != expected.get(k)}
        raise AssertionError(f"after {states} the store differs in {sorted(differ)[:5]}")
    return states


def expectation(asked: dict[str, Any]) -> dict[str, str]:
    """The store of an undisturbed conversion."""
    storage = MemoryStorage()
    source = dataset(asked["dataset"], 0.0, Path(asked["home"]))
    write_dataset(source, storage, SETTINGS, source_files=partial(source_files, asked))
    return contents(storage)


def main() -> None:
    """All runners and places, many moments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runners", default=",".join(RUNNERS))
    parser.add_argument("--places", default="folder,bucket")
    parser.add_argument("--datasets", default=",".join(DATASETS))
    given = parser.parse_args()
    from bucket_server import BucketServer, find_weed, start

    home = Path(tempfile.mkdtemp())
    places, datasets = given.places.split(","), given.datasets.split(",")
    server = None
    weed = find_weed()
    if "bucket" in places and weed is not None:
        (home / "bucket").mkdir()
        process, endpoint = start(weed, home / "bucket")
        server = BucketServer(endpoint)
    cluster = None
    if "dask" in given.runners:
        import distributed

        cluster = distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None)
    rng = random.Random(given.seed)
    try:
        for runner in given.runners.split(","):
            for kind in places:
                killed = number = changed = 0
                began = time.monotonic()
                while killed < given.kills:
                    number += 1
                    if kind == "folder":
                        where: dict[str, Any] = {"folder": str(home / f"{runner}-{number}")}
                    else:
                        assert server is not None
                        where = {"url": f"s3://bench/{runner}-{number}", "options": server.options}
                    asked = {
                        "runner": runner,
                        "where": where,
                        "dataset": datasets[number // 2 % len(datasets)],
                        "home": str(home / f"{runner}-{kind}-{number}-files"),
                        "slow": 0.06,
                        "replaces": number % 2 == 0,
                        "scheduler": cluster.scheduler_address if cluster else None,
                    }
                    states = crash_and_go_on(asked, place(where), rng)
                    killed += sum(s not in ("ended", "changed") for s in states)
                    changed += states.count("changed")
                took = time.monotonic() - began
                print(
                    f"{runner:10} {kind:7} {killed} kills, {changed} changes of the source, "
                    f"{number} stores equal, {took:.0f} s",
                    flush=True,
                )
    finally:
        if server is not None:
            process.kill()
        if cluster is not None:
            cluster.close()


if __name__ == "__main__":
    main()
