"""Writing a store to one zip, once: ``.ozx`` as OME-NGFF RFC 9 recommends, or any ``.zip``.

The same objects give the same bytes, from the first to the last: a file that was interrupted is written
again over itself, and what it contains need not be fetched again.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ngff_bio.errors import NgffBioError, StoreBusyError
from ngff_bio.storage.folder import UNFINISHED, storage_error

try:
    import fcntl
except ImportError:  # not on this system: two writers of one file then are not noticed
    fcntl = None  # type: ignore[assignment]  # None stands for the module that is not there

#: The same objects give the same file: no time is the earliest that a zip can state.
_NO_TIME = (1980, 1, 1, 0, 0, 0)

#: Local file header (APPNOTE 4.3.7): flags, method, sizes, lengths of the name and of extras.
_HEADER = struct.Struct("<4s2xHH8xIIHH")


def zip_order(keys: Iterable[str]) -> list[str]:
    """Keys in the order of RFC 9: each ``zarr.json`` first, breadth first from the root."""
    return sorted(keys, key=lambda k: (k.rpartition("/")[2] != "zarr.json", k.count("/"), k))


def zip_comment(version: str) -> bytes:
    """The comment of a file whose documents come first, in the terms of RFC 9."""
    ome = {"version": version, "zipFile": {"centralDirectory": {"jsonFirst": True}}}
    return json.dumps({"ome": ome}).encode()


def zip_bytes(objects: Iterable[tuple[str, bytes]], comment: bytes = b"") -> Iterator[bytes]:
    """Bytes of a zip with these objects, piece by piece.

    Objects are stored without compression: chunks are compressed already, and can be read in place.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        archive.comment = comment
        for key, data in objects:
            info = zipfile.ZipInfo(key, _NO_TIME)
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
            yield sink.take()
    yield sink.take()


class _Sink(io.BytesIO):
    """What `zipfile` has written since it was last taken; it goes back to the last header only."""

    def __init__(self) -> None:
        super().__init__()
        self._taken = 0

    def tell(self) -> int:
        return self._taken + super().tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._taken + super().seek(offset - self._taken, whence)

    def take(self) -> bytes:
        data = self.getvalue()
        self._taken += len(data)
        super().seek(0)
        self.truncate()
        return data


class PartialZip:
    """A zip file on this machine, written beside its place and moved there when it is complete.

    Parameters
    ----------
    path
        Of the file; one that is there is replaced.

    Raises
    ------
    ngff_bio.errors.StorageError
        If the file cannot be written.
    ngff_bio.errors.StoreBusyError
        If another process writes it.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._beside = path, path.with_name(path.name + UNFINISHED)
        self._kept: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> PartialZip:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._beside, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise storage_error(error, self.path, "write") from error
        try:
            if fcntl is not None:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise StoreBusyError("another process is writing this file", file=self.path) from None
        except OSError:  # no locks here
            pass
        if not self._is_beside():  # the other process has just moved it to its place
            os.close(self._handle)
            raise StoreBusyError("another process has just written this file", file=self.path)
        self._kept = dict(self._scan())
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def _is_beside(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._handle), os.stat(self._beside))
        except FileNotFoundError:
            return False

    def _scan(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Place and size of the objects of an interrupted run, as far as they are complete."""
        at, end = 0, os.fstat(self._handle).st_size
        while len(head := os.pread(self._handle, _HEADER.size, at)) == _HEADER.size:
            magic, flags, method, size, _, name, extra = _HEADER.unpack(head)
            start = at + _HEADER.size + name + extra
            if magic != b"PK\x03\x04" or flags & 8 or method or extra or start + size > end:
                return
            key = os.pread(self._handle, name, at + _HEADER.size).decode("utf-8", "replace")
            yield key, (start, size)
            at = start + size

    def kept(self, key: str) -> bytes | None:
        """An object that an interrupted run wrote; it may be damaged, or one of another store."""
        if key not in self._kept:
            return None
        start, size = self._kept[key]
        return os.pread(self._handle, size, start)

    def discard(self) -> None:
        """Remove what was written."""
        try:
            self._beside.unlink()
        except OSError as error:
            raise storage_error(error, self._beside, "remove") from error

    @staticmethod
    def begun(path: Path) -> bool:
        """Whether an interrupted run has left a part of this file."""
        return path.with_name(path.name + UNFINISHED).is_file()

    def write(self, pieces: Iterable[bytes]) -> None:
        """Write all of the file, and move it to its place."""
        try:
            at = 0
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    count = os.pwrite(self._handle, rest, at)
                    rest, at = rest[count:], at + count
            os.ftruncate(self._handle, at)
            os.replace(self._beside, self.path)
        except NgffBioError:  # of the pieces
            raise
        except OSError as error:
            raise storage_error(error, self.path, "write") from error
