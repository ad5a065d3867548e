"""Pixels composed of others: stacked along new axes, or side by side in one plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from ngff_bio.errors import ArgumentError, SourceError
from ngff_bio.formats.images.decoding import ImageFile
from ngff_bio.model import ORDER, PixelArray, Pixels, Region, SampleType, SourceParts, parts_of
from ngff_bio.model.pixels import flat_index


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
        Letters of the axes that they are stacked along; ``""`` for a single part.
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
    dtype: SampleType
    read_block_shape: tuple[int, ...]

    @property
    def sizes(self) -> tuple[tuple[int, int], ...] | None:
        """Rows and columns of each part, (0, 0) for a missing one; ``None`` if all fill the plane."""
        found = [(0, 0) if p is None else (p.shape[-2], p.shape[-1]) for p in self.parts]
        known = {size for size in found if size != (0, 0)}
        return None if known == {self.shape[-2:]} else tuple(found)

    def read(self, region: Region) -> PixelArray:
        """The block of a region, C-contiguous."""
        spans = dict(zip(self.axes, region, strict=True))
        shape = [b - a for a, b in region]
        wanted = tuple(spans[a] for a in self.inner)
        counts = [self.shape[self.axes.index(a)] for a in self.along]
        places = list(product(*(range(*spans[a]) for a in self.along)))
        out: PixelArray | None = None
        for place in places:
            part = self.parts[flat_index(place, counts)]
            cut = wanted
            if part is not None:
                cut = tuple((a, min(b, n)) for (a, b), n in zip(wanted, part.shape, strict=True))
                if len(places) == 1 and cut == wanted:  # no copy: axes of length 1 go anywhere
                    return part.read(cut).reshape(shape)
            if out is None:
                out = np.zeros(shape, self.dtype)
            if part is not None and all(b > a for a, b in cut):
                at = dict(zip(self.along, place, strict=True))
                index = (at[a] - spans[a][0] if a in at else slice(None) for a in self.axes)
                target = out[tuple(index)][tuple(slice(0, b - a) for a, b in cut)]
                if isinstance(part, ImageFile):
                    part.read_into(cut, target)
                else:
                    target[...] = part.read(cut)
        return np.zeros(shape, self.dtype) if out is None else out

    def source_parts(self) -> SourceParts:
        """Those of every part."""
        return parts_of(*(p for p in self.parts if p is not None))


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
        If they have different types or numbers of axes, or differ in size along an axis other than
        y and x.
    ngff_bio.errors.ArgumentError
        If there is no part, or another number than the axes take.
    """
    known = [(p, n) for p, n in zip(parts, names, strict=True) if p is not None]
    if not known or math.prod(counts) != len(parts):
        raise ArgumentError(
            "the parts do not fill the axes",
            expected=f"{math.prod(counts)} parts along {along!r}",
            found=f"{len(parts)}, {len(known)} of them with pixels",
        )
    first, first_name = known[0]
    fixed = [i for i, a in enumerate(inner) if a not in "yx"]
    for part, name in known:
        if (part.dtype, len(part.shape)) != (first.dtype, len(inner)) or any(
            part.shape[i] != first.shape[i] for i in fixed
        ):
            raise SourceError(
                "the files of one image differ in type or shape",
                file=name,
                expected=f"{first.dtype} of {first.shape}, as in {first_name}",
                found=f"{part.dtype} of {part.shape}",
                hint="convert the files to one type and shape",
            )
    size = {a: max(p.shape[i] for p, _ in known) for i, a in enumerate(inner)}
    blocks = dict.fromkeys(along, 1)
    for i, a in enumerate(inner):
        steps = {p.read_block_shape[i] for p, _ in known}
        # Strips of different heights, or rows of different widths, have only the plane in common.
        whole = len(steps) > 1 or any(p.read_block_shape[i] >= p.shape[i] for p, _ in known)
        blocks[a] = size[a] if whole else steps.pop()
    size |= dict(zip(along, counts, strict=True))
    axes = "".join(a for a in ORDER if a in size)
    return PixelStack(
        tuple(parts),
        inner,
        along,
        axes,
        tuple(size[a] for a in axes),
        first.dtype,
        tuple(blocks[a] for a in axes),
    )


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Pixels composed of tiles; of those that overlap the last is seen, pixels of none are 0.

    Parameters
    ----------
    tiles
        Each with the position of its first pixel along every axis.
    shape
        Of the whole.
    rows
        Rows of a block, where a whole plane would be too large; tiles that lie across two blocks are
        decoded twice. 0 for the tiles' own, or the whole plane.
    """

    tiles: tuple[tuple[Pixels, tuple[int, ...]], ...]
    shape: tuple[int, ...]
    rows: int = 0

    def __post_init__(self) -> None:
        if len({tile.dtype for tile, _ in self.tiles}) != 1:
            raise ArgumentError(
                "tiles of one image have different types",
                expected="one type",
                found=", ".join(sorted({str(tile.dtype) for tile, _ in self.tiles})),
            )

    @property
    def dtype(self) -> SampleType:
        """Type of one pixel."""
        return self.tiles[0][0].dtype

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """As the tiles' along axes that they fill; the whole length of others."""
        whole = zip(self.shape, *(t.shape for t, _ in self.tiles), strict=True)
        blocks = zip(*(t.read_block_shape for t, _ in self.tiles), strict=True)
        found = [
            max(steps) if len({*sizes}) == 1 else sizes[0]
            for sizes, steps in zip(whole, blocks, strict=True)
        ]
        if self.rows:
            found[-2] = min(self.rows, found[-2])
        return tuple(found)

    def read(self, region: Region) -> PixelArray:
        """The block of a region, C-contiguous."""
        out = np.zeros([b - a for a, b in region], self.dtype)
        for tile, place in self.tiles:
            spans = [
                (max(a, p), min(b, p + n))
                for (a, b), p, n in zip(region, place, tile.shape, strict=True)
            ]
            if any(a >= b for a, b in spans):
                continue
            target = tuple(
                slice(a - start, b - start)
                for (a, b), (start, _) in zip(spans, region, strict=True)
            )
            out[target] = tile.read(
                tuple((a - p, b - p) for (a, b), p in zip(spans, place, strict=True))
            )
        return out

    def source_parts(self) -> SourceParts:
        """Those of every tile."""
        return parts_of(*(tile for tile, _ in self.tiles))
