"""A preview of one plane of an image: labels outlined and filled, a legend of classes, a scale bar."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from itertools import islice

import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray

import ngff_bio.reader as reader
from ngff_bio.errors import ArgumentError, StoreError
from ngff_bio.model import PixelArray
from ngff_bio.ngff import rule_color
from ngff_bio.raster.rings import outlines
from ngff_bio.reader.analysis.render import (
    Rgb,
    cut_plane,
    label_colors,
    level_of_size,
    overlaid,
    to_rgb,
)
from ngff_bio.storage import Storage
from ngff_bio.viewing.neuroglancer import shown_label
from ngff_bio.viewing.text import font_of, writable

_MARGIN = 10
_LINE = 22
#: Classes that a legend names: a sheet must not grow with the store.
_MAX_LEGEND = 60
_INK, _PAPER = (235, 235, 235), (24, 24, 24)

#: Small images are enlarged up to so many times, so that outlines do not cover what they outline, and
#: tiny ones up to so many pixels.
_ZOOM, _SEEN = 4, 128

#: A drawing is not higher than so many times the width that is asked for.
_MAX_HEIGHT = 3

#: An outline is one pixel wide for each so many of the width.
_WIDTH_PER_LINE = 600

#: Objects are coloured by class where they have so many classes or fewer, but more than one.
_MAX_CLASSES = 24

#: Units of the scale bar as they are written.
_SYMBOLS = {"nanometer": "nm", "micrometer": "µm", "millimeter": "mm", "angstrom": "Å"}


@dataclass(frozen=True)
class DrawnPlane:
    """A plane with its labels: the drawing, its indices, classes with colours, and a pixel's size."""

    drawing: PIL.Image.Image
    place: dict[str, int]
    legend: dict[str, Rgb]
    step: float


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
    """Draw one plane with its labels, a legend of their classes, and a scale bar where a unit is known.

    Parameters
    ----------
    store
        The store.
    image
        Path of the image; ``None`` for the first one with labels.
    label
        Name of the label image; ``None`` for the semantic one, or else the first. Its hidden label
        images are drawn too.
    t, z
        Frame and plane; ``None`` for the ones with most instances.
    width
        Maximum width in pixels; the coarsest level that is at least as wide is read.
    fill
        Opacity of the fill, 0 to 1.

    Raises
    ------
    ngff_bio.errors.NgffBioError
        If there is no such image, label image, frame or plane.
    """
    found = chosen_image(reader.open(store), image)
    at = {a: i for a, i in (("t", t), ("z", z)) if i is not None}
    for axis in at:
        if axis not in found.axes:
            raise ArgumentError(
                f"the image has no axis {axis}",
                file=found.path or None,
                expected=", ".join(found.axes),
                hint=f"leave out -{axis}",
            )
    drawn = draw_plane(found, at, label=label, width=width, fill=fill)
    where = ", ".join(f"{a}={i}" for a, i in drawn.place.items())
    title = " ".join(x for x in (found.path or found.multiscale.name, where) if x)
    return with_legend(drawn.drawing, title, drawn.legend)


def chosen_image(dataset: reader.Dataset, path: str | None) -> reader.Image:
    """The image at a path, or else the first one with labels."""
    if path is None:
        path = next((p for p in dataset if dataset[p].labels), dataset.first_path)
    return dataset[path]


def size_of_plane(image: reader.Image) -> tuple[int, int]:
    """Height and width in pixels.

    Raises
    ------
    ngff_bio.errors.StoreError
        If there are no axes y and x, or no pixels.
    """
    sizes = image.sizes
    if not {"y", "x"} <= sizes.keys():
        raise StoreError("the image has no axes y and x", file=image.url, found=", ".join(sizes))
    if not all(sizes.values()):
        raise StoreError("the image has no pixels", file=image.url, found=sizes)
    return sizes["y"], sizes["x"]


def draw_plane(
    image: reader.Image,
    at: dict[str, int],
    *,
    label: str | None = None,
    width: int = 1200,
    fill: float = 0.25,
    bar: bool = True,
    palette: dict[str, Rgb] | None = None,
) -> DrawnPlane:
    """One plane with its labels; the one with most instances along axes that ``at`` does not name.

    ``palette`` is filled with the colours of classes: that of an earlier drawing gives them the same.
    """
    palette = {} if palette is None else palette
    layers = _layers(image, label)
    high, wide = size_of_plane(image)
    width = max(min(width, _MAX_HEIGHT * width * wide // high), 1)
    at = {**_busiest(image, layers), **at}
    pixels, planes, place = cut_plane(image, level_of_size(image, width, "x"), at, layers)
    rgb = PIL.Image.fromarray(to_rgb(pixels, image.meta.channels))
    zoom = min(width / rgb.width, max(_ZOOM, _SEEN / max(rgb.size)))
    if zoom > 1:
        zoom = math.floor(zoom)
    size = (max(round(rgb.width * zoom), 1), max(round(rgb.height * zoom), 1))
    resample = PIL.Image.Resampling.NEAREST if zoom >= 1 else PIL.Image.Resampling.BOX
    drawn = np.asarray(rgb.resize(size, resample))
    lines = max(1, round(size[0] / _WIDTH_PER_LINE))
    legend: dict[str, Rgb] = {}
    for name, plane in planes.items():
        values = _resized(plane, size)
        colors, classes = _colors(image, layers[0], name, values, palette)
        legend |= classes
        drawn = overlaid(drawn, values, colors, fill)
        drawn = overlaid(drawn, np.where(_thick(outlines(values), lines), values, 0), colors, 1)
    drawing = PIL.Image.fromarray(drawn)
    step = image.scale["x"] * image.sizes["x"] / size[0]
    if bar:
        _draw_bar(drawing, step, image.units["x"])
    return DrawnPlane(drawing, place, legend, step)


def _resized(values: PixelArray, size: tuple[int, int]) -> PixelArray:
    """Label values at another size: those of the nearest pixels."""
    rows, columns = ((np.arange(n) * m // n) for n, m in zip(size[::-1], values.shape, strict=True))
    return values[np.ix_(rows, columns)]


def _thick(lines: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Lines of a width in pixels."""
    for _ in range(width - 1):
        wider = lines.copy()
        wider[1:] |= lines[:-1]
        wider[:, 1:] |= lines[:, :-1]
        lines = wider
    return lines


def _layers(image: reader.Image, label: str | None) -> list[str]:
    """The label image to draw and the hidden ones that complete it."""
    label = shown_label(image) if label is None else label
    if label is None:
        return []
    image.label_meta(label)  # raises if there is none of this name
    return [label, *image.layers.get(label, ())]


def _busiest(image: reader.Image, layers: list[str]) -> dict[str, int]:
    """Frame and plane with most instances, according to the table: what is no number counts as none."""
    table = next((n for n in layers if n in image.tables), None)
    if table is None:
        return {}
    rows = image.annotations(table)
    busiest = {}
    for axis in "tz":
        at = rows[axis].to_numpy() if axis in rows else np.empty(0)
        values, counts = np.unique(
            at[np.isfinite(at)] if at.dtype.kind in "iuf" else at[:0], return_counts=True
        )
        if values.size:
            busiest[axis] = int(values[counts.argmax()])
    return busiest


def _colors(
    image: reader.Image, layer: str, name: str, values: PixelArray, palette: dict[str, Rgb]
) -> tuple[dict[int, Rgb], dict[str, Rgb]]:
    """Colour of each value of a plane, and of each class: objects of several classes have theirs."""
    colors = label_colors(image, name, values)
    meta = image.label_meta(name).label
    properties = meta.properties if meta is not None else ()
    legend = {
        str(p["class"]): colors[p["label-value"]]
        for p in properties
        if "class" in p and p["label-value"] in colors
    }
    if legend or layer not in image.tables:
        return colors, legend
    rows = image.annotations(layer)
    if not {"label", "category"} <= set(rows):
        return colors, legend
    named = dict(zip(rows["label"].tolist(), rows["category"].tolist(), strict=True))
    listed = image.label_attributes(layer).get("categories") or ()
    known = {c["name"]: tuple(c["color"][:3]) for c in listed if c.get("color")}
    names = sorted({c for c in named.values() if isinstance(c, str)})
    if not 1 < len(names) <= _MAX_CLASSES:
        return colors, legend
    for n in names:
        palette.setdefault(n, known.get(n, rule_color(len(palette) + 1)))
    by_class = {n: palette[n] for n in names}
    colors = {v: by_class[named[v]] if named.get(v) in by_class else c for v, c in colors.items()}
    seen = {named.get(v) for v in colors}
    return colors, {n: color for n, color in by_class.items() if n in seen}


def _draw_bar(drawing: PIL.Image.Image, step: float, unit: str | None) -> None:
    """Draw a scale bar of 1, 2 or 5 times a power of ten, if the unit of a pixel is known."""
    if unit is None or not step > 0 or drawing.width < 128:
        return
    longest = drawing.width / 4 * step
    power = 10.0 ** math.floor(math.log10(longest))
    length = next(m * power for m in (5, 2, 1) if m * power <= longest)
    size = max(12, drawing.width // 60)
    pen, font = PIL.ImageDraw.Draw(drawing), font_of(size)
    right, bottom = drawing.width - size, drawing.height - size
    left, thick = right - round(length / step), max(2, size // 4)
    text = writable(f"{length:g} {_SYMBOLS.get(unit, unit)}", font)
    pen.rectangle((left - 1, bottom - thick - 1, right + 1, bottom + 1), fill=(0, 0, 0))
    pen.rectangle((left, bottom - thick, right, bottom), fill=(255, 255, 255))
    at = ((left + right) / 2, bottom - thick - 4)
    ink, edge = (255, 255, 255), (0, 0, 0)
    pen.text(at, text, ink, font, anchor="mb", stroke_width=1, stroke_fill=edge)


def with_legend(
    drawn: PIL.Image.Image, title: str, legend: dict[str, Rgb] | None = None
) -> PIL.Image.Image:
    """A drawing with a title and classes below it."""
    legend = legend or {}
    more = len(legend) - _MAX_LEGEND
    if more > 0:
        legend = {**dict(islice(legend.items(), _MAX_LEGEND)), f"and {more} more": _PAPER}
    height = drawn.height + _MARGIN + _LINE * (1 + len(legend))
    font = font_of(14)
    title, *names = (writable(text, font) for text in (title, *legend))
    wide = max(round(font.getlength(text)) for text in (title, *names)) + 4 * _MARGIN
    sheet = PIL.Image.new("RGB", (max(drawn.width, wide), height), _PAPER)
    sheet.paste(drawn, (0, 0))
    pen = PIL.ImageDraw.Draw(sheet)
    y = drawn.height + _MARGIN // 2
    pen.text((_MARGIN, y), title, fill=_INK, font=font)
    for name, color in zip(names, legend.values(), strict=True):
        y += _LINE
        pen.rectangle((_MARGIN, y + 2, _MARGIN + 14, y + 16), fill=color)
        pen.text((_MARGIN + 24, y), name, fill=_INK, font=font)
    return sheet
