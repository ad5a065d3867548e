"""Pixels that are read block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ngff_bio.model.files import SourceParts

Region = tuple[tuple[int, int], ...]
"""Half-open (start, stop) for each axis."""

PixelArray: TypeAlias = NDArray[Any]
"""Pixels or label values, of any type of sample."""

SampleType: TypeAlias = np.dtype[Any]
"""Type of one sample of a pixel."""


def flat_index(place: Sequence[int], counts: Sequence[int]) -> int:
    """Position of an element in an array of shape `counts`, flattened in C order."""
    number = 0
    for at, count in zip(place, counts, strict=True):
        number = number * count + at
    return number


class Readable(Protocol):
    """An array that is read in blocks."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of one pixel, in native byte order."""
        ...

    def read(self, region: Region) -> NDArray[Any]:
        """The block of a region, C-contiguous.

        Raises
        ------
        ngff_bio.errors.NgffBioError
            If a file or an object is damaged or not as large as expected.
        """
        ...


@runtime_checkable
class Pixels(Readable, Protocol):
    """Pixels of a source.

    An implementation pickles to a few hundred bytes and opens its own files, so that a unit of work
    can be sent to another process or machine.
    """

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """Smallest block that can be read without decoding anything twice.

        The region of a unit of work starts and ends at multiples of it (or at the end of the axis).
        """
        ...

    def source_parts(self) -> SourceParts:
        """Files and arrays that the pixels are read from.

        Pixels made of other pixels return :func:`~ngff_bio.model.parts_of` these.
        """
        ...


@dataclass(frozen=True, slots=True)
class ArrayPixels:
    """Pixels in memory."""

    array: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of one pixel."""
        return self.array.dtype.newbyteorder("=")

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """Any block can be read by itself."""
        return (1,) * self.array.ndim

    def read(self, region: Region) -> NDArray[Any]:
        """The block of a region, C-contiguous."""
        block = self.array[tuple(slice(*r) for r in region)]
        return np.ascontiguousarray(block, dtype=self.dtype)

    def source_parts(self) -> SourceParts:
        """The array."""
        return (self.array,)
