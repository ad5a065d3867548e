"""Draws one image of the nuclei sets, with a mask for each nucleus."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from makers.textures import BoolImage, clouds, ellipsoid, noise

#: Colour of the background and of the nuclei: fluorescence, stained tissue, bright field.
_LOOKS = {
    "dark": ((16, 16, 16), (150, 150, 150)),
    "purple": ((226, 190, 220), (104, 60, 140)),
    "bright": ((206, 206, 206), (96, 96, 96)),
}


@dataclass(frozen=True)
class NucleiRecipe:
    """All that decides one image.

    Attributes
    ----------
    owner, file_name
        The set that it is drawn for and its file name.
    seed
        Seed of the collection.
    shape
        Rows and columns.
    nuclei
        About how many nuclei.
    look
        ``dark``, ``purple``, ``bright``.
    overlap
        Whether a pixel may belong to two nuclei.
    parts_every
        Every so many annotations (0: none) one is two blobs.
    """

    owner: str
    file_name: str
    seed: int
    shape: tuple[int, int]
    nuclei: int
    look: str
    overlap: bool
    parts_every: int


@dataclass(frozen=True)
class DrawnNuclei:
    """`pixels` (rows, columns, 3) uint8 before JPEG, `masks` (rows, columns) bool by annotation."""

    pixels: NDArray[np.uint8]
    masks: tuple[BoolImage, ...]


def draw_nuclei(recipe: NucleiRecipe) -> DrawnNuclei:
    """Pixels and masks of an image."""
    name = f"{recipe.owner}/{recipe.file_name}"
    rng = np.random.default_rng((recipe.seed, 6, zlib.crc32(name.encode())))
    rows, columns = recipe.shape
    taken = np.zeros(recipe.shape, bool)
    amount = np.zeros(recipe.shape, np.float32)
    radius = max(float(np.sqrt(0.3 * rows * columns / (np.pi * recipe.nuclei))), 2.2)
    masks: list[BoolImage] = []
    for _ in range(recipe.nuclei):
        centre = (rng.uniform(0, rows), rng.uniform(0, columns))
        radii = (radius * rng.uniform(0.7, 1), radius * rng.uniform(0.8, 1.3))
        box, inside = ellipsoid(recipe.shape, centre, radii, rng.uniform(-0.1, 0.1, (2, 2)))
        shown = inside > 0
        if not recipe.overlap:
            shown &= ~taken[box]
        if shown.sum() < 6:
            continue
        mask = np.zeros(recipe.shape, bool)
        mask[box] = shown
        taken |= mask
        strength = np.float32(rng.uniform(0.75, 1.25)) * (
            np.float32(0.6) + inside * np.float32(0.4)
        )
        amount[box] = np.where(shown, np.maximum(amount[box], strength), amount[box])
        masks.append(mask)
    if recipe.parts_every:
        whole: list[BoolImage] = []
        waiting = masks[::-1]
        while waiting:
            mask = waiting.pop()
            if (len(whole) + 1) % recipe.parts_every == 0 and waiting:
                mask = mask | waiting.pop()
            whole.append(mask)
        masks = whole
    back, front = (np.array(colour, np.float32) for colour in _LOOKS[recipe.look])
    grey = back + (front - back) * amount[..., None]
    grey += clouds(rng, recipe.shape, max(rows / 4, 4.0), 3)[..., None] * np.float32(9)
    grey += noise(rng, recipe.shape, 3.0)[..., None]
    return DrawnNuclei(grey.clip(0, 255).astype(np.uint8), tuple(masks))


def as_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """`pixels` as a JPEG of three channels, without any resolution in it."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=90)
    return target.getvalue()


def nuclei_record(mask: BoolImage, image_id: int, annotation_id: int) -> dict[str, Any]:
    """A COCO annotation as the sets have them: compressed runs although ``iscrowd`` is 0."""
    runs = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {
        "image_id": image_id,
        "segmentation": {"size": list(mask.shape), "counts": runs["counts"].decode("ascii")},
        "category_id": 1,
        "id": annotation_id,
        "area": int(coco_mask.area(runs)),
        "bbox": [float(value) for value in coco_mask.toBbox(runs)],
        "iscrowd": 0,
    }
