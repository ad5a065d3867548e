"""Reading through zarr-python: for the layouts and codecs that are not read directly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)

from ngff_bio.errors import DependencyError, StorageError, StoreError
from ngff_bio.model import PixelArray, Region, SampleType
from ngff_bio.storage import Storage
from ngff_bio.zarrio.arrays import ArrayMeta
from ngff_bio.zarrio.documents import Document, store_errors


class StorageStore(Store):
    """A storage, or the part of it below a path, as a read-only store of zarr-python."""

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    def __init__(self, storage: Storage, below: str = "", *, read_only: bool = True) -> None:
        super().__init__(read_only=read_only)
        self.storage = storage
        self.start = f"{below}/" if below else ""

    def with_read_only(self, read_only: bool = False) -> StorageStore:
        """The same store with this flag; it can never be written to."""
        return StorageStore(self.storage, self.start.rstrip("/"), read_only=read_only)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, StorageStore)
            and other.storage == self.storage
            and other.start == self.start
        )

    def __hash__(self) -> int:
        return hash(self.storage.url)

    def __str__(self) -> str:
        return f"{self.storage.url}/{self.start}".rstrip("/")

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """An object or a part of it, ``None`` where there is none."""
        data = await asyncio.to_thread(self._fetch, key, byte_range)
        return None if data is None else prototype.buffer.from_bytes(data)

    def _fetch(self, key: str, byte_range: ByteRequest | None) -> bytes | None:
        key = f"{self.start}{key}"
        if isinstance(byte_range, RangeByteRequest):
            return self.storage.get_range(key, byte_range.start, byte_range.end - byte_range.start)
        if isinstance(byte_range, SuffixByteRequest):
            return self.storage.get_range(key, -byte_range.suffix, byte_range.suffix)
        data = self.storage.get(key)
        if data is not None and isinstance(byte_range, OffsetByteRequest):
            return data[byte_range.offset :]
        return data

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Several parts of objects."""
        return list(
            await asyncio.gather(*(self.get(key, prototype, span) for key, span in key_ranges))
        )

    async def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return await asyncio.to_thread(self.storage.size, f"{self.start}{key}") is not None

    async def set(self, key: str, value: Buffer) -> None:
        """Not possible: raises, whatever the flag ``read_only`` is."""
        raise StorageError("the store is open for reading", file=f"{self}/{key}")

    async def delete(self, key: str) -> None:
        """Not possible: raises, whatever the flag ``read_only`` is."""
        raise StorageError("the store is open for reading", file=f"{self}/{key}")

    def _keys(self, prefix: str = "") -> Iterator[str]:
        for key, _ in self.storage.list(f"{self.start}{prefix}".rstrip("/")):
            yield key[len(self.start) :]

    async def list(self) -> AsyncIterator[str]:
        """All keys."""
        for key in self._keys():
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Keys with a prefix."""
        for key in self._keys(prefix):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names directly below a prefix."""
        start = f"{prefix.rstrip('/')}/" if prefix else ""
        names = {key[len(start) :].partition("/")[0] for key in self._keys(prefix)}
        for name in sorted(names):
            yield name


#: Packages of codecs that a plain installation lacks, by the start of the codec's name.
_PACKAGES = {
    "imagecodecs": "imagecodecs",
    "zfpy": "zfpy",
    "pcodec": "pcodec",
    "msgpack2": "msgpack",
    "crc32c": "crc32c",
    "wavpack": "wavpack-numcodecs",
    "flac": "flac-numcodecs",
}


@dataclass(frozen=True)
class ZarrArray:
    """An array that zarr-python reads."""

    array: Any
    url: str
    codecs: tuple[str, ...] = ()

    @property
    def meta(self) -> ArrayMeta:
        """Shape, type and chunks, as zarr-python has understood them."""
        metadata = self.array.metadata
        if metadata.zarr_format == 2:
            prefix, separator = "", metadata.dimension_separator
        else:
            keys = metadata.chunk_key_encoding
            prefix, separator = "c" if keys.name == "default" else "", keys.separator
        return ArrayMeta(
            self.array.path,
            metadata.zarr_format,
            tuple(self.array.shape),
            _native(np.dtype(self.array.dtype)),
            tuple(self.array.chunks),
            self.array.shards,
            pipeline=None,
            separator=separator,
            prefix=prefix,
        )

    def read(self, region: Region) -> PixelArray:
        """Pixels of a region, C-contiguous and in native byte order.

        Raises
        ------
        ngff_bio.errors.DependencyError
            If no installed package has one of its codecs.
        ngff_bio.errors.StoreError
            If a chunk cannot be decoded.
        """
        try:
            with store_errors("chunks of the array cannot be decoded", file=self.url):
                pixels = np.asarray(self.array[tuple(slice(a, b) for a, b in region)])
                return np.ascontiguousarray(pixels, _native(pixels.dtype))
        except StoreError as error:
            if "codec not available" not in str(error.__cause__):  # looked up by the first chunk
                raise
            raise _missing_codec(self.url, self.codecs) from error


def _native(dtype: SampleType) -> SampleType:
    """In native byte order; texts have none."""
    return dtype.newbyteorder("=") if dtype.kind in "biufc" else dtype


def open_with_zarr(storage: Storage, path: str, document: Document, zarr_format: int) -> ZarrArray:
    """An array as zarr-python opens it.

    Raises
    ------
    ngff_bio.errors.DependencyError
        If no installed package has one of its codecs.
    ngff_bio.errors.StoreError
        If zarr-python does not understand it either.
    """
    url = f"{storage.url}/{path}"
    names = codec_names(document)
    if any(name.startswith("imagecodecs_") for name in names):
        import imagecodecs.numcodecs

        imagecodecs.numcodecs.register_codecs(verbose=False)
    try:
        with store_errors("the array cannot be opened", file=url):
            array = zarr.open_array(
                StorageStore(storage),
                path=path,
                mode="r",
                zarr_format=3 if zarr_format == 3 else 2,
            )
    except StoreError as error:
        if "codec" not in f"{type(error.__cause__).__name__} {error.found}".lower():
            raise
        raise _missing_codec(url, names) from error
    return ZarrArray(array, url, tuple(names))


def _missing_codec(url: str, names: Sequence[str]) -> DependencyError:
    package = next((p for n in names for s, p in _PACKAGES.items() if n.startswith(s)), None)
    return DependencyError(
        "a codec of the array's chunks is not installed",
        file=url,
        found=", ".join(names),
        expected=package,
        hint=f"install {package or 'the package that registers the codec with zarr'}",
    )


def codec_names(document: Document) -> list[str]:
    """Names of all codecs in an array's document, those inside of shards too."""
    if isinstance(document.get("codecs"), list):
        codecs = [c for c in document["codecs"] if isinstance(c, dict)]
        inner = [c.get("configuration") for c in codecs if c.get("name") == "sharding_indexed"]
        below = [name for c in inner if isinstance(c, dict) for name in codec_names(c)]
        return [str(c.get("name")).removeprefix("numcodecs.") for c in codecs] + below
    filters = document.get("filters")
    found = [document.get("compressor"), *(filters if isinstance(filters, list) else ())]
    return [str(c.get("id")) for c in found if isinstance(c, dict)]
