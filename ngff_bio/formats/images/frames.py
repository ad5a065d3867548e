"""Frames that are a picture file each, as one stack of pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError, SourceError
from ngff_bio.formats.images.decoding import decode_image
from ngff_bio.formats.images.headers import ImageHeader, probe_image
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.formats.names import safe_name, safe_names
from ngff_bio.model import Region, SourceFile

__all__ = [
    "FrameStack",
    "ImageHeader",
    "Limits",
    "probe_image",
    "safe_name",
    "safe_names",
    "stack_frames",
]


@dataclass(frozen=True, slots=True)
class FrameStack:
    """Picture files of one plane each, stacked along some axes.

    Frames smaller than the plane are padded with 0 at the lower right.

    Parameters
    ----------
    files
        One for each position along the axes in `along`, the last varying fastest; ``None`` where
        there is none, and then the frame is 0.
    axes
        Letters of all axes, in the order of OME-Zarr, colours as ``c``.
    shape
        Size along each of them.
    dtype
        Type of a sample.
    along
        The axes that files are stacked along; ``""`` for a single file.
    sizes
        True (rows, columns) of each frame; ``None`` where all fill the plane.
    indices
        Read pictures with a table of colours as their indices (label pictures).
    """

    files: tuple[SourceFile | None, ...]
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    along: str = ""
    sizes: tuple[tuple[int, int], ...] | None = None
    indices: bool = False

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """One frame with all its colours: a file is decoded as a whole."""
        return tuple(
            1 if a in self.along else n for a, n in zip(self.axes, self.shape, strict=True)
        )

    def read(self, region: Region) -> NDArray[Any]:
        """The block of a region, C-contiguous."""
        out = np.zeros([b - a for a, b in region], self.dtype)
        spans = dict(zip(self.axes, region, strict=True))
        sizes = [self.shape[self.axes.index(a)] for a in self.along]
        for place in product(*(range(*spans[a]) for a in self.along)):
            number = 0
            for at, size in zip(place, sizes, strict=True):
                number = number * size + at
            file = self.files[number]
            if file is None:
                continue
            index = dict(zip(self.along, place, strict=True))
            target = out[
                tuple(index[a] - spans[a][0] if a in self.along else slice(None) for a in self.axes)
            ]
            self._fill(target, self._frame(number, file), spans)
        return out

    def _fill(
        self, target: NDArray[Any], frame: NDArray[Any], spans: dict[str, tuple[int, int]]
    ) -> None:
        """Put a frame, (y, x) or (y, x, c), into its place: (y, x) or (c, y, x)."""
        (top, bottom), (left, right) = spans["y"], spans["x"]
        cut = frame[top:bottom, left:right]
        rows, columns = cut.shape[:2]
        if cut.ndim == 2:
            target[..., :rows, :columns] = cut
            return
        # One colour at a time: a strided copy of each is twice as fast as a transposed one.
        for i, c in enumerate(range(*spans["c"])):
            target[i, :rows, :columns] = cut[..., c]

    def _frame(self, number: int, file: SourceFile) -> NDArray[Any]:
        frame = decode_image(file, indices=self.indices)
        plane = self.shape[-2:] if self.sizes is None else self.sizes[number]
        colors = "c" in self.axes and "c" not in self.along
        shape = (*plane, self.shape[self.axes.index("c")]) if colors else plane
        if frame.shape != shape or frame.dtype != self.dtype:
            raise SourceError(
                "the picture is not what its header said",
                file=file.name,
                expected=f"{shape} of {self.dtype}",
                found=f"{frame.shape} of {frame.dtype}",
                hint="was it changed while it was read? run the command again",
            )
        return frame


def stack_frames(
    files: Sequence[SourceFile | None],
    along: str = "",
    counts: Sequence[int] | None = None,
    *,
    headers: Sequence[ImageHeader | None] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    indices: bool = False,
) -> FrameStack:
    """Stack picture files of one plane each; only their headers are read.

    Parameters
    ----------
    files
        In the order of `FrameStack.files`; ``None`` for one that is missing.
    along
        Axes to stack along: ``""`` for one file, ``"t"``, ``"z"``, ``"tz"``, ...
    counts
        Files along each of them; may be left out for one axis.
    headers
        Of the files, if they are known already.
    indices
        Whether pictures with a table of colours are read as its indices (label pictures).

    Raises
    ------
    ngff_bio.errors.SourceError
        If a file is damaged or no single plane, or their types or numbers of colours differ.
    """
    counts = [len(files)] * len(along) if counts is None else list(counts)
    if len(counts) != len(along) or math.prod(counts) != len(files):
        raise ArgumentError(
            "the frames do not fill the axes",
            expected=f"{math.prod(counts)} files along {along!r}",
            found=len(files),
        )
    if headers is None:
        headers = [f if f is None else probe_image(f, limits) for f in files]
    if indices:
        headers = [h if h is None or not h.palette else _of_indices(h) for h in headers]
    known = [(f, h) for f, h in zip(files, headers, strict=True) if f is not None and h is not None]
    if not known:
        raise ArgumentError("there are no frames to stack")
    first, head = known[0]
    for file, header in known:
        if not header.single:
            raise SourceError(
                "the file holds more than one plane",
                file=file.name,
                expected="a picture of rows x columns, grey or coloured",
                found=f"axes {header.axes} of {header.shape}",
            )
        if header.dtype != head.dtype or header.axes != head.axes or header.samples != head.samples:
            raise SourceError(
                "frames of one image are of different kinds",
                file=file.name,
                expected=f"{head.samples} samples of {head.dtype}, as {first.name} has them",
                found=f"{header.samples} samples of {header.dtype}",
                hint="convert the files to one kind",
            )
    plane = tuple(max(h.size[i] for _, h in known) for i in (0, 1))
    equal = all(h.size == plane for _, h in known)
    sizes = None if equal else tuple((0, 0) if h is None else h.size for h in headers)
    size = dict(zip(along, counts, strict=True)) | {"y": plane[0], "x": plane[1]}
    if "c" in head.axes:
        if "c" in along:
            raise SourceError(
                "coloured pictures cannot be channels",
                file=first.name,
                expected="grey pictures",
                found=f"{head.samples} samples of a pixel",
            )
        size["c"] = head.samples
    axes = "".join(a for a in "tczyx" if a in size)
    return FrameStack(
        tuple(files),
        axes,
        tuple(size[a] for a in axes),
        head.dtype,
        along=along,
        sizes=sizes,
        indices=indices,
    )


def _of_indices(header: ImageHeader) -> ImageHeader:
    """The header of a picture with a table of colours, whose indices are read."""
    return replace(
        header, axes="yx", shape=header.size, dtype=np.dtype(np.uint8), palette=False, samples=1
    )
