"""Pixels of a store for checks: read by zarr-python, not by the code that wrote them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import zarr
from zarr.abc.store import Store

from ngff_bio.checks.differences import Difference, DifferenceError
from ngff_bio.engine.run.runners import free_memory
from ngff_bio.errors import StoreError
from ngff_bio.model import PixelArray, Region
from ngff_bio.zarrio.arrays import ArrayMeta

#: Bytes of a block that is compared without a look at the free memory.
_SMALL = 256 << 20


def open_array(store: Store, path: str, zarr_format: int) -> Any:
    """An array of a store, by zarr-python; raises what zarr-python raises."""
    return zarr.open_array(store, path=path, mode="r", zarr_format=3 if zarr_format == 3 else 2)


@dataclass(frozen=True)
class CheckedArray:
    """An array of the store, opened by zarr-python when it is first read."""

    store: Store
    info: ArrayMeta

    @property
    def path(self) -> str:
        """Its path in the store."""
        return self.info.path

    def read(self, region: Region) -> PixelArray:
        """The block of a region.

        Raises
        ------
        DifferenceError
            If it cannot be decoded.
        ngff_bio.errors.StoreError
            If it, or one chunk of it, takes more memory than there is.
        """
        shape = self.info.shape
        spans = [*region, *((0, n) for n in shape[len(region) :])]
        sizes = [len(range(n)[a:b]) for (a, b), n in zip(spans, shape, strict=False)]
        pixels = max(math.prod(sizes), math.prod(self.info.chunk))
        check_free(pixels * self.info.dtype.itemsize, self.path)
        try:
            return np.asarray(self._opened[tuple(slice(a, b) for a, b in region)])
        except Exception as error:  # any error that a codec raises for damaged bytes
            what = f"the pixels cannot be decoded: {type(error).__name__}: {error}"[:200]
            wrong = Difference("pixels", self.path, what, where=region_text(region))
            raise DifferenceError(wrong) from error

    @cached_property
    def _opened(self) -> Any:
        return open_array(self.store, self.info.path, self.info.zarr_format)


def check_free(nbytes: int, file: str) -> None:
    """Raise if a block and another to compare it with take more memory than is free.

    Raises
    ------
    ngff_bio.errors.StoreError
        If they do.
    """
    if nbytes > _SMALL and 2 * nbytes > (free := free_memory()):
        raise StoreError(
            "a block that is compared takes more memory than there is",
            file=file,
            expected=f"{2 * nbytes / 1e6:,.0f} MB of free memory",
            found=f"{free / 1e6:,.0f} MB",
            hint="verify it on a machine with more memory",
        )


def region_text(region: Region) -> str:
    """A region as text: ``[0:50, 0:800]``."""
    return "[" + ", ".join(f"{a}:{b}" for a, b in region) + "]"


def region_nbytes(region: Region, itemsize: int) -> int:
    """Raw bytes of a region."""
    return math.prod(b - a for a, b in region) * itemsize


def blocks(shape: tuple[int, ...], block: tuple[int, ...]) -> Iterator[Region]:
    """Regions that tile an array."""
    spans = [
        [(i, min(i + b, n)) for i in range(0, n, b)] for n, b in zip(shape, block, strict=True)
    ]
    yield from product(*spans)


def block_shape(
    shape: tuple[int, ...], *cuts: tuple[int, ...], itemsize: int, limit: int, fill: int = 0
) -> tuple[int, ...]:
    """Size of blocks on which all ``cuts`` fall, or the later ones alone if that is too large.

    Parameters
    ----------
    shape
        Shape of the array.
    cuts
        Shapes of the objects and chunks that are read for a block.
    itemsize
        Bytes of a pixel.
    limit
        Raw bytes of a block at most.
    fill
        Small blocks are doubled along the last axes while they stay below so many bytes.
    """
    for first in range(len(cuts)):
        block = [
            min(n, math.lcm(*(min(c[i], max(n, 1)) for c in cuts[first:])))
            for i, n in enumerate(shape)
        ]
        if math.prod(block) * itemsize <= limit:
            break
    for i in reversed(range(len(block))):
        while block[i] < shape[i] and 2 * math.prod(block) * itemsize <= fill:
            block[i] = min(2 * block[i], shape[i])
    return tuple(max(b, 1) for b in block)
