"""Direct reading: which bytes of which objects a region needs, and pixels out of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import StoreError
from ngff_bio.model import PixelArray, Region
from ngff_bio.parallel import shared_pool
from ngff_bio.storage import Storage
from ngff_bio.zarrio.arrays import ArrayMeta
from ngff_bio.zarrio.chunks import (
    DAMAGED_HINT,
    Chunk,
    decode_chunk,
    objects_in,
    parse_shard_index,
    stored_chunks,
)

#: Chunks of one shard whose bytes are this close are fetched in one request over a network, where
#: a request takes as long as some hundred kB.
_MAX_GAP = 128 << 10

#: No request of several chunks grows beyond this, so that several run side by side.
_MAX_REQUEST = 4 << 20

#: Indexes of shards that an array keeps; each is some kB.
_MAX_INDEXES = 4096

#: Handing chunks to another thread takes as long as decoding about so many bytes.
_WORTH_THREADS = 256 << 10


@dataclass(slots=True)
class _Fetch:
    """One request and the chunks that come with it; without ``span`` it is the whole object."""

    key: str
    chunks: list[Chunk]
    span: tuple[int, int] | None = None


@dataclass
class ChunkReader:
    """Reads regions of one array from a storage, and keeps the indexes of the shards that it has read.

    Parameters
    ----------
    storage, meta
        The store, and the array in it.
    remote
        Whether a request takes long, so that many at once and few in all are best.
    """

    storage: Storage
    meta: ArrayMeta
    remote: bool = False
    _indexes: dict[str, NDArray[np.uint64] | None] = field(default_factory=dict, repr=False)

    def read(self, region: Region) -> PixelArray:
        """Pixels of a region inside the array, C-contiguous.

        Raises
        ------
        ngff_bio.errors.StoreError
            If a chunk or the index of a shard is damaged.
        ngff_bio.errors.StorageError
            If the place does not answer.
        """
        out = np.empty([b - a for a, b in region], self.meta.dtype)
        if not out.size:
            return out
        fetches = list(self._fetches(region, out))
        few = not self.remote and len(fetches) * self.meta.chunk_nbytes < _WORTH_THREADS
        if few or len(fetches) == 1:
            for fetch in fetches:
                self._run(fetch, out)
        else:
            shared_pool(remote=self.remote).map(lambda one: self._run(one, out), fetches)
        return out

    def _fetches(self, region: Region, out: PixelArray) -> Iterator[_Fetch]:
        objects = [(self.meta.key(i), chunks) for i, chunks in objects_in(self.meta, region)]
        if self.meta.shard is None:
            yield from (_Fetch(key, chunks) for key, chunks in objects)
            return
        indexes = self._shard_indexes([key for key, _ in objects])
        for key, chunks in objects:
            index = indexes[key]
            stored = [] if index is None else list(stored_chunks(self.meta, index, chunks))
            if len(stored) < len(chunks):
                for chunk in chunks:
                    if not chunk.length:
                        out[chunk.target] = self.meta.fill
            yield from self._requests(key, stored)

    def _requests(self, key: str, chunks: list[Chunk]) -> Iterator[_Fetch]:
        """One request a chunk; over a network, one for several that are adjacent."""
        if not self.remote:
            for chunk in chunks:
                yield _Fetch(key, [chunk], (chunk.start, chunk.length))
            return
        group: list[Chunk] = []
        stop = 0
        for chunk in sorted(chunks, key=lambda c: c.start):
            end = chunk.start + chunk.length
            if group and (chunk.start - stop > _MAX_GAP or end - group[0].start > _MAX_REQUEST):
                yield _Fetch(key, group, (group[0].start, stop - group[0].start))
                group = []
            group.append(chunk)
            stop = max(stop, end) if len(group) > 1 else end
        if group:
            yield _Fetch(key, group, (group[0].start, stop - group[0].start))

    def _shard_indexes(self, keys: list[str]) -> dict[str, NDArray[np.uint64] | None]:
        """Indexes of shards, at most one request for each; ``None`` where there is no shard."""
        known = self._indexes
        found = {key: known[key] for key in keys if key in known}
        missing = [key for key in keys if key not in found]
        if missing:
            size = self.meta.index_nbytes
            first = 0 if self.meta.index.at_start else -size

            def load(key: str) -> None:
                data = self.storage.get_range(key, first, size)
                index = None if data is None else parse_shard_index(self.meta, data, self._url(key))
                found[key] = index

            shared_pool(remote=self.remote).map(load, missing)
            if len(known) + len(missing) > _MAX_INDEXES:
                self._indexes = {}
            self._indexes.update((key, found[key]) for key in missing)
        return found

    def _url(self, key: str) -> str:
        return f"{self.storage.url}/{key}"

    def _run(self, fetch: _Fetch, out: PixelArray) -> None:
        url = self._url(fetch.key)
        if fetch.span is None:
            data = self.storage.get(fetch.key)
            if data is None:
                out[fetch.chunks[0].target] = self.meta.fill
            else:
                decode_chunk(self.meta, data, fetch.chunks[0], out, url)
            return
        data = self.storage.get_range(fetch.key, *fetch.span)
        if data is None or len(data) < fetch.span[1]:
            raise StoreError(
                "a shard ends before the chunks that its index lists",
                file=url,
                expected=f"{sum(fetch.span)} bytes",
                hint=DAMAGED_HINT,
            )
        view = memoryview(data)
        for chunk in fetch.chunks:
            start = chunk.start - fetch.span[0]
            part = view[start : start + chunk.length] if len(fetch.chunks) > 1 else data
            decode_chunk(self.meta, part, chunk, out, url)
