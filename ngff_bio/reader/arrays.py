"""Zarr arrays of a store, as zarr-python opens them from metadata that is known already."""

from __future__ import annotations

from typing import Any

import zarr
from zarr.storage import LocalStore, MemoryStore

from ngff_bio.errors import StoreError
from ngff_bio.reader.nodes import NodeTree
from ngff_bio.storage import FolderStorage, MemoryStorage, Storage


def zarr_store(storage: Storage) -> Any:
    """The zarr-python store over a storage."""
    if isinstance(storage, FolderStorage):
        return LocalStore(storage.root, read_only=True)
    if isinstance(storage, MemoryStorage):
        from zarr.core.buffer import default_buffer_prototype

        buffer = default_buffer_prototype().buffer
        return MemoryStore({k: buffer.from_bytes(v) for k, v in storage.objects.items()})
    raise StoreError("arrays of this kind of place cannot be read", file=storage.url)


def open_array(nodes: NodeTree, path: str) -> Any:
    """A zarr array of the store.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the array that the metadata names is not there.
    """
    if nodes.document(path) is None:
        raise StoreError("a level that the metadata names is not there", file=path)
    return zarr.open_array(
        zarr_store(nodes.storage), path=path, mode="r", zarr_format=nodes.zarr_format
    )
