"""Label images whose pixels are colours, or values that stand for others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.limits import Limits
from ngff_bio.model import (
    PixelArray,
    Pixels,
    Region,
    SampleType,
    SourceFile,
    SourceParts,
    label_dtype,
    parts_of,
)

#: Values that an error lists.
_MOST_LISTED = 10


def refuse_other_size(name: str, size: tuple[int, int], image: tuple[int, int]) -> None:
    """Refuse a label image whose (height, width) is not that of its image.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the two differ.
    """
    if size != image:
        raise SourceError(
            "a label image has another size than its image",
            file=name,
            expected=f"{image[0]} x {image[1]} (height x width)",
            found=f"{size[0]} x {size[1]}",
            hint="check that it belongs to this image, or skip it with --on-error skip",
        )


@dataclass(frozen=True, slots=True, eq=False)
class MappedLabels:
    """Label values of an image or a volume, by a table.

    Parameters
    ----------
    source
        Gray values (y, x), or colors (c, y, x) or (c, page, y, x) of 8 bits.
    known
        Values that occur, ascending; colors as red * 65536 + green * 256 + blue.
    values
        Label value of each.
    """

    source: Pixels
    known: NDArray[np.int64]
    values: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns, after the number of pages."""
        return self.source.shape[1:] if len(self.source.shape) > 2 else self.source.shape

    @property
    def dtype(self) -> SampleType:
        """Smallest type that holds the values."""
        return label_dtype(int(self.values.max(initial=0)))

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """That of the file."""
        return self.source.read_block_shape[-len(self.shape) :]

    def read(self, region: Region) -> PixelArray:
        """Label values of a region."""
        if len(region) == 2:
            return self._mapped(region)
        out = np.empty([b - a for a, b in region], self.dtype)
        (first, stop), *inner = region
        for number in range(first, stop):  # a page at a time: colors take four bytes a pixel
            out[number - first] = self._mapped(((number, number + 1), *inner))[0]
        return out

    def _mapped(self, region: Region) -> PixelArray:
        colors = ((0, 3),) if len(self.source.shape) > len(region) else ()
        places = np.searchsorted(self.known, packed(self.source.read((*colors, *region))))
        return np.ascontiguousarray(np.take(self.values, places), dtype=self.dtype)

    def source_parts(self) -> SourceParts:
        """The file, and the table."""
        return (*parts_of(self.source), self.known, self.values)


def packed(block: PixelArray) -> PixelArray:
    """Colors (c, ..., y, x) as numbers; gray values (y, x) unchanged. Alpha is ignored."""
    if block.ndim == 2:
        return block
    colors: NDArray[np.uint32] = block[0].astype(np.uint32)
    for channel in (1, 2):
        colors <<= np.uint32(8)
        colors |= block[channel]
    return colors


def label_colors(
    file: SourceFile, header: ImageHeader, limits: Limits
) -> tuple[Pixels, dict[int, int], bool]:
    """The pixels of a label image, the number of pixels of each value, and whether they are colors.

    Indices into a color table are values.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged, or has neither gray values nor colors of 8 bits.
    """
    source = stack_frames([file], headers=[header], indices=True, limits=limits)
    colored = source.axes == "cyx"
    if source.dtype.kind not in "ui" or (
        colored and (header.samples < 3 or source.dtype != np.uint8)
    ):
        raise SourceError(
            "the file is not a label image",
            file=file.name,
            expected="integers, a color table, or 8-bit RGB",
            found=f"{header.samples} samples of {source.dtype}",
        )
    block = packed(source.read(tuple((0, n) for n in source.shape)))
    values, counts = np.unique(block, return_counts=True)
    return source, dict(zip(values.tolist(), counts.tolist(), strict=True)), colored


def mapped_labels(
    source: Pixels, counts: Mapping[int, int], table: Mapping[int, int], file: str, palette: str
) -> MappedLabels:
    """Label values of an image by a table, which must have all of its values.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a value is not in the table; `palette` says what it is.
    """
    refuse_unknown(counts, table, file, palette, colored=len(source.shape) > 2)
    known = np.array(sorted(counts), np.int64)
    return MappedLabels(source, known, np.array([table[int(v)] for v in known], np.int64))


def refuse_unknown(
    counts: Mapping[int, int], table: Mapping[int, int], file: str, palette: str, *, colored: bool
) -> None:
    """Refuse values that are not in a table; the error lists them with their numbers of pixels."""
    unknown = sorted((v for v in counts if v not in table), key=lambda v: -counts[v])
    if unknown:
        shown = [
            f"{(v >> 16, v >> 8 & 255, v & 255) if colored else v}: {counts[v]} pixels"
            for v in unknown[:_MOST_LISTED]
        ]
        more = len(unknown) - _MOST_LISTED
        raise SourceError(
            f"the label image has {'colors' if colored else 'values'} of no class",
            file=file,
            expected=palette,
            found="; ".join([*shown, *([f"and {more} more"] if more > 0 else [])]),
            hint="save the label image without smoothing, scaling or lossy compression, or skip it "
            "with --on-error skip",
        )
