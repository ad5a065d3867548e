"""Draws one LIVECell frame: its pixels, and the contours of the cells of each crop."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from makers.livecell_plan import FrameKey
from makers.textures import clouds, noise, outline

Contour = NDArray[np.float64]  # (points, 2) as x, y, two decimals

#: How long cells are, and how lobed.
_FORM = {
    "A172": (2.2, 0.18),
    "BT474": (1.3, 0.15),
    "BV2": (1.1, 0.06),
    "Huh7": (1.4, 0.18),
    "MCF7": (1.2, 0.12),
    "SHSY5Y": (2.6, 0.2),
    "SkBr3": (1.1, 0.05),
    "SKOV3": (1.6, 0.16),
}
_TEMPLATES = 48


@dataclass(frozen=True)
class FrameRecipe:
    """All that decides one frame.

    Attributes
    ----------
    key
        Which frame.
    seed
        Seed of the collection.
    crop
        Rows and columns of a crop.
    cells
        Mean number of cells in a crop over the whole time.
    share
        How far in the series of its field the frame lies, 0 to 1: cells become more.
    """

    key: FrameKey
    seed: int
    crop: tuple[int, int]
    cells: float
    share: float


@dataclass(frozen=True)
class Frame:
    """A drawn frame: `pixels` of all four crops, uint8; `contours` in the pixels of each crop."""

    pixels: NDArray[np.uint8]
    contours: dict[int, list[Contour]]

    def crop(self, number: int) -> NDArray[np.uint8]:
        """One quarter: 1 top left, 2 bottom left, 3 top right, 4 bottom right."""
        rows, columns = self.pixels.shape[0] // 2, self.pixels.shape[1] // 2
        top, left = (number - 1) % 2 * rows, (number - 1) // 2 * columns
        return self.pixels[top : top + rows, left : left + columns]


@dataclass(frozen=True)
class _Template:
    contour: Contour
    patch: NDArray[np.float32]


def growth(cell_type: str) -> tuple[float, float, float]:
    """First and last density over the mean one, and the power of its rise; the mean stays 1."""
    return (0.1, 2.8, 2.0) if cell_type == "BV2" else (0.4, 1.6, 1.0)


@lru_cache(maxsize=8)
def _templates(cell_type: str, seed: int, radius: float) -> tuple[_Template, ...]:
    """A pool of cells of about `radius` pixels: contour around 0, and what it adds to the grey."""
    rng = np.random.default_rng((seed, 2, zlib.crc32(cell_type.encode())))
    length, wobble = _FORM[cell_type]
    pool = []
    for _ in range(_TEMPLATES):
        size = radius * rng.uniform(0.75, 1.25)
        stretch = np.sqrt(length * rng.uniform(0.8, 1.2))
        points = int(np.clip(2.3 * size + rng.integers(4, 12), 10, 120))
        contour = outline(rng, points, wobble) * size * (stretch, 1 / stretch)
        turn = rng.uniform(0, np.pi)
        contour = contour @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        pool.append(_Template(contour, _patch(contour, size)))
    return tuple(pool)


def _patch(contour: Contour, size: float) -> NDArray[np.float32]:
    """Phase contrast of one cell: a dark body, a bright middle and a bright halo around it."""
    half = int(np.ceil(np.abs(contour).max() * 1.25)) + 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    edge_angle = np.unwrap(np.arctan2(contour[:, 1], contour[:, 0]))
    order = np.argsort(edge_angle % (2 * np.pi))
    edge = np.interp(
        np.arctan2(y, x) % (2 * np.pi),
        (edge_angle % (2 * np.pi))[order],
        np.hypot(contour[:, 0], contour[:, 1])[order],
        period=2 * np.pi,
    )
    depth = np.hypot(x, y) / edge  # 0 in the middle, 1 on the contour
    body = np.where(depth < 1, -34 + 46 * (1 - depth) ** 2, 0)
    halo = 30 * np.exp(-(((depth - 1.06) * size / 1.6) ** 2))
    patch: NDArray[np.float32] = (body + halo).astype(np.float32)
    return patch


def draw_frame(recipe: FrameRecipe) -> Frame:
    """Pixels and contours of a frame; cells of one field move and become more over time."""
    key = recipe.key
    field = f"{key.cell_type}/{key.well}/{key.location}"
    rows, columns = 2 * recipe.crop[0], 2 * recipe.crop[1]
    low, high, power = growth(key.cell_type)
    most = max(round(4 * recipe.cells * high), 1)
    radius = float(np.sqrt(0.75 * rows * columns / (np.pi * most)))
    templates = _templates(key.cell_type, recipe.seed, radius)

    rng = np.random.default_rng((recipe.seed, 3, zlib.crc32(field.encode())))
    across = int(np.ceil(np.sqrt(most * columns / rows)))
    places = rng.permutation(across * int(np.ceil(most / across)))[:most]
    grid = np.stack([places % across, places // across], axis=1) + rng.uniform(0.1, 0.9, (most, 2))
    centres = grid * (columns / across, rows / np.ceil(most / across))
    centres += rng.normal(0, 0.05 * radius, (most, 2)) * (key.hours / 4)
    kinds = rng.integers(0, len(templates), most)
    count = max(round(4 * recipe.cells * (low + (high - low) * recipe.share**power)), 1)
    centres, kinds = centres[:count], kinds[:count]

    img = np.random.default_rng((recipe.seed, 4, zlib.crc32(key.file_name(0).encode())))
    grey = np.float32(126) + clouds(img, (rows, columns), columns / 3, 2) * np.float32(12)
    grey += clouds(img, (rows, columns), 5.0, 1) * np.float32(3)
    for centre, kind in zip(np.floor(centres).astype(int).tolist(), kinds.tolist(), strict=True):
        _stamp(grey, templates[kind].patch, *centre)
    grey += noise(img, grey.shape, 2.0)
    pixels = grey.clip(0, 255).astype(np.uint8)
    return Frame(pixels, _contours(templates, centres, kinds, recipe.crop))


def _stamp(grey: NDArray[np.float32], patch: NDArray[np.float32], x: int, y: int) -> None:
    half = patch.shape[0] // 2
    top, left = max(y - half, 0), max(x - half, 0)
    bottom, right = min(y + half + 1, grey.shape[0]), min(x + half + 1, grey.shape[1])
    if top < bottom and left < right:
        cut = patch[top - y + half : bottom - y + half, left - x + half : right - x + half]
        grey[top:bottom, left:right] += cut


def _contours(
    templates: tuple[_Template, ...],
    centres: NDArray[np.float64],
    kinds: NDArray[np.integer],
    crop: tuple[int, int],
) -> dict[int, list[Contour]]:
    """Contours cut to each crop that they reach into, in the order of the cells."""
    rows, columns = crop
    found: dict[int, list[tuple[int, Contour]]] = {number: [] for number in (1, 2, 3, 4)}
    for kind, template in enumerate(templates):
        cells = np.flatnonzero(kinds == kind)
        if not len(cells):
            continue
        whole = template.contour + centres[cells, None, :]
        for number, part in found.items():
            corner = ((number - 1) // 2 * columns, (number - 1) % 2 * rows)
            inside = np.clip(whole - corner, 0, (columns, rows)).round(2)
            kept = np.flatnonzero(np.abs(_shoelace(inside)) >= 6)
            part.extend((int(cells[index]), inside[index]) for index in kept)
    return {
        number: [contour for _, contour in sorted(part, key=lambda pair: pair[0])]
        for number, part in found.items()
    }


def _shoelace(contours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed areas of closed contours (…, points, 2)."""
    x, y = contours[..., 0], contours[..., 1]
    area: NDArray[np.float64] = 0.5 * (
        x * np.roll(y, -1, axis=-1) - np.roll(x, -1, axis=-1) * y
    ).sum(axis=-1)
    return area


@dataclass(frozen=True)
class RecordStyle:
    """How contours are written as COCO annotations.

    Attributes
    ----------
    crowd_every, crowd_counts
        Every so many annotations (0: none) one is a run-length object with ``iscrowd`` 1, whose
        ``counts`` are a ``list``, a ``str``, or ``both`` in turn.
    parts_every
        Every so many annotations (0: none) one has two polygons.
    repeated
        How many contours of an image come again at its end under another id.
    category_id
        The category of all.
    """

    crowd_every: int = 0
    crowd_counts: str = "both"
    parts_every: int = 0
    repeated: int = 0
    category_id: int = 1


def records(
    contours: list[Contour], crop: tuple[int, int], image_id: int, second: bool, style: RecordStyle
) -> list[dict[str, Any]]:
    """COCO annotations of one listing; a second annotator saw one cell less and drew lower."""
    if second:
        contours = [
            np.clip(each + np.array([0.5, 0.75]), 0, crop[::-1]).round(2) for each in contours[:-1]
        ]
    groups: list[list[Contour]] = []
    waiting = list(reversed(contours))
    while waiting:
        parts = [waiting.pop()]
        if style.parts_every and (len(groups) + 1) % style.parts_every == 0 and waiting:
            parts.append(waiting.pop())
        groups.append(parts)
    groups += groups[: style.repeated]
    found = []
    for index, parts in enumerate(groups):
        if style.crowd_every and (index + 1) % style.crowd_every == 0:
            kind = style.crowd_counts
            if kind == "both":
                kind = "list" if index // style.crowd_every % 2 else "str"
            what = _crowd(parts, crop, kind)
        else:
            what = _polygons(parts)
        found.append(
            {
                **what,
                "image_id": image_id,
                "category_id": style.category_id,
                "id": image_id + 1 + index,
            }
        )
    return found


def _polygons(parts: list[Contour]) -> dict[str, Any]:
    points = parts[0] if len(parts) == 1 else np.concatenate(parts)
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return {
        "segmentation": [part.ravel().tolist() for part in parts],
        "area": sum(abs(float(_shoelace(part))) for part in parts),
        "iscrowd": 0,
        "bbox": [left, top, round(right - left, 2), round(bottom - top, 2)],
    }


def _crowd(parts: list[Contour], crop: tuple[int, int], kind: str) -> dict[str, Any]:
    runs = coco_mask.merge(coco_mask.frPyObjects([part.ravel().tolist() for part in parts], *crop))
    if kind == "list":
        flat = coco_mask.decode(runs).ravel(order="F")
        edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
        counts: Any = [0, *lengths] if flat[0] else lengths
    else:
        counts = runs["counts"].decode("ascii")
    return {
        "segmentation": {"counts": counts, "size": list(crop)},
        "area": int(coco_mask.area(runs)),
        "iscrowd": 1,
        "bbox": [float(value) for value in coco_mask.toBbox(runs)],
    }
