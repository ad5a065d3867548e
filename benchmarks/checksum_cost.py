"""What the CRC-32C of each chunk costs a reader: the same pixels with and without it, turn by turn.

    python benchmarks/checksum_cost.py FOLDER [--rounds 40]      (makes its data there; 0.3 GB)

Processor time of crops of 512² pixels and of whole images, through the direct reader; the median of the
ratios of neighbouring rounds. The results are in docs/hardening.md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import ngff_bio
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.model import ArrayPixels, SourceDataset, SourceImage, axes_from
from ngff_bio.storage import FolderStorage

SIDE = 4096


def pixels(kind: str) -> np.ndarray:
    """Blobs on noise, as a camera takes them: of 8 or of 16 bits; or labels."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:SIDE, :SIDE]
    blobs = np.sin(x / 31) * np.sin(y / 23)
    if kind == "labels":
        return ((blobs > 0.3) * (x // 97 + y // 72 * 43)).astype(np.uint16)
    noise = rng.normal(0, 3 if kind == "uint8" else 40, (SIDE, SIDE))
    scale = 60 if kind == "uint8" else 900
    return (100 + scale * (1 + blobs) + noise).clip(0).astype(kind)


def make(folder: Path, kind: str, checked: bool) -> Path:
    """A store of one image."""
    place = folder / f"{kind}-{'with' if checked else 'without'}.zarr"
    if not place.exists():
        image = SourceImage("", kind, axes_from("yx"), ArrayPixels(pixels(kind)))
        dataset = SourceDataset("benchmark", "made", "here", "image", (image,))
        settings = Settings(chunk=(512, 512), checksums=checked)
        write_dataset(dataset, FolderStorage(place), settings)
    return place


def reader(store: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    """What reads 30 crops, and what reads the whole level, of an opened store."""
    level = next(iter(ngff_bio.open(store).values())).level(0, chunks=None)["image"]
    rng = np.random.default_rng(2)
    corners = [tuple(int(v) for v in rng.integers(0, SIDE - 512, 2)) for _ in range(30)]

    def crops() -> None:
        for y, x in corners:
            level[y : y + 512, x : x + 512].to_numpy()

    return crops, lambda: level.copy().to_numpy()


def seconds(work: Callable[[], object]) -> float:
    """Processor time of all threads."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Print a line for each kind of pixels and way to read them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    given = parser.parse_args()
    for kind in ("uint8", "uint16", "labels"):
        stores = [make(given.folder, kind, checked) for checked in (True, False)]
        readers = [reader(store) for store in stores]
        for number, name in enumerate(("30 crops of 512²", "whole, 4096²")):
            ratios, best = [], [1e9, 1e9]
            for turn in range(given.rounds):
                order = (0, 1) if turn % 2 else (1, 0)
                took = {i: seconds(readers[i][number]) for i in order}
                ratios.append(took[0] / took[1])
                best = [min(best[i], took[i]) for i in (0, 1)]
            print(
                f"{kind:7} {name:16} with {1e3 * best[0]:.1f} ms, without {1e3 * best[1]:.1f} ms: "
                f"{100 * (statistics.median(ratios) - 1):+.2f} % (best rounds "
                f"{100 * (best[0] / best[1] - 1):+.2f} %)"
            )


if __name__ == "__main__":
    main()
