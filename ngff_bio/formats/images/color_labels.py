"""Label volumes as TIFF: plain integers, or one color for each class or object.

Color-coded label TIFFs are uint8 (page, y, x, samples), background (0, 0, 0[, 0]); the id is not
stored, only its color. Classes are known by a palette. Objects are numbered by color in ascending
order of (red, green, blue), so that the numbers do not depend on the positions of objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.label_pixels import check_integers
from ngff_bio.formats.images.mapped_labels import MappedLabels, packed, refuse_unknown
from ngff_bio.formats.tiff.images import open_tiff_volume
from ngff_bio.formats.tiff.tiff import TiffPixels
from ngff_bio.model import (
    PixelArray,
    Pixels,
    SampleType,
    SourceFile,
)

Palette = Mapping[tuple[int, int, int], int]


@dataclass(frozen=True, slots=True, eq=False)
class LabelTiff:
    """Labels of a TIFF.

    Parameters
    ----------
    pixels
        Label values (page, y, x).
    max_value
        The largest of them.
    arbitrary_ids
        Whether the file stores colors of objects instead of ids.
    dtype, samples
        Type and number of samples of a pixel in the file; 1 sample for integers.
    colors
        Color of each label value as ``#rrggbb``, where the file stores colors.
    """

    pixels: Pixels
    max_value: int
    arbitrary_ids: bool
    dtype: SampleType
    samples: int = 1
    colors: Mapping[int, str] = field(default_factory=dict)


def open_color_labels(file: SourceFile, palettes: Sequence[Palette] | None) -> LabelTiff:
    """Labels of a TIFF, as plain integers or as colors.

    Every page is read once, so that an unknown color is found before anything is written.

    Parameters
    ----------
    palettes
        Color tables of classes, one of which must contain all colors; ``None`` for objects.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a color is in no palette (all such are listed with their pixel counts), or the TIFF
        contains neither integers nor colors.
    """
    source = open_tiff_volume(file)
    if source.axes == "zyx" and source.dtype.kind in "ui":
        pages = (check_integers(page, file.name) for page in _pages(source))
        most = max(int(page.max(initial=0)) for page in pages)
        return LabelTiff(source, most, arbitrary_ids=False, dtype=source.dtype)
    if source.axes == "zyx" or source.shape[0] not in (3, 4) or source.dtype != np.uint8:
        raise SourceError(
            "the TIFF does not contain labels",
            file=file.name,
            expected="pages of integers, or of 8-bit RGB or RGBA colors",
            found=f"{source.axes} of {source.shape}, {source.dtype}",
        )
    counts: dict[int, int] = {}
    for page in _pages(source):
        found, count = np.unique(packed(page), return_counts=True)
        for color, n in zip(found.tolist(), count.tolist(), strict=True):
            counts[color] = counts.get(color, 0) + n
    counts.pop(0, None)
    colors = sorted(counts)
    if palettes is None:
        values = list(range(1, len(colors) + 1))
    else:
        tables = [{r << 16 | g << 8 | b: v for (r, g, b), v in p.items()} for p in palettes]
        table = max(tables, key=lambda t: sum(c in t for c in counts))
        refuse_unknown(counts, table, file.name, "only colors of one palette", colored=True)
        values = [table[c] for c in colors]
    pixels = MappedLabels(source, np.array([0, *colors]), np.array([0, *values]))
    return LabelTiff(
        pixels,
        max(values, default=0),
        arbitrary_ids=palettes is None,
        dtype=source.dtype,
        samples=source.shape[0],
        colors={v: f"#{c:06x}" for v, c in zip(values, colors, strict=True)},
    )


def _pages(source: TiffPixels) -> Iterator[PixelArray]:
    """Each page: (y, x) or (c, y, x)."""
    *outer, pages, rows, columns = source.shape
    for number in range(pages):
        region = (*((0, n) for n in outer), (number, number + 1), (0, rows), (0, columns))
        yield source.read(region)[..., 0, :, :]
