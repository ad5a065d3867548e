"""Label volumes as TIFF: plain integers, or one colour for each class or object.

Colour-coded label TIFFs are uint8 (page, y, x, samples), background (0, 0, 0[, 0]); the id is not
stored, only its colour. Classes are known by a palette. Objects are numbered by colour in ascending
order of (red, green, blue), so that the numbering does not depend on where an object lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.formats.tiff.tiff import TiffStack, open_tiff_stack
from ngff_bio.model import Pixels, Region, SourceFile, label_dtype

Palette = Mapping[tuple[int, int, int], int]
_MOST_LISTED = 10


@dataclass(frozen=True, slots=True, eq=False)
class ColorLabels:
    """Label values of a colour-coded TIFF.

    ``colors`` are packed as red * 65536 + green * 256 + blue, ascending; ``values`` is the label of
    each.
    """

    stack: TiffStack
    colors: NDArray[np.int64]
    values: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """Pages, rows, columns."""
        return self.stack.shape[:3]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Smallest type that holds the values."""
        return label_dtype(int(self.values.max(initial=0)))

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """One page."""
        return self.stack.read_block_shape[:3]

    def read(self, region: Region) -> NDArray[Any]:
        """Label values of a region."""
        known = np.concatenate([[0], self.colors]).astype(np.uint32)
        labels = np.concatenate([[0], self.values]).astype(self.dtype)
        out = np.empty([b - a for a, b in region], self.dtype)
        (first, stop), *inner = region
        for number in range(first, stop):  # a page at a time: colours take four bytes a pixel
            page = self.stack.read(((number, number + 1), *inner, (0, self.stack.shape[3])))[0]
            out[number - first] = labels[np.searchsorted(known, _packed(page))]
        return out


@dataclass(frozen=True, slots=True, eq=False)
class LabelTiff:
    """Labels of a TIFF.

    ``arbitrary_ids`` where the file stores colours instead of ids; ``colors`` is then the colour of
    each label value as ``#rrggbb``. ``samples`` is the number of samples of a pixel, 1 for whole
    numbers, and ``dtype`` their type in the file.
    """

    pixels: Pixels
    max_value: int
    arbitrary_ids: bool
    dtype: np.dtype[Any]
    samples: int = 1
    colors: Mapping[int, str] = field(default_factory=dict)


def open_color_labels(file: SourceFile, palettes: Sequence[Palette] | None) -> LabelTiff:
    """Labels of a TIFF, in plain integers or in colours.

    Every page is looked at once, so that a colour without meaning is known before anything is
    written.

    Parameters
    ----------
    palettes
        Colour tables of classes, of which one must hold all colours; ``None`` for objects.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a colour is in no palette (all such are listed with their pixel counts), or the TIFF
        holds neither integers nor colours.
    """
    stack = open_tiff_stack(file)
    if len(stack.shape) == 3 and stack.dtype.kind in "ui":
        most = 0
        for page in _pages(stack):
            if stack.dtype.kind == "i" and int(page.min(initial=0)) < 0:
                raise SourceError("a label is negative", file=file.name, found=int(page.min()))
            most = max(most, int(page.max(initial=0)))
        return LabelTiff(stack, most, arbitrary_ids=False, dtype=stack.dtype)
    if len(stack.shape) != 4 or stack.shape[3] not in (3, 4) or stack.dtype != np.uint8:
        raise SourceError(
            "the TIFF holds no labels",
            file=file.name,
            expected="pages of whole numbers, or of 8-bit RGB or RGBA colours",
            found=f"shape {stack.shape} of {stack.dtype}",
        )
    counts: dict[int, int] = {}
    for page in _pages(stack):
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
    pixels = ColorLabels(stack, np.array(colors, np.int64), np.array(values, np.int64))
    return LabelTiff(
        pixels,
        max(values, default=0),
        arbitrary_ids=palettes is None,
        dtype=stack.dtype,
        samples=stack.shape[3],
        colors={v: f"#{c:06x}" for v, c in zip(values, colors, strict=True)},
    )


def _pages(stack: TiffStack) -> Any:
    for number in range(stack.shape[0]):
        rest = tuple((0, n) for n in stack.shape[1:])
        yield stack.read(((number, number + 1), *rest))[0]


def _packed(page: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Red, green and blue of each pixel as one number; alpha says nothing more."""
    packed = page[..., 0].astype(np.uint32)
    for channel in (1, 2):
        packed <<= np.uint32(8)
        packed |= page[..., channel]
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
            listed.append(f"and {len(unknown) - _MOST_LISTED} more colours")
        raise SourceError(
            "colours that stand for no class",
            file=name,
            expected="only colours of one palette",
            found="; ".join(listed),
            hint="save the label picture without smoothing, scaling or lossy compression",
        )
    return best
