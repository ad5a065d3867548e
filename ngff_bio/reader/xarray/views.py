"""Levels of an image as xarray datasets: pixels and labels on one grid of physical coordinates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from ngff_bio.errors import NgffBioError, StoreError
from ngff_bio.reader.access.arrays import Readable, StoredArray, take
from ngff_bio.reader.access.image import IMAGE
from ngff_bio.reader.access.multiscale import Multiscale
from ngff_bio.reader.access.notices import left_out
from ngff_bio.reader.xarray.blocks import Chunks, block_shape, to_dask
from ngff_bio.reader.xarray.coordinates import pixel_coordinates
from ngff_bio.reader.xarray.grids import Regridded, Squeezed

if TYPE_CHECKING:
    from ngff_bio.reader.access.image import Image

#: Two grids are one if a pixel lies less than this part of a pixel off, over the whole axis.
_SAME = 1e-3


class LazyPixels(BackendArray):
    """A lazy array as xarray indexes it where there is no dask."""

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
    """Something to be made a variable: what is read, its axes, and how it is stored."""

    name: str
    array: Readable
    dims: tuple[str, ...]
    stored: tuple[int, ...]
    inner: tuple[int, ...]
    token: str
    attrs: dict[str, Any]

    def variable(self, chunks: Chunks) -> xr.Variable:
        """A variable: dask-backed, or indexed directly where ``chunks`` is ``None``."""
        sizes = (self.array.shape, self.stored, self.inner, self.array.dtype.itemsize, self.dims)
        usual = block_shape(*sizes)
        if chunks is None:
            data: Any = indexing.LazilyIndexedArray(LazyPixels(self.array))
        else:
            data = to_dask(self.array, block_shape(*sizes, chunks), f"ngff-bio-{self.token}")
        made = xr.Variable(self.dims, data, attrs=self.attrs)
        made.encoding["preferred_chunks"] = dict(zip(self.dims, usual, strict=True))
        return made


def level_dataset(
    image: Image,
    number: int,
    *,
    labels: Sequence[str] | None = None,
    chunks: Chunks = "auto",
) -> xr.Dataset:
    """One level of an image with its labels on the same grid."""
    pixels = image.pixels
    array = pixels.array(number)
    layers = [_stored_layer(IMAGE, array, pixels.names, _image_attrs(image))]
    for name in image.labels if labels is None else labels:
        try:
            layers.append(label_layer(image, name, number))
        except NgffBioError as error:
            if labels is not None:
                raise
            left_out(f"the label image {name!r} of {image.url}", error)
    attrs: dict[str, Any] = {"path": image.path, "level": number}
    if pixels.meta.name is not None:
        attrs["name"] = pixels.meta.name
    return xr.Dataset(
        {one.name: one.variable(chunks) for one in layers},
        coords=_coordinates(image, number, array.shape),
        attrs=attrs,
    )


def _stored_layer(
    name: str, array: StoredArray, dims: tuple[str, ...], attrs: dict[str, Any]
) -> Layer:
    return Layer(name, array, dims, array.objects, array.chunks, array.token, attrs)


def variable_name(label: str) -> str:
    """Name of a label image's variable: its own, unless that is taken by the pixels."""
    return label if label != IMAGE else "labels/image"


def label_layer(image: Image, name: str, number: int) -> Layer:
    """A label image on the grid of one level of its image.

    The label's level of the nearest pixel size is taken; where it does not lie on the image's
    grid it is read at the nearest pixels.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the label image cannot be read, is no integer, or has axes that its image has not.
    """
    pixels, label = image.pixels, image.label(name)
    scale, shift = pixels.scale(number), pixels.translation(number)
    level = _nearest_level(label, scale, number)
    array = label.array(level)
    made = _stored_layer(variable_name(name), array, label.names, _label_attrs(image, name))
    made = _squeezed(made, pixels, number)
    own_scale, own_shift = label.scale(level), label.translation(level)
    sizes = dict(zip(pixels.names, pixels.shape(number), strict=True))
    space = {a.name for a in pixels.axes if a.type == "space"}
    factors, shifts, shape = [], [], []
    same = True
    for axis, n in zip(made.dims, made.array.shape, strict=True):
        fits = n == sizes[axis]
        if axis not in space and fits:  # frames and channels are counted, not measured
            factor, offset = 1.0, 0.0
        else:
            factor = scale[axis] / own_scale[axis]
            offset = (shift[axis] - own_shift[axis]) / own_scale[axis]
        if fits and abs(factor - 1) * n < _SAME and abs(offset) < _SAME:
            factor, offset = 1.0, 0.0
        else:
            same = False
        factors.append(factor)
        shifts.append(offset)
        shape.append(sizes[axis])
    if same:
        return made
    array_on_grid = Regridded(made.array, tuple(shape), tuple(factors), tuple(shifts))
    grid = tuple(max(round(s / f), 1) for s, f in zip(made.stored, factors, strict=True))
    small = tuple(max(round(s / f), 1) for s, f in zip(made.inner, factors, strict=True))
    token = f"{made.token}-on-{number}-{pixels.array(number).token}"
    return replace(made, array=array_on_grid, stored=grid, inner=small, token=token)


def _nearest_level(label: Multiscale, scale: dict[str, float], number: int) -> int:
    """The label's level of the image's pixel size; of several equally near ones the finest."""
    levels = list(label.present())
    if not levels:
        return number if number < len(label) else 0  # raises where it is read, naming the level
    shared = [a for a in ("y", "x", "z") if a in scale and a in label.names]

    def distance(level: int) -> float:
        own = label.scale(level)
        return float(sum(abs(math.log(abs(own[a] / scale[a]))) for a in shared))

    return min(levels, key=lambda level: (round(distance(level), 6), level))


def _squeezed(layer: Layer, pixels: Multiscale, number: int) -> Layer:
    """Without axes of size 1 that the image does not have or has longer: labels have no channels."""
    sizes = dict(zip(pixels.names, pixels.shape(number), strict=True))
    types = {a.name: a.type for a in pixels.axes}
    drop = []
    for i, (axis, n) in enumerate(zip(layer.dims, layer.array.shape, strict=True)):
        if n == 1 and (axis not in sizes or sizes[axis] != 1 or types.get(axis) == "channel"):
            drop.append(i)
        elif axis not in sizes or (types.get(axis) != "space" and n != sizes[axis]):
            raise StoreError(
                "a label image does not lie on its image",
                record=layer.name,
                expected=f"{axis} of size {sizes.get(axis, 'none')}",
                found=n,
            )
    if not drop:
        return layer
    keep = [i for i in range(len(layer.dims)) if i not in drop]
    return replace(
        layer,
        array=Squeezed(layer.array, tuple(drop)),
        dims=tuple(layer.dims[i] for i in keep),
        stored=tuple(layer.stored[i] for i in keep),
        inner=tuple(layer.inner[i] for i in keep),
        token=f"{layer.token}-squeezed",
    )


def _image_attrs(image: Image) -> dict[str, Any]:
    attrs: dict[str, Any] = {}
    omero = image.rendering
    if omero:
        attrs["omero"] = {"channels": omero}
    if image.attributes:
        attrs["ngff_bio"] = image.attributes
    return attrs


def _label_attrs(image: Image, name: str) -> dict[str, Any]:
    meta, own = image.label_meta(name).label, image.label_attributes(name)
    attrs: dict[str, Any] = {}
    if meta is not None and meta.properties:
        attrs["properties"] = [dict(p) for p in meta.properties]
    if meta is not None and meta.colors:
        attrs["colors"] = {int(k): tuple(v) for k, v in meta.colors.items()}
    if own:
        attrs["ngff_bio"] = own
    return attrs


def _coordinates(image: Image, number: int, shape: tuple[int, ...]) -> xr.Coordinates:
    """Coordinates of a level: lazy along space, elapsed time along t, channel names along c."""
    pixels = image.pixels
    scale, shift = pixels.scale(number), pixels.translation(number)
    made = xr.Coordinates()
    for axis, n in zip(pixels.axes, shape, strict=True):
        name = axis.name
        if axis.type == "channel":
            names = [c.label for c in image.meta.channels]
            if len(names) == n:
                made = made.assign({name: (name, np.array(names, dtype=str))})
            continue
        hours = image.elapsed_hours if axis.type == "time" else None
        if hours is not None and len(hours) == n:
            values = np.asarray(hours, np.float64)
            made = made.assign({name: (name, values, {"units": "hour"})})
            continue
        if scale[name] == 0:  # all at one place: no coordinate would tell them apart
            continue
        made |= pixel_coordinates(name, n, scale[name], shift[name], axis.unit)
    return made


def level_numbers(image: Image) -> Iterable[int]:
    """Levels of an image that are there; a warning names those that are not."""
    there = list(image.pixels.present())
    missing = sorted(set(range(len(image.pixels))) - set(there))
    if missing:
        left_out(f"what {image.url} lists as levels {missing}", "it is not there", depth=4)
    return there
