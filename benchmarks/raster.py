"""How fast a frame of polygons becomes labels, set against pycocotools.

Run ``python benchmarks/raster.py``, best pinned to one core.

Three ways from the same outlines to the same label plane, one after the other in every round, on
one core, so that a slow spell of the machine hits them alike:

ours            this package, with areas, overlap layers and all
mask by mask    pycocotools as it is meant: polygons to RLE, merge, decode to a full mask, paint
walk and crop   pycocotools' walk at full size, then only the columns of each outline are decoded

Prints the median and smallest time of a frame in milliseconds, and the ratio of the medians.
Every way paints larger cells first; planes are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from pycocotools import mask as coco_mask

from ngff_bio.raster.coco_rle import decode_counts, rasterize_rles
from ngff_bio.raster.overlap import paint_instances
from ngff_bio.raster.polygons import rasterize_polygons
from ngff_bio.raster.runs import paint_many, runs_of_labels

HEIGHT, WIDTH = 520, 704
Segmentations = list[list[list[float]]]


def cells(
    seed: int,
    count: int,
    radius: tuple[float, float],
    points: tuple[int, int],
    rough: float = 0.2,
    apart: bool = False,
) -> Segmentations:
    """Roundish outlines with two decimals, as LIVECell has them; `apart`: none meets another."""
    rng = np.random.default_rng(seed)
    grid = [(x, y) for x in range(20, WIDTH - 19, 36) for y in range(20, HEIGHT - 19, 36)]
    found: Segmentations = []
    for index in range(count):
        x, y = rng.uniform(10, WIDTH - 10), rng.uniform(10, HEIGHT - 10)
        size = rng.uniform(*radius)
        angle = np.linspace(0, 2 * np.pi, rng.integers(*points), endpoint=False)
        ray = size * (1 + rough * rng.standard_normal(angle.size))
        if apart:
            (x, y), ray = grid[index % len(grid)], np.clip(ray, 1, 16)
        outline = np.stack(
            [(x + ray * np.cos(angle)).clip(0, WIDTH), (y + ray * np.sin(angle)).clip(0, HEIGHT)], 1
        )
        found.append([outline.round(2).ravel().tolist()])
    return found


def ours(segmentations: Segmentations) -> np.ndarray:
    table = rasterize_polygons(segmentations, (HEIGHT, WIDTH))
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    paint_instances(table, np.arange(1, len(table) + 1), labels)
    return labels


def larger_first(rles: list[dict]) -> list[int]:
    # One by one: pycocotools 2.0.11 fails on the areas of a list of more than 255.
    return sorted(range(len(rles)), key=lambda index: -int(coco_mask.area(rles[index])))


def mask_by_mask(segmentations: Segmentations) -> np.ndarray:
    rles = [coco_mask.merge(coco_mask.frPyObjects(parts, HEIGHT, WIDTH)) for parts in segmentations]
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    for index in larger_first(rles):
        labels[coco_mask.decode(rles[index]) > 0] = index + 1
    return labels


def walk_and_crop(segmentations: Segmentations) -> np.ndarray:
    rles = coco_mask.frPyObjects([parts[0] for parts in segmentations], HEIGHT, WIDTH)
    boxes = coco_mask.toBbox(rles).astype(np.int64)
    counts, offsets = decode_counts([rle["counts"] for rle in rles])
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    for index in larger_first(rles):
        x, y, width, height = boxes[index].tolist()
        if not width:
            continue
        own = counts[offsets[index] : offsets[index + 1]].copy()
        own[0] -= x * HEIGHT
        strip = np.zeros(width * HEIGHT, bool)
        runs = np.repeat(np.arange(own.size) % 2 == 1, own)[: strip.size]
        strip[: runs.size] = runs
        inside = strip.reshape(width, HEIGHT).T[y : y + height]
        labels[y : y + height, x : x + width][inside] = index + 1
    return labels


def race(ways: dict[str, Callable[[], object]], rounds: int) -> None:
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            spent[name].append((time.perf_counter() - begin) * 1e3)
    base = float(np.median(spent["ours"]))
    for name, times in spent.items():
        middle = float(np.median(times))
        print(f"  {name:14s} {middle:9.2f} ms  (min {min(times):.2f})  x {middle / base:.1f}")


def race_polygons(rounds: int) -> None:
    frames = {
        "320 cells of 12-60 points, radius 5-16": cells(1, 320, (5, 16), (12, 60)),
        "260 cells apart from each other": cells(2, 260, (5, 14), (12, 60), apart=True),
        "3000 small cells, radius 3-6": cells(3, 3000, (3, 6), (8, 25)),
        "300 cells of 300 points": cells(4, 300, (5, 16), (300, 301), rough=0.02),
    }
    for title, frame in frames.items():
        planes = [way(frame) for way in (ours, mask_by_mask, walk_and_crop)]
        same = all(np.array_equal(planes[0], plane) for plane in planes)
        print(f"{title}, {WIDTH} x {HEIGHT}; planes {'equal' if same else 'DIFFER'}")
        race(
            {
                "ours": lambda frame=frame: ours(frame),
                "polygons only": lambda frame=frame: rasterize_polygons(frame, (HEIGHT, WIDTH)),
                "walk and crop": lambda frame=frame: walk_and_crop(frame),
                "mask by mask": lambda frame=frame: mask_by_mask(frame),
            },
            rounds,
        )


def race_rles(rounds: int) -> None:
    outlines = [parts[0] for parts in cells(1, 320, (5, 16), (12, 60))]
    rles = coco_mask.frPyObjects(outlines, HEIGHT, WIDTH)
    print("320 compressed RLEs decoded: to runs (ours), to full masks (pycocotools)")
    race(
        {"ours": lambda: rasterize_rles(rles), "pycocotools": lambda: coco_mask.decode(rles)},
        rounds,
    )


def race_volume(rounds: int) -> None:
    rng = np.random.default_rng(5)
    lengths = rng.geometric(1 / 160, 200_000)
    values = rng.integers(0, 60, lengths.size) * (rng.random(lengths.size) < 0.7)
    volume = np.repeat(values.astype(np.uint16), lengths)[: 50 * 800 * 800].copy()
    volume.resize(50 * 800 * 800)
    values, starts, lengths = runs_of_labels(volume)
    order = np.argsort(starts)
    rows = list(zip(starts.tolist(), (starts + lengths).tolist(), values.tolist(), strict=True))

    def painted() -> np.ndarray:
        out = np.zeros_like(volume)
        paint_many(out, starts[order], lengths[order], values[order])
        return out

    def loop() -> np.ndarray:
        out = np.zeros_like(volume)
        for begin, end, value in rows:
            out[begin:end] = value
        return out

    same = all(np.array_equal(volume, way()) for way in (painted, loop))
    print(f"{len(rows)} runs in 50 x 800 x 800 uint16; volumes {'equal' if same else 'DIFFER'}")
    race(
        {
            "ours": painted,
            "python loop": loop,
            "encode": lambda: runs_of_labels(volume),
        },
        rounds,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    race_polygons(options.rounds)
    race_rles(options.rounds)
    race_volume(max(options.rounds // 3, 2))
