"""Checksums of what is written and read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ngff_bio.checksums import crc32c
from ngff_bio.model import PixelArray
from ngff_bio.storage import Buffer, Storage
from ngff_bio.storage.base import pieces


class ChecksummingWriter:
    """Writes objects to a storage, and remembers size and checksum of each.

    ``written`` has them by key. Several threads may write at once.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.written: dict[str, tuple[int, int]] = {}

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> None:
        """Write one object."""
        whole, crc = pieces(data), 0
        for piece in whole:
            crc = crc32c(piece, crc)
        self.written[key] = self.storage.put(key, whole), crc


def checksum(block: PixelArray) -> int:
    """CRC-32C of pixels in C order, little-endian."""
    if not block.size:
        return 0
    little = np.ascontiguousarray(block, block.dtype.newbyteorder("<"))
    return crc32c(little.reshape(-1).data.cast("B"))
