"""Makes folders of images that are paired with label images or masks, in the layouts of their tools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from makers.truth import Truth, written_below

SIZE = (40, 50)


def disk(y: int, x: int, radius: int, value: int = 255) -> np.ndarray:
    """A disk on a plane of `SIZE`."""
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    return np.where((rows - y) ** 2 + (columns - x) ** 2 <= radius**2, value, 0).astype(np.uint8)


def rgba(seed: int) -> np.ndarray:
    """An opaque image in colors, with alpha, as the competition has them."""
    image = np.random.default_rng(seed).integers(0, 255, (*SIZE, 4), np.uint8)
    image[..., 3] = 255
    return image


def put(file: Path, array: np.ndarray) -> None:
    """Write a PNG."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(file)


def make_object_masks(folder: Path, *, size: str = "tiny", seed: int = 0) -> Truth:
    """The Data Science Bowl 2018, as its zip unpacks: masks overlap, one is at a corner."""
    disks = {"a1f0": [(10, 10, 6), (14, 12, 5), (38, 48, 4)], "b2e9": [(20, 20, 9)]}
    for name, listed in disks.items():
        put(folder / f"stage1_train/{name}/images/{name}.png", rgba(seed + len(listed)))
        for number, one in enumerate(listed):
            put(folder / f"stage1_train/{name}/masks/{name}0{number}c.png", disk(*one))
    put(folder / "stage1_test/c3d8/images/c3d8.png", rgba(seed + 7))
    return Truth(folder, written_below(folder))
