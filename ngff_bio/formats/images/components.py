"""Masks: label images with one value besides 0, and their connected regions as objects."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ngff_bio.errors import SourceError, import_optional
from ngff_bio.formats.images.label_pixels import blocks_of
from ngff_bio.model import (
    PixelArray,
    Pixels,
    Region,
    RunVolume,
    SampleType,
    SourceParts,
    label_dtype,
    parts_of,
)

#: Largest frame, in voxels, whose connected regions are found; it is held in memory.
_LARGEST = 1 << 30


def values_of(pixels: Pixels, most: int) -> set[int]:
    """Values besides 0, until there are more than `most`: the rest is not read then."""
    found: set[int] = set()
    for region in blocks_of(pixels):
        found.update(np.unique(pixels.read(region)).tolist())
        found.discard(0)
        if len(found) > most:
            break
    return found


@dataclass(frozen=True, slots=True)
class ComponentPixels:
    """The connected regions of a mask, numbered from 1 on each frame.

    Pixels that touch at a side, an edge or a corner are connected.

    Parameters
    ----------
    source
        The mask; what is not 0 belongs to a region.
    frames
        Whether its first axis is t.
    dtype
        A type that holds the number of regions.
    each_value
        Whether pixels of different values are never connected.
    """

    source: Pixels
    frames: bool
    dtype: SampleType
    each_value: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""
        return self.source.shape

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """A whole frame: regions cross any border."""
        return (1, *self.shape[1:]) if self.frames else self.shape

    def read(self, region: Region) -> PixelArray:
        """The block of a region, C-contiguous."""
        cut = tuple(slice(*span) for span in region)
        if not self.frames:
            return np.ascontiguousarray(self._labelled(None)[cut], self.dtype)
        made = [self._labelled(t)[cut[1:]] for t in range(*region[0])]
        return np.stack(made).astype(self.dtype, copy=False)

    def _labelled(self, t: int | None) -> PixelArray:
        ndimage = import_optional("scipy.ndimage", "ngff-bio[objects]")
        whole: Region = tuple((0, n) for n in self.shape)
        found = self.source.read(whole if t is None else ((t, t + 1), *whole[1:]))
        found = found if t is None else found[0]
        near = np.ones((3,) * found.ndim, int)
        if not self.each_value:
            labels: PixelArray = ndimage.label(found != 0, near)[0]
            return labels
        labels, most = np.zeros(found.shape, np.uint32), 0
        for value in np.unique(found[found != 0]):
            regions, count = ndimage.label(found == value, near)
            labels[regions > 0] = regions[regions > 0] + most
            most += count
        return labels

    def source_parts(self) -> SourceParts:
        """Those of the mask."""
        return parts_of(self.source)


def components_of(
    mask: Pixels | RunVolume, *, frames: bool, file: str, each_value: bool = False
) -> tuple[Pixels, int]:
    """The connected regions of a mask, or of each of its values, and the most of them on a frame.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it has several values besides 0, or a frame is too large.
    ngff_bio.errors.DependencyError
        If scipy is not installed.
    """
    if isinstance(mask, RunVolume):
        raise SourceError("connected regions of runs are not supported", file=file)
    if math.prod(mask.shape[1 if frames else 0 :]) > _LARGEST:
        raise SourceError(
            "the mask is too large to find its connected regions",
            file=file,
            expected=f"at most {_LARGEST} pixels of a frame",
            found=mask.shape,
        )
    values = set() if each_value else values_of(mask, 1)
    if len(values) > 1:
        raise SourceError(
            "the label image is not a mask, whose connected regions are objects",
            file=file,
            expected="one value besides 0",
            found=", ".join(map(str, sorted(values)[:3])) + ", ...",
            hint="its values are objects (--label-kind instance) or classes (--label-kind semantic)",
        )
    found = ComponentPixels(mask, frames, np.dtype(np.uint32), each_value)
    steps = range(mask.shape[0]) if frames else [None]
    most = max((int(found._labelled(t).max(initial=0)) for t in steps), default=0)
    return ComponentPixels(mask, frames, label_dtype(most), each_value), most
