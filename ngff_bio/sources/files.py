"""The files of a source: in a folder or in an archive, listed once, read one by one."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.model import SourceFile


class FileTree(Protocol):
    """All files below the root of a source. Names use ``/`` and are sorted."""

    @property
    def origin(self) -> str:
        """The root as the user named it."""
        ...

    def names(self) -> list[str]:
        """Names of all files."""
        ...

    def file(self, name: str) -> SourceFile:
        """One file by its name."""
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


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A file inside a zip archive on this machine."""

    archive: str
    name: str
    member: str
    size: int

    @property
    def path(self) -> None:
        """It has no path of its own."""
        return

    def open(self) -> BinaryIO:
        """The file, in memory."""
        return io.BytesIO(self.read())

    def read(self) -> bytes:
        """All of its bytes."""
        with zipfile.ZipFile(self.archive) as archive:
            return archive.read(self.member)


@dataclass(frozen=True)
class FolderTree:
    """Files below a folder. Links that lead out of it are not followed."""

    root: Path

    @property
    def origin(self) -> str:
        """The folder."""
        return str(self.root)

    def names(self) -> list[str]:
        """Names of all files, sorted."""
        return sorted(self._walk())

    def _walk(self) -> Iterator[str]:
        top = self.root.resolve()
        for folder, below, names in os.walk(self.root):
            below[:] = [b for b in below if not b.startswith(".")]
            for name in names:
                place = Path(folder, name)
                if place.is_symlink() and top not in place.resolve().parents:
                    continue
                if not name.startswith("."):
                    yield place.relative_to(self.root).as_posix()

    def file(self, name: str) -> SourceFile:
        """One file by its name."""
        return LocalFile(str(self.root), name)


@dataclass(frozen=True)
class ZipTree:
    """Files inside a zip archive."""

    archive: Path

    @property
    def origin(self) -> str:
        """The archive."""
        return str(self.archive)

    def names(self) -> list[str]:
        """Names of all files, sorted."""
        return sorted(self._members())

    def _members(self) -> dict[str, zipfile.ZipInfo]:
        try:
            with zipfile.ZipFile(self.archive) as archive:
                return {i.filename: i for i in archive.infolist() if not i.is_dir()}
        except zipfile.BadZipFile as error:
            raise SourceError(
                "the zip archive cannot be read", file=self.archive, found=error
            ) from error

    def file(self, name: str) -> SourceFile:
        """One file by its name."""
        info = self._members()[name]
        member = ZipMember(str(self.archive), name, info.filename, info.file_size)
        return cast("SourceFile", member)


def open_tree(place: str | os.PathLike[str]) -> FileTree:
    """Files of a folder or an archive.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If there is nothing at that place.
    """
    path = Path(place)
    if path.is_dir():
        return FolderTree(path)
    if path.is_file() and zipfile.is_zipfile(path):
        return ZipTree(path)
    if path.is_file():
        raise SourceError(
            "a source is a folder or an archive",
            file=path,
            found="a single file",
            mend="name the folder that it lies in",
        )
    raise SourceNotFoundError("there is no such source", file=path, mend="check the path")
