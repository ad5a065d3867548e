"""Images stacked along axes of their own, where a part of one can be read without its rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.model import ORDER, Pixels, Region


@dataclass(frozen=True, slots=True)
class PixelStack:
    """Images of equal axes, stacked. Smaller ones are padded with 0 at the lower right.

    Parameters
    ----------
    parts
        One for each position along the axes in `along`, the last varying fastest; ``None`` is 0.
    inner
        Letters of the parts' axes.
    along
        Letters of the axes that they are stacked along.
    axes, shape
        All letters in the order of OME-Zarr, and the size along each.
    dtype
        Type of a pixel.
    read_block_shape
        The parts' own, and 1 along `along`.
    """

    parts: tuple[Pixels | None, ...]
    inner: str
    along: str
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read_block_shape: tuple[int, ...]

    def read(self, region: Region) -> NDArray[Any]:
        """The block of a region, C-contiguous."""
        spans = dict(zip(self.axes, region, strict=True))
        sizes = [self.shape[self.axes.index(a)] for a in self.along]
        places = list(product(*(range(*spans[a]) for a in self.along)))
        if len(places) == 1:
            whole = self._whole(places[0], sizes, spans)
            if whole is not None:
                return whole.reshape([b - a for a, b in region])
        out = np.zeros([b - a for a, b in region], self.dtype)
        for place in places:
            part = self.parts[_rank(place, sizes)]
            if part is None:
                continue
            at = dict(zip(self.along, place, strict=True))
            target = out[tuple(at[a] - spans[a][0] if a in at else slice(None) for a in self.axes)]
            wanted = [spans[a] for a in self.inner]
            cut = [(a, min(b, n)) for (a, b), n in zip(wanted, part.shape, strict=True)]
            if all(b > a for a, b in cut):
                block = part.read(tuple(cut))
                target[tuple(slice(0, n) for n in block.shape)] = block
        return out

    def _whole(
        self, place: tuple[int, ...], sizes: list[int], spans: dict[str, tuple[int, int]]
    ) -> NDArray[Any] | None:
        """The block of a single part that fills it: taken as it is, not copied."""
        part = self.parts[_rank(place, sizes)]
        wanted = tuple(spans[a] for a in self.inner)
        if part is None or any(b > n for (_, b), n in zip(wanted, part.shape, strict=True)):
            return None
        # Axes of length 1 may be put anywhere, others must keep their order.
        return part.read(wanted)


def _rank(place: tuple[int, ...], sizes: list[int]) -> int:
    number = 0
    for at, size in zip(place, sizes, strict=True):
        number = number * size + at
    return number


def stack_pixels(
    parts: Sequence[Pixels | None],
    inner: str,
    along: str,
    counts: Sequence[int],
    names: Sequence[str],
) -> PixelStack:
    """Stack images along axes that they do not have.

    Parameters
    ----------
    parts
        In the order of `PixelStack.parts`.
    inner
        Letters of their axes.
    along, counts
        Letters of the new axes, and the number of parts along each.
    names
        Of the parts, for error messages.

    Raises
    ------
    ngff_bio.errors.SourceError
        If they are of different types, or differ in size along an axis that is not y or x.
    """
    known = [(p, n) for p, n in zip(parts, names, strict=True) if p is not None]
    first, first_name = known[0]
    for part, name in known:
        here, there = ((p.dtype, dict(zip(inner, p.shape, strict=True))) for p in (part, first))
        if here[0] != there[0] or any(here[1][a] != there[1][a] for a in inner if a not in "yx"):
            raise SourceError(
                "frames of one image are of different kinds",
                file=name,
                expected=f"{first.dtype} of {first.shape}, as {first_name} has it",
                found=f"{part.dtype} of {part.shape}",
                hint="convert the files to one kind",
            )
    size = {a: max(p.shape[i] for p, _ in known) for i, a in enumerate(inner)}
    read_block_shape = {
        a: max(p.read_block_shape[i] for p, _ in known) for i, a in enumerate(inner)
    }
    for i, a in enumerate(inner):
        # Strips of different heights, or rows of different widths, have only the plane in common.
        if len(
            {(p.read_block_shape[i] >= p.shape[i]) or p.read_block_shape[i] for p, _ in known}
        ) > 1 or any(p.read_block_shape[i] >= p.shape[i] for p, _ in known):
            read_block_shape[a] = size[a]
    size |= dict(zip(along, counts, strict=True))
    read_block_shape |= dict.fromkeys(along, 1)
    axes = "".join(a for a in ORDER if a in size)
    if math.prod(counts) != len(parts):
        raise ValueError(f"{len(parts)} parts do not fill {tuple(counts)}")
    return PixelStack(
        tuple(parts),
        inner,
        along,
        axes,
        tuple(size[a] for a in axes),
        first.dtype,
        tuple(read_block_shape[a] for a in axes),
    )
