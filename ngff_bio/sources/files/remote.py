"""Files behind a URL, through fsspec: buckets, web servers, and whatever else it supports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from ngff_bio.errors import ArgumentError, DependencyError, SourceNotFoundError, StorageError
from ngff_bio.sources.files.ranges import existing_copy, open_range, temporary_copy

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
            hint="pip install 'ngff-bio[s3]' or 'ngff-bio[http]'",
        ) from error
    except ValueError as error:
        raise ArgumentError("the kind of URL is unknown", file=url, found=error) from error
    return system, str(root)


#: Members of an fsspec entry that change when the file does, the most reliable first.
_VERSION = (
    *("ETag", "etag", "md5Hash", "Content-MD5", "Digest"),
    *("LastModified", "last_modified", "Last-Modified", "mtime", "created"),
)

#: Names of obstore for a bucket, and those of s3fs for the same.
_S3FS = {
    "access_key_id": "key",
    "secret_access_key": "secret",
    "session_token": "token",
    "endpoint": "endpoint_url",
    "skip_signature": "anon",
}


def _fsspec_options(url: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with the names that fsspec has for those of a store; others stay as they are."""
    given = {k: {"true": True, "false": False}.get(str(v).lower(), v) for k, v in options.items()}
    if not url.startswith(("s3://", "s3a://")):
        return given
    region = given.pop("region", None)
    found = {_S3FS.get(k, k): v for k, v in given.items()}
    if region is not None:
        found["client_kwargs"] = {"region_name": region} | found.get("client_kwargs", {})
    return found


@contextmanager
def _errors_of(url: str) -> Iterator[None]:
    """A block whose file system errors become one error that names the URL."""
    try:
        yield
    except (StorageError, SourceNotFoundError):
        raise
    except FileNotFoundError as error:
        raise SourceNotFoundError(
            "the source does not exist", file=url, found=error, hint="check the URL"
        ) from error
    except PermissionError as error:
        raise StorageError(
            "the server denies access",
            file=url,
            found=error,
            hint="give credentials with --source-option, or source_options in Python",
        ) from error
    except (OSError, TimeoutError, RuntimeError) as error:
        raise StorageError(
            "the request failed",
            file=url,
            found=f"{type(error).__name__}: {error}",
            hint="check the URL and the network, then run the command again",
        ) from error


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file behind a URL.

    ``url`` is the source's root, ``key`` the file system's own name of the file; ``options`` are
    fsspec's storage options as JSON text; ``version`` is the ETag or time that the server lists.
    """

    url: str
    key: str
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
        system, _ = _file_system(self.url, self.options)
        with _errors_of(f"{self.url} ({self.name})"):
            return bytes(system.cat_file(self.key, **span))


def list_url(
    url: str, source_options: Mapping[str, Any] | None = None
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
    options = json.dumps(_fsspec_options(url, source_options or {}))
    system, root = _file_system(url, options)
    top = root.rstrip("/")
    found = {}
    with _errors_of(url):
        listed = system.find(root, detail=True)
        if not listed and not url.endswith("/"):
            listed = {root: system.info(root)}
        for key, info in listed.items():
            if info.get("type") not in (None, "file"):
                continue
            if info.get("size") is None:  # the listing of a web server
                info = system.info(key)
            size = info.get("size")
            if size is None:
                raise StorageError(
                    "the server does not report the size of a file",
                    file=f"{url} ({key})",
                    hint="copy the dataset to a folder, and name that",
                )
            web = url.startswith(("http://", "https://"))  # what follows a ? may be a signature
            name = str(key)[len(top) :].lstrip("/")
            name = unquote(name) if web else name
            named = name or (urlsplit(top).path if web else top).rpartition("/")[2]
            version = next((str(info[k]) for k in _VERSION if info.get(k) is not None), "")
            found[name] = RemoteFile(url, str(key), named, int(size), options, version)
    if not found:
        raise SourceNotFoundError(
            "no files are listed there",
            file=url,
            hint="name a bucket or folder that can be listed, or an archive",
        )
    return found, set(found) == {""}
