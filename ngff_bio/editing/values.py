"""Label values of a NumPy, dask or xarray array, as the engine reads pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError
from ngff_bio.model import Region, SourceParts
from ngff_bio.reader.image import Image

#: Label values are stored in 32 bits at most.
_MAX_VALUE = 2**32 - 1


@dataclass(frozen=True)
class GivenLabels:
    """An array of label values as pixels of a layer; values are checked when they are read."""

    array: Any
    max_value: int
    read_block_shape: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The largest type that values are stored in."""
        return np.dtype("u4")

    def read(self, region: Region) -> NDArray[Any]:
        """The block of a region; of a lazy array, it is computed now."""
        block = np.asarray(self.array[tuple(slice(a, b) for a, b in region)])
        low, high = (int(block.min()), int(block.max())) if block.size else (0, 0)
        if low < 0 or high > self.max_value:
            raise ArgumentError(
                "a label value is out of range",
                expected=f"0 to {self.max_value}",
                found=low if low < 0 else high,
            )
        return np.ascontiguousarray(block, self.dtype)

    def source_parts(self) -> SourceParts:
        """Nothing that is known to change with the values."""
        return (None,)


def label_values(image: Image, labels: Any) -> GivenLabels:
    """Label values that a user gives, for all pixels of an image.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If axes, shape or type do not fit, or a value is negative or has more than 32 bits.
    """
    axes = image.axes.replace("c", "")
    shape = tuple(n for a, n in zip(image.axes, image.shape, strict=True) if a != "c")
    dims = getattr(labels, "dims", None)
    if dims is not None:
        if sorted(dims) != sorted(axes):
            raise ArgumentError("the labels have other axes", expected=axes, found=", ".join(dims))
        labels = labels.transpose(*axes).data
    if not hasattr(labels, "dtype"):
        labels = np.asarray(labels)
    if tuple(labels.shape) != shape:
        raise ArgumentError(
            "the labels have another shape than the image",
            expected=", ".join(f"{a}={n}" for a, n in zip(axes, shape, strict=True)),
            found=tuple(labels.shape),
        )
    if labels.dtype.kind not in "uib":
        raise ArgumentError("labels are integers", expected="an integer type", found=labels.dtype)
    lazy = hasattr(labels, "dask")
    if labels.dtype.kind == "b":
        largest = 1
    elif lazy:  # not computed twice
        largest = min(int(np.iinfo(labels.dtype).max), _MAX_VALUE)
    else:
        low, largest = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
        if low < 0 or largest > _MAX_VALUE:
            raise ArgumentError(
                "a label value is out of range",
                expected=f"0 to {_MAX_VALUE}",
                found=low if low < 0 else largest,
            )
    block = tuple(labels.chunksize) if lazy else (1,) * labels.ndim
    return GivenLabels(labels, largest, block)
