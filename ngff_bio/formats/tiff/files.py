"""Open TIFF files and their bytes, shared by all threads of a process; few are open at a time."""

from __future__ import annotations

import io
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tifffile

from ngff_bio.model import SourceFile

_OPEN_FILES = 16

#: Largest size of unpacked archive members in memory, in bytes.
_HELD = 1 << 30


class TiffBytes:
    """Random access to the bytes of a file, from several threads at once."""

    def __init__(self, file: SourceFile) -> None:
        self._stream: Any = None
        self._held: memoryview | None = None
        self._size = file.size
        stream = file.path.open("rb", buffering=0) if file.path is not None else file.open()
        if isinstance(stream, io.BytesIO):
            self._held = stream.getbuffer()
        else:
            self._stream = stream
        try:
            self._descriptor = -1 if self._held is not None else stream.fileno()
        except OSError:  # part of another file, or behind a URL
            self._descriptor = -1
        self._lock = threading.Lock()

    def __del__(self) -> None:
        if self._stream is not None:  # Python warns of a file that was not closed
            self._stream.close()

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return 0 if self._held is None else len(self._held)

    def read_into(self, target: memoryview, offset: int) -> int:
        """Fill a contiguous buffer with the bytes from `offset` on; returns how many there are."""
        if self._held is not None:
            data = self._held[offset : offset + len(target)]
            target[: len(data)] = data
            return len(data)
        done = 0
        while done < len(target):
            if self._descriptor >= 0 and hasattr(os, "preadv"):
                count = os.preadv(self._descriptor, [target[done:]], offset + done)
            else:
                with self._lock:
                    self._stream.seek(offset + done)
                    count = self._stream.readinto(target[done:]) or 0
            if count == 0:
                break
            done += count
        return done

    def read(self, offset: int, size: int) -> memoryview:
        """`size` bytes from `offset` on; fewer where the file ends."""
        if self._held is not None:
            return self._held[offset : offset + size]
        data = memoryview(bytearray(max(min(size, self._size - offset), 0)))
        return data[: self.read_into(data, offset)]


class OpenTiff:
    """A TIFF with its directory, and access to its bytes.

    Pages are looked up under ``lock``, because that moves the one position of a file; their bytes
    are read and decoded without it.
    """

    def __init__(self, file: SourceFile) -> None:
        self.lock = threading.RLock()
        self.bytes = TiffBytes(file)
        self.tiff = tifffile.TiffFile(file.path or file.open(), name=os.path.basename(file.name))
        self.closed = False

    def __del__(self) -> None:
        if hasattr(self, "tiff"):  # else the file was not a TIFF
            self.tiff.close()

    def close(self) -> None:
        """Close the directory. The bytes stay readable for those who still use them."""
        with self.lock:
            self.closed = True
            self.tiff.close()


class _OpenFiles:
    """The most recently used TIFFs: opening one for each block takes longer than reading it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: OrderedDict[SourceFile, tuple[object, OpenTiff]] = OrderedDict()

    def get(self, file: SourceFile) -> OpenTiff:
        mark = _mark(file)
        with self._lock:
            known = self._files.get(file)
            if known is not None and known[0] == mark:
                self._files.move_to_end(file)
                return known[1]
        opened = OpenTiff(file)
        evicted = []
        with self._lock:
            stale = self._files.pop(file, None)
            if stale is not None:
                evicted.append(stale[1])
            self._files[file] = (mark, opened)
            while len(self._files) > 1 and (
                len(self._files) > _OPEN_FILES
                or sum(o.bytes.held for _, o in self._files.values()) > _HELD
            ):
                evicted.append(self._files.popitem(last=False)[1][1])
        for old in evicted:
            old.close()
        return opened


def _mark(file: SourceFile) -> object:
    """Changes when a file, or its archive, is replaced, so that it is opened again."""
    if file.path is None:
        return file.identity
    stat = os.stat(file.path)
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


_open_files = _OpenFiles()


@contextmanager
def locked_tiff(file: SourceFile) -> Iterator[OpenTiff]:
    """A TIFF, opened by this call or an earlier one, and locked so that pages can be looked up.

    Its ``bytes`` can be read after the lock is released.

    Raises
    ------
    OSError, tifffile.TiffFileError
        As tifffile raises them.
    """
    while True:
        opened = _open_files.get(file)
        with opened.lock:
            if not opened.closed:  # else another thread evicted it in the meantime
                yield opened
                return
