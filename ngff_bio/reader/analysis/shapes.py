"""Properties of instances by scikit-image, of as many at a time as fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError, import_optional
from ngff_bio.model import Region
from ngff_bio.reader.access.image import ImageNode
from ngff_bio.reader.analysis.measures import Sums, layer_of, read_pixels
from ngff_bio.reader.xarray.world import Units

if TYPE_CHECKING:
    import pandas as pd

#: Bytes of label values that are read at a time.
_BYTES = 32 << 20

#: Properties that are positions in the image: they are moved to where the part that was read begins.
_POSITIONS = ("bbox", "centroid", "centroid_weighted")

#: Instances of a frame that are measured together: a region, and their label values.
Group = tuple[Region, NDArray[np.int64]]


def groups_of(image: ImageNode, name: str, level: int, sums: Sums) -> Iterator[Group]:
    """Instances whose boxes together are small enough to be read at a time, frame by frame.

    Parameters
    ----------
    sums
        Statistics of the whole label image: the boxes.
    """
    layer = layer_of(image, name, level)
    frame = layer.dims.index("t") if "t" in layer.dims else None
    whole = [i for i, d in enumerate(layer.dims) if d != "t"]
    limit = _BYTES // layer.array.dtype.itemsize
    side = max(int((limit / 4) ** (1 / len(whole))), 1)
    low, stop = sums.low, sums.high + 1
    tiles = (low // side).T
    order = np.lexsort((*tiles[::-1], sums.keys[:, 0]))
    start = 0
    while start < len(order):
        end, first, last = start, low[order[start]], stop[order[start]]
        t = sums.keys[order[start], 0]
        while end < len(order) and sums.keys[order[end], 0] == t:
            lower, upper = np.minimum(first, low[order[end]]), np.maximum(last, stop[order[end]])
            if end > start and np.prod(upper - lower) > limit:
                break
            first, last, end = lower, upper, end + 1
        spans = [(0, 0)] * len(layer.dims)
        if frame is not None:
            spans[frame] = (int(t), int(t) + 1)
        for i, axis in enumerate(whole):
            spans[axis] = (int(first[i]), int(last[i]))
        yield tuple(spans), sums.keys[order[start:end], 1]
        start = end


def shape_properties(
    image: ImageNode,
    name: str,
    level: int,
    group: Group,
    properties: Sequence[str],
    intensity: bool,
    units: Units,
) -> pd.DataFrame:
    """Properties of instances as scikit-image's ``regionprops_table`` names them, with label and t.

    With world units lengths, areas and positions are in the units of the axes.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If scikit-image has no such property for images of this kind, or it is not a number.
    """
    import pandas as pd

    measure = import_optional("skimage.measure", "ngff-bio[measure]")
    region, labels = group
    layer = layer_of(image, name, level)
    values = layer.array.read(region)
    pixels = read_pixels(image, name, level, region) if intensity else None
    frame = layer.dims.index("t") if "t" in layer.dims else None
    if frame is not None:
        values = values.squeeze(frame)
        pixels = None if pixels is None else pixels.squeeze(frame + 1)
    dims = [d for d in layer.dims if d != "t"]
    corner = [a for d, (a, _) in zip(layer.dims, region, strict=True) if d != "t"]
    values = np.where(np.isin(values, labels), values, 0).astype(np.int64)
    scale, shift = [1.0] * len(dims), [0.0] * len(dims)
    if units == "world":
        steps, origin = image.pixels.scale(level), image.pixels.translation(level)
        scale, shift = [abs(steps[d]) for d in dims], [origin[d] for d in dims]
        signs = [1.0 if steps[d] >= 0 else -1.0 for d in dims]
    shades: Any = None
    if pixels is not None:
        shades = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)
    try:
        found = measure.regionprops_table(
            values, shades, ("label", *properties), spacing=tuple(scale)
        )
    except (AttributeError, NotImplementedError, ValueError, TypeError) as error:
        raise ArgumentError(
            "scikit-image cannot measure a property",
            file=image.url,
            expected="properties of skimage.measure.regionprops_table for images of these axes",
            found=f"{', '.join(properties)}: {error}",
        ) from error
    for column in found:
        kind, _, number = column.rpartition("-")
        if found[column].dtype == object:
            raise ArgumentError("a property is not a number", expected="a number", found=column)
        if kind in _POSITIONS or kind.startswith("centroid_weighted"):
            at = int(number) % len(dims)
            if kind == "bbox":  # in pixels
                found[column] = found[column] + corner[at]
            elif units == "world":
                place = found[column] + corner[at] * scale[at]
                found[column] = signs[at] * place + shift[at]
            else:
                found[column] = found[column] + corner[at]
    table = pd.DataFrame(found)
    table.insert(0, "t", region[frame][0] if frame is not None else 0)
    return table
