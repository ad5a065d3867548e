"""The files of a source: in a folder, in an archive or behind a URL, listed once, read one by one."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.json.text import JsonKind, json_kind
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.model import SourceFile, leads_out
from ngff_bio.parallel import shared_pool
from ngff_bio.printing import without_secrets
from ngff_bio.sources.files.archives import ArchiveMember, is_archive, list_archive
from ngff_bio.sources.files.ranges import LocalFile
from ngff_bio.sources.files.remote import list_url

T = TypeVar("T")

#: Objects of a Zarr store: folders that hold one are not part of a source.
STORE_MARKS = {"zarr.json", ".zgroup", ".zarray", ".zattrs"}

#: Files and folders that operating systems leave.
_SYSTEM_FILES = ("__MACOSX", "Thumbs.db", "desktop.ini")


class FileTree:
    """All files below the root of a source. Names are relative to it and use ``/``.

    Parameters
    ----------
    origin
        The root as the user named it.
    files
        By name; hidden files and files of operating systems are omitted.
    limits
        How large planes and archive members may be.
    exclude
        Globs of files that the user excludes: of whole names, or of a file or a folder anywhere if
        there is no ``/`` in it.
    excluded
        Further files that are not part of the source, and why.
    unusable
        Entries that cannot be opened as files, and why: links to nothing, pipes.

    Attributes
    ----------
    excluded
        Names of files that were excluded, each with the reason.
    hidden
        Names of files that no source is shown: hidden ones, and those of the operating system.
    """

    def __init__(
        self,
        origin: str,
        files: Mapping[str, SourceFile],
        limits: Limits = DEFAULT_LIMITS,
        exclude: Sequence[str] = (),
        excluded: Mapping[str, str] | None = None,
        unusable: Mapping[str, str] | None = None,
    ) -> None:
        for name in files:
            if not name.isprintable() and any("\ud800" <= c <= "\udfff" for c in name):
                raise SourceError(
                    "the name of a file is not UTF-8",
                    file=ascii(name),
                    expected="names in UTF-8",
                    hint="rename the file"
                    if sys.getfilesystemencoding() == "utf-8"
                    else "set LC_ALL=C.UTF-8, or rename the file if its name is not UTF-8",
                )
        self.origin = without_secrets(origin)
        self.limits = limits
        self.exclude = tuple(exclude)
        self.excluded = dict(excluded or {})
        self.hidden: list[str] = []
        self._files = {}
        self._opened: FileTree | None = None
        self._json_kinds: dict[str, JsonKind | None] = {}
        self.unusable: dict[str, str] = {}
        reasons = unusable or {}
        for name in sorted([*files, *reasons]):
            pattern = next((p for p in self.exclude if _matches(name, p)), None)
            if pattern is not None:
                self.excluded[name] = f"--exclude {pattern}"
            elif _is_system_file(name):
                self.hidden.append(name)
            elif name in reasons:
                self.unusable[name] = reasons[name]
            else:
                self._files[name] = files[name]

    def below(self, folder: str) -> FileTree:
        """The files below a folder, with names relative to it."""
        start = f"{folder}/"
        inside = {n.removeprefix(start): f for n, f in self._files.items() if n.startswith(start)}
        return FileTree(f"{self.origin.rstrip('/')}/{folder}", inside, self.limits)

    def innermost(self) -> FileTree:
        """The tree in which a source has opened archives as folders, or this one."""
        return self if self._opened is None else self._opened.innermost()

    def set_opened(self, tree: FileTree) -> None:
        """Record the tree in which a source has opened archives of this one."""
        self._opened = tree

    def names(self) -> list[str]:
        """Names of all files, sorted."""
        return list(self._files)

    def each(self, function: Callable[[str], T], names: Sequence[str]) -> list[T]:
        """What a function makes of each name; several at a time where files are remote."""
        if names and self.file(names[0]).path is None:
            return shared_pool(remote=True).map(function, names)
        return list(map(function, names))

    def json_kind(self, name: str) -> JsonKind | None:
        """The annotation format that a file seems to have, if it is JSON; looked at once."""
        if not name.lower().endswith(".json"):
            return None
        if name not in self._json_kinds:
            self._json_kinds[name] = json_kind(self.file(name))
        return self._json_kinds[name]

    def file(self, name: str) -> SourceFile:
        """One file by its name.

        Raises
        ------
        ngff_bio.errors.SourceNotFoundError
            If there is no such file.
        ngff_bio.errors.SourceError
            If the name leads out of the tree, or the member of an archive is too large.
        """
        if name not in self._files:
            raise _missing_file(name, self.origin)
        found = self._files[name]
        if isinstance(found, ArchiveMember):
            self.limits.check_member(found.size, name)
        return found


def _matches(name: str, pattern: str) -> bool:
    """Whether a glob matches; a name as it is also does, in which ``[1]`` is no set of characters."""
    parts = name.split("/")
    if name == pattern:
        return True
    if "/" not in pattern:
        return any(fnmatchcase(part, pattern) for part in parts)
    tops = ("/".join(parts[:n]) for n in range(1, len(parts) + 1))
    return any(fnmatchcase(top, pattern.strip("/")) for top in tops)


def _is_system_file(name: str) -> bool:
    return any(p.startswith(".") or p in _SYSTEM_FILES for p in name.split("/"))


def _missing_file(name: str, origin: str) -> SourceError | SourceNotFoundError:
    if leads_out(name):
        return SourceError(
            "a file name leads out of the source",
            file=name,
            expected=f"a file below {origin}",
            hint="file names are relative to the source's folder",
        )
    return SourceNotFoundError(
        "a required file is missing", file=name, expected=f"a file below {origin}"
    )


def open_tree(
    place: str | os.PathLike[str],
    *,
    source_options: Mapping[str, object] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    exclude: Sequence[str] = (),
) -> FileTree:
    """Files of a folder, of an archive (zip, tar, compressed tar), of a URL, or one file alone.

    Links that lead out of a folder are not followed.

    Parameters
    ----------
    place
        Path or URL. A URL may be of a folder that can be listed or of an archive.
    source_options
        Options of the URL: endpoint, credentials. The names are those of
        :class:`ngff_bio.storage.BucketStorage`; of a URL that is not a bucket, those of fsspec.
    limits
        How large planes and archive members may be.
    exclude
        Globs of files that are not part of the source, as of `FileTree`.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If there is nothing at that place.
    ngff_bio.errors.SourceError
        If an archive is damaged.
    """
    text = os.fspath(place).removeprefix("file://")
    if "://" in text:
        listed, single = list_url(text, source_options)
        if not single:
            return FileTree(text, listed, limits, exclude)
        return _tree_of_file(text, listed[""], limits, exclude)
    path = Path(text)
    try:
        is_folder = path.is_dir()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # nothing can have such a name
            raise
        raise SourceNotFoundError(
            "the source does not exist: its name is too long", file=text, hint="check the path"
        ) from None
    if is_folder:
        top = str(path.absolute())
        outside: dict[str, str] = {}
        unusable: dict[str, str] = {}
        files = {n: LocalFile(top, n) for n in _walk(top, outside, unusable)}
        return FileTree(text, files, limits, exclude, outside, unusable)
    if path.is_file():
        path = path.absolute()
        return _tree_of_file(text, LocalFile(str(path.parent), path.name), limits, exclude)
    raise SourceNotFoundError("the source does not exist", file=text, hint="check the path")


def _tree_of_file(
    origin: str, file: SourceFile, limits: Limits, exclude: Sequence[str]
) -> FileTree:
    if not file.size:
        raise SourceError("the file is empty", file=origin, hint="download or copy it again")
    if is_archive(file.name):
        return FileTree(origin, list_archive(file, "", limits), limits, exclude)
    return FileTree(origin, {file.name: file}, limits, exclude)


def _walk(top: str, outside: dict[str, str], unusable: dict[str, str]) -> Iterator[str]:
    """Names of files below a folder; links that are not followed and stores are added to `outside`,
    and what is not a file that can be opened to `unusable`.
    """
    inside = os.path.realpath(top) + os.sep

    def failed(error: OSError) -> None:
        name = os.path.relpath(error.filename, top).replace(os.sep, "/")
        unusable[name] = f"folder that cannot be listed ({error.strerror})"

    for folder, below, names in os.walk(top, onerror=failed):
        if folder != top and STORE_MARKS.intersection(names):
            outside[os.path.relpath(folder, top).replace(os.sep, "/")] = "Zarr store"
            below.clear()
            continue
        hidden = [b for b in below if b.startswith(".")]
        below[:] = [b for b in below if b not in hidden]
        start = os.path.relpath(folder, top).replace(os.sep, "/") + "/" if folder != top else ""
        links = (b for b in below if os.path.islink(os.path.join(folder, b)))
        outside |= {start + link: "link to a folder" for link in links}
        outside |= {start + name: "hidden folder" for name in hidden}
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path) and not os.path.realpath(path).startswith(inside):
                outside[start + name] = "link that leads out of the source"
                continue
            if (reason := _unusable(path)) is None:
                yield start + name
            else:
                unusable[start + name] = reason


def _unusable(path: str) -> str | None:
    """Why an entry of a folder cannot be opened as a file, if so."""
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return "link to a file that is missing"
    except OSError as error:
        return f"file that cannot be opened ({error.strerror})"
    return None if regular else "pipe, socket or device"


def with_archives(tree: FileTree, pick: Callable[[str], bool] = is_archive) -> FileTree:
    """The tree with archives opened as folders: ``images.zip`` becomes ``images.zip/a.tif``, ...

    Parameters
    ----------
    pick
        Which archives are opened, also within others; all by default.
    """
    files: dict[str, SourceFile] = {}
    nested = False
    for name in tree.names():
        file = tree.file(name)
        if not (is_archive(name) and pick(name)):
            files[name] = file
            continue
        members = list_archive(file, f"{name}/", tree.limits)
        files |= members
        nested = nested or any(is_archive(m) and pick(m) for m in members)
    found = FileTree(tree.origin, files, tree.limits, tree.exclude, tree.excluded, tree.unusable)
    tree.set_opened(found)
    return with_archives(found, pick) if nested else found
