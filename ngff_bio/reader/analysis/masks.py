"""Masks of single instances, whole where others cover them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError, StoreError
from ngff_bio.model import PixelArray, Region
from ngff_bio.raster.runs import label_extents
from ngff_bio.reader.access.image import ImageNode
from ngff_bio.reader.tables.tables import in_table_only
from ngff_bio.reader.xarray.world import Position, Span, Units, choose_level, index_region


@dataclass(frozen=True)
class InstanceMask:
    """One instance in a region.

    Parameters
    ----------
    label
        Label value.
    layer
        Name of the visible label image.
    label_image
        Name of the label image that it was read from: the visible one, or a hidden one.
    axes
        Names of the axes of the mask, without those that were selected by one index.
    offset
        Index of the first pixel of the mask along each axis, in pixels of the level that was read.
    mask
        Boolean; cropped to the instance.
    """

    label: int
    layer: str
    label_image: str
    axes: tuple[str, ...]
    offset: tuple[int, ...]
    mask: NDArray[np.bool_]

    @property
    def hidden(self) -> bool:
        """Whether other instances cover a part of it in the visible label image."""
        return self.label_image != self.layer

    @property
    def box(self) -> tuple[tuple[int, int], ...]:
        """Half-open (start, stop) along each axis."""
        return tuple((o, o + n) for o, n in zip(self.offset, self.mask.shape, strict=True))


def instance_masks(
    image: ImageNode,
    label: str | None,
    spans: Mapping[str, Span],
    resolution: Position | None = None,
    level: int | None = None,
    units: Units = "world",
    *,
    hidden: bool = True,
) -> list[InstanceMask]:
    """Instances of a label image in a region; see :meth:`ngff_bio.reader.Image.instances`."""
    name = label if label is not None else _only_layer(image)
    source = image.label(name)
    number = choose_level(source, level, resolution, units)
    shape = source.array(number).shape
    chosen = index_region(source, number, spans, units)
    region: Region = tuple(
        _bounds(chosen.get(a, slice(None)), n) for a, n in zip(source.names, shape, strict=True)
    )
    keep = [i for i, a in enumerate(source.names) if not isinstance(chosen.get(a), int)]
    axes = tuple(source.names[i] for i in keep)
    found: dict[int, InstanceMask] = {}
    for one in (name, *(image.layers.get(name, ()) if hidden else ())):
        array = image.label(one).array(number)
        if array.shape != shape:
            raise StoreError(
                "a hidden label image has another shape than the one that it completes",
                file=array.url,
                expected=shape,
                found=array.shape,
            )
        values = array.read(region)
        for value, box in boxes_of(values):
            mask = values[tuple(slice(a, b) for a, b in box)] == value
            offset = tuple(region[i][0] + box[i][0] for i in keep)
            sides = [mask.shape[i] for i in keep]
            found[value] = InstanceMask(value, name, one, axes, offset, mask.reshape(sides))
    if hidden and (partial := in_table_only(image, name)):
        times = region[source.names.index("t")] if "t" in source.names else (0, 1)
        for t, value in partial:
            if t in range(*times):
                found.pop(value, None)
    return [found[value] for value in sorted(found)]


def _only_layer(image: ImageNode) -> str:
    layers = [n for n in image.layers if not image.is_semantic(n)]
    if len(layers) != 1:
        raise ArgumentError(
            "the label image must be named",
            file=image.url,
            expected=", ".join(layers) or "this image has no label image of instances",
        )
    return layers[0]


def _bounds(span: slice | int, size: int) -> tuple[int, int]:
    if isinstance(span, int):
        return span, span + 1
    start, stop, _ = span.indices(size)
    return start, stop


def boxes_of(values: PixelArray) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
    """Each label value but 0 with its half-open box along each axis, ordered by value."""
    found, _, low, high = label_extents(values)
    return [
        (value, tuple(zip(a, b, strict=True)))
        for value, a, b in zip(found.tolist(), low.tolist(), high.tolist(), strict=True)
    ]
