"""Label images with integers of any type, on the axes of their image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.formats.tiff.images import open_tiff
from ngff_bio.model import (
    PixelArray,
    Pixels,
    Region,
    SampleType,
    SourceFile,
    SourceImage,
    SourceParts,
    label_dtype,
    parts_of,
)

_HINT = (
    "save the ids as gray values of 8, 16 or 32 bits, or name the label files with "
    "--labels NAME=GLOB, or leave others out with --exclude GLOB"
)


@dataclass(frozen=True, slots=True)
class LabelPixels:
    """Label values as unsigned integers, on given axes.

    Parameters
    ----------
    source
        The pixels in the file: unsigned, signed, floats without fractions, or booleans.
    places
        For each axis the source's axis; ``None`` for one of length 1 that the source does not have.
    dtype
        Unsigned type that holds all values.
    file
        Name for error messages.
    known
        The values that occur besides 0, if they are classes that are listed; ``None`` for any.
    """

    source: Pixels
    places: tuple[int | None, ...]
    dtype: SampleType
    file: str
    known: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""
        return tuple(1 if p is None else self.source.shape[p] for p in self.places)

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """The source's own."""
        return tuple(1 if p is None else self.source.read_block_shape[p] for p in self.places)

    def read(self, region: Region) -> PixelArray:
        """The block of a region, C-contiguous.

        Raises
        ------
        ngff_bio.errors.SourceError
            If a value is negative, has a fraction, or is not a listed class.
        """
        spans: list[tuple[int, int]] = [(0, 1)] * len(self.source.shape)
        for place, span in zip(self.places, region, strict=True):
            if place is not None:
                spans[place] = span
        block = check_integers(self.source.read(tuple(spans)), self.file)
        if self.known is not None:
            self._check_known(block, self.known)
        kept = [p for p in self.places if p is not None]
        others = [i for i in range(block.ndim) if i not in kept]
        ordered = np.transpose(block, [*kept, *others])
        shaped = ordered.reshape([b - a for a, b in region])
        return np.ascontiguousarray(shaped, dtype=self.dtype)

    def _check_known(self, block: PixelArray, known: tuple[int, ...]) -> None:
        strange = np.setdiff1d(block, (0, *known))
        if strange.size:
            raise SourceError(
                "a label value is not a class of the dataset",
                file=self.file,
                expected=f"0, {', '.join(map(str, known[:20]))}",
                found=strange[0],
                hint="add the class to the list of classes, correct the label image, or skip the "
                "image with --on-error skip",
            )

    def source_parts(self) -> SourceParts:
        """Those of the pixels in the file."""
        return parts_of(self.source)


def check_integers(block: PixelArray, file: str) -> PixelArray:
    """A block of label values, unchanged.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a value is negative or has a fraction.
    """
    if (
        block.dtype.kind == "f" and not (block == np.trunc(block)).all()
    ):  # NaN is not equal to itself
        wrong = block[block != np.trunc(block)].flat[0]
        raise SourceError("a label value is not an integer", file=file, found=wrong, hint=_HINT)
    if block.dtype.kind in "fi" and block.size and block.min() < 0:
        raise SourceError("a label value is negative", file=file, found=block.min(), hint=_HINT)
    return block


def open_label_image(
    file: SourceFile, header: ImageHeader, limits: Limits = DEFAULT_LIMITS
) -> tuple[Pixels, str]:
    """Pixels of a label image and the letters of their axes; of an indexed image, the indices.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it has colors or channels, or is several images.
    """
    pixels: Pixels
    if header.format == "tiff" and not (header.palette and header.single):
        images = open_tiff(file, limits=limits)
        if len(images) > 1:
            raise SourceError(
                "a label image file contains several images",
                file=file.name,
                found=len(images),
                hint=_HINT,
            )
        pixels, letters = images[0].pixels, images[0].pixels.axes
    else:
        stack = stack_frames([file], headers=[header], limits=limits, indices=header.palette)
        pixels, letters = stack, stack.axes
        if header.format == "jpeg":
            return LossyMask.of(stack, file.name), "yx"
    if "c" in letters and pixels.shape[letters.index("c")] > 1:
        raise SourceError(
            "a label image has colors or channels",
            file=file.name,
            expected="one integer for each pixel",
            found=f"{pixels.shape[letters.index('c')]} samples for each pixel",
            hint=_HINT,
        )
    return pixels, letters


#: Largest distance of a value of a mask in a JPEG from 0 or from its largest value; the part of the
#: pixels that are not 0 that may be between, at the rims of objects.
_NOISE, _RIMS = 24, 0.2


def without_noise(block: PixelArray) -> PixelArray | None:
    """A mask as it was before it was compressed as JPEG: 0 and its largest value.

    ``None`` if its values are not near these two.
    """
    most = int(block.max(initial=0))
    between = (block > _NOISE) & (block < most - _NOISE)
    if most <= _NOISE:
        return np.zeros_like(block)
    if most < 4 * _NOISE or between.sum() > _RIMS * (block > _NOISE).sum():
        return None
    found: PixelArray = np.where(block > most // 2, np.uint8(255), np.uint8(0))
    return found


@dataclass(frozen=True, slots=True)
class LossyMask:
    """A mask in a JPEG: 255 where it is above half of its largest value, else 0."""

    source: Pixels
    above: int

    NOTE: ClassVar[str] = (
        "masks compressed as JPEG: pixels above half of the largest value are objects"
    )

    @classmethod
    def of(cls, source: Pixels, file: str) -> LossyMask:
        """The mask of a file.

        Raises
        ------
        ngff_bio.errors.SourceError
            If it has other values than 0 and a largest one, with what compression adds to them.
        """
        whole = source.read(tuple((0, n) for n in source.shape))
        if without_noise(whole) is None or (
            whole.ndim == 3 and int(np.ptp(whole, axis=0).max(initial=0)) > 2 * _NOISE
        ):
            raise SourceError(
                "a label image is compressed with loss: its values are not those that were saved",
                file=file,
                expected="a mask of 0 and one other value, or a PNG or TIFF",
                hint="save label images as PNG or TIFF, or convert all files as images with "
                "--labels none",
            )
        return cls(source, max(int(whole.max(initial=0)) // 2, _NOISE))

    @property
    def dtype(self) -> SampleType:
        """That of 0 and 255."""
        return np.dtype(np.uint8)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.source.shape[-2:]

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """The whole file."""
        return self.source.read_block_shape[-2:]

    def read(self, region: Region) -> PixelArray:
        """The block of a region."""
        outer = [(0, 1)] * (len(self.source.shape) - 2)
        block = self.source.read((*outer, *region)).reshape([b - a for a, b in region])
        return np.where(block > self.above, np.uint8(255), np.uint8(0))

    def source_parts(self) -> SourceParts:
        """Those of the file, and the threshold."""
        return (*parts_of(self.source), f"above {self.above}")


def fit_labels(
    source: Pixels, letters: str, file: str, image: SourceImage
) -> tuple[LabelPixels, int]:
    """Labels on the axes of their image, and the largest value that they may have.

    Axes are matched by their letters; where letters differ (pages of a file without metadata), by
    their order and sizes.

    Parameters
    ----------
    source, letters
        The label values, and their axes.
    file
        Name of the label file, for errors.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the two differ in shape, or values cannot be ids.
    """
    of_image = zip(image.axis_names, image.pixels.shape, strict=True)
    shape = {a: n for a, n in of_image if a != "c"}
    axes = "".join(shape)
    sizes = dict(zip(letters, source.shape, strict=True))
    kept = [a for a in letters if sizes[a] > 1 or a in axes]
    places: tuple[int | None, ...] | None = None
    if set(kept) <= set(axes):
        places = tuple(letters.index(a) if a in kept else None for a in axes)
    elif len(kept) == len(axes):
        places = tuple(letters.index(a) for a in kept)
    found = None if places is None else tuple(1 if p is None else source.shape[p] for p in places)
    if places is None or found != tuple(shape.values()):
        raise SourceError(
            "a label image and its image differ in shape",
            file=file,
            expected=f"{axes} of {list(shape.values())}, as in "
            + (image.frames[0].name if image.frames else image.name),
            found=f"{letters} of {list(source.shape)}",
            hint="check that the two belong together, or name the label files with "
            "--labels NAME=GLOB",
        )
    most = _largest(source, file)
    if most > np.iinfo(np.uint32).max:
        raise SourceError(
            "a label value is too large", file=file, expected="at most 4294967295", found=most
        )
    return LabelPixels(source, places, label_dtype(most), file), most


def _largest(source: Pixels, file: str) -> int:
    """The largest value of the type; the largest that occurs if the type is too wide for labels."""
    if source.dtype.kind == "b":
        return 1
    if source.dtype.kind == "u" and source.dtype.itemsize <= 4:
        return int(np.iinfo(source.dtype).max)
    blocks = (check_integers(source.read(region), file) for region in blocks_of(source))
    return max(int(block.max(initial=0)) for block in blocks)


def blocks_of(source: Pixels) -> Iterator[Region]:
    """Regions of about 64 MB that together are all of an array."""
    steps = list(source.read_block_shape)
    for axis in reversed(range(len(steps))):
        room = (64 << 20) // max(math.prod(steps) * source.dtype.itemsize, 1)
        steps[axis] = min(source.shape[axis], steps[axis] * max(room, 1))
    spans = [
        [(i, min(i + step, n)) for i in range(0, n, step)]
        for n, step in zip(source.shape, steps, strict=True)
    ]
    return product(*spans)
