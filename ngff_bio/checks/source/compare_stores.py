"""A store against the store that it was converted from: metadata, pixels, other objects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from zarr.abc.store import Store

from ngff_bio import ngff
from ngff_bio.checks.differences import Difference, Found, Task
from ngff_bio.checks.reading import CheckedArray
from ngff_bio.checks.source.compare_pixels import pixel_tasks
from ngff_bio.checks.store.documents import Documents, texts
from ngff_bio.copying.part import Choice, part_of_store
from ngff_bio.copying.rewrite.inventory import Inventory, StoredMultiscale, take_inventory
from ngff_bio.engine.write.transaction import settled_view
from ngff_bio.errors import NgffBioError
from ngff_bio.model import Notice, PixelArray, Region, SampleType, SourceParts
from ngff_bio.ngff.decoding import OME_KEYS
from ngff_bio.ngff.older import as_04
from ngff_bio.storage import Storage, join_key
from ngff_bio.zarrio.arrays import ArrayMeta
from ngff_bio.zarrio.zarr_python import StorageStore

#: Bytes of an array, which may be no image, that are compared at a time.
_SLAB = 64 << 20


@dataclass(frozen=True)
class _SourceArray(CheckedArray):
    """An array of the source, read by zarr-python too."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.info.shape

    @property
    def dtype(self) -> SampleType:
        return self.info.dtype

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        return self.info.chunk

    def read(self, region: Region) -> PixelArray:
        return super().read(region)

    def source_parts(self) -> SourceParts:
        return ()


@dataclass
class StoreComparison:
    """What a store must have of another one.

    Parameters
    ----------
    documents, storage
        The store.
    source
        The store that it was converted from.
    conversion
        What the manifest records of that conversion: globs of images, settings.
    """

    documents: Documents
    storage: Storage
    source: Storage
    conversion: Mapping[str, Any]
    inventory: Inventory = field(init=False)

    def __post_init__(self) -> None:
        whole, patterns = settled_view(self.source), self.conversion.get("images") or ()
        part = part_of_store(whole, Choice(patterns), []) if patterns else whole
        self.inventory = take_inventory(part, whole, "skip")
        known = set(texts(self.conversion.get("skipped"))) - self.inventory.dropped
        self.inventory.dropped |= known  # a chunk of them was damaged
        self.inventory.notices += [
            Notice("skipped", f"{path} was skipped by the conversion", self.inventory.url(path))
            for path in sorted(known)
        ]

    @property
    def made(self) -> bool:
        """Whether levels were made anew."""
        settings = self.conversion.get("settings")
        return isinstance(settings, dict) and settings.get("levels") is not None

    def skipped(self) -> list[Notice]:
        """Images of the source that cannot be converted, and why."""
        return [n for n in self.inventory.notices if n.kind == "skipped"]

    def tasks(self) -> Iterator[Task]:
        """All comparisons."""
        old, new = StorageStore(self.inventory.data), StorageStore(self.storage)
        for path in self.inventory.documents.groups:
            if not self.inventory.is_dropped(path):
                yield Task(0, partial(self._group, path))
        for image in self.inventory.multiscales:
            if not self.inventory.is_dropped(image.path) and self._is_there(image):
                yield from self._pixels(image, old, new)
        used = {p for m in self.inventory.multiscales for p in m.levels}
        for path in self.inventory.documents.arrays.keys() - used:
            if not self.inventory.is_dropped(path):
                yield Task(0, partial(self._other_array, path, old, new))
        for key in self.inventory.others:
            yield Task(0, partial(self._object, key))

    def _is_there(self, image: StoredMultiscale) -> bool:
        return image.path in self.documents.groups

    def _pixels(self, image: StoredMultiscale, old: Store, new: Store) -> Iterator[Task]:
        levels = image.levels[:1] if self.made else image.levels
        for path in levels:
            expected = self.inventory.array(path).meta
            there = join_key(image.path, "0") if self.made else path
            found = self.documents.array(there)
            if found is None or (found.shape, found.dtype) != (expected.shape, expected.dtype):
                what = (
                    "the array is missing"
                    if found is None
                    else "the array differs in shape or type"
                )
                parts = (
                    {} if found is None else {"expected": _kind(expected), "found": _kind(found)}
                )
                yield Task(0, partial(Found, [Difference("level", there, what, **parts)]))
                continue
            letters = image.letters if len(image.letters) == len(found.shape) else "tczyx"
            source = _SourceArray(old, expected)
            yield from pixel_tasks(CheckedArray(new, found), source, letters)

    def _other_array(self, path: str, old: Store, new: Store) -> Found:
        expected, found = self.inventory.array(path).meta, self.documents.arrays.get(path)
        if found is None:
            return Found([Difference("level", path, "the array is missing")])
        info = self.documents.array(path) or replace(
            expected, zarr_format=self.documents.zarr_format
        )
        types = [m.dtype.newbyteorder("=") for m in (info, expected)]
        if info.shape != expected.shape or types[0] != types[1]:
            parts = {"expected": _kind(expected), "found": _kind(info)}
            return Found([Difference("level", path, "the array differs in shape or type", **parts)])
        for region in _slabs(expected):
            one = _SourceArray(old, expected).read(region)
            other = CheckedArray(new, info).read(region)
            if not np.all((one == other) | ((one != one) & (other != other))):  # NaN equals NaN
                return Found([Difference("level", path, "the values of the array differ")])
        return Found()

    def _object(self, key: str) -> Found:
        if self.inventory.data.get(key) == self.storage.get(key):
            return Found()
        return Found([Difference("object", key, "the object is not that of the source")])

    def _group(self, path: str) -> Found:
        """Compare what the metadata of a group says, in whatever version, and what else it has."""
        if path not in self.documents.groups:
            return Found([Difference("image", path, "the group is missing")])
        expected, found = self.inventory.documents.attributes(path), self.documents.attributes(path)
        wrong = []
        try:
            before, after = self._meta(path, expected), self._meta(path, found)
        except NgffBioError as error:
            return Found([Difference("image", path, error.what, found=error.found)])
        if self.made:
            before, after = _first_levels(before), _first_levels(after)
        # Lists of groups are shorter where some were dropped.
        listed = () if self.inventory.dropped else ("plate", "well", "labels", "series")
        for name in ("multiscales", "channels", "label", *listed):
            one, other = getattr(before, name, None), getattr(after, name, None)
            if one != other:
                parts = {"expected": str(one)[:200], "found": str(other)[:200]}
                wrong.append(Difference("image", path, f"{name} differ", **parts))
        if _not_of_ome(expected) != _not_of_ome(found):
            wrong.append(
                Difference("image", path, "attributes that OME-Zarr does not define differ")
            )
        return Found(wrong)

    def _meta(self, path: str, attributes: dict[str, object]) -> ngff.GroupMeta | None:
        def shape_of(name: str) -> tuple[int, ...]:
            return self.inventory.shape(join_key(path, name))

        meta = ngff.decode(as_04(attributes, shape_of))
        return None if meta is None else replace(meta, version=None)


def _not_of_ome(attributes: Mapping[str, object]) -> dict[str, object]:
    """Attributes that OME-Zarr does not define, those below ``ome`` too: 0.4 has all at the top."""
    ome = attributes.get("ome")
    inner = {k: v for k, v in ome.items() if k != "version"} if isinstance(ome, dict) else {}
    everything = {**attributes, **inner}
    return {k: v for k, v in everything.items() if k not in ("ome", "omero", *OME_KEYS)}


def _first_levels(meta: ngff.GroupMeta | None) -> ngff.GroupMeta | None:
    """Metadata with level 0 alone, without its path and how levels were made."""
    if meta is None:
        return None
    images = tuple(
        replace(m, levels=(replace(m.levels[0], path=""),), method=None, metadata=None, name=None)
        for m in meta.multiscales
    )
    return replace(meta, multiscales=images)


def _slabs(meta: ArrayMeta) -> Iterator[Region]:
    """Regions that cover an array: whole chunks along the first axis, of few bytes each."""
    if not meta.shape:
        yield ()
        return
    first, *others = meta.shape
    rows = max(_SLAB // max(math.prod(others) * meta.dtype.itemsize, 1), 1)
    step = -(-rows // meta.chunk[0]) * meta.chunk[0]
    for start in range(0, first, step):
        yield ((start, min(start + step, first)), *((0, n) for n in others))


def _kind(meta: ArrayMeta) -> str:
    return f"{meta.dtype} {meta.shape}"
