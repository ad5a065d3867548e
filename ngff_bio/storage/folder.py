"""Objects as files below a folder."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from ngff_bio.errors import StorageError
from ngff_bio.storage.base import Buffer, Locality, Storage, pieces
from ngff_bio.storage.keys import refuse_escape

try:
    import fcntl
except ImportError:  # not on this system: compare_and_swap is then not atomic
    fcntl = None  # type: ignore[assignment]

#: Ending of the names of objects being written; they are never listed.
UNFINISHED = ".unfinished"

#: How objects are opened: no link, and no wait for a pipe. Not all systems have these.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)

#: Folders that are remembered as being no links.
_MOST_FOLDERS = 50_000

_MOST_BUFFERS = 512  # fewer than IOV_MAX (1024 on Linux and macOS)

_HINTS = {
    errno.ENOSPC: "free some space, then run the same command again: it resumes where it stopped",
    errno.EDQUOT: "free some of your quota, then run the same command again: it resumes",
    errno.EACCES: "choose a place that you have the rights for",
    errno.EROFS: "choose a place that is not read-only",
    errno.ENOTDIR: "one part of the path is a file; choose another destination",
}


@dataclass
class FolderStorage(Storage):
    """Storage in a folder of this machine. An object is written beside its place, then renamed.

    The folder itself may be a link. Links in it may lead to other places in it: what is outside is
    neither read nor written. Linked folders are not listed, which is an error.
    """

    root: Path
    _made: set[str] = field(default_factory=set, repr=False, compare=False)
    _inside: set[str] = field(default_factory=set, repr=False, compare=False)

    @property
    def url(self) -> str:
        """The folder's path."""
        return str(self.root)

    @property
    def locality(self) -> Locality:
        """Every process of this machine sees it."""
        return "machine"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.root,))

    def _place(self, key: str) -> str:
        """Path of an object; only the last part of it can be a link that leads out of the folder."""
        refuse_escape(key, self.url)
        found, above = [], key.rpartition("/")[0]
        while above and above not in self._inside:
            self._check_link(os.path.join(self.root, above))
            found.append(above)
            above = above.rpartition("/")[0]
        if found:
            if len(self._inside) > _MOST_FOLDERS:
                self._inside.clear()
            self._inside.update(found)
        return os.path.join(self.root, key)

    def _check_link(self, place: str) -> None:
        """Raise if a path is a link that leads out of the folder."""
        if os.path.islink(place):
            end = Path(os.path.realpath(place))
            if not end.is_relative_to(os.path.realpath(self.root)):
                raise StorageError(
                    "a link leads out of the folder",
                    file=place,
                    found=end,
                    hint="make a copy without links: cp -rL FOLDER COPY",
                )

    def _open(self, key: str) -> int | None:
        """Descriptor of the file of an object, or ``None``."""
        place = self._place(key)
        try:
            try:
                handle = os.open(place, _READ | _NO_LINK)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.EMLINK):
                    raise
                self._check_link(place)
                handle = os.open(place, _READ)
            if not _NO_LINK:
                self._check_link(place)
        except OSError as error:
            self._check_missing(error, key)
            return None
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        if os.path.isdir(place):
            return None
        raise StorageError("cannot read: not a file, but a pipe or a device", file=place)

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        """Write one object whole."""
        place = self._place(key)
        beside = f"{place}.{os.getpid()}-{threading.get_ident()}{UNFINISHED}"
        try:
            folder = os.path.dirname(place)
            if folder not in self._made:
                os.makedirs(folder, exist_ok=True)
                self._made.add(folder)
            size = _write(beside, pieces(data))
            os.replace(beside, place)
        except OSError as error:
            with suppress(OSError):
                os.unlink(beside)
            raise storage_error(error, place, "write") from error
        return size

    def compare_and_swap(self, key: str, before: bytes | None, after: bytes) -> bool:
        """Replace an object only if it still is ``before``."""
        place = Path(self._place(key))
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with _locked(place.with_name(f"{place.name}.lock{UNFINISHED}")):
                if self.get(key) != before:
                    return False
                self.put(key, after)
                return True
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise storage_error(error, place, "write") from error

    def get(self, key: str) -> bytes | None:
        """All bytes of an object, or ``None``."""
        handle = self._open(key)
        if handle is None:
            return None
        with FileIO(handle) as file:
            try:
                return file.readall()
            except OSError as error:
                raise storage_error(error, self._place(key), "read") from error

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Part of an object, or ``None``; a negative ``start`` counts from the end."""
        handle = self._open(key)
        if handle is None:
            return None
        try:
            size = os.fstat(handle).st_size
            if start < 0:
                start = max(size + start, 0)
            # As much memory is taken as is asked for, and what asks may be a damaged index.
            return os.pread(handle, min(length, size - start), start) if start < size else b""
        except OSError as error:
            raise storage_error(error, self._place(key), "read") from error
        finally:
            os.close(handle)

    def size(self, key: str) -> int | None:
        """Size in bytes, or ``None``."""
        try:
            place = self._place(key)
            found = os.lstat(place)
            if stat.S_ISLNK(found.st_mode):
                self._check_link(place)
                found = os.stat(place)
            return found.st_size if stat.S_ISREG(found.st_mode) else None
        except OSError as error:
            self._check_missing(error, key)
            return None

    def _check_missing(self, error: OSError, key: str) -> None:
        """Raise an error that does not say that there is no such object."""
        if isinstance(error, StorageError):
            raise error
        absent = FileNotFoundError | NotADirectoryError | IsADirectoryError
        # Nothing can have a name that is too long.
        if not isinstance(error, absent) and error.errno != errno.ENAMETOOLONG:
            raise storage_error(error, self._place(key), "read") from error

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Keys below ``prefix`` with their sizes."""
        return ((key, found.st_size) for key, found in self._walk(prefix))

    def versions(self, prefix: str = "") -> Iterator[tuple[str, int, str]]:
        """Keys below ``prefix`` with their sizes, and inode and times of each: of its modification,
        and of the change of its inode, which no program can set back.
        """
        for key, found in self._walk(prefix):
            version = f"{found.st_ino} {found.st_mtime_ns} {found.st_ctime_ns}"
            yield key, found.st_size, version

    def _walk(self, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
        todo = [f"{prefix.rstrip('/')}/".lstrip("/")]
        while todo:
            below = todo.pop()
            place = self._place(below)
            try:
                with os.scandir(place) as entries:
                    found = list(entries)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise storage_error(error, place, "list") from error
            for entry in found:
                key = f"{below}{entry.name}"
                try:
                    if entry.is_symlink():
                        self._check_link(entry.path)
                        if entry.is_dir():
                            raise StorageError(
                                "a folder in the folder is a link, which is not followed",
                                file=entry.path,
                                hint="make a copy without links: cp -rL FOLDER COPY",
                            )
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(f"{key}/")
                    elif entry.is_file() and not entry.name.endswith(UNFINISHED):
                        yield key, entry.stat()
                except OSError as error:  # gone since it was listed, or a link to itself
                    self._check_missing(error, key)

    def folders(self, prefix: str = "") -> Sequence[str]:
        """Names of the folders directly below ``prefix``, sorted."""
        place = self._place(f"{prefix}/".lstrip("/"))
        try:
            with os.scandir(place) as found:
                return sorted(entry.name for entry in found if entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise storage_error(error, place, "list") from error

    def delete(self, key: str) -> None:
        """Remove an object."""
        place = self._place(key)
        try:
            Path(place).unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise storage_error(error, place, "remove") from error

    def delete_all(self, prefix: str = "", known: Iterable[str] = ()) -> None:
        """Remove everything below ``prefix``, and the folder itself."""
        top = self._place(prefix)
        self._made.clear()
        try:
            shutil.rmtree(top)
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error(error, top, "remove") from error

    def rename(self, key: str, after: str) -> None:
        """Move an object to another key."""
        before, place = self._place(key), self._place(after)
        try:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            os.replace(before, place)
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error(error, place, "write") from error

    def remove_partial(self) -> int:
        """Remove files of puts that never ended."""
        count = 0
        for folder, _, names in os.walk(self.root):
            for name in names:
                if name.endswith(UNFINISHED) and not name.endswith(f".lock{UNFINISHED}"):
                    with suppress(FileNotFoundError):
                        os.unlink(os.path.join(folder, name))
                        count += 1
        return count


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Hold a lock between the processes of this machine; it ends with the process that holds it."""
    handle = os.open(place, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666)
    try:
        if fcntl is not None:
            # A file system may have no locks: then compare_and_swap is not atomic.
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(place: str, buffers: Sequence[Buffer]) -> int:
    """Write buffers one after another with few system calls; returns the bytes written."""
    total = sum(len(b) for b in buffers)
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NO_LINK, 0o666)
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
                done = 0
                while done < len(views) and written >= len(views[done]):
                    written -= len(views[done])
                    done += 1
                views = views[done:]
                if written:
                    views[0] = views[0][written:]
    finally:
        os.close(handle)
    return total


def storage_error(error: OSError, place: str | Path, verb: str) -> StorageError:
    """The error of the system as one that names the file, with a hint."""
    hint = _HINTS.get(error.errno or 0)
    return StorageError(f"cannot {verb}: {error.strerror or error}", file=place, hint=hint)
