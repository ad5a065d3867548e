"""A label volume as runs instead of pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.model.files import SourceParts


@dataclass(frozen=True, slots=True, eq=False)
class RunVolume:
    """Label values as runs over a whole volume, in C order, sorted by start, none overlapping.

    Parameters
    ----------
    shape
        Size along each axis.
    starts, lengths
        int64; offset of each run's first pixel from the start of the volume, and pixels in it.
    values
        Label value of each run.
    dtype
        Type that the pixels have when drawn.
    """

    shape: tuple[int, ...]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    values: NDArray[np.int64]
    dtype: np.dtype[Any]

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """Any block can be drawn by itself."""
        return (1,) * len(self.shape)

    def between(self, first: int, stop: int) -> RunVolume:
        """The same volume with only those runs that touch planes `first` to `stop` (exclusive)."""
        plane = math.prod(self.shape[1:])
        low = int(np.searchsorted(self.starts + self.lengths, first * plane, side="right"))
        high = int(np.searchsorted(self.starts, stop * plane, side="left"))
        near = slice(low, high)
        return replace(
            self, starts=self.starts[near], lengths=self.lengths[near], values=self.values[near]
        )

    def source_parts(self) -> SourceParts:
        """The arrays."""
        return self.starts, self.lengths, self.values
