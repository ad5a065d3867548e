"""What the planner makes of very large datasets, without a pixel: units, objects, requests, cost.

    python benchmarks/scale.py

The planner is the real one, the sources have shapes only. Requests are counted from the plan: one for
each object that is written, one for the record of each unit, those of the metadata, and what a unit of
a later phase reads. Prices are those that Amazon publishes for S3 in us-east-1: USD 0.005 for 1,000
PUT, USD 0.0004 for 1,000 GET. A dask scheduler takes about a millisecond for each task.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ngff_bio.engine import Settings, plan_dataset
from ngff_bio.model import (
    Frame,
    InstanceLayer,
    SourceDataset,
    SourceImage,
    SourcePlate,
    axes_from,
)

PUT_PRICE, GET_PRICE = 5e-6, 4e-7
TASK_SECONDS = 1e-3

#: Bytes each second that one worker reads, compresses and writes, as measured (benchmarks/README.md).
WORKER_SPEED = 150e6

#: Seconds to draw an instance, as the planner estimates it.
CELL_SECONDS = 5e-4


@dataclass(frozen=True)
class Shape:
    """Pixels that nobody reads."""

    shape: tuple[int, ...]
    dtype: Any
    read_block_shape: tuple[int, ...]

    def read(self, region: Any) -> Any:
        raise NotImplementedError  # a plan reads no pixels

    def source_parts(self) -> Any:
        return (None,)


class NoInstances:
    """Annotations that nobody reads."""

    def read(self, t: int) -> list[Any]:
        return []

    def source_parts(self) -> Any:
        return (None,)


def livecell(times: int) -> SourceDataset:
    """LIVECell so many times over: 5,239 frames and 1.69 million cells each, in time series of 8."""
    pixels = Shape((8, 520, 704), np.dtype("u1"), (1, 520, 704))
    cells, images = 8 * 1_686_352 // 5239, times * 5239 // 8
    layer = InstanceLayer("cell", NoInstances(), cells, cells)
    frames = tuple(Frame(f"{t}.tif", t) for t in range(8))
    axes = axes_from("tyx")
    made = tuple(
        SourceImage(
            f"{n // 3200}/A/{n % 3200 // 4 + 1}/{n % 4}", f"{n}", axes, pixels, (layer,), (), frames
        )
        for n in range(images)
    )
    plates = tuple(
        SourcePlate(f"{p}", f"{p}", ("A",), tuple(map(str, range(1, 801))))
        for p in range(-(-images // 3200))
    )
    return SourceDataset("livecell", "livecell", "", "plates", made, plates)


def light_sheet(frames: int) -> SourceDataset:
    """A time series of two channels of 2,048 planes of 8,192 x 16,384 in uint16: 1.1 TB a frame."""
    shape = (frames, 2, 2048, 8192, 16384)
    pixels = Shape(shape, np.dtype("u2"), (1, 1, 1, 8192, 16384))
    image = SourceImage("", "light sheet", axes_from("tczyx"), pixels)
    return SourceDataset("sheet", "test", "", "image", (image,))


def report(
    name: str, dataset: SourceDataset, settings: Settings, workers: int, times: float
) -> None:
    """Plan, and count what running it takes; the plan is of one ``times``-th of the whole."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    plan = plan_dataset(dataset, settings)
    seconds = time.process_time() - began
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    units, objects, raw = len(plan.units), plan.objects, plan.bytes_raw
    # A later phase reads whole objects of the level below, 2 x 2 x 2 for each of its own.
    gets = 8 * sum(len(u.parts) for u in plan.units if u.phase)
    puts = objects + units + 4 * len(dataset.images)
    cells = sum(layer.count for i in dataset.images for layer in i.labels)
    work = (raw / WORKER_SPEED + cells * CELL_SECONDS) / workers
    scheduler = units * TASK_SECONDS
    dollars = (puts * PUT_PRICE + gets * GET_PRICE) / (raw / 1e12)
    print(
        f"| {name} | {raw * times / 1e12:,.0f} "
        f"| {units * times / 1e6:.2f} | {objects * times / 1e6:.2f} "
        f"| {1e6 * seconds / units:.0f} s, {1e6 * memory / 1024 / units:.1f} GB "
        f"| {work * times / 60:.0f} | {scheduler * times / 60:.0f} "
        f"| {puts / work:,.0f} | {puts / max(work, scheduler):,.0f} | {dollars:.2f} |",
        flush=True,
    )


CASES = {
    "LIVECell x 1,000": (lambda n: livecell(n), 100, 1000, Settings()),
    "light sheet": (lambda n: light_sheet(n), 100, 1000, Settings()),
    "light sheet, shards of 1 GB": (
        lambda n: light_sheet(n),
        100,
        1000,
        Settings(shard_bytes=1 << 30),
    ),
}


def main() -> None:
    """All of it as a table in Markdown; each case in a process of its own, whose memory is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=5000)
    parser.add_argument("--part", type=float, default=1.0, help="plan so much less")
    parser.add_argument("--case")
    given = parser.parse_args()
    if given.case:
        make, planned, whole, settings = CASES[given.case]
        planned = max(int(planned * given.part), 1)
        report(given.case, make(planned), settings, given.workers, whole / planned)
        return
    print(
        "| dataset | TB | 10^6 units | 10^6 objects | planner, for 10^6 units | work, min "
        "| scheduler, min | PUT/s wanted | PUT/s | USD/TB |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for case in CASES:
        arguments = ["--workers", str(given.workers), "--part", str(given.part)]
        subprocess.run([sys.executable, __file__, "--case", case, *arguments], check=True)


if __name__ == "__main__":
    main()
