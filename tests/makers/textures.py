"""Plausible pixels without more than numpy: cloudy backgrounds, camera noise, wobbly blobs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
BoolImage = NDArray[np.bool_]


def clouds(
    rng: np.random.Generator, shape: tuple[int, ...], period: float, octaves: int = 2
) -> FloatImage:
    """Smooth random field in about -1..1: random grids, enlarged linearly and added.

    Parameters
    ----------
    rng
        Where randomness comes from.
    shape
        Shape of the result, of any number of axes.
    period
        Distance in pixels between two nodes of the coarsest grid.
    octaves
        How many grids are added, each twice as fine and half as strong as the one before.
    """
    total = np.zeros(shape, np.float32)
    strength = 0.0
    for octave in range(octaves):
        step = max(period / 2**octave, 1.0)
        nodes = tuple(int(np.ceil(length / step)) + 1 for length in shape)
        grid = rng.random(nodes, np.float32) * 2 - 1
        for axis, length in enumerate(shape):
            grid = _enlarge(grid, axis, length, step)
        total += grid * np.float32(0.5**octave)
        strength += 0.5**octave
    return total / np.float32(strength)


def _enlarge(grid: FloatImage, axis: int, length: int, step: float) -> FloatImage:
    """Linear interpolation of one axis to `length` samples that lie 1/`step` nodes apart."""
    position = np.arange(length, dtype=np.float32) / np.float32(step)
    low = np.minimum(position.astype(np.intp), grid.shape[axis] - 2)
    part = (position - low).astype(np.float32)
    part = part.reshape([-1 if each == axis else 1 for each in range(grid.ndim)])
    below = np.take(grid, low, axis)
    above = np.take(grid, low + 1, axis)
    enlarged: FloatImage = below + (above - below) * part
    return enlarged


def noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> FloatImage:
    """Camera noise of standard deviation `sigma`, nearly normal (the sum of four bytes)."""
    four = rng.integers(0, 256, (4, *shape), np.uint8).sum(axis=0, dtype=np.uint16)
    # A byte's standard deviation is 73.9, so the sum of four has 147.8.
    grains: FloatImage = (four.astype(np.float32) - np.float32(510)) * np.float32(sigma / 147.8)
    return grains


def outline(rng: np.random.Generator, points: int, wobble: float) -> NDArray[np.float64]:
    """Contour of a star-shaped blob of mean radius 1 around 0: (points, 2) as x, y.

    `wobble` 0 gives a circle, 0.3 a lobed cell.
    """
    angle = np.arange(points, dtype=np.float64) * (2 * np.pi / points)
    radius = radius_at(angle, rng.uniform(-1, 1, (3, 2)) * wobble)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def radius_at(angle: NDArray[np.float64], lobes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radius of a blob in the direction `angle`; row k of `lobes` bends it k + 2 times."""
    radius = np.ones_like(angle)
    for k, (even, odd) in enumerate(lobes):
        radius += (even * np.cos((k + 2) * angle) + odd * np.sin((k + 2) * angle)) / (k + 1)
    return np.maximum(radius, 0.2)


def ellipsoid(
    shape: tuple[int, ...],
    centre: tuple[float, ...],
    radii: tuple[float, ...],
    lobes: NDArray[np.float64],
) -> tuple[tuple[slice, ...], NDArray[np.float32]]:
    """A wobbly ellipsoid in an array of `shape`: where it lies, and how deep inside each voxel is.

    Returns the slices of its bounding box, cut to the array, and there a field that is 1 in the
    centre, 0 at the surface and negative outside. The last two axes wobble by `lobes`.
    """
    reach = 1.0 + float(np.abs(lobes).sum())
    box = tuple(
        slice(max(int(c - r * reach), 0), min(int(c + r * reach) + 2, length))
        for c, r, length in zip(centre, radii, shape, strict=True)
    )
    grids = np.meshgrid(
        *[
            (np.arange(part.start, max(part.stop, part.start)) - c) / max(r, 0.5)
            for part, c, r in zip(box, centre, radii, strict=True)
        ],
        indexing="ij",
        sparse=True,
    )
    y, x = grids[-2], grids[-1]
    bend = radius_at(np.arctan2(y, x), lobes) if lobes.size else np.ones(np.broadcast(y, x).shape)
    squared = (y**2 + x**2) / bend**2
    for grid in grids[:-2]:
        squared = squared + grid**2
    return box, (1.0 - squared).astype(np.float32)


def stretched(image: FloatImage, dtype: type[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """`image` scaled so that it uses the whole range of the integer `dtype`."""
    low, high = float(image.min()), float(image.max())
    top = np.iinfo(dtype).max
    if high <= low:
        return np.zeros(image.shape, dtype)
    return ((image - low) * (top / (high - low)) + 0.5).clip(0, top).astype(dtype)
