"""What levels have to be, by slow and simple means; and stores as others read them."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.storage import Storage


def mean_level(block: NDArray[Any], factor: tuple[int, ...]) -> NDArray[Any]:
    """Mean of each cell, odd edges repeated, rounded half up: pixel by pixel."""
    return _cells(block, factor, _rounded_mean)


def mode_level(block: NDArray[Any], factor: tuple[int, ...]) -> NDArray[Any]:
    """Most frequent value of each cell, of equals the first in reading order."""
    return _cells(block, factor, lambda values: Counter(values).most_common(1)[0][0])


def nearest_level(block: NDArray[Any], factor: tuple[int, ...]) -> NDArray[Any]:
    return _cells(block, factor, lambda values: values[0])


def gaussian_level(block: NDArray[Any], factor: tuple[int, ...]) -> NDArray[Any]:
    """Weights 1, 3, 3, 1 along each reduced axis, the last pixel repeated beyond the edge."""
    out = block.astype("f8")
    for axis, f in enumerate(factor):
        if f == 1:
            continue
        size = out.shape[axis]
        at = [np.clip(2 * np.arange(-(-size // 2)) + k, 0, size - 1) for k in (-1, 0, 1, 2)]
        one, two, three, four = (np.take(out, i, axis) for i in at)
        out = (one + 3 * two + 3 * three + four) / 8
    return out if block.dtype.kind == "f" else np.floor(out + 0.5).astype(block.dtype)


def _rounded_mean(values: list[Any]) -> Any:
    if isinstance(values[0], float):
        return sum(values) / len(values)
    return (2 * sum(int(v) for v in values) + len(values)) // (2 * len(values))


def _cells(block: NDArray[Any], factor: tuple[int, ...], reduce: Any) -> NDArray[Any]:
    shape = tuple(-(-n // f) for n, f in zip(block.shape, factor, strict=True))
    out = np.empty(shape, block.dtype)
    for at in np.ndindex(shape):
        corners = product(*[[i * f + k for k in range(f)] for i, f in zip(at, factor, strict=True)])
        values = [
            block[tuple(min(i, n - 1) for i, n in zip(c, block.shape, strict=True))].item()
            for c in corners
        ]
        out[at] = reduce(values)
    return out


def contents(storage: Storage) -> dict[str, str]:
    """Checksum of every object of a store."""
    return {key: hashlib.sha256(storage.get(key) or b"").hexdigest() for key, _ in storage.list()}
