"""labelme files with records as labelme 5 writes and reads them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ngff_bio.formats.json.text import JsonObject

#: Version of labelme that the files name; its reader requires one.
VERSION = "5.5.0"


def new_file(shapes: Sequence[JsonObject], image: str, height: int, width: int) -> JsonObject:
    """A file whose image is the file `image` beside it."""
    return {
        "version": VERSION,
        "flags": {},
        "shapes": list(shapes),
        "imagePath": image,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def shape_record(
    label: str,
    points: Sequence[tuple[float, float]],
    kind: str,
    *,
    group_id: int | None = None,
    mask: str | None = None,
    **extra: object,
) -> JsonObject:
    """One shape; labelme keeps `extra` keys unchanged."""
    record: JsonObject = {
        "label": label,
        "points": [list(p) for p in points],
        "group_id": group_id,
        "description": "",
        "shape_type": kind,
        "flags": {},
    }
    record["mask"] = mask
    return record | extra


def mask_shape(
    label: str, corner: tuple[int, int], mask: NDArray[np.bool_], **extra: Any
) -> JsonObject:
    """A ``mask`` shape: two corners, both inside of the mask, and a PNG.

    Parameters
    ----------
    corner
        x, y of the first pixel of `mask`.
    mask
        bool (y, x).
    """
    x, y = corner
    height, width = mask.shape
    out = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(out, "PNG")
    return shape_record(
        label,
        [(float(x), float(y)), (float(x + width - 1), float(y + height - 1))],
        "mask",
        mask=base64.b64encode(out.getvalue()).decode("ascii"),
        **extra,
    )
