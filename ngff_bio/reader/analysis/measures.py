"""Measurements of instances, block by block: no image has to fit into memory.

Each block gives sums and extremes over the pixels of each label value in it; merged over all blocks
they give the properties that scikit-image's ``regionprops`` computes of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.model import PixelArray, Region
from ngff_bio.reader.access.image import ImageNode
from ngff_bio.reader.tables.tables import in_table_only
from ngff_bio.reader.xarray.blocks import block_shape
from ngff_bio.reader.xarray.grids import label_layer
from ngff_bio.reader.xarray.world import Units

if TYPE_CHECKING:
    import pandas as pd

#: How each statistic of two blocks becomes that of both.
_MERGE = {
    "count": np.add,
    "place": np.add,
    "low": np.minimum,
    "high": np.maximum,
    "total": np.add,
    "square": np.add,
    "least": np.minimum,
    "most": np.maximum,
}


#: Pixels of a block that are looked at together.
_SLAB = 1 << 20

#: Columns of a table, all of one length.
Columns = dict[str, NDArray[Any]]

#: A label image on a level of its image, of one that was asked for just now.
layer_of = lru_cache(64)(label_layer)


@dataclass
class Sums:
    """Statistics over the pixels of instances; a row is one label value on one frame.

    Parameters
    ----------
    keys
        (frame, label value), int64, one row each, sorted.
    count
        Number of pixels, int64.
    place, low, high
        Sum (float64), minimum and maximum (int64) of the index along each axis of the label image
        but t, a column per axis.
    total, square
        Sum of the intensity and of its square, float64, a column per channel.
    least, most
        Minimum and maximum intensity, float64, a column per channel.
    """

    keys: NDArray[np.int64]
    count: NDArray[np.int64]
    place: NDArray[np.float64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    total: NDArray[np.float64]
    square: NDArray[np.float64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]


def _grouped(keys: NDArray[np.int64], rows: Mapping[str, PixelArray]) -> Sums:
    """Statistics of rows that have the same key; keys need not be sorted."""
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    keys = keys[order]
    starts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(1)][: len(keys)])
    found = {
        name: how.reduceat(rows[name][order], starts, axis=0) if len(starts) else rows[name][:0]
        for name, how in _MERGE.items()
    }
    return Sums(keys[starts], **found)


def sums_of(
    values: PixelArray,
    pixels: PixelArray | None,
    corner: Sequence[int],
    frame_axis: int | None,
) -> Sums:
    """Statistics of one block.

    Pixels are first summed along stretches of one label value in a row: there are some twenty times
    fewer of these to sort.

    Parameters
    ----------
    values
        Label values.
    pixels
        Intensities, channels first: (channel, *values.shape).
    corner
        Index of the first pixel of the block along each axis.
    frame_axis
        Which axis of ``values`` is t, if one is.
    """
    flat = values.reshape(-1)
    channels = () if pixels is None else [c.reshape(-1) for c in pixels]
    width = max(values.shape[-1], 1)
    step = max(_SLAB // width, 1) * width
    slabs = [
        _stretches(flat[i : i + step], [c[i : i + step] for c in channels], i, width)
        for i in range(0, max(flat.size, 1), step)
    ]
    first, length, total, square, least, most = map(np.concatenate, zip(*slabs, strict=True))
    labels = flat[first].astype(np.int64)
    places = [p + c for p, c in zip(np.unravel_index(first, values.shape), corner, strict=True)]
    frames = places.pop(frame_axis) if frame_axis is not None else np.zeros_like(labels)
    low = np.stack(places, 1)
    high, place = low.copy(), low * length[:, None]
    high[:, -1] += length - 1
    place[:, -1] += length * (length - 1) // 2
    return _grouped(
        np.stack([frames, labels], 1),
        {
            "count": length,
            "place": place.astype(np.float64),
            "low": low,
            "high": high,
            "total": total,
            "square": square,
            "least": least,
            "most": most,
        },
    )


def _stretches(
    flat: PixelArray, channels: Sequence[PixelArray], offset: int, width: int
) -> tuple[PixelArray, ...]:
    """Stretches of one label value in some rows: first pixel, length, and statistics of channels."""
    new = np.empty(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=new[1:])
    new[::width] = True
    shown = np.flatnonzero(flat != 0)  # of bool it is several times as fast
    starts = np.flatnonzero(new[shown])
    length = np.diff(starts, append=len(shown))
    statistics = np.empty((4, len(starts), len(channels)))
    for i, channel in enumerate(channels if len(starts) else ()):
        native = channel[shown]
        shades = native.astype(np.float64)
        statistics[0, :, i] = np.add.reduceat(shades, starts)
        statistics[1, :, i] = np.add.reduceat(shades * shades, starts)
        statistics[2, :, i] = np.minimum.reduceat(native, starts)
        statistics[3, :, i] = np.maximum.reduceat(native, starts)
    return shown[starts] + offset, length, *statistics


def merged(parts: Iterable[Sums]) -> Sums:
    """Statistics of several blocks together."""
    found = list(parts)
    if len(found) == 1:
        return found[0]
    rows = {name: np.concatenate([getattr(p, name) for p in found]) for name in _MERGE}
    return _grouped(np.concatenate([p.keys for p in found]), rows)


def image_sums(
    image: ImageNode, names: Iterable[str], level: int, intensity: bool
) -> Iterator[tuple[str, Sums]]:
    """Statistics of several label images of an image whose pixels fit into memory: read once."""
    read: dict[tuple[object, Region], PixelArray] = {}
    for name in names:
        dims, parts = layer_of(image, name, level).dims, []
        for region in regions_of(image, name, level):
            if intensity and (dims, region) not in read:
                read[dims, region] = read_pixels(image, name, level, region)
            parts.append(block_sums(image, name, level, region, read.get((dims, region))))
        yield name, merged(parts)


def block_sums(
    image: ImageNode, name: str, level: int, region: Region, pixels: PixelArray | None
) -> Sums:
    """Statistics of a region of one label image, with the intensities of its image."""
    layer = layer_of(image, name, level)
    frame_axis = layer.dims.index("t") if "t" in layer.dims else None
    return sums_of(layer.array.read(region), pixels, [a for a, _ in region], frame_axis)


def read_pixels(image: ImageNode, name: str, level: int, region: Region) -> PixelArray:
    """The pixels of an image in a region of a label image, channels first."""
    spans = dict(zip(layer_of(image, name, level).dims, region, strict=True))
    array, names = image.pixels.array(level), image.pixels.names
    whole = tuple(spans.get(a, (0, n)) for a, n in zip(names, array.shape, strict=True))
    channels = sorted(range(len(names)), key=lambda i: names[i] in spans)
    shape = tuple(stop - start for start, stop in region)
    return array.read(whole).transpose(channels).reshape(-1, *shape)


def regions_of(image: ImageNode, name: str, level: int) -> list[Region]:
    """Blocks of a label image, of about 32 MiB or what is stored together."""
    layer = layer_of(image, name, level)
    shape, itemsize = layer.array.shape, layer.array.dtype.itemsize
    # The pixels of the image are read with the labels: both have to fit.
    both = itemsize + image.dtype.itemsize * image.sizes.get("c", 1)
    size = block_shape(shape, layer.stored, layer.inner, both, layer.dims)
    return cut(shape, size)


def cut(shape: Sequence[int], size: Sequence[int]) -> list[Region]:
    """Blocks of at most a size that cover a shape."""
    spans = [[(i, min(i + b, n)) for i in range(0, n, b)] for n, b in zip(shape, size, strict=True)]
    return list(product(*spans))


def columns_of(
    image: ImageNode,
    layer: str,
    name: str,
    level: int,
    sums: Sums,
    units: Units,
    classes: Mapping[int, str],
) -> Columns:
    """Statistics of one label image (``name``, of a layer with classes) as columns of a table."""
    dims = [d for d in layer_of(image, name, level).dims if d != "t"]
    scale, shift = dict.fromkeys(dims, 1.0), dict.fromkeys(dims, 0.0)
    if units == "world":
        scale, shift = image.pixels.scale(level), image.pixels.translation(level)
    count, frames, labels = sums.count, sums.keys[:, 0], sums.keys[:, 1]
    columns: Columns = {
        "image": np.full(len(count), image.path, object),
        "layer": np.full(len(count), layer, object),
        "label": labels,
        "label_image": np.full(len(count), name, object),
        **({"category": _named(labels, classes)} if classes else {}),
        "t": frames,
        "pixels": count,
        "area": count * float(np.prod([abs(scale[d]) for d in dims])),
    }
    for i, d in enumerate(dims):
        columns[f"centroid_{d}"] = sums.place[:, i] / count * scale[d] + shift[d]
    for i, d in enumerate(dims):
        columns[f"{d}_start"], columns[f"{d}_stop"] = sums.low[:, i], sums.high[:, i] + 1
    for i, suffix in enumerate(_channel_names(image, sums.total.shape[1])):
        mean = sums.total[:, i] / count
        columns[f"intensity_mean{suffix}"] = mean
        columns[f"intensity_min{suffix}"] = sums.least[:, i]
        columns[f"intensity_max{suffix}"] = sums.most[:, i]
        variance = np.maximum(sums.square[:, i] / count - mean * mean, 0)
        columns[f"intensity_std{suffix}"] = np.sqrt(variance)
    if partial := in_table_only(image, layer) if name == layer else None:
        keys = zip(frames.tolist(), labels.tolist(), strict=True)
        kept = np.array([key not in partial for key in keys], bool)
        columns = {name: values[kept] for name, values in columns.items()}
    return columns


def _named(labels: NDArray[np.int64], classes: Mapping[int, str]) -> NDArray[Any]:
    named = np.empty(len(labels), object)
    named[:] = [classes.get(label, np.nan) for label in labels.tolist()]
    return named


def frame_of(parts: Sequence[Columns]) -> pd.DataFrame:
    """Columns of several label images as one table; of those without rows only if all are."""
    import pandas as pd

    found = [p for p in parts if len(p["label"])] or parts[:1]
    frames = [
        pd.DataFrame({name: np.concatenate([p[name] for p in same]) for name in names})
        for names, same in ((names, list(group)) for names, group in groupby(found, tuple))
    ]
    return pd.concat(frames, ignore_index=True) if len(frames) != 1 else frames[0]


def _channel_names(image: ImageNode, count: int) -> list[str]:
    if count <= 1:
        return [""] * count
    names = [c.label for c in image.meta.channels]
    if len(names) != count or len(set(names)) != count:
        names = [str(i) for i in range(count)]
    return [f"_{n}" for n in names]


def completed(table: pd.DataFrame) -> pd.DataFrame:
    """One row per instance and frame, images by name: that of the label image in which it is whole."""
    if not len(table):
        return table
    key = ["image", "layer", "t", "label"]
    hidden = table["label_image"] != table["layer"]
    table = table.assign(_hidden=hidden).sort_values([*key, "_hidden"], kind="stable")
    kept = table.drop_duplicates(key, keep="last")
    return kept.drop(columns="_hidden").reset_index(drop=True)
