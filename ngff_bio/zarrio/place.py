"""Whether a source is a store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ngff_bio.errors import StorageError
from ngff_bio.storage import Storage, storage_at
from ngff_bio.storage.zipped import ENDINGS
from ngff_bio.zarrio.hierarchy import Hierarchy
from ngff_bio.zarrio.journal import PLAN

#: Name of the format of a source that is a store.
FORMAT = "ome-zarr"

#: Objects at the root of a store, and of one that is incomplete.
_MARKS = ("zarr.json", ".zgroup", ".zattrs", ".zmetadata", ".zarray", PLAN)


def store_of(
    place: str | os.PathLike[str],
    format: str | None = None,
    source_options: Mapping[str, Any] | None = None,
) -> Storage | None:
    """The store at the place of a source; ``None`` if it is another kind of source.

    Behind a URL it is looked for where a part of the path ends in ``.zarr``, ``.ozx`` or ``.zip``, or
    the format is given as ``ome-zarr``.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If the format is given, and there is no store.
    """
    text = os.fspath(place)
    if format not in (None, FORMAT):
        return None
    if format is None and not _may_be_store(text):
        return None
    storage = storage_at(place, source_options)
    try:
        if any(storage.size(key) is not None for key in _MARKS):
            return storage
    except StorageError:
        if format is None and text.partition("?")[0].lower().endswith(".zip"):
            return None  # a zip of image files whose directory another reader understands
        raise
    if format is not None:
        Hierarchy.open(storage)
    return None


def _may_be_store(text: str) -> bool:
    if "://" in text:
        parts = text.partition("?")[0].lower().rstrip("/").split("/")
        return parts[-1].endswith(ENDINGS) or any(p.endswith(".zarr") for p in parts)
    return os.path.isdir(text) or (text.lower().endswith(ENDINGS) and os.path.isfile(text))
