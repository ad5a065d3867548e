"""Files behind a URL: in buckets, as stores are; on web servers and elsewhere, through fsspec."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, BinaryIO, TypeVar
from urllib.parse import unquote, urlsplit

from ngff_bio.errors import (
    ArgumentError,
    DependencyError,
    NgffBioError,
    SourceError,
    SourceNotFoundError,
    StorageError,
)
from ngff_bio.sources.files.ranges import existing_copy, open_range, temporary_copy
from ngff_bio.storage import BucketStorage
from ngff_bio.storage.connection import BUCKETS

T = TypeVar("T")

#: Bytes of one request when a remote file is read piece by piece.
_REQUEST = 1 << 18


@lru_cache(maxsize=16)
def _file_system(url: str, options: str) -> tuple[Any, str]:
    try:
        import fsspec  # heavy, and only for what is not on this machine

        system, root = fsspec.core.url_to_fs(url, **json.loads(options))
    except ImportError as error:
        raise DependencyError(
            f"reading {url.partition('://')[0]}:// needs another package",
            file=url,
            found=error,
            hint="pip install 'ngff-bio[http]'",
        ) from error
    except ValueError as error:
        raise ArgumentError("the kind of URL is unknown", file=url, found=error) from None
    except Exception as error:  # some file systems connect here
        raise _failure(url, error) from None
    return system, str(root)


#: Members of an fsspec entry that change when the file does, the most reliable first.
_VERSION = (
    *("ETag", "etag", "md5Hash", "Content-MD5", "Digest"),
    *("LastModified", "last_modified", "Last-Modified", "mtime", "created"),
)

_WEB = ("http://", "https://")

_BUCKETS = tuple(f"{scheme}://" for scheme in BUCKETS)

#: Seconds before a request to a web server is repeated.
_PAUSES = (0.1, 0.5, 2.0)


@lru_cache(maxsize=16)
def _bucket(url: str, options: str) -> BucketStorage:
    return BucketStorage(url, json.loads(options))


def _request(url: str, where: str, ask: Callable[[], T]) -> T:
    """The answer to a request; its error as one of ours, that names the place.

    fsspec repeats requests to buckets, but not those to web servers.
    """
    for pause in (*(_PAUSES if url.startswith(_WEB) else ()), None):
        try:
            return ask()
        except NgffBioError:
            raise
        except Exception as error:  # each file system has exceptions of its own
            if pause is None or not _is_transient(error):
                # Not chained: messages of the original hold the URL with password and signature.
                raise _failure(where, error) from None
            time.sleep(pause)
    raise AssertionError  # the last pause is None


def _status(error: Exception) -> int | None:
    """HTTP status of an error; fsspec's web file system reports any as a missing file."""
    return getattr(error, "status", getattr(error.__cause__, "status", None))


def _is_transient(error: Exception) -> bool:
    """Whether the same request may succeed a moment later."""
    if (status := _status(error)) is not None:
        return status in (408, 429) or status >= 500
    refused = FileNotFoundError | NotADirectoryError | PermissionError
    return not isinstance(error, refused) or (
        error.__cause__ is not None and not isinstance(error.__cause__, FileNotFoundError)
    )


def _failure(where: str, error: Exception) -> NgffBioError:
    """Never a `SourceError`: what a server does not give now is not damaged, and not skipped."""
    if isinstance(error, FileNotFoundError | NotADirectoryError) and not _is_transient(error):
        return SourceNotFoundError(
            "the source does not exist", file=where, found=error, hint="check the URL"
        )
    if isinstance(error, PermissionError) or _status(error) in (401, 403):
        return StorageError(
            "the server denies access",
            file=where,
            found=error,
            hint="write USER:PASSWORD@ before the host in the URL, or give headers with source_options "
            "in Python"
            if where.startswith("http")
            else "give credentials with --source-option, or source_options in Python",
        )
    return StorageError(
        "the request failed",
        file=where,
        found=f"{type(error).__name__}: {error}",
        hint="check the URL and the network, then run the command again",
    )


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file behind a URL.

    ``url`` is the source's root, ``key`` the file system's own name of the file; ``options`` are
    fsspec's storage options as JSON text; ``version`` is the ETag or time that the server lists.
    """

    url: str = field(repr=False)
    key: str = field(repr=False)
    name: str
    size: int
    options: str = field(default="{}", repr=False)
    version: str = ""

    @property
    def identity(self) -> str | None:
        """Name, size, and the ETag or time that the server lists; ``None`` if it lists neither."""
        return f"{self.name} {self.size} {self.version}" if self.version else None

    @property
    def path(self) -> None:
        """It is not on this machine."""
        return

    def open(self) -> BinaryIO:
        """The file; each read is a request of a range."""
        return open_range(self.read_range, 0, self.size, _REQUEST)

    def read(self) -> bytes:
        """All of its bytes, in one request."""
        return self._fetch()

    def read_range(self, offset: int, size: int) -> bytes:
        """Some of its bytes, in one request."""
        stop = min(offset + size, self.size)
        if stop <= offset:
            return b""
        copy = existing_copy(self)
        if copy is None:
            data = self._fetch(start=offset, end=stop)
            if len(data) <= stop - offset:
                return data
            # A simple web server ignores ranges and sends the whole file, which is then kept.
            copy = temporary_copy(self, lambda target: target.write(data))
        with copy.open("rb", buffering=0) as stream:
            stream.seek(offset)
            return stream.read(stop - offset) or b""

    def _fetch(self, **span: int) -> bytes:
        if self.url.startswith(_BUCKETS):
            return self._of_bucket(**span)
        system, _ = _file_system(self.url, self.options)
        where = f"{self.url} ({self.name})"
        return bytes(_request(self.url, where, lambda: system.cat_file(self.key, **span)))

    def _of_bucket(self, start: int = 0, end: int | None = None) -> bytes:
        bucket = _bucket(self.url, self.options)
        if end is None:
            data = bucket.get(self.key)
        else:
            data = bucket.get_range(self.key, start, end - start)
        if data is None:
            raise SourceNotFoundError("the file is no longer there", file=f"{self.url}/{self.key}")
        return data


def list_url(
    url: str, source_options: Mapping[str, object] | None = None
) -> tuple[dict[str, RemoteFile], bool]:
    """Files at a URL by name, and whether the URL is a single file.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If nothing is there, or the server lists no files.
    ngff_bio.errors.StorageError
        If the server refuses or does not answer.
    ngff_bio.errors.DependencyError
        If the package for this kind of URL is not installed.
    """
    options = json.dumps(dict(source_options or {}))
    if url.startswith(_BUCKETS):
        return _list_bucket(url.rstrip("/"), options)
    system, root = _file_system(url, options)
    top = root.rstrip("/")
    web = url.startswith(_WEB)
    found = {}
    for key, info in _list(system, url, root).items():
        if info.get("type") not in (None, "file"):
            continue
        if info.get("size") is None:  # the listing of a web server
            info = _request(url, f"{url} ({key})", partial(system.info, key))
        size = info.get("size")
        if size is None:
            raise StorageError(
                "the server does not report the size of a file",
                file=f"{url} ({key})",
                hint="copy the dataset to a folder, and name that",
            )
        name = str(key)[len(top) :].lstrip("/")
        name = unquote(name) if web else name
        # What follows a ? may be a signature.
        named = name or (urlsplit(top).path if web else top).rpartition("/")[2]
        version = next((str(info[k]) for k in _VERSION if info.get(k) is not None), "")
        found[name] = RemoteFile(url, str(key), named, int(size), options, version)
    if not found:
        raise _nothing_listed(url)
    return found, set(found) == {""}


def _list_bucket(url: str, options: str) -> tuple[dict[str, RemoteFile], bool]:
    """Objects below a URL, or the one that it is."""
    found = {
        key: RemoteFile(url, key, key, size, options, version)
        for key, size, version in _bucket(url, options).versions()
    }
    if found:
        return found, False
    above, _, name = url.rpartition("/")
    single = None if above.endswith("/") else _bucket(above, options).version(name)
    if single is None:
        raise _nothing_listed(url)
    return {"": RemoteFile(above, name, name, single[0], options, single[1])}, True


def check_unchanged(files: Iterable[RemoteFile]) -> None:
    """Check that files in buckets are what was listed; the ETags of a web server can differ each time.

    Raises
    ------
    ngff_bio.errors.SourceError
        If one has changed: what was read of it may be of two versions.
    """
    places: dict[tuple[str, str], list[RemoteFile]] = {}
    for file in files:
        if file.url.startswith(_BUCKETS):
            places.setdefault((file.url, file.options), []).append(file)
    for place, known in places.items():
        bucket = _bucket(*place)
        if len(known) > 1:
            now = {key: (size, version) for key, size, version in bucket.versions()}
        else:
            now = {f.key: found for f in known if (found := bucket.version(f.key)) is not None}
        for file in known:
            if now.get(file.key) != (file.size, file.version):
                raise SourceError(
                    "a source file was changed while it was converted",
                    file=f"{file.url}/{file.key}",
                    hint="run the same command again: images that it belongs to are read again",
                )


def _nothing_listed(url: str) -> SourceNotFoundError:
    return SourceNotFoundError(
        "no files are listed there",
        file=url,
        hint="name a bucket or folder that can be listed, or an archive",
    )


def _list(system: Any, url: str, root: str) -> dict[str, dict[str, Any]]:
    """Entries of all files below a URL, or of the one file that it is."""
    found = _walk(system, url, root)
    if not found and not url.endswith("/"):
        found = {root: _request(url, url, lambda: system.info(root))}
    return found


def _walk(system: Any, url: str, root: str) -> dict[str, dict[str, object]]:
    """Entries of all files, listed folder by folder: fsspec leaves out folders that it cannot list."""
    found: dict[str, dict[str, object]] = {}
    folders, seen = [root], {root.rstrip("/")}
    while folders:
        folder = folders.pop()
        try:
            entries = _request(url, f"{url} ({folder})", partial(system.ls, folder, detail=True))
        except SourceNotFoundError:
            if folder != root or url.endswith("/"):
                raise
            return {}  # a file, if anything
        for entry in entries:
            key = str(entry["name"])
            if entry.get("type") != "directory":
                found[key] = entry
            elif key.rstrip("/") not in seen:
                seen.add(key.rstrip("/"))
                folders.append(key)
    return found
