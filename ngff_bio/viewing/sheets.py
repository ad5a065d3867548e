"""Several planes in one drawing: plate maps, contact sheets, strips along z or t, animations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import PIL.Image
import PIL.ImageDraw

import ngff_bio.reader as reader
from ngff_bio.errors import ArgumentError
from ngff_bio.reader.analysis.render import Rgb
from ngff_bio.viewing.preview import (
    DrawnPlane,
    chosen_image,
    draw_plane,
    size_of_plane,
    with_legend,
)
from ngff_bio.viewing.text import fitted, font_of, writable

Sheet = Literal["images", "plate", "z", "t"]

#: Maximum number of images of a contact sheet, and of planes of a strip and of an animation.
MAX_IMAGES, MAX_STRIP, MAX_FRAMES = 60, 12, 200

#: Maximum number of pixels of an animation: 200 MB of RGB.
MAX_PIXELS = 1 << 26

_GAP, _CAPTION = 4, 17
_PAPER, _INK, _EMPTY = (24, 24, 24), (235, 235, 235), (44, 44, 44)


def draw_sheet(
    dataset: reader.Dataset,
    kind: Sheet,
    *,
    image: str | None = None,
    at: Mapping[str, int] | None = None,
    width: int = 1200,
    **how: Any,
) -> PIL.Image.Image:
    """Draw several planes in one drawing.

    Parameters
    ----------
    dataset
        The store.
    kind
        ``images``: the first images of the store. ``plate``: the first field of each well, in the
        layout of the plate. ``z``, ``t``: planes or frames of one image.
    image
        Path of the image (``z``, ``t``), or of the plate.
    at
        Frame and plane, by axis; of other axes the one with most instances is shown.
    width
        Maximum width in pixels.
    how
        Further options of `draw_plane`: ``label``, ``fill``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the store has no plate, or the image no such axis.
    """
    at = dict(at or {})
    how = {**how, "palette": {}}  # a class has one colour in all of it
    if kind == "plate":
        return _plate_map(dataset, image, at, width, how)
    if kind == "images":
        paths = list(dataset) or [dataset.first_path]
        shown = paths[:MAX_IMAGES]
        columns = min(len(shown), math.ceil(math.sqrt(len(shown) * 1.5)))
        cell = max(width // columns - _GAP, 16)
        drawn = {
            p or dataset[p].multiscale.name or "": draw_plane(
                dataset[p], at, width=cell, bar=False, **how
            )
            for p in shown
        }
        title = f"{len(shown)} of {len(paths)} images" if len(shown) < len(paths) else ""
        return _grid(drawn, columns, title)
    found = chosen_image(dataset, image)
    places = _indices(found, kind, MAX_STRIP)
    columns = min(len(places), 4)
    cell = max(width // columns - _GAP, 16)
    drawn = {f"{kind}={i}": draw_plane(found, {**at, kind: i}, width=cell, **how) for i in places}
    return _grid(drawn, columns, found.path or found.multiscale.name or "")


def draw_frames(
    dataset: reader.Dataset,
    axis: Literal["z", "t"],
    *,
    image: str | None = None,
    at: Mapping[str, int] | None = None,
    width: int = 1200,
    **how: Any,
) -> tuple[int, Iterator[PIL.Image.Image]]:
    """Drawings of an image along z or t for an animation, made one after the other, and their number.

    Of many planes or frames there are `MAX_FRAMES`. They are narrower than ``width`` if they would
    be more than `MAX_PIXELS` together: writers of animations hold all of them.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the image has no such axis.
    """
    found = chosen_image(dataset, image)
    places = _indices(found, axis, MAX_FRAMES)
    high, wide = size_of_plane(found)
    width = min(width, max(int(math.sqrt(MAX_PIXELS / len(places) / high * wide)), 16))
    return len(places), (
        draw_plane(found, {**(at or {}), axis: i}, width=width, **how).drawing for i in places
    )


def _indices(image: reader.Image, axis: str, most: int) -> list[int]:
    """Indices along an axis, evenly spaced."""
    if axis not in image.sizes:
        raise ArgumentError(
            f"the image has no axis {axis}", file=image.url, expected=", ".join(image.axes)
        )
    size_of_plane(image)
    count = image.sizes[axis]
    shown = min(count, most)
    return [round(i * (count - 1) / max(shown - 1, 1)) for i in range(shown)]


def _grid(drawn: Mapping[str, DrawnPlane], columns: int, title: str) -> PIL.Image.Image:
    """Drawings in rows, each with its name below it, and a legend of all."""
    named = [(name, one.drawing) for name, one in drawn.items()]
    rows = [named[i : i + columns] for i in range(0, len(named), columns)]
    font = font_of(_CAPTION - 5)
    cell = max(max(drawing.width for _, drawing in named), 4 * _CAPTION)
    heights = [max(drawing.height for _, drawing in row) + _CAPTION + _GAP for row in rows]
    sheet = PIL.Image.new("RGB", (columns * (cell + _GAP), sum(heights)), _PAPER)
    pen = PIL.ImageDraw.Draw(sheet)
    y = 0
    for row, height in zip(rows, heights, strict=True):
        for column, (name, drawing) in enumerate(row):
            x = column * (cell + _GAP)
            sheet.paste(drawing, (x, y))
            pen.text((x + 2, y + drawing.height + 2), fitted(name, font, cell), _INK, font)
        y += height
    return with_legend(
        sheet, title, {n: c for one in drawn.values() for n, c in one.legend.items()}
    )


def _plate_map(
    dataset: reader.Dataset, path: str | None, at: dict[str, int], width: int, how: dict[str, Any]
) -> PIL.Image.Image:
    """The first field of each well at its place, from the first to the last row and column in use."""
    plates = dataset.plates
    if not plates or (path is not None and path not in plates):
        raise ArgumentError(
            "the store has no such plate" if plates else "the store has no plate",
            file=dataset.url,
            expected=", ".join(plates) or None,
            found=path,
            hint="ngff-bio preview --sheet images shows any store",
        )
    plate = plates[path if path is not None else next(iter(plates))]
    rows = _span(plate.meta.rows, (row for row, _ in plate.meta.wells))
    columns = _span(plate.meta.columns, (column for _, column in plate.meta.wells))
    edge = 24
    cell = max((width - edge) // len(columns) - _GAP, 16)
    fields = {place: plate["/".join(place)] for place in plate.meta.wells}
    drawn = {
        place: draw_plane(well[next(iter(well))], at, width=cell, bar=False, **how)
        for place, well in fields.items()
        if len(well)
    }
    high = max((d.drawing.height for d in drawn.values()), default=cell)
    cell = max((d.drawing.width for d in drawn.values()), default=cell)
    size = (edge + len(columns) * (cell + _GAP), edge + len(rows) * (high + _GAP))
    sheet = PIL.Image.new("RGB", size, _PAPER)
    pen, font = PIL.ImageDraw.Draw(sheet), font_of(13)
    legend: dict[str, Rgb] = {}
    for j, column in enumerate(columns):
        at_top = (edge + j * (cell + _GAP) + cell / 2, 4)
        pen.text(at_top, writable(column, font), _INK, font, anchor="mt")
    for i, row in enumerate(rows):
        y = edge + i * (high + _GAP)
        pen.text((edge / 2, y + high / 2), writable(row, font), _INK, font, anchor="mm")
        for j, column in enumerate(columns):
            x = edge + j * (cell + _GAP)
            if (one := drawn.get((row, column))) is None:
                pen.rectangle((x, y, x + cell - 1, y + high - 1), fill=_EMPTY)
            else:
                sheet.paste(one.drawing, (x, y))
                legend |= one.legend
    return with_legend(sheet, f"plate {plate.name}", legend)


def _span(names: Sequence[str], used: Iterable[str]) -> Sequence[str]:
    """The names from the first to the last that is in use."""
    places = [names.index(name) for name in used]
    return names[min(places, default=0) : max(places, default=0) + 1]
