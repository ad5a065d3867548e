"""A store as zarr-python sees it, wherever it lies: what is checked is not read by what wrote it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import zarr
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from ngff_bio.storage import FolderStorage, Storage


class StorageView(Store):
    """A read-only zarr-python store over a :class:`~ngff_bio.storage.Storage`."""

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    def __init__(self, storage: Storage) -> None:
        super().__init__(read_only=True)
        self._storage = storage

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StorageView) and other._storage is self._storage

    __hash__ = None  # type: ignore[assignment]

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Bytes of an object, or of a part of it."""
        data = await asyncio.to_thread(self._read, key, byte_range)
        return None if data is None else prototype.buffer.from_bytes(data)

    def _read(self, key: str, byte_range: ByteRequest | None) -> bytes | None:
        if byte_range is None:
            return self._storage.get(key)
        if isinstance(byte_range, RangeByteRequest):
            start, length = byte_range.start, byte_range.end - byte_range.start
        elif isinstance(byte_range, SuffixByteRequest):
            start, length = -byte_range.suffix, byte_range.suffix
        elif isinstance(byte_range, OffsetByteRequest):
            size = self._storage.size(key)
            if size is None:
                return None
            start, length = byte_range.offset, max(size - byte_range.offset, 0)
        else:
            raise TypeError(f"a byte range of an unknown kind: {byte_range!r}")
        if self._storage.size(key) is None:
            return None
        return self._storage.get_range(key, start, length)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Several parts of objects."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return await asyncio.to_thread(self._storage.size, key) is not None

    async def set(self, key: str, value: Buffer) -> None:
        """Never: what is checked is not changed."""
        self._check_writable()

    async def delete(self, key: str) -> None:
        """Never: what is checked is not changed."""
        self._check_writable()

    async def list(self) -> AsyncIterator[str]:
        """All keys."""
        for key, _ in self._storage.list():
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """All keys that begin with ``prefix``."""
        for key, _ in self._storage.list(prefix.rstrip("/")):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names right below ``prefix``."""
        start = f"{prefix.rstrip('/')}/" if prefix else ""
        names = {key[len(start) :].partition("/")[0] for key, _ in self._storage.list(prefix)}
        for name in names:
            yield name


def view(storage: Storage) -> Store:
    """The zarr-python store over a storage."""
    if isinstance(storage, FolderStorage):
        return LocalStore(storage.root, read_only=True)
    return StorageView(storage)


def open_array(store: Store, path: str, zarr_format: int) -> Any:
    """An array of a store, by zarr-python; raises what zarr-python raises."""
    return zarr.open_array(store, path=path, mode="r", zarr_format=3 if zarr_format == 3 else 2)
