"""NIfTI-1 and NIfTI-2 volumes, compressed or not. Needs nibabel, which reads the header.

https://nifti.nimh.nih.gov/nifti-1: the first axis (x) varies fastest. Voxels are stored as they are in
the file; the transformation to anatomical axes is kept as an attribute.
"""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from typing import IO, cast

import numpy as np

from ngff_bio.errors import SourceError, import_optional
from ngff_bio.formats.arrays.image import ArrayImage
from ngff_bio.formats.limits import Limits
from ngff_bio.formats.problems import damage_named
from ngff_bio.model import Axis, PixelArray, Region, SampleType, SourceFile, SourceParts

ENDINGS = (".nii", ".nii.gz")

#: Units of ``xyzt_units``, by nibabel's names.
_UNITS = {"meter": "meter", "mm": "millimeter", "micron": "micrometer"}
_TIMES = {"sec": "second", "msec": "millisecond", "usec": "microsecond"}


@dataclass(frozen=True, slots=True)
class NiftiPixels:
    """Voxels of a NIfTI file.

    Parameters
    ----------
    file
        The file.
    axes, shape
        ``yx``, ``zyx`` or ``tzyx``, and the size along each.
    stored
        Type of the voxels in the file.
    offset
        First byte of the voxels, uncompressed.
    slope, intercept
        What stored values are multiplied with, and what is added; 1 and 0 for nothing.
    """

    file: SourceFile
    axes: str
    shape: tuple[int, ...]
    stored: str
    offset: int
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def scaled(self) -> bool:
        """Whether values are not those that are stored."""
        return (self.slope, self.intercept) != (1.0, 0.0)

    @property
    def dtype(self) -> SampleType:
        """Type of a voxel; float64 if values are scaled."""
        return np.dtype(np.float64) if self.scaled else np.dtype(self.stored).newbyteorder("=")

    @property
    def _packed(self) -> bool:
        return self.file.name.lower().endswith(".gz")

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """A plane; of a compressed file the whole."""
        return self.shape if self._packed else (*[1] * (len(self.shape) - 2), *self.shape[-2:])

    def read(self, region: Region) -> PixelArray:
        """The block of a region, C-contiguous."""
        inner = math.prod(self.shape[1:]) * np.dtype(self.stored).itemsize
        (first, stop), *rest = region
        start, size = self.offset + first * inner, (stop - first) * inner
        with damage_named(self.file.name, "the voxels of the NIfTI file cannot be read"):
            if self._packed:
                with _unpacked(self.file) as stream:
                    stream.seek(start)
                    data = stream.read(size)
                    _check_rest(stream, (self.shape[0] - stop) * inner)
            else:
                data = self.file.read_range(start, size)
            slab = np.frombuffer(data, self.stored).reshape(stop - first, *self.shape[1:])
        block = slab[(slice(None), *(slice(*r) for r in rest))]
        if self.scaled:
            return np.ascontiguousarray(block * self.slope + self.intercept, dtype=np.float64)
        return np.ascontiguousarray(block, dtype=self.dtype)

    def source_parts(self) -> SourceParts:
        """The file."""
        return (self.file,)


#: Bytes that may follow the voxels.
_REST = 1 << 20


def _check_rest(stream: IO[bytes], voxels: int) -> None:
    """Read the rest of a compressed file: its checksum is at its end, and is compared there.

    Raises
    ------
    ValueError, OSError
        If more follows than `voxels` bytes and some others, or the checksum is another one.
    """
    left = voxels + _REST
    while block := stream.read(min(left + 1, _REST)):
        left -= len(block)
        if left < 0:
            raise ValueError("the file goes on behind its voxels")


def _unpacked(file: SourceFile) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(file.open()))


def open_nifti(file: SourceFile, limits: Limits) -> ArrayImage:
    """The volume of a NIfTI file; its header is read.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged, has more than four axes, or voxels of several values.
    ngff_bio.errors.DependencyError
        If nibabel is not installed.
    """
    nibabel = import_optional("nibabel", "ngff-bio[nifti]")
    with damage_named(file.name, "the header of the NIfTI file cannot be read"):
        with _unpacked(file) if file.name.lower().endswith(".gz") else file.open() as stream:
            first = stream.read(4)
            second = 540 in (int.from_bytes(first, "little"), int.from_bytes(first, "big"))
            kind = nibabel.Nifti2Header if second else nibabel.Nifti1Header
            stream.seek(0)
            header = kind.from_fileobj(stream)
        sizes = [int(n) for n in header.get_data_shape()]
        dtype = header.get_data_dtype()
        offset = int(header.get_data_offset())
        slope, intercept = header.get_slope_inter()
        space, time = header.get_xyzt_units()
        zooms = [float(z) for z in header.get_zooms()]
        affine = [[float(v) for v in row] for row in header.get_best_affine()]
    while len(sizes) > 4 and sizes[-1] == 1:
        sizes.pop()
    if not 2 <= len(sizes) <= 4 or min(sizes) < 1 or dtype.kind not in "uif":
        raise SourceError(
            "the NIfTI file does not contain a gray volume",
            file=file.name,
            expected="2 to 4 axes of integers or floats",
            found=f"{sizes} of {dtype}",
        )
    shape = tuple(reversed(sizes))
    limits.check_member(offset + math.prod(shape) * dtype.itemsize, file.name)
    letters = "tzyx"[-len(shape) :]
    pixels = NiftiPixels(
        file, letters, shape, dtype.str, offset, float(slope or 1), float(intercept or 0)
    )
    units = {a: _UNITS.get(space) for a in "zyx"} | {"t": _TIMES.get(time)}
    scales = dict(zip("xyzt", zooms, strict=False))
    axes = tuple(
        Axis(a, scales[a], units[a]) if scales.get(a) and units[a] else Axis(a) for a in letters
    )
    return ArrayImage(pixels, axes, {"nifti": {"affine": affine}})
