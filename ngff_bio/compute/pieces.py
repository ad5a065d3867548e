"""How an image is cut into the pieces that a function is applied to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Literal, get_args

import xarray as xr

from ngff_bio.errors import ArgumentError
from ngff_bio.model import Region
from ngff_bio.reader import Image
from ngff_bio.reader.xarray.views import level_dataset

Over = Literal["image", "frame", "plane", "block"]

#: Side of a block along y and x, if it is not given.
_SIDE = 1024

Span = tuple[int, int]


@dataclass(frozen=True)
class Cut:
    """Whole images, frames (all of one time point), planes, or blocks of frames.

    Parameters
    ----------
    block
        Size of a block along z, y and x; an axis that is not named is not cut.
    overlap
        Pixels along each axis that a piece shares with each of its neighbours.
    """

    over: Over
    block: Mapping[str, int]
    overlap: Mapping[str, int]

    @property
    def dropped(self) -> str:
        """Axes that a piece does not have."""
        return {"image": "", "plane": "tz"}.get(self.over, "t")


def make_cut(
    over: str, block: int | Mapping[str, int] | None, overlap: int | Mapping[str, int]
) -> Cut:
    """A cut as it is asked for.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there is none like it.
    """
    if over not in get_args(Over):
        raise ArgumentError("unknown pieces", expected=", ".join(get_args(Over)), found=over)
    if over != "block" and (block is not None or overlap):
        raise ArgumentError(
            "only blocks have a size and an overlap", expected='over="block"', found=over
        )
    if over != "block":
        return Cut(over, {}, {})  # type: ignore[arg-type]  # one of Over
    sides = {"y": _SIDE, "x": _SIDE} if block is None else _by_axis(block, "yx")
    shared = _by_axis(overlap, "".join(sides))
    wrong = {
        **{a: n for a, n in sides.items() if n < 1},
        **{a: n for a, n in shared.items() if n < 0},
    }
    unknown = {a: n for a, n in (sides | shared).items() if a not in "zyx"}
    if wrong or unknown or not shared.keys() <= sides.keys():
        raise ArgumentError(
            "not a size or an overlap of blocks",
            expected="a number, or pixels by axis: z, y, x",
            found=f"block {dict(sides)}, overlap {dict(shared)}",
        )
    return Cut("block", sides, {a: n for a, n in shared.items() if n})


def _by_axis(given: int | Mapping[str, int], axes: str) -> dict[str, int]:
    if isinstance(given, Mapping):
        return {str(a): int(n) for a, n in given.items()}
    return dict.fromkeys(axes, int(given))


@dataclass(frozen=True)
class Grid:
    """The pieces of an image; their numbers are in C order.

    Parameters
    ----------
    sizes
        Of the level, by axis, without c.
    """

    sizes: Mapping[str, int]
    cut: Cut

    @cached_property
    def spans(self) -> list[list[Span]]:
        """Half-open ranges along each axis, which do not overlap."""
        found = []
        for axis, n in self.sizes.items():
            side = self.cut.block.get(axis, 1 if axis in self.cut.dropped else n)
            found.append([(i, min(i + side, n)) for i in range(0, n, side)])
        return found

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of pieces along each axis."""
        return tuple(len(s) for s in self.spans)

    @property
    def size(self) -> int:
        """Number of pieces."""
        return math.prod(self.counts)

    @property
    def core_shape(self) -> tuple[int, ...]:
        """Shape of a piece without its overlap, the largest."""
        return tuple(s[0][1] for s in self.spans)

    def place(self, number: int) -> tuple[int, ...]:
        """Index of a piece along each axis."""
        found = []
        for n in reversed(self.counts):
            number, index = divmod(number, n)
            found.append(index)
        return tuple(reversed(found))

    def number(self, place: Sequence[int]) -> int:
        """Number of the piece at an index along each axis."""
        number = 0
        for index, n in zip(place, self.counts, strict=True):
            number = number * n + index
        return number

    def core(self, number: int) -> Region:
        """What only this piece has."""
        return tuple(s[i] for s, i in zip(self.spans, self.place(number), strict=True))

    def outer(self, number: int) -> Region:
        """A piece with its overlap."""
        core = self.core(number)
        return tuple(
            (max(a - self.cut.overlap.get(axis, 0), 0), min(b + self.cut.overlap.get(axis, 0), n))
            for (axis, n), (a, b) in zip(self.sizes.items(), core, strict=True)
        )

    def touching(self, region: Region) -> Iterator[int]:
        """Numbers of the pieces whose cores touch a region."""
        ranges = []
        for spans, (a, b) in zip(self.spans, region, strict=True):
            side = spans[0][1] - spans[0][0]
            ranges.append(range(a // side, min(-(-b // side), len(spans))))
        for place in product(*ranges):
            yield self.number(place)

    def neighbours(self, number: int) -> Iterator[int]:
        """The next piece along each axis that has an overlap."""
        place = self.place(number)
        for i, axis in enumerate(self.sizes):
            if self.cut.overlap.get(axis) and place[i] + 1 < self.counts[i]:
                yield self.number([p + (j == i) for j, p in enumerate(place)])


@dataclass(frozen=True)
class ImagePiece:
    """A piece of a level of an image, with its labels."""

    image: Image
    level: int
    labels: tuple[str, ...]
    cut: Cut
    number: int
    nbytes: int

    @property
    def grid(self) -> Grid:
        """All pieces of the image."""
        return grid_of(self.image, self.level, self.cut)

    @property
    def name(self) -> str:
        """Path of the image."""
        return self.image.path or "image"

    @property
    def title(self) -> str:
        """Image and part of it, for messages."""
        if self.cut.over == "image":
            return self.name
        sizes = self.grid.sizes
        spans = zip(sizes.items(), self.grid.core(self.number), strict=True)
        parts = [
            f"{axis}={a}" if b == a + 1 else f"{axis}={a}:{b}"
            for (axis, n), (a, b) in spans
            if (a, b) != (0, n)
        ]
        return f"{self.name} {' '.join(parts)}".rstrip()

    def where(self) -> dict[str, int]:
        """Index of the piece along the axes that are cut: t, z, ``y_start``, ..."""
        found = {}
        for axis, (a, _), n in zip(
            self.grid.sizes, self.grid.core(self.number), self.grid.counts, strict=True
        ):
            if axis in self.cut.dropped:
                found[axis] = a
            elif n > 1:
                found[f"{axis}_start"] = a
        return found

    def load(self) -> xr.Dataset:
        """Pixels and labels, in memory."""
        grid = self.grid
        spans = zip(grid.sizes, grid.outer(self.number), strict=True)
        whole = level_dataset(self.image, self.level, labels=self.labels, chunks=None)
        part = whole.isel({axis: slice(*span) for axis, span in spans}).load()
        part.attrs["piece"] = self.number
        return part.isel({axis: 0 for axis in self.cut.dropped if axis in grid.sizes})


def grid_of(image: Image, level: int, cut: Cut) -> Grid:
    """The pieces of a level of an image."""
    return Grid({a: n for a, n in image.pixels.sizes(level).items() if a != "c"}, cut)


def pieces_of(image: Image, level: int, labels: tuple[str, ...], cut: Cut) -> Iterator[ImagePiece]:
    """The pieces of a level of an image, in the order of their numbers."""
    grid = grid_of(image, level, cut)
    channels = image.sizes.get("c", 1)
    itemsize = image.dtype.itemsize * channels
    itemsize += sum(image.label(name).dtype.itemsize for name in labels)
    for number in range(grid.size):
        pixels = math.prod(b - a for a, b in grid.outer(number))
        yield ImagePiece(image, level, labels, cut, number, pixels * itemsize)


def layer_names(image: Image, given: Sequence[str] | None, skipped: str | None) -> tuple[str, ...]:
    """Label images that a function gets: visible ones, without the one that it makes."""
    if given is not None:
        return tuple(given)
    return tuple(name for name in image.layers if name != skipped)


def cropped(values: Any, grid: Grid, number: int, axes: str) -> Any:
    """A piece's array without its overlap; ``axes`` are all axes of the array."""
    core = dict(zip(grid.sizes, grid.core(number), strict=True))
    outer = dict(zip(grid.sizes, grid.outer(number), strict=True))
    index = []
    for axis in axes:
        if axis not in core:
            index.append(slice(None))
            continue
        (a, b), (start, _) = core[axis], outer[axis]
        index.append(slice(a - start, b - start))
    return values[tuple(index)]
