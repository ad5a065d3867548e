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
    """Label values of an image file, by a table.

    Parameters
    ----------
    source
        Gray values (y, x), or colors (c, y, x) of 8 bits.
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
        """Rows and columns."""
        return self.source.shape[-2:]

    @property
    def dtype(self) -> SampleType:
        """Smallest type that holds the values."""
        return label_dtype(int(self.values.max(initial=0)))

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """That of the file."""
        return self.source.read_block_shape[-2:]

    def read(self, region: Region) -> PixelArray:
        """Label values of a region."""
        outer = [(0, n) for n in self.source.shape[:-2]]
        block = packed(self.source.read((*outer, *region)))
        places = np.searchsorted(self.known, block)
        return np.ascontiguousarray(np.take(self.values, places), dtype=self.dtype)

    def source_parts(self) -> SourceParts:
        """The file, and the table."""
        return (*parts_of(self.source), self.known, self.values)


def packed(block: PixelArray) -> PixelArray:
    """Colors (c, y, x) as numbers; gray values unchanged. Alpha is ignored."""
    if block.ndim == 2:
        return block
    wide: NDArray[np.uint32] = block[:3].astype(np.uint32)
    colors: NDArray[np.uint32] = wide[0] << np.uint32(16) | wide[1] << np.uint32(8) | wide[2]
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
    unknown = sorted((v for v in counts if v not in table), key=lambda v: -counts[v])
    if unknown:
        colored = len(source.shape) == 3
        shown = [
            f"{(v >> 16, v >> 8 & 255, v & 255) if colored else v}: {counts[v]} pixels"
            for v in unknown[:5]
        ]
        raise SourceError(
            f"the label image has {'colors' if colored else 'values'} of no class",
            file=file,
            expected=palette,
            found="; ".join([*shown, *(["..."] if len(unknown) > 5 else [])]),
            hint="save the label image without smoothing or lossy compression, or skip it with "
            "--on-error skip",
        )
    known = np.array(sorted(counts), np.int64)
    return MappedLabels(source, known, np.array([table[int(v)] for v in known], np.int64))
