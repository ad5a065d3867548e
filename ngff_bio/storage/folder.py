"""Objects as files below a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ngff_bio.errors import StorageError
from ngff_bio.storage.base import Buffer, pieces

#: Names that end so are objects on their way; they are never listed, and a later put replaces them.
UNFINISHED = ".unfinished"

_MOST_BUFFERS = 512  # fewer than IOV_MAX (1024 on Linux and macOS)


@dataclass
class FolderStorage:
    """Storage in a folder of this machine. An object is written beside its place, then renamed."""

    root: Path
    _made: set[Path] = field(default_factory=set, repr=False, compare=False)

    @property
    def url(self) -> str:
        """The folder's path."""
        return str(self.root)

    def __getstate__(self) -> Path:
        return self.root

    def __setstate__(self, root: Path) -> None:
        self.root, self._made = root, set()

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        """Write one object whole."""
        place = self.root / key
        beside = place.with_name(f"{place.name}.{os.getpid()}-{threading.get_ident()}{UNFINISHED}")
        try:
            if place.parent not in self._made:
                place.parent.mkdir(parents=True, exist_ok=True)
                self._made.add(place.parent)
            size = _write(beside, pieces(data))
            os.replace(beside, place)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise _storage_error(error, place, "write") from error
        return size

    def get(self, key: str) -> bytes | None:
        """All bytes of an object, or ``None``."""
        try:
            return (self.root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise _storage_error(error, self.root / key, "read") from error

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Part of an object; a negative ``start`` counts from the end."""
        try:
            with (self.root / key).open("rb", buffering=0) as file:
                if start < 0:
                    start = max(file.seek(0, os.SEEK_END) + start, 0)
                return os.pread(file.fileno(), length, start)
        except OSError as error:
            raise _storage_error(error, self.root / key, "read") from error

    def size(self, key: str) -> int | None:
        """Size in bytes, or ``None``."""
        try:
            return (self.root / key).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Keys below ``prefix`` with their sizes."""
        top = self.root / prefix if prefix else self.root
        for folder, _, names in os.walk(top):
            for name in names:
                if not name.endswith(UNFINISHED):
                    place = Path(folder, name)
                    yield place.relative_to(self.root).as_posix(), place.stat().st_size

    def delete(self, key: str) -> None:
        """Remove an object."""
        (self.root / key).unlink(missing_ok=True)

    def delete_all(self, prefix: str = "") -> None:
        """Remove everything below ``prefix``, and the folder itself."""
        shutil.rmtree(self.root / prefix if prefix else self.root, ignore_errors=True)
        self._made.clear()


def _write(place: Path, buffers: Sequence[Buffer]) -> int:
    """Write buffers one after another with few system calls; returns the bytes written."""
    total = sum(len(b) for b in buffers)
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        if len(buffers) == 1:
            rest = memoryview(buffers[0])
            while rest:
                rest = rest[os.write(handle, rest) :]
            return total
        for first in range(0, len(buffers), _MOST_BUFFERS):
            views = [memoryview(b) for b in buffers[first : first + _MOST_BUFFERS] if len(b)]
            while views:
                written = os.writev(handle, views)
                while views and written >= len(views[0]):
                    written -= len(views.pop(0))
                if written:
                    views[0] = views[0][written:]
    finally:
        os.close(handle)
    return total


def _storage_error(error: OSError, place: Path, verb: str) -> StorageError:
    mend = {
        28: "free some space, then run the same command again: it goes on where it stopped",
        13: "choose a place that you may write to" if verb == "write" else "ask for read rights",
        30: "choose a place that is not read-only",
        20: "one part of the path is a file; choose another destination",
    }.get(error.errno or 0)
    return StorageError(f"cannot {verb}: {error.strerror or error}", file=place, mend=mend)
