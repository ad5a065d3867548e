"""Small scenes of blobs for folders that follow a format but no published dataset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from makers.textures import clouds, ellipsoid, noise, radius_at

#: Rows and columns by named size.
SHAPES = {"tiny": (48, 64), "small": (240, 320), "full": (2048, 2560)}


@dataclass(frozen=True)
class Blob:
    """One object: `contour` (points, 2) as x, y with two decimals, `centre` x, y, mean `radius`."""

    contour: NDArray[np.float64]
    centre: tuple[float, float]
    radius: float


def draw_blobs(
    rng: np.random.Generator, shape: tuple[int, int], count: int
) -> tuple[NDArray[np.float32], tuple[Blob, ...]]:
    """An image from 0 to 1 with `count` bright blobs, which touch at most, and the blobs."""
    rows, columns = shape
    across = int(np.ceil(np.sqrt(count * columns / rows)))
    down = int(np.ceil(count / across))
    radius = 0.34 * min(rows / down, columns / across)
    grey = np.float32(0.22) + clouds(rng, shape, max(rows / 3, 4.0), 3) * np.float32(0.06)
    blobs = []
    for place in rng.permutation(across * down)[:count].tolist():
        x = (place % across + rng.uniform(0.42, 0.58)) * columns / across
        y = (place // across + rng.uniform(0.42, 0.58)) * rows / down
        own = radius * rng.uniform(0.75, 1.1)
        lobes = rng.uniform(-0.1, 0.1, (3, 2))
        angle = np.arange(24, dtype=np.float64) * (2 * np.pi / 24)
        reach = own * radius_at(angle, lobes)
        contour = np.stack([x + reach * np.cos(angle), y + reach * np.sin(angle)], axis=1)
        contour = contour.clip(0, (columns, rows)).round(2)
        # Contours count from the corner of a pixel, arrays from its middle.
        box, inside = ellipsoid(shape, (y - 0.5, x - 0.5), (own, own), lobes)
        grey[box] += np.float32(0.5) * (inside * 4).clip(0, 1)
        blobs.append(Blob(contour, (round(float(x), 2), round(float(y), 2)), float(own)))
    grey += noise(rng, shape, 0.015)
    return grey.clip(0, 1), tuple(blobs)


def as_integers(grey: NDArray[np.float32], dtype: type[np.unsignedinteger]) -> NDArray[np.generic]:
    """An image from 0 to 1 in the whole range of an integer type."""
    top = np.iinfo(dtype).max
    return (grey * np.float32(top)).clip(0, top).astype(dtype)


def as_rgb(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    """An image from 0 to 1 in three channels that differ."""
    tint = np.array([1.0, 0.8, 0.55], np.float32)
    img: NDArray[np.uint8] = (grey[..., None] * tint * 255).astype(np.uint8)
    return img
