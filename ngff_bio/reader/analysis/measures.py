"""Measurements of instances, block by block: no image has to fit into memory.

Each block gives sums and extremes of the pixels of each label value in it; those of all blocks add
up to what scikit-image's ``regionprops`` says of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError, NameNotFoundError
from ngff_bio.model import Region
from ngff_bio.reader.tables.classes import classes_of
from ngff_bio.reader.xarray.blocks import block_shape
from ngff_bio.reader.xarray.views import label_layer

if TYPE_CHECKING:
    import pandas as pd

    from ngff_bio.reader.access.dataset import Dataset
    from ngff_bio.reader.access.image import Image


@dataclass
class Sums:
    """Sums over the pixels of instances; a row is one label value on one frame.

    Parameters
    ----------
    keys
        (frame, label value), int64, one row each, sorted.
    count
        Number of pixels.
    place, low, high
        Sum, minimum and maximum of the index along each axis of the label image but t.
    total, square
        Sum of the intensity and of its square, float64, a column per channel.
    least, most
        Its extremes.
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


def sums_of(
    values: NDArray[Any],
    pixels: NDArray[Any] | None,
    corner: Sequence[int],
    frame_axis: int | None,
) -> Sums:
    """Sums of one block.

    Parameters
    ----------
    values
        Label values.
    pixels
        Intensities, channels first: (channel, *values.shape).
    corner
        Index of the block's first pixel along each axis.
    frame_axis
        Which axis of ``values`` is t, if one is.
    """
    flat = np.flatnonzero(values)
    labels = values.reshape(-1)[flat].astype(np.int64)
    places = [p + c for p, c in zip(np.unravel_index(flat, values.shape), corner, strict=True)]
    frames = places.pop(frame_axis) if frame_axis is not None else np.zeros_like(labels)
    order = np.lexsort((labels, frames))
    labels, frames, flat = labels[order], frames[order], flat[order]
    keys = np.stack([frames, labels], 1).astype(np.int64)
    starts = _starts(keys)
    along = np.stack([p[order] for p in places], 1) if places else np.zeros((len(flat), 0))
    channels = 0 if pixels is None else len(pixels)
    shades = np.zeros((len(flat), channels))
    for i, channel in enumerate(() if pixels is None else pixels):
        shades[:, i] = channel.reshape(-1)[flat]
    return Sums(
        keys[starts],
        np.diff(np.r_[starts, len(flat)]).astype(np.int64),
        _reduced(np.add, along.astype(np.float64), starts),
        _reduced(np.minimum, along.astype(np.int64), starts),
        _reduced(np.maximum, along.astype(np.int64), starts),
        _reduced(np.add, shades, starts),
        _reduced(np.add, shades * shades, starts),
        _reduced(np.minimum, shades, starts),
        _reduced(np.maximum, shades, starts),
    )


def merged(parts: Iterable[Sums]) -> Sums:
    """Sums of several blocks together."""
    found = list(parts)
    if len(found) == 1:
        return found[0]
    keys = np.concatenate([p.keys for p in found])
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    starts = _starts(keys[order])

    def together(name: str, how: Any) -> Any:
        return _reduced(how, np.concatenate([getattr(p, name) for p in found])[order], starts)

    return Sums(
        keys[order][starts],
        together("count", np.add),
        together("place", np.add),
        together("low", np.minimum),
        together("high", np.maximum),
        together("total", np.add),
        together("square", np.add),
        together("least", np.minimum),
        together("most", np.maximum),
    )


def _starts(keys: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where a new key begins, among sorted ones."""
    if not len(keys):
        return np.zeros(0, np.intp)
    return np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(1)])


def _reduced(how: Any, rows: NDArray[Any], starts: NDArray[np.intp]) -> NDArray[Any]:
    return how.reduceat(rows, starts, axis=0) if len(starts) else rows[:0]


def block_sums(image: Image, name: str, level: int, region: Region, intensity: bool) -> Sums:
    """Sums of a region of one label image, with the intensities of its image."""
    layer = label_layer(image, name, level)
    values = layer.array.read(region)
    pixels = None
    if intensity:
        spans = dict(zip(layer.dims, region, strict=True))
        array = image.pixels.array(level)
        names = image.pixels.names
        whole = tuple(spans.get(a, (0, n)) for a, n in zip(names, array.shape, strict=True))
        block = array.read(whole)
        extra = [i for i, a in enumerate(names) if a not in spans]
        rest = [i for i, a in enumerate(names) if a in spans]
        block = block.transpose([*extra, *rest])
        pixels = block.reshape(-1, *block.shape[len(extra) :])
    frame = layer.dims.index("t") if "t" in layer.dims else None
    return sums_of(values, pixels, [a for a, _ in region], frame)


def regions_of(image: Image, name: str, level: int) -> list[Region]:
    """Blocks of a label image, of about 32 MiB or what is stored together."""
    layer = label_layer(image, name, level)
    shape, itemsize = layer.array.shape, layer.array.dtype.itemsize
    # The image's pixels are read with the labels: both have to fit.
    both = itemsize + image.dtype.itemsize * image.sizes.get("c", 1)
    size = block_shape(shape, layer.stored, layer.inner, both, layer.dims)
    spans = [[(i, min(i + b, n)) for i in range(0, n, b)] for n, b in zip(shape, size, strict=True)]
    return list(product(*spans))


def measure_images(
    dataset: Dataset,
    labels: str | Sequence[str] | None = None,
    *,
    images: Iterable[str] | None = None,
    level: int = 0,
    intensity: bool = True,
    units: Literal["pixel", "world"] = "pixel",
) -> pd.DataFrame:
    """Area, place and intensity of every instance; :func:`ngff_bio.measure` says how."""
    import pandas as pd
    from dask.base import compute
    from dask.delayed import delayed

    if units not in ("pixel", "world"):
        raise ArgumentError("units are pixel or world", found=units)
    wanted = [labels] if isinstance(labels, str) else labels
    jobs: list[tuple[Image, str, str]] = []
    known = dict[str, None]()
    for path in dataset if images is None else images:
        image = dataset[path]
        known |= dict.fromkeys(image.layers)
        for name, hidden in image.layers.items():
            semantic = image.label_attributes(name).get("values") == "semantic"
            if name in wanted if wanted is not None else not semantic:
                jobs += [(image, name, one) for one in (name, *hidden)]
    missing = [w for w in wanted or () if w not in known]
    if missing:
        raise NameNotFoundError(
            f"no image has labels {missing[0]!r}",
            file=dataset.url,
            expected=", ".join(known) or "there are no labels",
        )
    one_block, together = delayed(block_sums, pure=False), delayed(merged, pure=False)
    sent: dict[str, Any] = {}
    tasks = []
    for image, _, one in jobs:
        if image.path not in sent:
            sent[image.path] = delayed(image, pure=False, traverse=False)
        parts = [
            one_block(sent[image.path], one, level, region, intensity)
            for region in regions_of(image, one, level)
        ]
        while len(parts) > 16:  # in steps, so that no task holds the results of all blocks
            parts = [together(parts[i : i + 16]) for i in range(0, len(parts), 16)]
        tasks.append(together(parts))
    results = compute(*tasks)  # type: ignore[no-untyped-call]  # dask does not annotate it
    tables = [
        _table(image, name, one, level, sums, units)
        for (image, name, one), sums in zip(jobs, results, strict=True)
    ]
    found = [t for t in tables if len(t)]
    if not found:
        return tables[0] if tables else pd.DataFrame()
    return _completed(pd.concat(found, ignore_index=True))


def _table(image: Image, layer: str, name: str, level: int, sums: Sums, units: str) -> pd.DataFrame:
    import pandas as pd

    dims = [d for d in label_layer(image, name, level).dims if d != "t"]
    scale, shift = image.pixels.scale(level), image.pixels.translation(level)
    count = sums.count
    columns: dict[str, Any] = {
        "image": image.path,
        "layer": layer,
        "label": sums.keys[:, 1],
        "label_image": name,
        "t": sums.keys[:, 0],
        "pixels": count,
    }
    world = units == "world"
    columns["area"] = (
        count * float(np.prod([abs(scale[d]) for d in dims])) if world else count * 1.0
    )
    for i, d in enumerate(dims):
        centre = sums.place[:, i] / count
        columns[f"centroid_{d}"] = centre * scale[d] + shift[d] if world else centre
    for i, d in enumerate(dims):
        columns[f"{d}_start"], columns[f"{d}_stop"] = sums.low[:, i], sums.high[:, i] + 1
    names = _channel_names(image, sums.total.shape[1])
    for i, suffix in enumerate(names):
        mean = sums.total[:, i] / count
        columns[f"intensity_mean{suffix}"] = mean
        columns[f"intensity_min{suffix}"] = sums.least[:, i]
        columns[f"intensity_max{suffix}"] = sums.most[:, i]
        spread = np.maximum(sums.square[:, i] / count - mean * mean, 0)
        columns[f"intensity_std{suffix}"] = np.sqrt(spread)
    table = pd.DataFrame(columns)
    if not len(table):
        table = table.astype({"image": str, "layer": str, "label_image": str})
    classes = classes_of(image, layer)
    if classes is not None:
        table.insert(4, "category", table["label"].map(classes))
    return table


def _channel_names(image: Image, count: int) -> list[str]:
    if count <= 1:
        return [""] * count
    names = [c.label for c in image.meta.channels]
    if len(names) != count or len(set(names)) != count:
        names = [str(i) for i in range(count)]
    return [f"_{n}" for n in names]


def _completed(table: pd.DataFrame) -> pd.DataFrame:
    """One row per instance and frame: that of the label image in which it is whole."""
    hidden = table["label_image"] != table["layer"]
    table = table.assign(_hidden=hidden).sort_values(
        ["image", "layer", "t", "label", "_hidden"], kind="stable"
    )
    kept = table.drop_duplicates(["image", "layer", "t", "label"], keep="last")
    return kept.drop(columns="_hidden").reset_index(drop=True)
