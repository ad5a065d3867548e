"""A picture of one plane of an image: labels outlined and lightly filled, classes in a legend."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import NDArray

import ngff_bio.reader as reader
from ngff_bio.errors import ArgumentError
from ngff_bio.raster.rings import outlines
from ngff_bio.storage import Storage

#: Percentiles of the pixels that become black and white.
_WINDOW = (0.5, 99.5)
_MARGIN = 10

#: Small images are shown so many times larger at most: outlines then leave room for what they outline.
_ZOOM = 4
_LINE = 22


@dataclass(frozen=True, slots=True)
class _Plane:
    """One plane of the image and of its labels, as arrays, with where it was cut."""

    pixels: NDArray[Any]
    labels: dict[str, NDArray[Any]]
    title: str


def draw_preview(
    store: str | os.PathLike[str] | Storage,
    *,
    image: str | None = None,
    label: str | None = None,
    t: int | None = None,
    z: int | None = None,
    width: int = 1200,
    fill: float = 0.25,
) -> PIL.Image.Image:
    """Draw one plane with its labels.

    Parameters
    ----------
    store
        The store.
    image
        Path of the image; ``None`` for the first one with labels.
    label
        Name of the label image; ``None`` for the semantic one, or else the first. Its hidden ones
        are outlined too.
    t, z
        Frame and plane; ``None`` for the ones with most instances.
    width
        Most pixels across; a level of the pyramid is taken that is not much larger.
    fill
        Opacity of the fill, 0 to 1.

    Raises
    ------
    ngff_bio.errors.NgffBioError
        If there is no such image, label, frame or plane.
    """
    dataset = reader.open(store)
    found = dataset[image] if image is not None else _first_labelled(dataset)
    layers = _layers(found, label)
    level = _level(found, width)
    plane = _cut(found, level, layers, t, z)
    zoom = max(min(_ZOOM, width // plane.pixels.shape[-1]), 1)
    picture = _enlarged(_grey_or_rgb(plane.pixels), zoom)
    legend: list[tuple[str, tuple[int, int, int]]] = []
    for name, small in plane.labels.items():
        values = _enlarged(small, zoom)
        colors, names = _colors(found, name, values)
        picture = _overlay(picture, values, colors, fill)
        legend += [(names[v], c) for v, c in colors.items() if v in names]
    drawn = PIL.Image.fromarray(picture)
    if drawn.width > width:
        drawn = drawn.resize((width, max(1, round(drawn.height * width / drawn.width))))
    return _with_legend(drawn, plane.title, legend)


def _first_labelled(dataset: reader.Dataset) -> reader.Image:
    for path in dataset:
        if dataset[path].labels:
            return dataset[path]
    return dataset[next(iter(dataset))]


def _layers(image: reader.Image, label: str | None) -> list[str]:
    """The label image to draw and the hidden ones that complete it."""
    if label is None:
        visible = [n for n in image.labels if not image.label_attributes(n).get("hides")]
        semantic = [n for n in visible if image.label_attributes(n).get("values") == "semantic"]
        label = next(iter(semantic or visible), None)
        if label is None:
            return []
    image.label_meta(label)  # raises if there is none of that name
    return [label, *(image.label_attributes(label).get("hidden") or ())]


def _level(image: reader.Image, width: int) -> int:
    """The coarsest level that is at least as wide as the picture."""
    last = 0
    for number in range(len(image.multiscale.levels)):
        if image.level_shape(number)[-1] >= width:
            last = number
    return last


def _cut(
    image: reader.Image, level: int, layers: list[str], t: int | None, z: int | None
) -> _Plane:
    data = image.level(level)
    sizes = dict(zip(image.axes, image.level_shape(level), strict=True))
    best = _busiest(image, layers)
    at: dict[str, int] = {}
    for axis, wanted in (("t", t), ("z", z)):
        if axis not in sizes:
            continue
        index = wanted if wanted is not None else best.get(axis, sizes[axis] // 2)
        full = dict(zip(image.axes, image.shape, strict=True))[axis]
        if not 0 <= index < full:
            raise ArgumentError(
                f"the image has no such index along {axis}",
                expected=f"0 to {full - 1}",
                found=index,
            )
        at[axis] = min(index * sizes[axis] // full, sizes[axis] - 1)
    labels = {}
    for name in layers:
        if name in data:
            cut = {a: i for a, i in at.items() if a in data[name].dims}
            labels[name] = np.asarray(data[name].isel(cut).values)
    where = ", ".join(f"{a}={i}" for a, i in at.items())
    title = " ".join(x for x in (image.path or image.multiscale.name or "", where) if x)
    return _Plane(np.asarray(data["image"].isel(at).values), labels, title)


def _busiest(image: reader.Image, layers: list[str]) -> dict[str, int]:
    """Frame and plane with most instances, as the table says."""
    table = next((n for n in layers if n in image.tables), None)
    if table is None:
        return {}
    rows = image.annotations(table)
    found: dict[str, int] = {}
    for axis in "tz":
        if axis in rows and rows[axis].notna().any():
            found[axis] = int(rows[axis].mode().iloc[0])
    return found


def _grey_or_rgb(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """(y, x) or (c, y, x) of any type to (y, x, 3) of bytes."""
    if pixels.ndim == 3 and pixels.shape[0] == 3 and pixels.dtype == np.uint8:
        return np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
    if pixels.ndim == 2:
        return np.repeat(_stretched(pixels)[..., None], 3, axis=2)
    tints = np.array([[1, 0, 1], [0, 1, 0], [0, 0.6, 1], [1, 1, 0]])
    mixed = np.zeros((*pixels.shape[1:], 3))
    for channel, tint in zip(pixels, np.resize(tints, (len(pixels), 3)), strict=True):
        color = tint if len(pixels) > 1 else np.ones(3)
        mixed += _stretched(channel)[..., None] * color
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _enlarged(plane: NDArray[Any], zoom: int) -> NDArray[Any]:
    return plane.repeat(zoom, axis=0).repeat(zoom, axis=1) if zoom > 1 else plane


def _stretched(plane: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = np.percentile(plane, _WINDOW)
    scaled = (plane.astype(np.float32) - low) / max(float(high - low), 1e-9)
    return np.asarray((np.clip(scaled, 0, 1) * 255).astype(np.uint8))


def _colors(
    image: reader.Image, name: str, values: NDArray[Any]
) -> tuple[dict[int, tuple[int, int, int]], dict[int, str]]:
    """Colour of each value on the plane, and names of those that are classes."""
    meta = image.label_meta(name).label
    names = {
        int(p["label-value"]): str(p["class"])
        for p in (meta.properties if meta is not None else ())
        if "class" in p
    }
    given = dict(meta.colors) if meta is not None else {}
    colors = {}
    for value in np.unique(values).tolist():
        if value:
            known = given.get(value)
            colors[int(value)] = _wheel(int(value)) if known is None else known[:3]
    return colors, names


def _wheel(value: int) -> tuple[int, int, int]:
    """A bright colour for a label value; neighbours in number are far apart in hue."""
    hue = (value * 0.61803398875) % 1.0 * 6.0
    rise = 1 - abs(hue % 2 - 1)
    r, g, b = [(1, rise, 0), (rise, 1, 0), (0, 1, rise), (0, rise, 1), (rise, 0, 1), (1, 0, rise)][
        int(hue) % 6
    ]
    return int(80 + 175 * r), int(80 + 175 * g), int(80 + 175 * b)


def _overlay(
    picture: NDArray[np.uint8],
    values: NDArray[Any],
    colors: dict[int, tuple[int, int, int]],
    fill: float,
) -> NDArray[np.uint8]:
    if not colors:
        return picture
    known = np.array(sorted(colors))
    table = np.array([colors[v] for v in known.tolist()], np.float32)
    inside = values != 0
    tint = table[np.searchsorted(known, values[inside])]
    out = picture.astype(np.float32)
    out[inside] = out[inside] * (1 - fill) + tint * fill
    edge = outlines(values)
    out[edge] = table[np.searchsorted(known, values[edge])]
    return np.asarray(out.astype(np.uint8))


def _with_legend(
    picture: PIL.Image.Image, title: str, legend: list[tuple[str, tuple[int, int, int]]]
) -> PIL.Image.Image:
    entries = list(dict.fromkeys(legend))
    height = picture.height + _MARGIN + _LINE * (1 + len(entries))
    font = PIL.ImageFont.load_default(14)
    texts = [title, *(name for name, _ in entries)]
    wide = max(round(font.getlength(text)) for text in texts) + 4 * _MARGIN
    sheet = PIL.Image.new("RGB", (max(picture.width, wide), height), (24, 24, 24))
    sheet.paste(picture, (0, 0))
    pen = PIL.ImageDraw.Draw(sheet)
    y = picture.height + _MARGIN // 2
    pen.text((_MARGIN, y), title, fill=(235, 235, 235), font=font)
    for name, color in entries:
        y += _LINE
        pen.rectangle((_MARGIN, y + 2, _MARGIN + 14, y + 16), fill=color)
        pen.text((_MARGIN + 24, y), name, fill=(235, 235, 235), font=font)
    return sheet
