"""Small pictures of an image, for notebooks and listings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import PIL.Image

    from ngff_bio.reader.access.image import Image

#: Percentiles of the pixels that become black and white where nothing says a window.
_WINDOW = (0.5, 99.5)


def thumbnail(
    image: Image,
    size: int = 256,
    *,
    t: int | None = None,
    z: int | None = None,
    labels: str | None = None,
    opacity: float = 0.4,
) -> PIL.Image.Image:
    """A picture whose longer side is ``size`` pixels at most.

    Parameters
    ----------
    t, z
        Frame and plane of the level that is read; the middle plane and the first frame if ``None``.
    labels
        Name of a label image to lay over it in colours.
    opacity
        Of the label colours.
    """
    import PIL.Image

    pixels = image.pixels
    number = _level(image, size)
    sizes = dict(zip(pixels.names, pixels.shape(number), strict=True))
    at: dict[str, Any] = {}
    for axis in pixels.names:
        if axis == "t":
            at[axis] = min(t or 0, sizes[axis] - 1)
        elif axis not in ("c", "y", "x"):
            n = sizes[axis]
            depth = pixels.shape(0)[pixels.names.index(axis)]
            at[axis] = n // 2 if z is None else min(z * n // depth, n - 1)
    level = image.level(number, labels=[labels] if labels else [], chunks=None)
    plane = level.isel(at)
    picture = _coloured(plane["image"].values, image)
    if labels:
        from ngff_bio.reader.xarray.views import variable_name

        picture = _overlaid(picture, plane[variable_name(labels)].values, image, labels, opacity)
    drawn = PIL.Image.fromarray(picture)
    drawn.thumbnail((size, size))
    return drawn


def _level(image: Image, size: int) -> int:
    """The coarsest level that is at least as large as the picture; the finest if none is."""
    names = image.pixels.names
    sides = [names.index(a) for a in ("y", "x") if a in names]
    found = 0
    for number in image.pixels.present():
        if max(image.level_shape(number)[i] for i in sides) >= size:
            found = number
    return found


def _coloured(values: NDArray[Any], image: Image) -> NDArray[np.uint8]:
    """Grey or mixed channels, as OMERO's settings say where there are some."""
    planes = values if values.ndim == 3 else values[None]
    channels = image.meta.channels
    out = np.zeros((*planes.shape[1:], 3), np.float32)
    for i, plane in enumerate(planes):
        known = channels[i] if len(channels) == len(planes) else None
        if known is not None and not known.active:
            continue
        if known is not None and known.end > known.start:
            low, high = known.start, known.end
        else:
            low, high = (float(v) for v in np.percentile(plane, _WINDOW))
        shade = np.clip((plane.astype(np.float32) - low) / max(high - low, 1e-9), 0, 1)
        colour = known.color if known is not None else "FFFFFF"
        tint = [int(colour[k : k + 2], 16) / 255 for k in (0, 2, 4)]
        out += shade[..., None] * np.array(tint, np.float32)
    return (np.clip(out, 0, 1) * 255).astype(np.uint8)


def _overlaid(
    picture: NDArray[np.uint8], values: NDArray[Any], image: Image, name: str, opacity: float
) -> NDArray[np.uint8]:
    meta = image.label_meta(name).label
    known = dict(meta.colors) if meta is not None else {}
    seen, where = np.unique(values, return_inverse=True)
    table = np.array([known.get(int(v), (*_colour(int(v)), 255))[:3] for v in seen], np.float32)
    shown = table[where.reshape(values.shape)]
    mixed = picture * (1 - opacity) + shown * opacity
    return np.where((values != 0)[..., None], mixed, picture).astype(np.uint8)


def _colour(value: int) -> tuple[int, int, int]:
    """A colour that differs from those of neighbouring values (golden angle along the hue)."""
    import colorsys

    red, green, blue = colorsys.hsv_to_rgb((value * 0.618034) % 1, 0.75, 1)
    return round(red * 255), round(green * 255), round(blue * 255)
