"""From what a user writes (a path, a URL) to the storage behind it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ngff_bio.errors import ArgumentError
from ngff_bio.storage.base import Storage
from ngff_bio.storage.bucket import BUCKETS, WEB, BucketStorage, shown
from ngff_bio.storage.folder import FolderStorage


def storage_at(
    place: str | os.PathLike[str] | Storage, options: Mapping[str, Any] | None = None
) -> Storage:
    """The storage at a path or URL; a storage is handed back as it is.

    Parameters
    ----------
    place
        A folder, ``file://``, ``s3://``, ``gs://``, ``az://``, or ``http(s)://`` to read.
    options
        Of a bucket: :class:`ngff_bio.storage.BucketStorage` lists them.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the URL's scheme is of no known kind, or names no bucket.
    """
    if not isinstance(place, str | os.PathLike):
        return place
    text = os.fspath(place)
    scheme, found, rest = text.partition("://")
    if not found:
        return FolderStorage(Path(text).absolute())
    if scheme == "file":
        return FolderStorage(Path(rest).absolute())
    if scheme in (*BUCKETS, *WEB):
        if not urlsplit(text).netloc:
            raise ArgumentError(
                "the URL names no bucket",
                file=shown(text),
                expected=f"{scheme}://name/path",
            )
        return BucketStorage(text.rstrip("/"), dict(options or {}))
    raise ArgumentError(
        "this kind of place is not known",
        file=shown(text),
        expected="a folder, s3://, gs://, az:// or https://",
        found=f"{scheme}://",
    )
