"""Small datasets for tests of the engine, each of them the same every time."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.model import (
    ArrayPixels,
    Box,
    Category,
    Frame,
    Instance,
    InstanceLayer,
    Pixels,
    Region,
    SourceDataset,
    SourceImage,
    SourceParts,
    SourcePlate,
    VolumeLayer,
    axes_from,
    parts_of,
)


def noise(shape: tuple[int, ...], dtype: str = "u2", seed: int = 0) -> NDArray[Any]:
    """Smooth ground with noise on it: compresses about as micrographs do."""
    rng = np.random.default_rng(seed)
    ground = np.add.outer(np.arange(shape[-2]), np.arange(shape[-1])) % 97
    return (ground + rng.normal(100, 3, shape)).astype(dtype)


def cells(shape: tuple[int, ...], dtype: str = "u2", seed: int = 0) -> NDArray[Any]:
    """Label boxes on background."""
    rng = np.random.default_rng(seed)
    out = np.zeros(shape, dtype)
    planes = out.reshape(-1, *shape[-2:])
    for plane in planes:
        for value in range(1, 12):
            y, x = rng.integers(0, shape[-2] - 4), rng.integers(0, shape[-1] - 4)
            plane[y : y + rng.integers(3, 30), x : x + rng.integers(3, 30)] = value
    return out


class Wrapped:
    """Pixels that are others' pixels; who inherits has them as ``pixels``, and reads its own way."""

    pixels: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return self.pixels.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.pixels.dtype

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        return self.pixels.read_block_shape

    def source_parts(self) -> SourceParts:
        return parts_of(self.pixels)


@dataclass(frozen=True)
class Slow(Wrapped):
    """Pixels that take their time: a conversion that can be stopped in its midst."""

    pixels: Pixels
    seconds: float

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        return (1, *self.shape[1:])

    def read(self, region: Region) -> NDArray[Any]:
        time.sleep(self.seconds)
        return self.pixels.read(region)


@dataclass(frozen=True)
class Deadly(Wrapped):
    """Pixels whose reading kills the process, with a temporary file, as long as a file exists."""

    pixels: Pixels
    trap: str
    at: int

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        return (1, *self.shape[1:])

    def read(self, region: Region) -> NDArray[Any]:
        (first, stop), *_ = region
        if first <= self.at < stop and Path(self.trap).exists():
            left = int(Path(self.trap).read_text())
            if left <= 1:
                os.unlink(self.trap)
            else:
                Path(self.trap).write_text(str(left - 1))
            tempfile.mkstemp()
            os.kill(os.getpid(), 9)
        return self.pixels.read(region)


@dataclass(frozen=True)
class Boxes:
    """Instances of a time series: some boxes a frame, which overlap and are tracked."""

    size: tuple[int, int]
    count: int
    seed: int = 0

    def read(self, t: int) -> list[Instance]:
        rng = np.random.default_rng([self.seed, t])
        found = []
        for value in range(1, self.count + 1):
            y, x = int(rng.integers(0, self.size[0] - 8)), int(rng.integers(0, self.size[1] - 8))
            width, height = int(rng.integers(4, 30)), int(rng.integers(4, 30))
            shape = Box(x, y, x + width, y + height)
            box = (float(x), float(y), float(width), float(height))
            found.append(
                Instance(value, shape, t=t, category="cell", source_id=value, box=box, area=1.5)
            )
        return found

    def source_parts(self) -> SourceParts:
        return (repr(self),)


def volume(slow: float = 0.0, shape: tuple[int, ...] = (8, 200, 300)) -> SourceDataset:
    """One volume with a semantic and an instance label volume."""
    classes = (cells(shape, "u1") > 0).astype("u1")
    pixels: Pixels = ArrayPixels(noise(shape))
    if slow:
        pixels = Slow(pixels, slow)
    image = SourceImage(
        "",
        "volume",
        axes_from("zyx", z=(40.0, "nanometer"), y=(10.0, "nanometer"), x=(10.0, "nanometer")),
        pixels,
        labels=(
            VolumeLayer(
                "semantic", ArrayPixels(classes), "semantic", 1, (Category(1, "a", (1, 2, 3, 255)),)
            ),
            VolumeLayer("objects", ArrayPixels(cells(shape)), "instance", 11, classes="semantic"),
        ),
        frames=(Frame("volume.tif"),),
    )
    return SourceDataset("volume", "test", "nowhere", "image", (image,))


def collection(count: int = 3, shape: tuple[int, ...] = (3, 90, 120)) -> SourceDataset:
    """Some colour images of unequal size."""
    images = tuple(
        SourceImage(
            f"{number}",
            f"picture {number}",
            axes_from("cyx"),
            ArrayPixels(noise((shape[0], shape[1] + 7 * number, shape[2]), "u1", number)),
            frames=(Frame(f"{number}.png"),),
        )
        for number in range(count)
    )
    return SourceDataset("pictures", "test", "nowhere", "collection", images)


def plate(frames: int = 4, fields: int = 2, slow: float = 0.0, boxes: int = 9) -> SourceDataset:
    """A plate with time series whose instances overlap."""
    size = (70, 110)
    whole = noise((12, *size), "u1")
    images = []
    for number in range(fields):
        pixels: Pixels = ArrayPixels(np.roll(whole, number, -1)[:frames])
        if slow:
            pixels = Slow(pixels, slow)
        images.append(
            SourceImage(
                f"A/1/{number}",
                f"A1 {number}",
                axes_from("tyx", t=(24.0, "hour")),
                pixels,
                labels=(
                    InstanceLayer(
                        "cell", Boxes(size, boxes, number), boxes * frames, boxes, tracked=True
                    ),
                ),
                frames=tuple(Frame(f"{number}/{t}.tif", t) for t in range(frames)),
            )
        )
    return SourceDataset(
        "plate",
        "test",
        "nowhere",
        "plates",
        tuple(images),
        (SourcePlate("", "plate", tuple("AB"), ("1", "2", "3")),),
    )
