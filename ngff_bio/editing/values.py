"""Pixels and label values of a NumPy, dask or xarray array, as the engine reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ngff_bio.errors import ArgumentError
from ngff_bio.model import PixelArray, Region, SampleType, SourceParts
from ngff_bio.reader.image import Image

#: Label values are stored in 32 bits at most.
MAX_LABEL = 2**32 - 1


@dataclass(frozen=True)
class GivenPixels:
    """An array as pixels; label values are checked when they are read.

    Parameters
    ----------
    max_value
        The largest label value; ``None`` if they are not labels.
    classes
        The only label values; any if ``None``.
    """

    array: Any
    dtype: SampleType
    read_block_shape: tuple[int, ...]
    max_value: int | None = None
    classes: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""
        return tuple(self.array.shape)

    @property
    def lazy(self) -> bool:
        """Whether blocks are computed by dask."""
        return hasattr(self.array, "dask")

    def block(self, region: Region) -> Any:
        """The part of the array, not computed."""
        return self.array[tuple(slice(a, b) for a, b in region)]

    def read(self, region: Region) -> PixelArray:
        """The block of a region; of a lazy array, it is computed now."""
        return self.checked(np.asarray(self.block(region)))

    def checked(self, block: PixelArray) -> PixelArray:
        """A block in the type that is stored.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If a label value is out of range.
        """
        if self.max_value is not None:
            check_labels(block, self.max_value, self.classes)
        return np.ascontiguousarray(block, self.dtype)

    def source_parts(self) -> SourceParts:
        """Nothing that is known to change with the values."""
        return (None,)


@dataclass(frozen=True)
class ComputedPixels:
    """Blocks of an array, by their regions."""

    given: GivenPixels
    blocks: Mapping[Region, PixelArray]

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""
        return self.given.shape

    @property
    def dtype(self) -> SampleType:
        """Type of a pixel."""
        return self.given.dtype

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """As of the array."""
        return self.given.read_block_shape

    def read(self, region: Region) -> PixelArray:
        """One of the blocks."""
        return self.given.checked(np.asarray(self.blocks[region]))

    def source_parts(self) -> SourceParts:
        """Nothing that is known to change with the values."""
        return (None,)


def check_labels(
    block: PixelArray, largest: int = MAX_LABEL, classes: Sequence[int] | None = None
) -> int:
    """The largest label value of a block.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If one is negative, larger than allowed, or not that of a class, where these are given.
    """
    low, high = (int(block.min()), int(block.max())) if block.size else (0, 0)
    if low < 0 or high > largest:
        raise ArgumentError(
            "a label value is out of range",
            expected=f"0 to {largest}",
            found=low if low < 0 else high,
        )
    if classes is not None:
        unknown = np.setdiff1d(block, [0, *classes])
        if len(unknown):
            raise ArgumentError(
                "a label value is not one of the classes",
                expected=", ".join(map(str, sorted(classes)[:20])),
                found=int(unknown[0]),
                hint="name the class of each value, or 0 for none",
            )
    return high


def check_label_type(values: Any) -> None:
    """Refuse values that are not integers.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If they are not integers or booleans.
    """
    if values.dtype.kind not in "uib":
        nan = isinstance(values, np.ndarray) and values.dtype.kind == "f" and np.isnan(values).any()
        raise ArgumentError(
            "labels are integers",
            expected="an integer type",
            found=f"{values.dtype} with NaN" if nan else values.dtype,
        )


def label_values(
    image: Image, labels: Any, classes: Mapping[int, str] | None = None
) -> GivenPixels:
    """Label values that a user gives, for all pixels of an image.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If axes, shape or type do not fit, or a value is negative, has more than 32 bits, or is not that
        of a class, where these are given.
    """
    values = _on_image(image, labels, image.axes.replace("c", ""), "labels")
    check_label_type(values)
    lazy = hasattr(values, "dask")
    if values.dtype.kind == "b":
        largest = 1
    elif lazy:  # not computed twice
        largest = min(int(np.iinfo(values.dtype).max), MAX_LABEL)
    else:
        largest = check_labels(values)
    return GivenPixels(values, np.dtype("u4"), _block(values), largest, class_values(classes))


def class_values(classes: Mapping[int, str] | None) -> tuple[int, ...] | None:
    """Label values that are classes.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If they are not given as names by value.
    """
    if classes is None:
        return None
    try:
        return tuple(int(value) for value, _ in dict(classes).items())
    except (TypeError, ValueError):
        raise ArgumentError(
            "classes are names by label value",
            expected='{1: "cell", 2: "debris"}',
            found=str(classes)[:80],
        ) from None


def image_values(image: Image, array: Any) -> tuple[GivenPixels, str]:
    """Pixels that a user gives beside an image, with or without its channels, and their axes.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If axes, shape or type do not fit.
    """
    axes = image.axes
    if "c" in axes and "c" not in getattr(array, "dims", "c" if array.ndim == len(axes) else ""):
        axes = axes.replace("c", "")
    values = _on_image(image, array, axes, "image")
    kind = values.dtype
    if kind.kind == "b":
        values, kind = values.astype("u1"), np.dtype("u1")
    if kind.kind not in "uif":
        raise ArgumentError("pixels are numbers", expected="integers or floats", found=kind)
    return GivenPixels(values, kind.newbyteorder("<"), _block(values)), axes


def _on_image(image: Image, array: Any, axes: str, what: str) -> Any:
    """An array with its axes in the order of the image's, and its shape."""
    sizes = image.sizes
    dims = getattr(array, "dims", None)
    if dims is not None:
        if sorted(dims) != sorted(axes):
            found = ", ".join(map(str, dims))
            raise ArgumentError(f"the {what} has other axes", expected=axes, found=found)
        sizes = {**sizes, "c": array.sizes.get("c", 1)}  # a derived image has its own channels
        array = array.transpose(*axes).data
    if not hasattr(array, "dtype"):
        array = np.asarray(array)
    if "c" in axes and array.ndim == len(axes):
        sizes = {**sizes, "c": array.shape[axes.index("c")]}
    if tuple(array.shape) != tuple(sizes[a] for a in axes):
        raise ArgumentError(
            f"{what} of another shape than the image",
            expected=", ".join(f"{a}={sizes[a]}" for a in axes),
            found=tuple(array.shape),
        )
    return array


def _block(values: Any) -> tuple[int, ...]:
    return tuple(values.chunksize) if hasattr(values, "dask") else (1,) * values.ndim
