"""Time and memory of `convert` on a store 0.4 -> 0.5 sharded, beside other writers and the floor.

    python benchmarks/convert_store.py make DIR [--gigabytes 1]
    python benchmarks/convert_store.py run DIR [--rounds 3] [name=command ...]

`make` writes DIR/old.zarr: uint16, chunks of 512 x 512, blosc-lz4, three levels. `run` measures whole
processes in turn, so that what else runs on the machine meets all of them: seconds, processor
seconds, largest resident memory, files and bytes; and the ratio of each to the floor of its round.
The floor reads each chunk, puts it with its checksum into a shard, and writes the shards, in as many
threads as there are processors: no library, no metadata. In commands {old} and {new} stand for the
stores.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import shutil
import statistics
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

CHUNK, SIDE = 512, 4096
PER_SHARD = 8  # chunks along y and x: the shards that `convert` makes of such a store


def make(folder: Path, gigabytes: float) -> None:
    import numpy as np
    import zarr
    from numcodecs import Blosc

    planes = max(round(gigabytes * 1e9 / (SIDE * SIDE * 2 * 1.3125)), 1)
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    slope = (2000 + 800 * np.sin(x / 90) * np.cos(y / 70)).astype(np.uint16)
    group = zarr.open_group(folder / "old.zarr", mode="w", zarr_format=2)
    levels = []
    for level in range(3):
        side = SIDE >> level
        array = group.create_array(
            str(level),
            shape=(1, 1, planes, side, side),
            chunks=(1, 1, 1, CHUNK, CHUNK),
            dtype="<u2",
            compressors=Blosc("lz4", 5, Blosc.SHUFFLE),
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        levels.append(array)
    for z in range(planes):
        plane = slope + rng.integers(0, 256, slope.shape).astype(np.uint16)
        for level, array in enumerate(levels):
            array[0, 0, z] = plane[:: 1 << level, :: 1 << level]
    kinds = ["time", "channel", "space", "space", "space"]
    axes = [{"name": n, "type": t} for n, t in zip("tczyx", kinds, strict=True)]
    datasets = []
    for level in range(3):
        scale = [1.0, 1.0, 1.0, 0.5 * 2**level, 0.5 * 2**level]
        steps = [{"type": "scale", "scale": scale}]
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]


def floor(old: Path, new: Path) -> None:
    import google_crc32c

    def crc(data: bytes) -> bytes:
        return int(google_crc32c.value(data)).to_bytes(4, "little")

    def shard(task: tuple[Path, Path, int, int]) -> None:
        plane, target, top, left = task
        pieces, index, end = [], [], 0
        for y, x in product(range(top, top + PER_SHARD), range(left, left + PER_SHARD)):
            place = plane / str(y) / str(x)
            if not place.exists():
                index.append((2**64 - 1, 2**64 - 1))
                continue
            data = place.read_bytes()
            pieces += [data, crc(data)]
            index.append((end, len(data) + 4))
            end += len(data) + 4
        table = b"".join(struct.pack("<QQ", *entry) for entry in index)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.writev(handle, [*pieces, table, crc(table)])
        os.close(handle)

    tasks = []
    for level in range(3):
        count = (SIDE >> level) // CHUNK
        for plane in sorted((old / str(level) / "0" / "0").iterdir()):
            for top, left in product(range(0, count, PER_SHARD), repeat=2):
                place = new / str(level) / "c" / "0" / "0" / plane.name
                tasks.append((plane, place / str(top // PER_SHARD) / str(left), top, left))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(shard, tasks))


def measure(command: str, old: Path, new: Path) -> tuple[float, float, float]:
    shutil.rmtree(new, ignore_errors=True)
    words = shlex.split(command.format(old=old, new=new))
    began = time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        error = process.stderr.read() if process.stderr else b""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = status
    if not new.exists():  # some exit with the number of images
        sys.exit(f"{command}: {error.decode()[-500:]}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def run(folder: Path, rounds: int, others: list[str]) -> None:
    here = shlex.quote(sys.executable)
    commands = {
        "floor": f"{here} {__file__} floor {{old}} {{new}}",
        "ngff_bio": f"{here} {__file__} convert {{old}} {{new}}",
        **dict(one.split("=", 1) for one in others),
    }
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    size: dict[str, tuple[int, int]] = {}
    for _ in range(rounds):
        for name, command in commands.items():
            new = folder / f"{name}.ome.zarr"
            found[name].append(measure(command, folder / "old.zarr", new))
            files = [p.stat().st_size for p in new.rglob("*") if p.is_file()]
            size[name] = len(files), sum(files)
            shutil.rmtree(new)
    print(
        "| tool | seconds | x floor | cpu s | peak MB | files | MB |\n|---|---|---|---|---|---|---|"
    )
    for name, runs in found.items():
        ratios = [one[0] / base[0] for one, base in zip(runs, found["floor"], strict=True)]
        wall, cpu, peak = (statistics.median(column) for column in zip(*runs, strict=True))
        count, total = size[name]
        print(
            f"| {name} | {wall:.2f} | {statistics.median(ratios):.2f} | {cpu:.2f} | {peak:.0f} "
            f"| {count} | {total / 1e6:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["make", "run", "floor", "convert"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("others", nargs="*", default=[])
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_intermixed_args()
    if given.what == "make":
        make(given.folder, given.gigabytes)
    elif given.what == "convert":
        from ngff_bio.cli import main as cli

        sys.argv = ["ngff-bio", "convert", str(given.folder), given.others[0], "--quiet"]
        cli()
    elif given.what == "floor":
        floor(given.folder, Path(given.others[0]))
    else:
        run(given.folder, given.rounds, given.others)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
