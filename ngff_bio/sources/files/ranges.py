"""Files as ranges of bytes of other files: members of archives, and what was unpacked on the way."""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from ngff_bio.model import SourceFile


class RangedFile(SourceFile, Protocol):
    """A source file of which any range of bytes can be had without reading what lies before."""

    def read_range(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on; fewer where the file ends."""
        ...


class RangeReader(io.RawIOBase):
    """A range of bytes as a file of its own, seekable. Reads nothing ahead."""

    def __init__(self, read_range: Callable[[int, int], bytes], offset: int, size: int) -> None:
        super().__init__()
        self._read_range = read_range
        self._offset = offset
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Position in the range."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position of the range."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: object) -> int:
        """Fill a buffer from the position on."""
        view = memoryview(cast("bytearray", buffer)).cast("B")
        count = min(len(view), max(self._size - self._at, 0))
        data = self._read_range(self._offset + self._at, count) if count else b""
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def open_range(
    read_range: Callable[[int, int], bytes], offset: int, size: int, buffer: int = 1 << 16
) -> BinaryIO:
    """A buffered file over a range of bytes."""
    return cast("BinaryIO", io.BufferedReader(RangeReader(read_range, offset, size), buffer))


class _Unpacked:
    """Large compressed members, unpacked into a folder of their own that goes with the process.

    A compressed member cannot be read from its middle. Up to a size it is held in memory while it
    is read; above, one copy on disk serves all threads.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._paths: dict[object, Path] = {}

    def known(self, key: object) -> Path | None:
        return self._paths.get(key)

    def path(self, key: object, content: bytes | Callable[[BinaryIO], None]) -> Path:
        with self._lock:
            if key not in self._paths:
                if self._folder is None:
                    self._folder = tempfile.TemporaryDirectory(prefix="ngff-bio-")
                place = Path(self._folder.name, str(len(self._paths)))
                with place.open("wb") as target:
                    if isinstance(content, bytes):
                        target.write(content)
                    else:
                        content(target)
                self._paths[key] = place
            return self._paths[key]


_unpacked = _Unpacked()


def unpacked(key: object, content: bytes | Callable[[BinaryIO], None]) -> Path:
    """Path of a temporary file with this content; made once in a process for each `key`.

    ``content`` are the bytes, or a function that writes them.
    """
    return _unpacked.path(key, content)


def already_unpacked(key: object) -> Path | None:
    """The file of an earlier call of `unpacked`."""
    return _unpacked.known(key)


def copy_at_most(source: BinaryIO, target: BinaryIO, most: int) -> bool:
    """Copy a stream; ``False`` as soon as more than `most` bytes came out of it."""
    copied = 0
    while block := source.read(1 << 20):
        copied += len(block)
        if copied > most:
            return False
        target.write(block)
    return True
