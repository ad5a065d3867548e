"""The storage at a path or URL."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ngff_bio.errors import ArgumentError
from ngff_bio.storage.base import Storage
from ngff_bio.storage.bucket import BucketStorage
from ngff_bio.storage.connection import BUCKETS, WEB
from ngff_bio.storage.failures import shown
from ngff_bio.storage.folder import FolderStorage
from ngff_bio.storage.zipped import ENDINGS, ZipStorage


def storage_at(
    place: str | os.PathLike[str] | Storage, options: Mapping[str, Any] | None = None
) -> Storage:
    """The storage at a path or URL; a storage is returned as it is.

    Parameters
    ----------
    place
        A folder, ``file://``, ``s3://``, ``gs://``, ``az://``, or ``http(s)://`` to read; or a
        ``.zip`` or ``.ozx`` in one of them, to read. A web address may have a query, as a signed one.
    options
        Options of a bucket: see :class:`ngff_bio.storage.BucketStorage`.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the URL's scheme is unknown, or the URL has no bucket.
    """
    if not isinstance(place, str | os.PathLike):
        return place
    text = os.fspath(place)
    scheme, found, rest = text.partition("://")
    # A web address may end in a query: a signature or a token, which every request gets.
    path, mark, query = text.partition("?") if scheme in WEB else (text, "", "")
    zipped = path.lower().endswith(ENDINGS)
    if not found or scheme == "file":
        folder = Path(rest if found else text).absolute()
        if zipped and not folder.is_dir():
            folder = folder.resolve()  # the zip may be a link, whose folder is another one
            return ZipStorage(FolderStorage(folder.parent), folder.name)
        return FolderStorage(folder)
    if zipped and scheme in (*BUCKETS, *WEB):
        above, _, name = path.rpartition("/")
        return ZipStorage(storage_at(f"{above}{mark}{query}", options), name)
    if scheme in (*BUCKETS, *WEB):
        if not urlsplit(text).netloc:
            raise ArgumentError(
                "the URL has no bucket",
                file=shown(text),
                expected=f"{scheme}://name/path",
            )
        return BucketStorage(text.rstrip("/"), dict(options or {}))
    raise ArgumentError(
        "unknown kind of URL",
        file=shown(text),
        expected="a folder, s3://, gs://, az:// or https://",
        found=f"{scheme}://",
    )


def storage_above(storage: Storage) -> Storage | None:
    """The storage of the folder that a folder is in; ``None`` if there is none, or it is not known."""
    if isinstance(storage, FolderStorage) and storage.root.parent != storage.root:
        return FolderStorage(storage.root.parent)
    if isinstance(storage, BucketStorage) and urlsplit(storage.address).path.strip("/"):
        return BucketStorage(storage.address.rpartition("/")[0], storage.options)
    return None
