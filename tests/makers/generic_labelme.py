"""Makes a folder of images with labelme files that belongs to no published dataset."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from makers.generic_scenes import SHAPES, Blob, as_rgb, draw_blobs
from makers.truth import Truth, preset, written_below

#: Every shape type of labelme 4 and, the last, of labelme 5.
SHAPE_TYPES = ("polygon", "rectangle", "circle", "line", "linestrip", "point", "mask")


@dataclass(frozen=True)
class LabelmeImage:
    """One image and its annotation.

    Attributes
    ----------
    image_file, json_file
        The pair.
    pixels
        (rows, columns, 3) uint8.
    content
        The JSON as written.
    masks
        Whole-image mask, (rows, columns) bool, of each ``mask`` shape by its place in ``shapes``.
    """

    image_file: Path
    json_file: Path
    pixels: NDArray[np.uint8]
    content: dict[str, Any]
    masks: dict[int, NDArray[np.bool_]]


@dataclass(frozen=True)
class LabelmeFolderTruth(Truth):
    """What went into the folder: its images by stem."""

    images: dict[str, LabelmeImage]


def make_labelme_folder(
    folder: Path,
    *,
    size: str | tuple[int, int] = "tiny",
    seed: int = 0,
    images: int = 3,
    instances: int = 9,
    shape_types: Sequence[str] = SHAPE_TYPES,
    labels: Sequence[str] = ("cell", "nucleus", "débris"),
    version: str = "4.5.7",
    groups: bool = False,
    image_data: bool = False,
    with_flags: bool = False,
    extra_keys: bool = False,
    split_folders: bool = False,
    without_shapes: int = 0,
) -> LabelmeFolderTruth:
    """Write ``labelme/image_<n>.{png,json}`` below `folder`.

    Parameters
    ----------
    folder
        Where ``labelme`` is made.
    size
        ``tiny`` (48x64), ``small``, ``full`` (2048x2560), or rows and columns.
    seed
        Same seed, same bytes.
    images, instances
        How many images, and shapes in each.
    shape_types
        What shapes take in turn; a circle is its centre and a point of its rim; a mask is a base64
        PNG within both corners, inclusive.
    labels
        What shapes take in turn.
    version
        What the files say of labelme.
    groups
        Whether every two shapes share a ``group_id``: one instance of two parts.
    image_data
        Whether the image is in the JSON too.
    with_flags
        Whether the image and the shapes have flags that are set.
    extra_keys
        Whether there are keys that labelme does not know.
    split_folders
        Whether images lie in ``images`` and JSON in ``json``, which ``imagePath`` says.
    without_shapes
        How many images have none.
    """
    shape = preset(size, SHAPES) if isinstance(size, str) else size
    root = Path(folder) / "labelme"
    made: dict[str, LabelmeImage] = {}
    for index in range(images):
        rng = np.random.default_rng((seed, 16, index))
        grey, blobs = draw_blobs(rng, shape, instances)
        pixels = as_rgb(grey)
        stem = f"image_{index + 1}"
        image_file = root / ("images" if split_folders else ".") / f"{stem}.png"
        json_file = root / ("json" if split_folders else ".") / f"{stem}.json"
        for path in (image_file, json_file):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(image_file)
        shapes: list[dict[str, Any]] = []
        masks: dict[int, NDArray[np.bool_]] = {}
        for number, blob in enumerate(blobs if index >= without_shapes else ()):
            kind = shape_types[number % len(shape_types)]
            record: dict[str, Any] = {
                "label": labels[number % len(labels)],
                "points": _points(blob, kind, shape, rng),
                "group_id": number // 2 if groups else None,
                "shape_type": kind,
                "flags": {"dividing": number % 2 == 0} if with_flags else {},
            }
            if kind == "mask":
                masks[number], record["mask"] = _mask(record["points"], shape)
            if extra_keys:
                record["description"] = f"shape {number}"
            shapes.append(record)
        data = base64.b64encode(image_file.read_bytes()).decode("ascii") if image_data else None
        content: dict[str, Any] = {
            "version": version,
            "flags": {"blurred": index % 2 == 0} if with_flags else {},
            "shapes": shapes,
            "imagePath": f"../images/{stem}.png" if split_folders else f"{stem}.png",
            "imageData": data,
            "imageHeight": shape[0],
            "imageWidth": shape[1],
        }
        if extra_keys:
            content["reviewedBy"] = ["N. N."]
        json_file.write_text(json.dumps(content, indent=2, ensure_ascii=False), "utf-8")
        made[stem] = LabelmeImage(image_file, json_file, pixels, content, masks)
    return LabelmeFolderTruth(root=root, files=written_below(root), images=made)


def _points(
    blob: Blob, kind: str, shape: tuple[int, int], rng: np.random.Generator
) -> list[list[float]]:
    contour = blob.contour
    (left, top), (right, bottom) = contour.min(axis=0).tolist(), contour.max(axis=0).tolist()
    x, y = blob.centre
    if kind == "polygon":
        return [list(map(float, point)) for point in contour]
    if kind == "rectangle":  # in drag order
        return [[right, top], [left, bottom]] if rng.integers(2) else [[left, bottom], [right, top]]
    if kind == "circle":
        return [[x, y], [round(x + blob.radius * 0.8, 2), round(y + blob.radius * 0.6, 2)]]
    if kind == "line":
        return [[left, top], [right, bottom]]
    if kind == "linestrip":
        return [list(map(float, point)) for point in contour[:10]]
    if kind == "point":
        return [[x, y]]
    rows, columns = shape
    return [
        [float(int(left)), float(int(top))],
        [float(min(int(right), columns - 1)), float(min(int(bottom), rows - 1))],
    ]


def _mask(points: list[list[float]], shape: tuple[int, int]) -> tuple[NDArray[np.bool_], str]:
    """An ellipse in the box: as a mask of the whole image, and as labelme stores it."""
    (left, top), (right, bottom) = points
    x0, y0, x1, y1 = int(left), int(top), int(right), int(bottom)
    y, x = np.ogrid[y0 : y1 + 1, x0 : x1 + 1]
    half_x, half_y = max((x1 - x0) / 2, 0.5), max((y1 - y0) / 2, 0.5)
    part = ((x - (x0 + x1) / 2) / half_x) ** 2 + ((y - (y0 + y1) / 2) / half_y) ** 2 <= 1
    whole = np.zeros(shape, bool)
    whole[y0 : y1 + 1, x0 : x1 + 1] = part
    target = io.BytesIO()
    Image.fromarray(part).save(target, "PNG")
    return whole, base64.b64encode(target.getvalue()).decode("ascii")
