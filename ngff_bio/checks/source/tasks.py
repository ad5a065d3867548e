"""Pieces of a proof: what each weighs, and what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.checks.source.differences import Difference
from ngff_bio.checks.source.zarr_view import open_array
from ngff_bio.checks.store.arrayinfo import ArrayInfo, slices
from ngff_bio.model import Region


@dataclass(slots=True)
class Found:
    """What a piece of work compared, and the differences."""

    differences: list[Difference] = field(default_factory=list)
    instances: int = 0
    frames: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work; ``nbytes`` is the raw size of the pixels that it compares."""

    nbytes: int
    run: Callable[[], Found]


@dataclass(frozen=True)
class StoredArray:
    """An array of the store, opened by zarr-python when it is first read."""

    store: Any
    info: ArrayInfo

    @property
    def path(self) -> str:
        """Its path in the store."""
        return self.info.path

    def read(self, region: Region) -> NDArray[Any]:
        """The block of a region; raises whatever zarr-python and its codecs raise."""
        return np.asarray(self._opened[slices(region)])

    @cached_property
    def _opened(self) -> Any:
        return open_array(self.store, self.info.path, self.info.zarr_format)


def unreadable(array: StoredArray, region: Region, error: Exception) -> Difference:
    """The difference for a block that cannot be decoded."""
    return Difference(
        "pixels",
        array.path,
        f"the pixels cannot be decoded: {type(error).__name__}: {error}"[:200],
        where=region_words(region),
    )


def region_words(region: Region) -> str:
    """A region as people read it: ``[0:50, 0:800]``."""
    return "[" + ", ".join(f"{a}:{b}" for a, b in region) + "]"
