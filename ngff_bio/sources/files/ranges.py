"""Files on this machine, ranges of bytes as files, and temporary copies of what must be unpacked."""

from __future__ import annotations

import io
import os
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from ngff_bio.formats.problems import damage_named
from ngff_bio.ranged_file import RangedFile

#: Seconds between ticks of the clocks of file systems: of most (that of the kernel), and of FAT.
_TICK, _COARSE_TICK = 0.01, 2.0


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file `name` in the folder `root` of this machine; see `ngff_bio.model.SourceFile`."""

    root: str
    name: str

    @property
    def path(self) -> Path:
        """Its path on this machine."""
        return Path(self.root, self.name)

    @property
    def size(self) -> int:
        """Size in bytes."""
        with self._named():
            return self.path.stat().st_size

    def _named(self) -> AbstractContextManager[None]:
        """A file that vanishes, or may not be read, as one error that names it."""
        return damage_named(self.name, "the file cannot be read")

    @property
    def identity(self) -> str:
        """Name, size, time of the last modification, inode (a file that is put in its place with the
        same time, by ``cp -p`` or ``rsync -t``, is another one), and the time of the last change of
        the inode, which no program can set back as it can the other (``touch -d``).

        A second change within one tick of the file system's clock would leave all of them as they are:
        of a file that was just changed, the next tick is waited for (2 s on FAT, else 10 ms).
        """
        found = self.path.stat()
        while 0 < (wait := _next_tick(found) - time.time()) <= _COARSE_TICK:
            time.sleep(wait)
            found = self.path.stat()
        times = f"{found.st_mtime_ns} {found.st_ctime_ns}"
        return f"{self.name} {found.st_size} {found.st_ino} {times}"

    def open(self) -> BinaryIO:
        """The file, open for reading."""
        with self._named():
            return self.path.open("rb")

    def read(self) -> bytes:
        """All of its bytes."""
        with self._named():
            return self.path.read_bytes()

    def read_range(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on; fewer at the end of the file."""
        with self._named(), self.path.open("rb", buffering=0) as stream:
            stream.seek(offset)
            return stream.read(size) or b""


def _next_tick(found: os.stat_result) -> float:
    """When a change of a file is sure to have another time than its last one, as ``time.time()``."""
    coarse = found.st_ctime_ns % 10_000_000 == 0
    return max(found.st_mtime, found.st_ctime) + (_COARSE_TICK if coarse else _TICK)


def open_range(
    read_range: Callable[[int, int], bytes], offset: int, size: int, buffer: int = 1 << 16
) -> BinaryIO:
    """A buffered file over `size` bytes from `offset` on."""
    file = RangedFile(lambda start, length: read_range(offset + start, length), size)
    # BufferedReader has all of BinaryIO that is for reading, but typeshed does not derive it.
    return cast("BinaryIO", io.BufferedReader(file, buffer))


_lock = threading.Lock()
_folder: tempfile.TemporaryDirectory[str] | None = None
_copies: dict[object, Path] = {}


def temporary_copy(key: object, write: Callable[[BinaryIO], object]) -> Path:
    """Path of a temporary file with the bytes that `write` writes; made once per process and key."""
    global _folder
    with _lock:
        if key not in _copies:
            if _folder is None:
                _folder = tempfile.TemporaryDirectory(prefix="ngff-bio-")
            path = Path(_folder.name, str(len(_copies)))
            with path.open("wb") as target:
                write(target)
            _copies[key] = path
        return _copies[key]


def remove_copies() -> None:
    """Remove all temporary files: for a process that ends without the interpreter's own shutdown."""
    global _folder
    with _lock:
        _copies.clear()
        if _folder is not None:
            _folder.cleanup()
            _folder = None


def existing_copy(key: object) -> Path | None:
    """The file that an earlier call of `temporary_copy` has made."""
    return _copies.get(key)
