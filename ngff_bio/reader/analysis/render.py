"""Planes of an image as RGB, with label images overlaid in colour: thumbnails and previews."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError, StoreError
from ngff_bio.model import PixelArray, Readable
from ngff_bio.ngff import ChannelMeta, rule_color
from ngff_bio.reader.access.arrays import take
from ngff_bio.reader.access.image import ImageNode
from ngff_bio.reader.xarray.grids import label_layer

Rgb = tuple[int, int, int]

#: Percentiles of the pixels that become black and white without a window.
_WINDOW = (0.5, 99.5)

#: Pixels of a plane that is drawn, in all channels.
_MOST_PIXELS = 1 << 30

#: Colours of several channels without metadata.
_TINTS = ("FF00FF", "00FF00", "0099FF", "FFFF00")


def thumbnail(
    image: ImageNode,
    size: int = 256,
    *,
    t: int | None = None,
    z: int | None = None,
    labels: str | None = None,
    opacity: float = 0.4,
) -> PIL.Image.Image:
    """One plane as an RGB image; see :meth:`ngff_bio.reader.Image.thumbnail`."""
    names = [labels] if labels else []
    level = level_of_size(image, size)
    pixels, planes, _ = cut_plane(image, level, {"t": t or 0, "z": z}, names)
    drawn = to_rgb(pixels, image.meta.channels)
    for name, values in planes.items():
        drawn = overlaid(drawn, values, label_colors(image, name, values), opacity)
    made = PIL.Image.fromarray(drawn)
    made.thumbnail((size, size))
    return made


def level_of_size(image: ImageNode, size: int, axes: str = "yx") -> int:
    """The coarsest level whose longer side is at least this size; the finest if none is."""
    found = 0
    for number in image.pixels.present():
        if max(n for a, n in image.pixels.sizes(number).items() if a in axes) >= size:
            found = number
    return found


def cut_plane(
    image: ImageNode, level: int, at: Mapping[str, int | None], labels: Sequence[str]
) -> tuple[PixelArray, dict[str, PixelArray], dict[str, int]]:
    """Pixels of one plane ((y, x) or (c, y, x)), its label images by name, and its indices.

    Parameters
    ----------
    at
        Indices at level 0 by axis; the middle if ``None``. The indices that are returned are of the
        level.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If an index is outside the image.
    ngff_bio.errors.StoreError
        If the plane has more than `_MOST_PIXELS`, in all channels.
    """
    sizes, full = image.pixels.sizes(level), image.sizes
    chosen: dict[str, int] = {}
    for axis in image.pixels.names:
        if axis in "cyx":
            continue
        index = at.get(axis)
        if index is None:
            index = full[axis] // 2
        if not 0 <= index < full[axis]:
            raise ArgumentError(
                f"the index along {axis} is outside the image",
                file=image.url,
                expected=f"0 to {full[axis] - 1}",
                found=index,
            )
        chosen[axis] = min(index * sizes[axis] // full[axis], sizes[axis] - 1)

    def plane(array: Readable, axes: Sequence[str]) -> PixelArray:
        count = math.prod(n for a, n in zip(axes, array.shape, strict=True) if a not in chosen)
        if count > _MOST_PIXELS:
            raise StoreError(
                "a plane is too large to be drawn",
                file=image.url,
                expected=f"a level of at most {_MOST_PIXELS:,} pixels in a plane",
                found=f"{count:,} in level {level}",
                hint="convert the image again: smaller levels are made of it",
            )
        return take(array, tuple(chosen.get(axis, slice(None)) for axis in axes))

    layers = {name: label_layer(image, name, level) for name in labels}
    planes = {name: plane(layer.array, layer.dims) for name, layer in layers.items()}
    return plane(image.pixels.array(level), image.pixels.names), planes, chosen


def to_rgb(values: PixelArray, channels: Sequence[ChannelMeta]) -> NDArray[np.uint8]:
    """(y, x) or (c, y, x) of any type as (y, x, 3).

    Colours and windows are those of ``omero``; without them a single channel is grey, and the
    window goes from the 0.5th to the 99.5th percentile.
    """
    planes = values if values.ndim == 3 else values[None]
    known = len(channels) == len(planes)
    out = np.zeros((*planes.shape[1:], 3), np.float32)
    for i, plane in enumerate(planes):
        color = _TINTS[i % len(_TINTS)] if len(planes) > 1 else "FFFFFF"
        low = high = 0.0
        if known:
            if not channels[i].active:
                continue
            color, low, high = channels[i].rgb, channels[i].start, channels[i].end
        if high <= low:
            known_values = plane[np.isfinite(plane)]
            if known_values.size:
                low, high = (float(v) for v in np.percentile(known_values, _WINDOW))
        shade = np.clip(np.nan_to_num((plane - np.float64(low)) / ((high - low) or 1)), 0, 1)
        tint = [int(color[k : k + 2], 16) / 255 for k in (0, 2, 4)]
        out += shade[..., None] * np.array(tint, np.float32)
    return (np.clip(out, 0, 1) * 255).astype(np.uint8)


def label_colors(image: ImageNode, name: str, values: PixelArray) -> dict[int, Rgb]:
    """Colour of each label value of a plane but 0: as the label image has it, or by the rule."""
    meta = image.label_meta(name).label
    known = meta.colors if meta is not None else {}
    values = np.unique(values[values != 0])
    return {v: known[v][:3] if v in known else rule_color(v) for v in values.tolist()}


def overlaid(
    rgb: NDArray[np.uint8], values: PixelArray, colors: Mapping[int, Rgb], opacity: float
) -> NDArray[np.uint8]:
    """An image with the label values but 0 in their colours."""
    if not colors:
        return rgb
    known = np.array(sorted(colors))
    table = np.array([colors[v] for v in known.tolist()], np.float32)
    inside = values != 0
    tint = table[np.searchsorted(known, values[inside])]
    out = rgb.copy()
    out[inside] = (rgb[inside] * (1 - opacity) + tint * opacity).astype(np.uint8)
    return out
