"""One array of a store, lazily: it is indexed like a NumPy array and reads only what is needed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError
from ngff_bio.model import PixelArray, Readable, Region, SampleType
from ngff_bio.printing import printable
from ngff_bio.reader.access.chunks import ChunkReader
from ngff_bio.storage import Storage
from ngff_bio.zarrio.arrays import parse_array
from ngff_bio.zarrio.codecs import UnsupportedLayoutError
from ngff_bio.zarrio.documents import Document

if TYPE_CHECKING:
    from ngff_bio.zarrio.zarr_python import ZarrArray


class StoredArray:
    """An array of a store. Reads nothing until it is indexed; pickles to a few hundred bytes.

    Chunks are read directly where their layout is a common one, else by zarr-python.

    Parameters
    ----------
    storage, path
        The store, and the path of the array in it.
    document
        Its metadata document.
    zarr_format
        2 or 3.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the document is invalid.
    """

    def __init__(
        self,
        storage: Storage,
        path: str,
        document: Document,
        zarr_format: int,
        token: str | None = None,
    ) -> None:
        self.storage = storage
        self.path = path
        self.token = token or uuid.uuid4().hex
        self._parts: tuple[Storage, str, Document, int] = (storage, path, document, zarr_format)
        try:
            self.meta = parse_array(document, zarr_format, path, storage.url)
        except UnsupportedLayoutError:
            self.meta = self._zarr.meta

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restored, (_Once(self.token, self._parts),))

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self.storage.url}/{self.path}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""
        return self.meta.shape

    @property
    def dtype(self) -> SampleType:
        """Type of a pixel, in native byte order."""
        return self.meta.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels, decoded."""
        return self.size * self.dtype.itemsize

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of what is decoded at once."""
        return self.meta.chunk

    @property
    def objects(self) -> tuple[int, ...]:
        """Shape of one stored object: a shard, or a chunk where there are none."""
        return self.meta.object_shape

    @property
    def direct(self) -> bool:
        """Whether chunks are read directly, without zarr-python."""
        return self.meta.pipeline is not None

    @cached_property
    def _zarr(self) -> ZarrArray:
        from ngff_bio.zarrio.zarr_python import open_with_zarr

        storage, path, document, zarr_format = self._parts
        return open_with_zarr(storage, path, document, zarr_format)

    @cached_property
    def _reader(self) -> ChunkReader | ZarrArray:
        if not self.direct:
            return self._zarr
        return ChunkReader(self.storage, self.meta, self.storage.locality == "network")

    def read(self, region: Region) -> PixelArray:
        """Pixels of a region (half-open start and stop for each axis), C-contiguous.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If the region is not inside the array.
        ngff_bio.errors.StoreError
            If what is stored is damaged.
        ngff_bio.errors.DependencyError
            If a codec is in a package that is not installed.
        """
        if len(region) != self.ndim or any(
            not 0 <= a <= b <= n for (a, b), n in zip(region, self.shape, strict=False)
        ):
            raise ArgumentError(
                "the region is not inside the array",
                file=self.url,
                expected=" x ".join(f"0..{n}" for n in self.shape),
                found=" x ".join(f"{a}..{b}" for a, b in region),
            )
        return self._reader.read(region)

    def __getitem__(self, key: Any) -> PixelArray:
        return take(self, key)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> PixelArray:
        pixels = self[...]
        return pixels if dtype is None else pixels.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return printable(f"<StoredArray {self.path} {self.shape} {self.dtype}>")


def take(array: Readable, key: Any) -> PixelArray:
    """Orthogonal indexing with integers, slices and lists of integers, one for each axis."""
    keys = _expanded(key, len(array.shape))
    region: list[tuple[int, int]] = []
    after: list[Any] = []
    for axis, (one, n) in enumerate(zip(keys, array.shape, strict=True)):
        if isinstance(one, slice):
            wanted = range(n)[one]
            low, high = (min(wanted), max(wanted) + 1) if len(wanted) else (0, 0)
            region.append((low, high))
            if wanted.step == 1:
                after.append(slice(None))
            else:
                after.append(np.asarray(wanted, np.intp) - low)
        elif isinstance(one, int | np.integer):
            at = int(one) + n if one < 0 else int(one)
            if not 0 <= at < n:
                raise IndexError(f"index {one} is outside axis {axis} of size {n}")
            region.append((at, at + 1))
            after.append(0)
        else:
            places = _positions(one, axis, n)
            runs = np.flatnonzero(np.diff(places) != 1) + 1
            if len(runs) and len(places):
                # Each run of neighbours is read by itself, not what is between them.
                parts = [_with(keys, axis, slice(p[0], p[-1] + 1)) for p in np.split(places, runs)]
                kept = axis - sum(isinstance(k, int | np.integer) for k in keys[:axis])
                return np.concatenate([take(array, part) for part in parts], axis=kept)
            low, high = (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)
            region.append((low, high))
            after.append(slice(None))
    pixels = array.read(tuple(region))
    for axis in range(len(after) - 1, -1, -1):
        one = after[axis]
        if not isinstance(one, slice):
            pixels = pixels[(slice(None),) * axis + (one,)]
    return pixels


def _expanded(key: Any, ndim: int) -> tuple[Any, ...]:
    keys = key if isinstance(key, tuple) else (key,)
    dots = [i for i, k in enumerate(keys) if k is Ellipsis]
    if len(dots) > 1 or len(keys) - len(dots) > ndim:
        raise IndexError(f"{len(keys)} indices for {ndim} axes")
    at = dots[0] if dots else len(keys)
    middle = (slice(None),) * (ndim - len(keys) + len(dots))
    return (*keys[:at], *middle, *keys[at + len(dots) :])


def _positions(key: Any, axis: int, n: int) -> NDArray[np.intp]:
    places = np.asarray(key)
    if places.dtype == bool:
        places = np.flatnonzero(places)
    if places.ndim != 1 or (places.size and places.dtype.kind not in "iu"):
        raise IndexError(f"axis {axis} is indexed by integers, slices or lists of integers")
    places = places.astype(np.intp)
    places = np.where(places < 0, places + n, places)
    if places.size and (places.min() < 0 or places.max() >= n):
        raise IndexError(f"an index is outside axis {axis} of size {n}")
    return places


def _with(keys: Sequence[Any], axis: int, one: Any) -> tuple[Any, ...]:
    return (*keys[:axis], one, *keys[axis + 1 :])


class _Once:
    """Parts of an array that hash by its token, so that a process restores an array once only."""

    def __init__(self, token: str, parts: tuple[Storage, str, Document, int]) -> None:
        self.token, self.parts = token, parts

    def __hash__(self) -> int:
        return hash(self.token)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Once) and other.token == self.token


@lru_cache(maxsize=256)
def _restored(once: _Once) -> StoredArray:
    """The array of a pickle: one of a process, so that shard indexes are read once in it."""
    return StoredArray(*once.parts, token=once.token)
