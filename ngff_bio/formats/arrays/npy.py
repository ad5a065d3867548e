"""NumPy arrays in files: ``.npy``, and those inside ``.npz``. Pickled objects are refused.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ngff_bio.errors import SourceError
from ngff_bio.formats.limits import Limits
from ngff_bio.formats.problems import damage_named
from ngff_bio.model import PixelArray, Region, SampleType, SourceFile, SourceParts


@dataclass(frozen=True, slots=True)
class NpyArray:
    """An array in a file.

    Parameters
    ----------
    file
        The file.
    shape, stored
        Size along each axis, and the type in the file.
    offset
        First byte of the array.
    fortran
        Whether the first axis varies fastest.
    part
        The file of the source, if `file` is a member of it.
    """

    file: SourceFile
    shape: tuple[int, ...]
    stored: str
    offset: int
    fortran: bool = False
    part: SourceFile | None = None

    @property
    def dtype(self) -> SampleType:
        """Type in native byte order."""
        return np.dtype(self.stored).newbyteorder("=")

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """Any rows; the whole if columns come first."""
        return self.shape if self.fortran else (1,) * (len(self.shape) - 1) + self.shape[-1:]

    def read(self, region: Region) -> PixelArray:
        """The block of a region, C-contiguous."""
        dtype = np.dtype(self.stored)
        (first, stop), *rest = region
        if self.fortran:
            data = self.file.read_range(self.offset, math.prod(self.shape) * dtype.itemsize)
            whole = np.frombuffer(data, dtype).reshape(self.shape, order="F")
            block = whole[tuple(slice(*r) for r in region)]
        else:
            row = math.prod(self.shape[1:])
            start = self.offset + first * row * dtype.itemsize
            data = self.file.read_range(start, (stop - first) * row * dtype.itemsize)
            slab = np.frombuffer(data, dtype).reshape(stop - first, *self.shape[1:])
            block = slab[(slice(None), *(slice(*r) for r in rest))]
        return np.ascontiguousarray(block, dtype=self.dtype)

    def source_parts(self) -> SourceParts:
        """The file."""
        return (self.part or self.file,)


def open_npy(file: SourceFile, limits: Limits, part: SourceFile | None = None) -> NpyArray:
    """An array of numbers or texts; its header is read.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged, or has pickled objects.
    """
    with damage_named(file.name, "the NumPy file cannot be read"), file.open() as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
        offset = stream.tell()
    if dtype.kind not in "biufU":
        raise SourceError(
            "an array of objects is not read: unpickling it could run code",
            file=file.name,
            expected="numbers or texts",
            found=str(dtype),
            hint="save the array with another type, or leave the file out with --exclude GLOB",
        )
    size = math.prod(shape) * dtype.itemsize
    if not dtype.itemsize or offset + size > file.size or (shape and min(shape) < 1):
        raise SourceError(
            "the NumPy file has no values, or is truncated",
            file=file.name,
            expected=f"{size:,} bytes of {list(shape)}, {dtype}",
            found=f"{file.size - offset:,} bytes",
            hint="download or copy it again",
        )
    limits.check_member(math.prod(shape[1:]) * dtype.itemsize, file.name)
    return NpyArray(file, shape, dtype.str, offset, fortran, part)


@dataclass(frozen=True, slots=True)
class ArrayItem:
    """One image of a stack with axes n, y, x or n, y, x, c: its channels first, or one of them.

    Parameters
    ----------
    stack
        The stack.
    number
        Which image.
    dtype
        The type of the pixels, which holds all of their values.
    channel
        Which channel; ``None`` for all.
    """

    stack: NpyArray
    number: int
    dtype: SampleType
    channel: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(c, y, x), or (y, x)."""
        plane = self.stack.shape[1:3]
        return (
            plane
            if len(self.stack.shape) == 3 or self.channel is not None
            else (self.stack.shape[3], *plane)
        )

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """The whole image."""
        return self.shape

    def read(self, region: Region) -> PixelArray:
        """The block of a region.

        Raises
        ------
        ngff_bio.errors.SourceError
            If a value does not fit the type.
        """
        *channels, y, x = region
        at = (self.number, self.number + 1)
        if len(self.stack.shape) == 3:
            block = self.stack.read((at, y, x))[0]
        elif self.channel is not None:
            block = self.stack.read((at, y, x, (self.channel, self.channel + 1)))[0, ..., 0]
        else:
            block = np.moveaxis(self.stack.read((at, y, x, channels[0]))[0], -1, 0)
        found: PixelArray = np.ascontiguousarray(block.astype(self.dtype))
        if not (found == block).all():
            raise SourceError(
                "values of an array do not fit its images",
                file=self.stack.file.name,
                record=f"[{self.number}]",
                expected=f"values of {self.dtype}",
                found=f"{block.min()} to {block.max()} of {block.dtype}",
            )
        return found

    def source_parts(self) -> SourceParts:
        """The file, and which image of it."""
        return (*self.stack.source_parts(), f"{self.number} {self.channel}")
