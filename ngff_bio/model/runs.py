"""A label volume given as runs instead of pixels."""

from __future__ import annotations

from dataclasses import dataclass
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

    def source_parts(self) -> SourceParts:
        """The arrays."""
        return self.starts, self.lengths, self.values
