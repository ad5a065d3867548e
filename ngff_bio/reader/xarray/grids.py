"""A label image on the grid of its image, where the two differ in pixel size or offset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.model import Region
from ngff_bio.reader.access.arrays import Readable, take


@dataclass(frozen=True)
class Regridded:
    """An array read on another grid by nearest neighbour, block by block.

    Parameters
    ----------
    source
        What is read.
    shape
        Size on the new grid.
    factor, shift
        Along each axis: the source index of a new index is ``index * factor + shift``, rounded.
    """

    source: Readable
    shape: tuple[int, ...]
    factor: tuple[float, ...]
    shift: tuple[float, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""
        return self.source.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def read(self, region: Region) -> NDArray[Any]:
        """The block of a region; 0 where the source ends before."""
        places, inside = [], []
        for (a, b), n, f, s in zip(region, self.source.shape, self.factor, self.shift, strict=True):
            found = np.floor(np.arange(a, b) * f + s + 0.5 - 1e-9).astype(np.intp)
            inside.append((found >= 0) & (found < n))
            places.append(np.clip(found, 0, n - 1))
        if not all(p.size for p in places):
            return np.zeros([p.size for p in places], self.dtype)
        box = tuple((int(p[0]), int(p[-1]) + 1) for p in places)
        block = self.source.read(box)
        for axis, (p, (low, _)) in enumerate(zip(places, box, strict=True)):
            if p.size != block.shape[axis] or not np.array_equal(p, np.arange(low, low + p.size)):
                block = block.take(p - low, axis=axis)
        for axis, there in enumerate(inside):
            if not there.all():
                block = block.copy()
                block[(slice(None),) * axis + (~there,)] = 0
        return block

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return take(self, key)


@dataclass(frozen=True)
class Squeezed:
    """An array without some of its axes, which are of size 1."""

    source: Readable
    drop: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along the axes that are left."""
        return tuple(n for i, n in enumerate(self.source.shape) if i not in self.drop)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""
        return self.source.dtype

    @property
    def ndim(self) -> int:
        """Number of axes that are left."""
        return len(self.shape)

    def read(self, region: Region) -> NDArray[Any]:
        """The block of a region."""
        rest = iter(region)
        whole = [(0, 1) if i in self.drop else next(rest) for i in range(len(self.source.shape))]
        return self.source.read(tuple(whole)).reshape([b - a for a, b in region])

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return take(self, key)
