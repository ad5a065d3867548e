"""Organoids of one well over time: where they are, how large, and what the image shows."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from makers.textures import clouds, noise, outline

_TILE = 1024  # side of the background that is mirrored over a large image


@dataclass(frozen=True)
class OrganoidBox:
    """One organoid in one frame.

    Attributes
    ----------
    label
        What labelme says: an identity in Tracking, ``"0"`` in Detection.
    box
        Left, top, right, bottom in pixels, before the corners are put in drag order.
    track
        Its number in the well, which its looks depend on.
    """

    label: str
    box: tuple[float, float, float, float]
    track: int


@dataclass(frozen=True)
class WellRecipe:
    """All that decides the organoids of a well.

    Attributes
    ----------
    name
        Tree and folder, such as ``Tracking/W_E4_12``.
    seed
        Seed of the collection.
    shape
        Rows and columns of its first frame.
    organoids
        How many tracks.
    frames
        How many frames.
    """

    name: str
    seed: int
    shape: tuple[int, int]
    organoids: int
    frames: int


def track_labels(count: int) -> list[str]:
    """Identities with gaps, the first of them ``"0"``: 0, 1, 3, 4, 6 …"""
    return [str(number + number // 2) for number in range(count)]


def boxes_at(
    recipe: WellRecipe, frame: int, shape: tuple[int, int], tracked: bool
) -> tuple[OrganoidBox, ...]:
    """The organoids of a frame: they drift and grow, some come later, some go earlier.

    The second lies in the first, so boxes nest; others overlap as they come.
    """
    rng = np.random.default_rng((recipe.seed, 11, zlib.crc32(recipe.name.encode())))
    rows, columns = shape
    count = recipe.organoids
    side = max(min(recipe.shape) / 160, 5.0)  # the published sample has boxes of 55 pixels
    centres = rng.uniform(0.1, 0.9, (count, 2)) * (recipe.shape[1], recipe.shape[0])
    sizes = rng.uniform(1.0, 3.2, count) * side
    sizes[0] = 3.6 * side
    drift = rng.normal(0, 0.25 * side, (count, 2))
    rise = rng.uniform(1.0, 1.09, count)
    first = rng.integers(-3, max(recipe.frames // 2, 1), count)
    last = rng.integers(recipe.frames // 2, recipe.frames + 3, count)
    first[:2], last[:2] = 0, recipe.frames
    if count > 1:
        centres[1], sizes[1], drift[1], rise[1] = centres[0] + 1, 1.2 * side, drift[0], 1.0
    labels = track_labels(count)
    found = []
    for track in range(count):
        if not first[track] <= frame <= last[track]:
            continue
        half = sizes[track] * rise[track] ** frame / 2
        x, y = (centres[track] + drift[track] * frame).tolist()
        box = (x - half, y - half * 0.9, x + half, y + half * 0.9)
        left, top = max(box[0], 0.0), max(box[1], 0.0)
        right, bottom = min(box[2], columns - 1.0), min(box[3], rows - 1.0)
        if right - left < 2 or bottom - top < 2:
            continue
        # Labelme stores what the mouse gave: whole numbers at zoom 1, fractions otherwise.
        digits = 0 if track % 3 else 3
        box = tuple(round(float(value), digits) for value in (left, top, right, bottom))  # type: ignore[assignment]
        found.append(OrganoidBox(labels[track] if tracked else "0", box, track))
    return tuple(found)


def draw_well(
    recipe: WellRecipe, frame: int, shape: tuple[int, int], boxes: tuple[OrganoidBox, ...]
) -> NDArray[np.uint8]:
    """Projection of a frame, (rows, columns) uint8: dark rims on a cloudy bright ground."""
    name = f"{recipe.name}/{frame}"
    rng = np.random.default_rng((recipe.seed, 12, zlib.crc32(name.encode())))
    tile_shape = (min(shape[0], _TILE), min(shape[1], _TILE))
    ground = np.float32(172) + clouds(rng, tile_shape, max(tile_shape[0] / 3, 8.0), 3) * 22
    tile = (ground + noise(rng, tile_shape, 4.0)).clip(0, 255).astype(np.uint8)
    pads = [(0, length - side) for length, side in zip(shape, tile_shape, strict=True)]
    pixels = np.pad(tile, pads, mode="symmetric")
    for box in boxes:
        _stamp(pixels, box, recipe)
    return pixels


def _stamp(pixels: NDArray[np.uint8], box: OrganoidBox, recipe: WellRecipe) -> None:
    rng = np.random.default_rng((recipe.seed, 13, zlib.crc32(recipe.name.encode()), box.track))
    contour = outline(rng, 64, 0.06)
    left, top, right, bottom = box.box
    y0, x0, y1, x1 = int(top), int(left), int(np.ceil(bottom)) + 1, int(np.ceil(right)) + 1
    region = pixels[y0:y1, x0:x1]
    y, x = np.mgrid[y0 : y0 + region.shape[0], x0 : x0 + region.shape[1]].astype(np.float64)
    v = (y - (top + bottom) / 2) / max((bottom - top) / 2, 0.5)
    u = (x - (left + right) / 2) / max((right - left) / 2, 0.5)
    radius = np.hypot(contour[:, 0], contour[:, 1])
    angle = np.arctan2(v, u) % (2 * np.pi)
    edge = np.interp(angle, np.arange(65) * (2 * np.pi / 64), np.append(radius, radius[0]))
    depth = np.hypot(u, v) / edge
    rim = np.exp(-(((depth - 0.86) / 0.16) ** 2))
    change = -95 * rim - 25 * (depth < 0.86)
    region[...] = (region + change).clip(0, 255).astype(np.uint8)
