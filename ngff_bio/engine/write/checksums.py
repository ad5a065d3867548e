"""Checksums of what is written and read, taken while it passes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from ngff_bio.storage import Buffer, Storage


class ChecksummingStorage:
    """A storage that remembers size and checksum of every object that is put through it.

    Parameters
    ----------
    storage
        Where everything goes, and what answers everything else.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.noted: dict[str, tuple[int, int]] = {}

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        """Write one object, and note it."""
        whole = [data] if isinstance(data, bytes | bytearray | memoryview) else list(data)
        crc = 0
        for piece in whole:
            crc = crc32c(piece, crc)
        size = self.storage.put(key, whole)
        self.noted[key] = size, crc
        return size

    def checksums(self, keys: Iterable[str]) -> dict[str, int]:
        """Checksum of each of some objects."""
        return {key: self.noted[key][1] for key in keys}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.storage, name)


def crc32c(data: Buffer, start: int = 0) -> int:
    """CRC-32C (Castagnoli) of bytes, continued from ``start``."""
    if not isinstance(data, bytes):  # the library takes no memoryview, but an array without a copy
        data = cast("bytes", np.frombuffer(data, np.uint8))
    return int(google_crc32c.extend(start, data))


def checksum(block: NDArray[Any]) -> int:
    """CRC-32C of pixels in C order, little-endian."""
    if not block.size:
        return 0
    little = np.ascontiguousarray(block, block.dtype.newbyteorder("<"))
    return crc32c(little.reshape(-1).data.cast("B"))
