"""Files behind a URL, through fsspec: buckets, web servers, and whatever else it knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, BinaryIO

from ngff_bio.errors import ArgumentError, DependencyError, SourceNotFoundError, StorageError
from ngff_bio.sources.files.ranges import already_unpacked, open_range, unpacked

#: Bytes of one request when a remote file is read piece by piece.
_REQUEST = 1 << 18


@lru_cache(maxsize=16)
def _file_system(protocol_url: str, options: str) -> tuple[Any, str]:
    try:
        import fsspec  # heavy, and only for what is not on this machine

        system, root = fsspec.core.url_to_fs(protocol_url, **json.loads(options))
    except ImportError as error:
        raise DependencyError(
            f"reading {protocol_url.partition('://')[0]}:// needs another package",
            file=protocol_url,
            found=error,
            hint="pip install 'ngff-bio[s3]' or 'ngff-bio[http]'",
        ) from error
    except ValueError as error:
        raise ArgumentError(
            "this kind of URL is not known", file=protocol_url, found=error
        ) from error
    return system, str(root)


@contextmanager
def _answers(url: str) -> Iterator[None]:
    """Turn what file systems raise into one error that names the URL."""
    try:
        yield
    except FileNotFoundError as error:
        raise SourceNotFoundError(
            "there is no such source", file=url, found=error, hint="check the URL"
        ) from error
    except PermissionError as error:
        raise StorageError(
            "the server does not let us read",
            file=url,
            found=error,
            hint="give credentials in storage_options",
        ) from error
    except (OSError, TimeoutError, RuntimeError) as error:
        if isinstance(error, StorageError | SourceNotFoundError):
            raise
        raise StorageError(
            "the server did not answer as it should",
            file=url,
            found=f"{type(error).__name__}: {error}",
            hint="check the URL and the network, then run the command again",
        ) from error


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file behind a URL.

    ``url`` is the source's root, ``key`` the file system's own name of the file; ``options`` are
    fsspec's storage options as JSON text.
    """

    url: str
    key: str
    name: str
    size: int
    options: str = field(default="{}", repr=False)

    @property
    def path(self) -> None:
        """It is not on this machine."""
        return

    def open(self) -> BinaryIO:
        """The file; each read is a request of a range."""
        return open_range(self.read_range, 0, self.size, _REQUEST)

    def read(self) -> bytes:
        """All of its bytes, in one request."""
        with _answers(f"{self.url} ({self.name})"):
            return bytes(_file_system(self.url, self.options)[0].cat_file(self.key))

    def read_range(self, offset: int, size: int) -> bytes:
        """Some of its bytes, in one request."""
        stop = min(offset + size, self.size)
        if stop <= offset:
            return b""
        copy = already_unpacked(self)
        if copy is None:
            system, _ = _file_system(self.url, self.options)
            with _answers(f"{self.url} ({self.name})"):
                data = bytes(system.cat_file(self.key, start=offset, end=stop))
            if len(data) <= stop - offset:
                return data
            # A simple web server ignores ranges and sends the whole file, which is then kept.
            copy = unpacked(self, data)
        with copy.open("rb", buffering=0) as stream:
            stream.seek(offset)
            return stream.read(stop - offset) or b""


def list_url(
    url: str, storage_options: Mapping[str, Any] | None = None
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
    options = json.dumps(dict(storage_options or {}))
    system, root = _file_system(url, options)
    with _answers(url):
        listed = system.find(root, detail=True)
        if not listed and not url.endswith("/"):
            listed = {root: system.info(root)}
    top = root.rstrip("/")
    found = {}
    for key, info in listed.items():
        if info.get("type") not in (None, "file"):
            continue
        name = str(key)[len(top) :].lstrip("/") if str(key) != top else ""
        size = info.get("size")
        if size is None:
            with _answers(url):
                size = system.info(key).get("size")
        if size is None:
            raise StorageError(
                "the server does not say how large the file is",
                file=f"{url} ({key})",
                hint="copy the dataset to a folder, and name that",
            )
        found[name] = RemoteFile(url, str(key), name or top.rpartition("/")[2], int(size), options)
    if not found:
        raise SourceNotFoundError(
            "no files are listed there",
            file=url,
            hint="name a bucket or folder that can be listed, or an archive",
        )
    return found, set(found) == {""}
