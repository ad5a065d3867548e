"""A label image on the grid of its image, where the two differ in axes, pixel size or offset."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ngff_bio.errors import StoreError
from ngff_bio.model import PixelArray, Readable, Region, SampleType
from ngff_bio.printing import printable
from ngff_bio.reader.access.arrays import take
from ngff_bio.reader.access.image import AlignedLabelsWarning, ImageNode
from ngff_bio.reader.access.multiscale import Multiscale, overlap

#: Two grids are the same if they differ by less than this part of a pixel along the whole axis.
_SAME = 1e-3


@dataclass(frozen=True)
class GridView:
    """An array resampled to another grid by nearest neighbour, block by block.

    Parameters
    ----------
    source
        The array.
    axes
        Its axes that are kept, in order; the others have size 1.
    shape
        Shape on the new grid.
    factor, shift
        For each axis: a new index corresponds to the index ``index * factor + shift`` of the
        source, rounded.
    """

    source: Readable
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    factor: tuple[float, ...]
    shift: tuple[float, ...]

    @property
    def dtype(self) -> SampleType:
        """Data type of the pixels."""
        return self.source.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def read(self, region: Region) -> PixelArray:
        """Pixels of a region; 0 outside the source."""
        if any(a == b for a, b in region):
            return np.zeros([b - a for a, b in region], self.dtype)
        box = [(0, 1)] * len(self.source.shape)
        places, inside = [], []
        for axis, (a, b), f, s in zip(self.axes, region, self.factor, self.shift, strict=True):
            n = self.source.shape[axis]
            found = np.floor(np.arange(a, b) * f + s + 0.5 - 1e-9).astype(np.intp)
            inside.append((found >= 0) & (found < n))
            clipped = np.clip(found, 0, n - 1)
            low = int(clipped.min())
            box[axis] = (low, int(clipped.max()) + 1)
            places.append(clipped - low)
        block = self.source.read(tuple(box)).reshape(
            [b - a for a, b in (box[i] for i in self.axes)]
        )
        for axis, (place, there) in enumerate(zip(places, inside, strict=True)):
            if not np.array_equal(place, np.arange(block.shape[axis])):
                block = block.take(place, axis=axis)
            if not there.all():
                block = block.copy()
                block[(slice(None),) * axis + (~there,)] = 0
        return block

    def __getitem__(self, key: Any) -> PixelArray:
        return take(self, key)


@dataclass(frozen=True)
class Layer:
    """A variable to be: array, axes, shapes of a stored object and of what is decoded at once."""

    array: Readable
    dims: tuple[str, ...]
    stored: tuple[int, ...]
    inner: tuple[int, ...]
    token: str


def label_layer(image: ImageNode, name: str, number: int) -> Layer:
    """A label image on the grid of one level of its image.

    The label image's level of the nearest pixel size is used; if it is not on the grid of the
    image, it is resampled by nearest neighbour, with a warning. Axes of size 1 that the image does not
    have, or has longer, and channels are dropped.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the label image cannot be read, is not of integers, has axes that its image has not, or is
        nowhere on it.
    """
    pixels, label = image.pixels, _with_scale(image.pixels, image.label(name), name)
    if not overlap(pixels, label):
        raise StoreError(
            "a label image is not on its image: they do not overlap in world coordinates",
            record=name,
            expected=f"scale {pixels.scale()}, translation {pixels.translation()}",
            found=f"scale {label.scale()}, translation {label.translation()}",
        )
    scale, shift = pixels.scale(number), pixels.translation(number)
    level = _nearest_level(label, scale, number)
    array = label.array(level)
    label_scale, label_shift = label.scale(level), label.translation(level)
    sizes, types = pixels.sizes(number), {a.name: a.type for a in pixels.axes}
    axes: list[int] = []
    factors: list[float] = []
    shifts: list[float] = []
    same = True
    for i, (axis, n) in enumerate(zip(label.names, array.shape, strict=True)):
        space = types.get(axis) == "space"
        fits = n == sizes.get(axis)
        if n == 1 and (axis not in sizes or sizes[axis] != 1 or types[axis] == "channel"):
            continue
        if axis not in sizes or not (space or fits):
            raise StoreError(
                "the axes of a label image do not match its image",
                record=name,
                expected=f"{axis} of size {sizes.get(axis, 'none')}",
                found=n,
            )
        factor, offset = 1.0, 0.0
        if space:  # frames and channels have indices, not positions
            factor = scale[axis] / label_scale[axis]
            offset = (shift[axis] - label_shift[axis]) / label_scale[axis]
        if fits and abs(factor - 1) * n < _SAME and abs(offset) < _SAME:
            factor, offset = 1.0, 0.0
        else:
            same = False
        axes.append(i)
        factors.append(factor)
        shifts.append(offset)
    dims = tuple(label.names[i] for i in axes)
    if same and len(axes) == array.ndim:
        return Layer(array, dims, array.objects, array.chunks, array.token)

    if not same:
        warnings.warn(
            printable(
                f"the label image {name!r} of {image.url} has another pixel size or offset than level "
                f"{number} of its image: it is aligned by world coordinates"
            ),
            AlignedLabelsWarning,
            stacklevel=3,
        )

    def on_grid(block: tuple[int, ...]) -> tuple[int, ...]:
        sides = zip((block[i] for i in axes), factors, strict=True)
        return tuple(max(round(side / factor), 1) for side, factor in sides)

    return Layer(
        GridView(array, tuple(axes), tuple(sizes[d] for d in dims), tuple(factors), tuple(shifts)),
        dims,
        on_grid(array.objects),
        on_grid(array.chunks),
        f"{array.token}-on-{number}-{pixels.array(number).token}",
    )


def _with_scale(pixels: Multiscale, label: Multiscale, name: str) -> Multiscale:
    """A label image of the size of its image whose scale was left out has the scale of its image."""
    sizes, own = pixels.sizes(), label.sizes()
    space = [a.name for a in label.axes if a.type == "space" and a.name in sizes]
    plain = all(label.scale()[a] == 1 and not label.translation()[a] for a in space)
    if not plain or any(a.unit for a in label.axes) or any(own[a] != sizes[a] for a in space):
        return label
    if all(pixels.scale()[a] == 1 and not pixels.translation()[a] for a in space):
        return label
    levels = []
    for number, level in enumerate(label.meta.levels):
        # The level of the image of the same size, else level 0 and how much smaller this one is.
        same = number < len(pixels) and all(
            label.sizes(number)[a] == pixels.sizes(number)[a] for a in space
        )
        base, factor = (number, (1.0,) * len(label.names)) if same else (0, level.scale)
        scale, shift = pixels.scale(base), pixels.translation(base)
        steps = dict(zip(label.names, factor, strict=True))
        levels.append(
            replace(
                level,
                scale=tuple(f * scale.get(a, 1.0) for a, f in steps.items()),
                translation=tuple(
                    shift.get(a, 0.0) + scale.get(a, 1.0) * (f - 1) / 2 for a, f in steps.items()
                ),
            )
        )
    warnings.warn(
        printable(
            f"the label image {name!r} of {label.url} has no scale: that of its image is taken"
        ),
        AlignedLabelsWarning,
        stacklevel=4,
    )
    return Multiscale(label.nodes, label.path, replace(label.meta, levels=tuple(levels)))


def _nearest_level(label: Multiscale, scale: Mapping[str, float], number: int) -> int:
    """The label image's level of the image's pixel size; of several equally near ones the finest."""
    levels = list(label.present())
    if not levels:
        return number if number < len(label) else 0  # reading it raises, naming the level
    shared = [a for a in ("y", "x", "z") if a in scale and a in label.names]

    def distance(level: int) -> float:
        own = label.scale(level)
        return float(sum(abs(math.log(abs(own[a] / scale[a]))) for a in shared))

    return min(levels, key=lambda level: (round(distance(level), 6), level))
