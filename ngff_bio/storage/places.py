"""From what a user writes (a path, a URL) to the storage behind it."""

from __future__ import annotations

import os
from pathlib import Path

from ngff_bio.errors import ArgumentError
from ngff_bio.storage.base import Storage
from ngff_bio.storage.folder import FolderStorage


def storage_at(place: str | os.PathLike[str] | Storage) -> Storage:
    """The storage at a path or URL; a storage is handed back as it is.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the URL's scheme is of no known kind.
    """
    if not isinstance(place, str | os.PathLike):
        return place
    text = os.fspath(place)
    scheme, found, rest = text.partition("://")
    if not found:
        return FolderStorage(Path(text).absolute())
    if scheme == "file":
        return FolderStorage(Path(rest).absolute())
    raise ArgumentError(
        "this kind of place is not known", file=text, expected="a folder", found=f"{scheme}://"
    )
