"""A preview of one plane of an image: labels outlined and filled, classes in a legend."""

from __future__ import annotations

import os

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

import ngff_bio.reader as reader
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

_MARGIN = 10
_LINE = 22

#: Small images are enlarged up to so many times, so that outlines do not cover what they outline.
_ZOOM = 4


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
    dataset = reader.open(store)
    if image is None:
        image = next((p for p in dataset if dataset[p].labels), dataset.first_path)
    found = dataset[image]
    layers = _layers(found, label)
    at = {**_busiest(found, layers), **{a: i for a, i in (("t", t), ("z", z)) if i is not None}}
    pixels, planes, place = cut_plane(found, level_of_size(found, width, "x"), at, layers)
    zoom = max(min(_ZOOM, width // pixels.shape[-1]), 1)
    drawn = to_rgb(pixels, found.meta.channels).repeat(zoom, axis=0).repeat(zoom, axis=1)
    legend: dict[str, Rgb] = {}
    for name, small in planes.items():
        values = small.repeat(zoom, axis=0).repeat(zoom, axis=1)
        colors = label_colors(found, name, values)
        drawn = overlaid(drawn, values, colors, fill)
        drawn = overlaid(drawn, np.where(outlines(values), values, 0), colors, 1)
        meta = found.label_meta(name).label
        for one in meta.properties if meta is not None else ():
            if "class" in one and one["label-value"] in colors:
                legend[str(one["class"])] = colors[one["label-value"]]
    made = PIL.Image.fromarray(drawn)
    if made.width > width:
        made = made.resize((width, max(1, round(made.height * width / made.width))))
    where = ", ".join(f"{a}={i}" for a, i in place.items())
    title = " ".join(x for x in (found.path or found.multiscale.name, where) if x)
    return _with_legend(made, title, legend)


def _layers(image: reader.Image, label: str | None) -> list[str]:
    """The label image to draw and the hidden ones that complete it."""
    if label is None:
        label = next(
            (n for n in image.layers if image.is_semantic(n)), next(iter(image.layers), None)
        )
        if label is None:
            return []
    image.label_meta(label)  # raises if there is none of this name
    return [label, *image.layers.get(label, ())]


def _busiest(image: reader.Image, layers: list[str]) -> dict[str, int]:
    """Frame and plane with most instances, according to the table."""
    table = next((n for n in layers if n in image.tables), None)
    rows = image.annotations(table) if table is not None else {}
    return {
        axis: int(rows[axis].mode().iloc[0])
        for axis in "tz"
        if axis in rows and rows[axis].notna().any()
    }


def _with_legend(drawn: PIL.Image.Image, title: str, legend: dict[str, Rgb]) -> PIL.Image.Image:
    height = drawn.height + _MARGIN + _LINE * (1 + len(legend))
    font = PIL.ImageFont.load_default(14)
    wide = max(round(font.getlength(text)) for text in (title, *legend)) + 4 * _MARGIN
    sheet = PIL.Image.new("RGB", (max(drawn.width, wide), height), (24, 24, 24))
    sheet.paste(drawn, (0, 0))
    pen = PIL.ImageDraw.Draw(sheet)
    y = drawn.height + _MARGIN // 2
    pen.text((_MARGIN, y), title, fill=(235, 235, 235), font=font)
    for name, color in legend.items():
        y += _LINE
        pen.rectangle((_MARGIN, y + 2, _MARGIN + 14, y + 16), fill=color)
        pen.text((_MARGIN + 24, y), name, fill=(235, 235, 235), font=font)
    return sheet
