"""Levels of an image as xarray datasets: pixels and labels on one grid of physical coordinates."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray

# xarray documents these names for backends ("How to add a new backend"), but exports them nowhere
# else; tests/reader/test_xarray_engine.py indexes arrays without dask through them.
from xarray.core import indexing

from ngff_bio.errors import NgffBioError, StoreError
from ngff_bio.model import ORDER, Readable
from ngff_bio.printing import printable
from ngff_bio.reader.access.arrays import take
from ngff_bio.reader.access.image import (
    IMAGE,
    AlignedLabelsWarning,
    Attributes,
    ImageNode,
    warn_skipped,
)
from ngff_bio.reader.access.multiscale import Multiscale, overlap
from ngff_bio.reader.xarray.blocks import Chunks, block_shape, to_dask
from ngff_bio.reader.xarray.coordinates import pixel_coordinates
from ngff_bio.reader.xarray.grids import GridView

#: Two grids are the same if they differ by less than this part of a pixel along the whole axis.
_SAME = 1e-3


class LazyPixels(BackendArray):
    """A lazy array as xarray indexes it without dask."""

    def __init__(self, array: Readable) -> None:
        self.array = array
        self.shape = array.shape
        self.dtype = array.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, lambda k: take(self.array, k)
        )


@dataclass(frozen=True)
class Layer:
    """A variable to be: array, axes, shapes of a stored object and of what is decoded at once."""

    array: Readable
    dims: tuple[str, ...]
    stored: tuple[int, ...]
    inner: tuple[int, ...]
    token: str

    def variable(self, chunks: Chunks, attrs: Attributes) -> xr.Variable:
        """A variable: dask-backed, or indexed directly if ``chunks`` is ``None``."""
        sizes = (self.array.shape, self.stored, self.inner, self.array.dtype.itemsize, self.dims)
        data: Any
        if chunks is None:
            data = indexing.LazilyIndexedArray(LazyPixels(self.array))
        else:
            data = to_dask(self.array, block_shape(*sizes, chunks), f"ngff-bio-{self.token}")
        variable = xr.Variable(self.dims, data, attrs=attrs)
        variable.encoding["preferred_chunks"] = dict(
            zip(self.dims, block_shape(*sizes), strict=True)
        )
        return variable


def level_dataset(
    image: ImageNode,
    number: int,
    *,
    labels: Sequence[str] | None = None,
    chunks: Chunks = "auto",
) -> xr.Dataset:
    """One level of an image with its labels on the same grid; see :meth:`.Image.level`."""
    pixels = image.pixels
    array = pixels.array(number)
    own = Layer(array, pixels.names, array.objects, array.chunks, array.token)
    variables = {IMAGE: own.variable(chunks, _image_attrs(image))}
    for name in image.labels if labels is None else labels:
        try:
            layer = label_layer(image, name, number)
        except NgffBioError as error:
            if labels is not None:
                raise
            warn_skipped(f"the label image {name!r} of {image.url}", error)
        else:
            variables[variable_name(name)] = layer.variable(chunks, _label_attrs(image, name))
    attrs: Attributes = {"path": image.path, "level": number}
    if pixels.meta.name is not None:
        attrs["name"] = pixels.meta.name
    return xr.Dataset(variables, coords=_coordinates(image, number, array.shape), attrs=attrs)


def level_datasets(image: ImageNode, chunks: Chunks) -> dict[int, xr.Dataset]:
    """All levels of an image; a warning names those that are listed but missing."""
    present = list(image.pixels.present())
    missing = sorted(set(range(len(image.pixels))) - set(present))
    if missing:
        warn_skipped(f"levels {missing} of {image.url}", "listed but missing", depth=4)
    return {number: level_dataset(image, number, chunks=chunks) for number in present}


def dataset_groups(
    images: Mapping[str, ImageNode], own: Attributes, chunks: Chunks, below: str = ""
) -> dict[str, xr.Dataset]:
    """All levels of images by path, relative to ``below``; the root has the store's attributes."""
    found: dict[str, xr.Dataset] = {"/": xr.Dataset(attrs={"ngff_bio": own} if own else {})}
    for path in images:
        if below and not f"{path}/".startswith(f"{below}/"):
            continue
        try:
            levels = level_datasets(images[path], chunks)
        except NgffBioError as error:
            warn_skipped(f"the image {path!r}", error)
            continue
        place = path[len(below) :].strip("/")
        for number, level in levels.items():
            found[f"/{place}/{number}".replace("//", "/")] = level
    return found


def variable_name(label: str) -> str:
    """Name of a label image's variable: its own, unless the pixels or an axis have it."""
    return label if label not in (IMAGE, *ORDER) else f"labels/{label}"


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


def _image_attrs(image: ImageNode) -> Attributes:
    attrs: Attributes = {}
    if image.meta.channels:
        attrs["omero"] = {"channels": image.rendering}
    if image.attributes:
        attrs["ngff_bio"] = image.attributes
    return attrs


def _label_attrs(image: ImageNode, name: str) -> Attributes:
    meta, own = image.label_meta(name).label, image.label_attributes(name)
    attrs: Attributes = {}
    if meta is not None and meta.properties:
        attrs["properties"] = [dict(p) for p in meta.properties]
    if meta is not None and meta.colors:
        attrs["colors"] = {int(k): tuple(v) for k, v in meta.colors.items()}
    if own:
        attrs["ngff_bio"] = own
    return attrs


def _coordinates(image: ImageNode, number: int, shape: tuple[int, ...]) -> xr.Coordinates:
    """Coordinates of a level: lazy along space, elapsed time along t, channel names along c."""
    pixels = image.pixels
    scale, shift = pixels.scale(number), pixels.translation(number)
    coords = xr.Coordinates()
    for axis, n in zip(pixels.axes, shape, strict=True):
        name = axis.name
        if axis.type == "channel":
            names = [c.label for c in image.meta.channels]
            if len(names) == n and all(names):
                coords = coords.assign({name: (name, np.array(names, dtype=str))})
            continue
        hours = image.elapsed_hours if axis.type == "time" else None
        if hours is not None and len(hours) == n:
            coords = coords.assign({name: (name, np.array(hours, np.float64), {"units": "hour"})})
        elif scale[name] != 0:  # of size 0, all pixels would have the same coordinate
            coords |= pixel_coordinates(name, n, scale[name], shift[name], axis.unit)
    return coords
