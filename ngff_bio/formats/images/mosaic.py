"""Images that lie side by side, as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError
from ngff_bio.model import Pixels, Region


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Pixels put together of tiles; what no tile covers is 0.

    Parameters
    ----------
    tiles
        Each with the place of its first pixel along every axis. They do not overlap.
    shape
        Of the whole.
    """

    tiles: tuple[tuple[Pixels, tuple[int, ...]], ...]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if len({tile.dtype for tile, _ in self.tiles}) != 1:
            raise ArgumentError(
                "tiles of one image are of different types",
                expected="one type",
                found=", ".join(sorted({str(tile.dtype) for tile, _ in self.tiles})),
            )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of one pixel."""
        return self.tiles[0][0].dtype

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """As the tiles' along axes that they fill; the whole length of others."""
        whole = zip(self.shape, *(t.shape for t, _ in self.tiles), strict=True)
        grains = zip(*(t.read_block_shape for t, _ in self.tiles), strict=True)
        return tuple(
            max(g) if len({*sizes}) == 1 else sizes[0]
            for sizes, g in zip(whole, grains, strict=True)
        )

    def read(self, region: Region) -> NDArray[Any]:
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
            inner = tuple((a - p, b - p) for (a, b), p in zip(spans, place, strict=True))
            out[target] = tile.read(inner)
        return out
