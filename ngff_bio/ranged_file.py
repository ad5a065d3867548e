"""A range of bytes as a seekable file: only what is read is fetched."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any


class RangedFile(io.RawIOBase):
    """A file over a function that returns ranges of bytes. Reads nothing ahead.

    Parameters
    ----------
    read_range
        Returns the bytes of an offset and a length; fewer at the end.
    size
        Size in bytes.
    """

    def __init__(self, read_range: Callable[[int, int], bytes], size: int) -> None:
        super().__init__()
        self._read_range, self._size, self._position = read_range, size, 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Current position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Change the position; see `io.IOBase.seek`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start")
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Bytes from the position on; all of them if `size` is negative or ``None``."""
        rest = max(self._size - self._position, 0)
        count = rest if size is None or size < 0 else min(size, rest)
        data = self._read_range(self._position, count) if count else b""
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; returns the number of bytes."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
