"""Levels of an image as xarray datasets: pixels and labels on one grid of physical coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray

# xarray documents these names for backends ("How to add a new backend"), but exports them nowhere
# else; tests/reader/test_xarray_engine.py indexes arrays without dask through them.
from xarray.core import indexing

from ngff_bio.errors import NgffBioError
from ngff_bio.model import ORDER, Readable
from ngff_bio.reader.access.arrays import take
from ngff_bio.reader.access.image import (
    IMAGE,
    Attributes,
    ImageNode,
    warn_skipped,
)
from ngff_bio.reader.xarray.blocks import Chunks, block_shape, to_dask
from ngff_bio.reader.xarray.coordinates import pixel_coordinates
from ngff_bio.reader.xarray.grids import Layer, label_layer


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
    variables = {IMAGE: _variable(own, chunks, _image_attrs(image))}
    for name in image.labels if labels is None else labels:
        try:
            layer = label_layer(image, name, number)
        except NgffBioError as error:
            if labels is not None:
                raise
            warn_skipped(f"the label image {name!r} of {image.url}", error)
        else:
            variables[variable_name(name)] = _variable(layer, chunks, _label_attrs(image, name))
    attrs: Attributes = {"path": image.path, "level": number}
    if pixels.meta.name is not None:
        attrs["name"] = pixels.meta.name
    return xr.Dataset(variables, coords=_coordinates(image, number, array.shape), attrs=attrs)


def level_datasets(image: ImageNode, chunks: Chunks) -> dict[int, xr.Dataset]:
    """All levels of an image, with names that a tree can have: ``_`` in place of ``/``.

    A warning names levels that are listed but missing.
    """
    present = list(image.pixels.present())
    missing = sorted(set(range(len(image.pixels))) - set(present))
    if missing:
        warn_skipped(f"levels {missing} of {image.url}", "listed but missing", depth=4)
    return {
        number: _without_slashes(level_dataset(image, number, chunks=chunks)) for number in present
    }


def _without_slashes(level: xr.Dataset) -> xr.Dataset:
    names: dict[str, str] = {}
    for name in map(str, level.data_vars):
        free = name.replace("/", "_")
        while free != name and (free in level.variables or free in names.values()):
            free += "_"
        names |= {} if free == name else {name: free}
    return level.rename(names) if names else level


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


def _variable(layer: Layer, chunks: Chunks, attrs: Attributes) -> xr.Variable:
    """A variable: dask-backed, or indexed directly if ``chunks`` is ``None``."""
    sizes = (layer.array.shape, layer.stored, layer.inner, layer.array.dtype.itemsize, layer.dims)
    data: Any
    if chunks is None:
        data = indexing.LazilyIndexedArray(LazyPixels(layer.array))
    else:
        data = to_dask(layer.array, block_shape(*sizes, chunks), f"ngff-bio-{layer.token}")
    variable = xr.Variable(layer.dims, data, attrs=attrs)
    variable.encoding["preferred_chunks"] = dict(zip(layer.dims, block_shape(*sizes), strict=True))
    return variable


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
