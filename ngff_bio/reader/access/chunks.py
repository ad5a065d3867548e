"""Direct reading: which chunks a region touches, where their bytes lie, and pixels out of them."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import NgffBioError, StoreError
from ngff_bio.model import Region
from ngff_bio.parallel import shared_pool
from ngff_bio.reader.access.arraymeta import ENTRY, ArrayMeta
from ngff_bio.storage import Storage

_ABSENT = np.iinfo(np.uint64).max

#: Chunks of one shard whose bytes lie this near are fetched in one request over a network, where
#: a request takes as long as some hundred kB.
_GAP = 128 << 10

#: No request of several chunks grows beyond this, so that several run side by side.
_MOST = 4 << 20

#: Indexes of shards that an array keeps; each is some kB.
_MOST_INDEXES = 4096

#: Handing chunks to another thread takes as long as decoding about so many bytes.
_WORTH_THREADS = 256 << 10

#: Larger chunks than this get room of their own, which no thread keeps.
_MOST_ROOM = 8 << 20

_scratch = threading.local()


@dataclass(slots=True)
class _Chunk:
    """A chunk: its place in the array's grid, what of it goes where, and its shard's bytes of it."""

    index: tuple[int, ...]
    target: tuple[slice, ...]
    source: tuple[slice, ...]
    start: int = 0
    length: int = 0


@dataclass(slots=True)
class _Fetch:
    """One request and the chunks that come with it; without ``span`` it is the whole object."""

    key: str
    chunks: list[_Chunk]
    span: tuple[int, int] | None = None


@dataclass
class ChunkReader:
    """Reads regions of one array from a storage, and keeps the indexes of shards that it met.

    Parameters
    ----------
    storage
        Where the store lies.
    path
        Path of the array in it.
    """

    storage: Storage
    path: str
    meta: ArrayMeta
    remote: bool = False
    _indexes: dict[str, NDArray[np.uint64] | None] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> tuple[Any, ...]:
        return (self.storage, self.path, self.meta, self.remote)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.storage, self.path, self.meta, self.remote = state
        self._indexes = {}

    def read(self, region: Region) -> NDArray[Any]:
        """Pixels of a region that lies in the array, C-contiguous.

        Raises
        ------
        ngff_bio.errors.StoreError
            If a chunk or the index of a shard is damaged.
        ngff_bio.errors.StorageError
            If the place does not answer.
        """
        shape = tuple(b - a for a, b in region)
        out = np.empty(shape, self.meta.dtype)
        if not out.size:
            return out
        fetches = list(self._fetches(region, out))
        if not self.remote and len(fetches) * self.meta.chunk_nbytes < _WORTH_THREADS:
            for fetch in fetches:
                self._run(fetch, out)
        else:
            shared_pool(remote=self.remote).map(lambda one: self._run(one, out), fetches)
        return out

    def _fetches(self, region: Region, out: NDArray[Any]) -> Iterator[_Fetch]:
        meta = self.meta
        cuts = [
            _cuts(span, chunk, whole)
            for span, chunk, whole in zip(region, meta.chunk, meta.objects, strict=True)
        ]
        objects = [(index, self._key(index)) for index in product(*cuts)]
        if meta.shard is None:
            for index, key in objects:
                only = [along[i][0] for along, i in zip(cuts, index, strict=True)]
                yield _Fetch(key, [_Chunk(*zip(*only, strict=True))])
            return
        grid = meta.shard.grid
        tables = self._tables([key for _, key in objects])
        for shard, key in objects:
            table = tables[key]
            present = []
            for parts in product(*[along[i] for along, i in zip(cuts, shard, strict=True)]):
                chunk = _Chunk(*zip(*parts, strict=True))
                if table is not None:
                    within = tuple([i % g for i, g in zip(chunk.index, grid, strict=True)])
                    start, length = table[within].tolist()
                    if start != _ABSENT:
                        chunk.start, chunk.length = start, length
                        present.append(chunk)
                        continue
                out[chunk.target] = meta.fill
            yield from self._requests(key, present)

    def _key(self, index: tuple[int, ...]) -> str:
        key = self.meta.key(index)
        return f"{self.path}/{key}" if self.path else key

    def _requests(self, key: str, chunks: list[_Chunk]) -> Iterator[_Fetch]:
        """One request a chunk; over a network, one for several that lie side by side."""
        if not self.remote:
            for chunk in chunks:
                yield _Fetch(key, [chunk], (chunk.start, chunk.length))
            return
        group: list[_Chunk] = []
        stop = 0
        for chunk in sorted(chunks, key=lambda c: c.start):
            end = chunk.start + chunk.length
            if group and (chunk.start - stop > _GAP or end - group[0].start > _MOST):
                yield _Fetch(key, group, (group[0].start, stop - group[0].start))
                group = []
            group.append(chunk)
            stop = max(stop, end) if len(group) > 1 else end
        if group:
            yield _Fetch(key, group, (group[0].start, stop - group[0].start))

    def _tables(self, keys: list[str]) -> dict[str, NDArray[np.uint64] | None]:
        """Indexes of shards, at most one request for each; ``None`` where there is no shard."""
        known = self._indexes
        tables = {key: known[key] for key in keys if key in known}
        missing = [key for key in keys if key not in tables]
        if missing:
            shared_pool(remote=self.remote).map(lambda k: self._load_index(k, tables), missing)
            if len(known) + len(missing) > _MOST_INDEXES:
                self._indexes = {}
            self._indexes.update((key, tables[key]) for key in missing)
        return tables

    def _load_index(self, key: str, tables: dict[str, NDArray[np.uint64] | None]) -> None:
        shard = self.meta.shard
        if shard is None:
            return
        size = shard.index_size
        data = self.storage.get_range(key, 0 if shard.at_start else -size, size)
        tables[key] = None if data is None else self._index(key, data)

    def _index(self, key: str, data: bytes) -> NDArray[np.uint64]:
        shard = self.meta.shard
        if shard is None or len(data) != shard.index_size:
            raise self._damaged("the index of a shard is cut off", key, found=f"{len(data)} bytes")
        body = data[: math.prod(shard.grid) * ENTRY]
        if shard.checked:
            import google_crc32c

            found = google_crc32c.value(body).to_bytes(4, "little")
            if found != data[-4:]:
                raise self._damaged("the index of a shard is damaged", key, found="another CRC-32C")
        table = np.frombuffer(body, "<u8").astype(np.uint64, copy=False)
        return table.reshape(*shard.grid, 2)

    def _run(self, fetch: _Fetch, out: NDArray[Any]) -> None:
        if fetch.span is None:
            data = self.storage.get(fetch.key)
        else:
            data = self.storage.get_range(fetch.key, *fetch.span)
            if data is None or len(data) < fetch.span[1]:
                raise self._damaged(
                    "a shard ends before the chunks that its index names",
                    fetch.key,
                    expected=f"{sum(fetch.span)} bytes",
                )
        if data is None:
            out[fetch.chunks[0].target] = self.meta.fill
            return
        if fetch.span is None or len(fetch.chunks) == 1:
            self._place(data, fetch.chunks[0], fetch.key, out)
            return
        view = memoryview(data)
        for chunk in fetch.chunks:
            start = chunk.start - fetch.span[0]
            part = view[start : start + chunk.length]
            self._place(part, chunk, fetch.key, out)

    def _place(self, data: Any, chunk: _Chunk, key: str, out: NDArray[Any]) -> None:
        """Decode a chunk into ``out``: straight into it where the chunk fills a contiguous part."""
        meta = self.meta
        into = out[chunk.target]
        whole = into.shape == meta.chunk and into.flags.c_contiguous
        room = into if whole else _room(meta)
        try:
            pixels = meta.codec.decode(data, meta.chunk, room)
        except (NgffBioError, MemoryError):
            raise
        except Exception as error:
            raise self._damaged(
                "a chunk cannot be decoded",
                key,
                record=f"chunk {', '.join(map(str, chunk.index))}",
                found=f"{type(error).__name__}: {error}",
            ) from error
        if pixels is not into:
            into[...] = pixels[chunk.source]

    def _damaged(self, what: str, key: str, **parts: Any) -> StoreError:
        return StoreError(
            what,
            file=f"{self.storage.url}/{key}",
            hint="copy the store again from where it came, or convert the source again",
            **parts,
        )


def _cuts(
    span: tuple[int, int], chunk: int, whole: int
) -> dict[int, list[tuple[int, slice, slice]]]:
    """Chunks along one axis that a span touches, by the object that holds them.

    Of each: its index, where it goes in the span, and which part of it that is.
    """
    start, stop = span
    found: dict[int, list[tuple[int, slice, slice]]] = {}
    for i in range(start // chunk, (stop - 1) // chunk + 1):
        corner = i * chunk
        low, high = max(start, corner), min(stop, corner + chunk)
        cut = (i, slice(low - start, high - start), slice(low - corner, high - corner))
        found.setdefault(corner // whole, []).append(cut)
    return found


def _room(meta: ArrayMeta) -> NDArray[Any]:
    """Room for one decoded chunk, kept by each thread: fresh memory costs a page fault each 4 kB."""
    if meta.chunk_nbytes > _MOST_ROOM:
        return np.empty(meta.chunk, meta.dtype)
    held: NDArray[np.uint8] | None = getattr(_scratch, "room", None)
    if held is None or held.nbytes < meta.chunk_nbytes:
        held = _scratch.room = np.empty(meta.chunk_nbytes, np.uint8)
    return held[: meta.chunk_nbytes].view(meta.dtype).reshape(meta.chunk)
