"""Label values of pieces as values of the whole image.

Each piece has values from 1 on: those of a piece follow those of the pieces before it. Objects that two
neighbours both see in the pixels that they share, and agree on, are one object.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ngff_bio.compute.pieces import Grid, cropped
from ngff_bio.compute.results import load_array
from ngff_bio.editing.values import MAX_LABEL
from ngff_bio.errors import ArgumentError
from ngff_bio.model import PixelArray, Region, SampleType, SourceParts
from ngff_bio.storage import Storage

#: Two objects are one if they share more than this part of the pixels that either has, where both
#: pieces see them: each then has one partner at most.
_AGREEMENT = 0.5

#: A label value of a piece, by number of the piece.
Value = tuple[int, int]


@dataclass(frozen=True)
class MappedPixels:
    """Results of pieces as pixels of a whole image.

    Parameters
    ----------
    names
        Objects that hold the arrays of the pieces, by number, below ``folder``.
    run
        A name of its own for each run, see `load_array`.
    axes
        Of the image to be written.
    offsets
        Added to the values of each piece; none if they are not objects.
    joined
        Values that become others, and what they become, sorted.
    """

    storage: Storage
    folder: str
    names: tuple[str, ...]
    run: str
    grid: Grid
    axes: str
    shape: tuple[int, ...]
    dtype: SampleType
    offsets: tuple[int, ...] = ()
    joined: tuple[NDArray[np.int64], NDArray[np.int64]] | None = field(default=None, repr=False)

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """Shape of a piece."""
        core = dict(zip(self.grid.sizes, self.grid.core_shape, strict=True))
        return tuple(core.get(a, n) for a, n in zip(self.axes, self.shape, strict=True))

    def read(self, region: Region) -> PixelArray:
        """The block of a region."""
        spans = dict(zip(self.axes, region, strict=True))
        out = np.zeros([b - a for a, b in region], self.dtype)
        for number in self.grid.touching(tuple(spans[a] for a in self.grid.sizes)):
            piece = load_array(self.storage, f"{self.folder}/{self.names[number]}", self.run)
            axes = "".join(a for a in self.axes if a not in self.grid.cut.dropped)
            part = cropped(piece, self.grid, number, axes)
            core = dict(zip(self.grid.sizes, self.grid.core(number), strict=True))
            sizes = dict(zip(self.axes, self.shape, strict=True))
            sizes |= {a: stop - start for a, (start, stop) in core.items()}
            part = part.reshape([sizes[a] for a in self.axes])
            inner, outer = [], []
            for axis, (start, stop) in spans.items():
                a, b = core.get(axis, (0, stop))
                low, high = max(a, start), min(b, stop)
                inner.append(slice(low - a, high - a))
                outer.append(slice(low - start, high - start))
            out[tuple(outer)] = self._values(part[tuple(inner)], number)
        return out

    def _values(self, part: PixelArray, number: int) -> PixelArray:
        if not self.offsets:
            return part
        found = np.where(part > 0, part.astype(np.int64) + self.offsets[number], 0)
        if self.joined is not None and len(self.joined[0]):
            before, after = self.joined
            at = np.minimum(np.searchsorted(before, found), len(before) - 1)
            found = np.where(before[at] == found, after[at], found)
        return found.astype(self.dtype)

    def source_parts(self) -> SourceParts:
        """Nothing that is known to change with the values."""
        return (None,)


def offsets_of(maxima: Sequence[int], image: str) -> tuple[list[int], int]:
    """What is added to the values of each piece, and the largest value of the image.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there are more label values than 32 bits hold.
    """
    offsets, total = [], 0
    for most in maxima:
        offsets.append(total)
        total += most
    if total > MAX_LABEL:
        raise ArgumentError(
            "an image has more label values than 32 bits hold",
            record=image,
            expected=f"at most {MAX_LABEL}",
            found=total,
            hint="number the objects of each piece from 1 on, without gaps",
        )
    return offsets, total


@dataclass(frozen=True)
class Seam:
    """A piece whose neighbours are to be compared with it."""

    storage: Storage
    folder: str
    names: tuple[str, ...]
    run: str
    grid: Grid
    image: str
    number: int
    nbytes: int

    @property
    def name(self) -> str:
        """Path of the image."""
        return self.image or "image"


def join_batch(batch: list[Seam]) -> list[list[tuple[Value, Value]]]:
    """Objects of pieces and of their next neighbours that are one, for each seam."""
    return [_pairs(seam) for seam in batch]


def _pairs(seam: Seam) -> list[tuple[Value, Value]]:
    found: list[tuple[Value, Value]] = []
    grid = seam.grid
    for other in grid.neighbours(seam.number):
        zone = tuple(
            (max(a, c), min(b, d))
            for (a, b), (c, d) in zip(grid.outer(seam.number), grid.outer(other), strict=True)
        )
        first, second = (_part(seam, number, zone) for number in (seam.number, other))
        for a, b in agreeing(first, second):
            found.append(((seam.number, a), (other, b)))
    return found


def _part(seam: Seam, number: int, zone: Region) -> NDArray[np.int64]:
    array = load_array(seam.storage, f"{seam.folder}/{seam.names[number]}", seam.run)
    outer = seam.grid.outer(number)
    array = array.reshape([b - a for a, b in outer])
    index = tuple(slice(a - o, b - o) for (a, b), (o, _) in zip(zone, outer, strict=True))
    return array[index].astype(np.int64).ravel()


def agreeing(first: NDArray[np.int64], second: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Values of two label arrays of the same pixels that are the same object."""
    both = (first > 0) & (second > 0)
    pairs, shared = np.unique(np.stack([first[both], second[both]]), axis=1, return_counts=True)
    sizes = []
    for values, mine in zip((first, second), pairs, strict=True):
        known, counts = np.unique(values, return_counts=True)
        sizes.append(counts[np.searchsorted(known, mine)])
    agree = shared > _AGREEMENT * (sizes[0] + sizes[1] - shared)
    return [(int(a), int(b)) for a, b in pairs[:, agree].T]


def joined_values(
    pairs: Iterable[tuple[Value, Value]], offsets: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Values of the image that become another one: the least of all that are one object."""
    root: dict[int, int] = {}

    def find(value: int) -> int:
        while root.get(value, value) != value:
            root[value] = root.get(root[value], root[value])
            value = root[value]
        return value

    for (i, a), (j, b) in pairs:
        low, high = sorted((find(offsets[i] + a), find(offsets[j] + b)))
        root[high] = low
        root.setdefault(low, low)
    changed = sorted(v for v in root if find(v) != v)
    return np.array(changed, np.int64), np.array([find(v) for v in changed], np.int64)
