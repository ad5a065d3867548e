"""A label image on the grid of its image, where the two differ in axes, pixel size or offset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ngff_bio.model import PixelArray, Readable, Region, SampleType
from ngff_bio.reader.access.arrays import take


@dataclass(frozen=True)
class GridView:
    """An array resampled to another grid by nearest neighbour, block by block.

    Parameters
    ----------
    source
        The array.
    axes
        Its axes that are kept, in order; the others have size 1.
    shape
        Shape on the new grid.
    factor, shift
        For each axis: a new index corresponds to the index ``index * factor + shift`` of the
        source, rounded.
    """

    source: Readable
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    factor: tuple[float, ...]
    shift: tuple[float, ...]

    @property
    def dtype(self) -> SampleType:
        """Data type of the pixels."""
        return self.source.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def read(self, region: Region) -> PixelArray:
        """Pixels of a region; 0 outside the source."""
        if any(a == b for a, b in region):
            return np.zeros([b - a for a, b in region], self.dtype)
        box = [(0, 1)] * len(self.source.shape)
        places, inside = [], []
        for axis, (a, b), f, s in zip(self.axes, region, self.factor, self.shift, strict=True):
            n = self.source.shape[axis]
            found = np.floor(np.arange(a, b) * f + s + 0.5 - 1e-9).astype(np.intp)
            inside.append((found >= 0) & (found < n))
            clipped = np.clip(found, 0, n - 1)
            low = int(clipped.min())
            box[axis] = (low, int(clipped.max()) + 1)
            places.append(clipped - low)
        block = self.source.read(tuple(box)).reshape(
            [b - a for a, b in (box[i] for i in self.axes)]
        )
        for axis, (place, there) in enumerate(zip(places, inside, strict=True)):
            if not np.array_equal(place, np.arange(block.shape[axis])):
                block = block.take(place, axis=axis)
            if not there.all():
                block = block.copy()
                block[(slice(None),) * axis + (~there,)] = 0
        return block

    def __getitem__(self, key: Any) -> PixelArray:
        return take(self, key)
