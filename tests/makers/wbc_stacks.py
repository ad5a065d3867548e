"""Draws the focal stack of one field of view of a blood smear."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from makers.textures import FloatImage, clouds, ellipsoid, noise

PLANES = 10
_BACK = np.array([232, 224, 214], np.float32)
_RED_CELL = np.array([206, 160, 158], np.float32)
_NUCLEUS = np.array([104, 70, 146], np.float32)
_PLASMA = (_BACK + _NUCLEUS) / np.float32(2)
_PLATELET = np.array([160, 120, 170], np.float32)


@dataclass(frozen=True)
class WbcCell:
    """One predicted cell.

    Attributes
    ----------
    key
        Its key below ``cell_prediction``.
    prediction
        0 red blood cell, 1 platelet, 2 and above a white cell.
    location
        x and y of the top left corner, width, height, in pixels.
    focus
        Its sharpest plane, 0 to 9.
    """

    key: str
    prediction: int
    location: tuple[int, int, int, int]
    focus: int


@dataclass(frozen=True)
class StackRecipe:
    """All that decides the pixels of one stack."""

    seed: tuple[int, int]
    shape: tuple[int, int]
    focus: int
    cells: tuple[WbcCell, ...]


def plane_pixels(recipe: StackRecipe, plane: int) -> NDArray[np.uint8]:
    """One plane before JPEG, (rows, columns, 3) uint8: each cell is sharpest at its own focus."""
    sharp, soft, focus = _field(recipe)
    share = (np.abs(np.float32(plane) - focus) / np.float32(PLANES - 1))[..., None]
    pixels = sharp + (soft - sharp) * share
    rng = np.random.default_rng((*recipe.seed, 8, plane))
    pixels += noise(rng, recipe.shape, 2.0)[..., None]
    shown: NDArray[np.uint8] = pixels.clip(0, 255).astype(np.uint8)
    return shown


@lru_cache(maxsize=2)
def _field(recipe: StackRecipe) -> tuple[FloatImage, FloatImage, FloatImage]:
    """The sharp image, the most blurred one, and the sharpest plane of every pixel."""
    rng = np.random.default_rng((*recipe.seed, 7))
    rows, columns = recipe.shape
    grey = np.broadcast_to(_BACK, (rows, columns, 3)).copy()
    grey += clouds(rng, recipe.shape, rows / 2)[..., None] * np.float32(5)
    radius = max(rows / 32, 6.0)
    for _ in range(round(rows * columns / (radius**2 * 12))):
        _disc(grey, rng, rng.uniform(0, rows), rng.uniform(0, columns), radius, _RED_CELL, True)
    focus = np.full(recipe.shape, recipe.focus, np.float32)
    for cell in recipe.cells:
        x, y, width, height = cell.location
        colour = {0: _RED_CELL, 1: _PLATELET}.get(cell.prediction, _NUCLEUS)
        middle_y, middle_x, half = y + height / 2, x + width / 2, min(width, height) / 2
        if cell.prediction > 1:
            _disc(grey, rng, middle_y, middle_x, half, _PLASMA, False)
            half *= 0.72
        _disc(grey, rng, middle_y, middle_x, half, colour, cell.prediction == 0)
        focus[y : y + height, x : x + width] = cell.focus
    return grey, _blurred(grey, max(rows // 120, 2)), focus


def _disc(
    grey: FloatImage,
    rng: np.random.Generator,
    y: float,
    x: float,
    radius: float,
    colour: NDArray[np.float32],
    hollow: bool,
) -> None:
    shape = (grey.shape[0], grey.shape[1])
    box, inside = ellipsoid(shape, (y, x), (radius, radius), rng.uniform(-0.04, 0.04, (2, 2)))
    amount = (inside * np.float32(4)).clip(0, 1)
    if hollow:  # a red cell is thin in the middle
        amount *= np.float32(1) - np.float32(0.4) * inside.clip(0, 1) ** 2
    grey[box] += (colour - grey[box]) * amount[..., None]


def _blurred(image: FloatImage, reach: int) -> FloatImage:
    """Mean over a square of 2 * `reach` + 1 pixels, twice, along both axes."""
    for axis in (0, 1, 0, 1):
        pads = [(reach + 1, reach) if each == axis else (0, 0) for each in range(image.ndim)]
        sums = np.cumsum(np.pad(image, pads, mode="edge"), axis=axis, dtype=np.float64)
        width = 2 * reach + 1
        upper = np.take(sums, np.arange(width, sums.shape[axis]), axis)
        lower = np.take(sums, np.arange(sums.shape[axis] - width), axis)
        image = ((upper - lower) / width).astype(np.float32)
    return image
