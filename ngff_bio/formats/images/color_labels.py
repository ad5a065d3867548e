"""Label volumes as TIFF: plain integers, or one color for each class or object.

Color-coded label TIFFs are uint8 (page, y, x, samples), background (0, 0, 0[, 0]); the id is not
stored, only its color. Classes are known by a palette. Objects are numbered by color in ascending
order of (red, green, blue), so that the numbers do not depend on the positions of objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.label_pixels import check_integers
from ngff_bio.formats.tiff.images import open_tiff_volume
from ngff_bio.formats.tiff.tiff import TiffPixels
from ngff_bio.model import (
    PixelArray,
    Pixels,
    Region,
    SampleType,
    SourceFile,
    SourceParts,
    label_dtype,
)

Palette = Mapping[tuple[int, int, int], int]
_MOST_LISTED = 10


@dataclass(frozen=True, slots=True, eq=False)
class ColorLabels:
    """Label values of a color-coded TIFF.

    Parameters
    ----------
    source
        The colors (c, page, y, x).
    colors
        Each color that occurs, packed as red * 65536 + green * 256 + blue, ascending.
    values
        Label value of each.
    """

    source: TiffPixels
    colors: NDArray[np.int64]
    values: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """Pages, rows, columns."""
        return self.source.shape[1:]

    @property
    def dtype(self) -> SampleType:
        """Smallest type that holds the values."""
        return label_dtype(int(self.values.max(initial=0)))

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """That of the colors."""
        return self.source.read_block_shape[1:]

    def read(self, region: Region) -> PixelArray:
        """Label values of a region."""
        known = np.concatenate([[0], self.colors]).astype(np.uint32)
        labels = np.concatenate([[0], self.values]).astype(self.dtype)
        out = np.empty([b - a for a, b in region], self.dtype)
        (first, stop), *inner = region
        for number in range(first, stop):  # a page at a time: colors take four bytes a pixel
            page = self.source.read(((0, 3), (number, number + 1), *inner))
            out[number - first] = labels[np.searchsorted(known, _packed(page[:, 0]))]
        return out

    def source_parts(self) -> SourceParts:
        """The TIFF, and the colors with their values."""
        return (*self.source.source_parts(), self.colors, self.values)


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
        found, count = np.unique(_packed(page), return_counts=True)
        for color, n in zip(found.tolist(), count.tolist(), strict=True):
            counts[color] = counts.get(color, 0) + n
    counts.pop(0, None)
    colors = sorted(counts)
    if palettes is None:
        values = list(range(1, len(colors) + 1))
    else:
        table = _palette_of(counts, palettes, file.name)
        values = [table[c] for c in colors]
    pixels = ColorLabels(source, np.array(colors, np.int64), np.array(values, np.int64))
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


def _packed(page: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Red, green and blue of each pixel as one number; alpha is ignored."""
    packed: NDArray[np.uint32] = page[0].astype(np.uint32)
    for channel in (1, 2):
        packed <<= np.uint32(8)
        packed |= page[channel]
    return packed


def _palette_of(counts: dict[int, int], palettes: Sequence[Palette], name: str) -> dict[int, int]:
    packed = [{r << 16 | g << 8 | b: v for (r, g, b), v in p.items()} for p in palettes]
    best = max(packed, key=lambda table: sum(c in table for c in counts))
    unknown = sorted((c for c in counts if c not in best), key=lambda c: -counts[c])
    if unknown:
        listed = [
            f"({c >> 16}, {c >> 8 & 255}, {c & 255}): {counts[c]} pixels"
            for c in unknown[:_MOST_LISTED]
        ]
        if len(unknown) > _MOST_LISTED:
            listed.append(f"and {len(unknown) - _MOST_LISTED} more colors")
        raise SourceError(
            "the labels have unknown colors",
            file=name,
            expected="only colors of one palette",
            found="; ".join(listed),
            hint="save the label image without smoothing, scaling or lossy compression",
        )
    return best
