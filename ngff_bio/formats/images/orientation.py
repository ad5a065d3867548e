"""Pictures that a camera stored lying or upside down, with a note of how to turn them (EXIF).

Most libraries ignore the note. labelme follows it, so that its shapes are on the turned picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.model import Pixels, Region, SourceFile

#: EXIF tag of the orientation.
_TAG = 0x0112

#: Pixels above which Pillow warns of bombs; no camera's picture.
_MOST = 89_000_000

#: Value of the tag to: rows turned around, columns turned around, rows and columns swapped (after).
_TURNS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (True, True, False),
    4: (True, False, False),
    5: (False, False, True),
    6: (True, False, True),
    7: (True, True, True),
    8: (False, True, True),
}


def exif_orientation(file: SourceFile, header: ImageHeader) -> int:
    """How a JPEG is to be turned, 1 to 8; 1 is not at all."""
    if header.format != "jpeg" or header.size[0] * header.size[1] > _MOST:
        return 1
    from PIL import Image, UnidentifiedImageError

    try:
        with file.open() as stream, Image.open(stream) as picture:
            value = picture.getexif().get(_TAG, 1)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return 1
    return value if value in _TURNS else 1


@dataclass(frozen=True, slots=True)
class TurnedPixels:
    """A picture, turned as its note says. Axes end in y, x.

    ``inner`` is as it is stored; ``orientation`` the value of EXIF's tag.
    """

    inner: Pixels
    orientation: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis after turning."""
        return self._swapped(self.inner.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a sample."""
        return self.inner.dtype

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """The whole picture."""
        return self._swapped(self.inner.read_block_shape)

    def read(self, region: Region) -> NDArray[Any]:
        """The block of a region, C-contiguous."""
        whole = self.inner.read(tuple((0, n) for n in self.inner.shape))
        rows, columns, swap = _TURNS[self.orientation]
        turned = whole[..., :: -1 if rows else 1, :: -1 if columns else 1]
        if swap:
            turned = turned.swapaxes(-1, -2)
        return np.ascontiguousarray(turned[tuple(slice(*r) for r in region)])

    def _swapped(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        *outer, y, x = sizes
        return (*outer, x, y) if _TURNS[self.orientation][2] else sizes
