"""The files of a source: in a folder, in an archive or behind a URL, listed once, read one by one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.model import SourceFile
from ngff_bio.sources.files.archives import ArchiveMember, is_archive, list_archive
from ngff_bio.sources.files.ranges import RangedFile
from ngff_bio.sources.files.remote import list_url

#: What makes a folder a Zarr store: stores that lie in a source's folder are no part of it.
_STORE_MARKS = {"zarr.json", ".zgroup", ".zarray", ".zattrs"}

_JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")


class FileTree(Protocol):
    """All files below the root of a source. Names use ``/`` and are sorted."""

    @property
    def origin(self) -> str:
        """The root as the user named it."""
        ...

    @property
    def limits(self) -> Limits:
        """How large pictures and members may claim to be."""
        ...

    def names(self) -> list[str]:
        """Names of all files."""
        ...

    def file(self, name: str) -> SourceFile:
        """One file by its name.

        Raises
        ------
        ngff_bio.errors.SourceNotFoundError
            If there is no such file.
        ngff_bio.errors.SourceError
            If the name leads out of the tree.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file in a folder of this machine."""

    root: str
    name: str

    @property
    def path(self) -> Path:
        """Its path on this machine."""
        return Path(self.root, self.name)

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.path.stat().st_size

    def open(self) -> BinaryIO:
        """The file, open for reading."""
        return self.path.open("rb")

    def read(self) -> bytes:
        """All of its bytes."""
        return self.path.read_bytes()

    def read_range(self, offset: int, size: int) -> bytes:
        """Some of its bytes."""
        with self.path.open("rb", buffering=0) as stream:
            stream.seek(offset)
            return stream.read(size) or b""


class ListedTree:
    """Files that are known by name.

    Parameters
    ----------
    origin
        The root as the user named it.
    files
        By name.
    limits
        What is read at most.
    """

    def __init__(
        self,
        origin: str,
        files: Mapping[str, RangedFile],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.origin = origin
        self.limits = limits
        self._files = {n: f for n, f in sorted(files.items()) if not _is_junk(n)}

    def names(self) -> list[str]:
        """Names of all files, sorted."""
        return list(self._files)

    def file(self, name: str) -> SourceFile:
        """One file by its name."""
        if name not in self._files:
            raise missing_file(name, self.origin)
        found = self._files[name]
        if isinstance(found, ArchiveMember):
            self.limits.check_member(found.size, name)
        return found


class FolderTree(ListedTree):
    """Files below a folder. Links that lead out of it are not followed."""

    def __init__(
        self, root: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS, origin: str = ""
    ) -> None:
        self.root = Path(root)
        top = str(self.root.absolute())
        files = {n: LocalFile(top, n) for n in _walk(top)}
        super().__init__(origin or str(root), files, limits)


def _walk(top: str) -> Iterator[str]:
    inside = os.path.realpath(top) + os.sep
    for folder, below, names in os.walk(top):
        if folder != top and _STORE_MARKS.intersection(names):
            below.clear()
            continue
        below[:] = [b for b in below if not b.startswith(".")]
        start = os.path.relpath(folder, top).replace(os.sep, "/") + "/" if folder != top else ""
        for name in names:
            place = os.path.join(folder, name)
            if os.path.islink(place) and not os.path.realpath(place).startswith(inside):
                continue
            if os.path.isfile(place):
                yield start + name


def _is_junk(name: str) -> bool:
    return any(p.startswith(".") or p in _JUNK for p in name.split("/"))


def missing_file(name: str, origin: str) -> SourceError | SourceNotFoundError:
    """The error for a name that a record gives and that is no file of the tree."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or name[1:2] == ":":
        return SourceError(
            "a file name leads out of the source",
            file=name,
            expected=f"a file below {origin}",
            hint="file names are relative to the source's folder",
        )
    return SourceNotFoundError(
        "a file that is needed is not there", file=name, expected=f"a file below {origin}"
    )


def with_archives(tree: FileTree, pick: Callable[[str], bool] = is_archive) -> FileTree:
    """The tree with archives that lie in it opened: ``images.zip`` becomes ``images.zip/a.tif``, ...

    Parameters
    ----------
    pick
        Which names are opened; all archives if left out. Archives within are opened too.
    """
    files: dict[str, Any] = {}
    inner = False
    for name in tree.names():
        file: Any = tree.file(name)
        if not (is_archive(name) and pick(name)):
            files[name] = file
            continue
        for member in list_archive(file, f"{name}/", tree.limits).values():
            files[member.name] = member
            inner = inner or (is_archive(member.name) and pick(member.name))
    found = ListedTree(tree.origin, files, tree.limits)
    return with_archives(found, pick) if inner else found


def open_tree(
    place: str | os.PathLike[str],
    *,
    storage_options: Mapping[str, Any] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> FileTree:
    """Files of a folder, of an archive (zip, tar, compressed tar), of a URL, or one file alone.

    Parameters
    ----------
    place
        Path or URL. A URL may be of a folder that can be listed or of an archive.
    storage_options
        Options of fsspec for the URL: credentials, endpoint.
    limits
        What is read at most.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If there is nothing at that place.
    ngff_bio.errors.SourceError
        If an archive is damaged.
    """
    text = os.fspath(place)
    if text.startswith("file://"):
        text = text[len("file://") :]
    if "://" in text:
        listed, single = list_url(text, storage_options)
        if not single:
            return ListedTree(text, listed, limits)
        return _of_one_file(text, listed[""], limits)
    path = Path(text)
    if path.is_dir():
        return FolderTree(path, limits)
    if path.is_file():
        top = path.absolute()
        return _of_one_file(text, LocalFile(str(top.parent), top.name), limits)
    raise SourceNotFoundError("there is no such source", file=path, hint="check the path")


def _of_one_file(origin: str, file: RangedFile, limits: Limits) -> FileTree:
    if not file.size:
        raise SourceError("the file is empty", file=origin, hint="download or copy it again")
    if is_archive(file.name):
        return ListedTree(origin, dict(list_archive(file, "", limits)), limits)
    return ListedTree(origin, {file.name: file}, limits)
