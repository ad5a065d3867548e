"""A store as zarr-python sees it, wherever it lies: what is checked is not read by what wrote it."""

from __future__ import annotations

from typing import Any

import zarr
from zarr.abc.store import Store
from zarr.storage import LocalStore

from ngff_bio.storage import FolderStorage, Storage
from ngff_bio.zarrio.zarr_python import StorageStore


def view(storage: Storage) -> Store:
    """The zarr-python store over a storage."""
    if isinstance(storage, FolderStorage):
        return LocalStore(storage.root, read_only=True)
    return StorageStore(storage)


def open_array(store: Store, path: str, zarr_format: int) -> Any:
    """An array of a store, by zarr-python; raises what zarr-python raises."""
    return zarr.open_array(store, path=path, mode="r", zarr_format=3 if zarr_format == 3 else 2)
