"""Masks of single instances, whole where others cover them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError, StoreError
from ngff_bio.reader.xarray.world import frame_span, pick_level, pixel_span

if TYPE_CHECKING:
    from ngff_bio.model import Region
    from ngff_bio.reader.access.image import Image


@dataclass(frozen=True)
class InstanceMask:
    """One instance in a region.

    Parameters
    ----------
    label
        Its label value.
    layer
        Name of the visible label image.
    label_image
        Name of the label image that it was read from: the visible one, or a hidden one.
    axes
        Names of the mask's axes.
    offset
        Index of the mask's first pixel along each axis, in pixels of the level that was read.
    mask
        Boolean; as small as holds the instance.
    """

    label: int
    layer: str
    label_image: str
    axes: tuple[str, ...]
    offset: tuple[int, ...]
    mask: NDArray[np.bool_]

    @property
    def hidden(self) -> bool:
        """Whether others cover a part of it in the visible label image."""
        return self.label_image != self.layer

    @property
    def box(self) -> tuple[tuple[int, int], ...]:
        """Half-open (start, stop) along each axis."""
        return tuple((o, o + n) for o, n in zip(self.offset, self.mask.shape, strict=True))


def instance_masks(
    image: Image,
    label: str | None = None,
    *,
    x: Any = None,
    y: Any = None,
    z: Any = None,
    t: Any = None,
    resolution: Any = None,
    level: int | None = None,
    units: Literal["world", "pixel"] = "world",
    hidden: bool = True,
) -> list[InstanceMask]:
    """Instances of a label image in a region, in the order of their values.

    Parameters
    ----------
    label
        Name of the label image; may be left out where there is one of instances only.
    x, y, z, t, resolution, level, units
        The region, as for :meth:`Image.region`. An instance that reaches out of it is cut off.
    hidden
        Whether instances that are covered by others are completed (and found where nothing of
        them shows).

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the region is outside the image, or the label image has to be named.
    """
    name = label if label is not None else _only_layer(image)
    source = image.label(name)
    world = units == "world"
    number = pick_level(source, resolution, world=world) if level is None else level
    wanted = {"x": x, "y": y, "z": z}
    sizes = dict(zip(source.names, source.shape(number), strict=True))
    spans: dict[str, slice | int] = {}
    for axis in source.axes:
        if axis.name in wanted:
            span = wanted[axis.name]
            spans[axis.name] = pixel_span(source, number, axis, span, world=world)
        else:
            span = t if axis.type == "time" else None
            spans[axis.name] = frame_span(axis.name, sizes[axis.name], span)
    region: Region = tuple(_bounds(spans[a], sizes[a]) for a in source.names)
    keep = tuple(i for i, a in enumerate(source.names) if not isinstance(spans[a], int))
    found = {
        value: InstanceMask(value, name, name, axes, offset, mask)
        for value, axes, offset, mask in _cut_out(source.array(number).read(region), region, keep,
                                                  source.names)
    }  # fmt: skip
    for other in image.layers.get(name, ()) if hidden else ():
        values = image.label(other).array(number)
        if values.shape != source.array(number).shape:
            raise StoreError(
                "a hidden label image has another size than the one it completes",
                file=values.url,
                expected=source.array(number).shape,
                found=values.shape,
            )
        for value, axes, offset, mask in _cut_out(values.read(region), region, keep, source.names):
            found[value] = InstanceMask(value, name, other, axes, offset, mask)
    return [found[value] for value in sorted(found)]


def _only_layer(image: Image) -> str:
    layers = [n for n in image.layers if image.label_attributes(n).get("values") != "semantic"]
    if len(layers) != 1:
        raise ArgumentError(
            "name the label image whose instances are wanted",
            file=image.url,
            expected=", ".join(layers) or "this image has no labels",
        )
    return layers[0]


def _bounds(span: slice | int, size: int) -> tuple[int, int]:
    if isinstance(span, int):
        return span, span + 1
    wanted = range(size)[span]
    return wanted[0], wanted[-1] + 1


def _cut_out(
    values: NDArray[Any], region: Region, keep: tuple[int, ...], names: tuple[str, ...]
) -> list[tuple[int, tuple[str, ...], tuple[int, ...], NDArray[np.bool_]]]:
    """Each value's mask with its place; axes that were asked for by one index are left out."""
    axes = tuple(names[i] for i in keep)
    found = []
    for value, box in boxes_of(values):
        mask = values[tuple(slice(a, b) for a, b in box)] == value
        offset = tuple(region[i][0] + box[i][0] for i in keep)
        found.append((value, axes, offset, mask.reshape([mask.shape[i] for i in keep])))
    return found


def boxes_of(values: NDArray[Any]) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
    """Each label value but 0 with its half-open box along each axis, in the order of values."""
    places = np.flatnonzero(values)
    if not places.size:
        return []
    seen = values.reshape(-1)[places]
    order = np.argsort(seen, kind="stable")
    seen, places = seen[order], places[order]
    starts = np.flatnonzero(np.r_[True, seen[1:] != seen[:-1]])
    low, high = [], []
    for along in np.unravel_index(places, values.shape):
        low.append(np.minimum.reduceat(along, starts))
        high.append(np.maximum.reduceat(along, starts) + 1)
    lows, highs = np.stack(low, 1).tolist(), np.stack(high, 1).tolist()
    return [
        (int(value), tuple(zip(a, b, strict=True)))
        for value, a, b in zip(seen[starts].tolist(), lows, highs, strict=True)
    ]
