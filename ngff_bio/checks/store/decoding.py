"""Every chunk decodes, and label levels hold only values that level 0 has.

Arrays are read by zarr-python, a bounded block at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from ngff_bio.checks.differences import DifferenceError, Progress
from ngff_bio.checks.reading import (
    CheckedArray,
    block_shape,
    blocks,
    open_array,
    region_nbytes,
    region_text,
)
from ngff_bio.checks.spec.findings import Findings
from ngff_bio.checks.store.documents import Documents
from ngff_bio.checks.store.multiscales import first_multiscale
from ngff_bio.model import PixelArray, Region
from ngff_bio.parallel import WorkerPool
from ngff_bio.raster.runs import distinct
from ngff_bio.storage import Storage
from ngff_bio.zarrio.arrays import ArrayMeta
from ngff_bio.zarrio.zarr_python import StorageStore

_BLOCK_BYTES = 32 << 20

#: Chunks that a block of small ones has.
_BLOCK_CHUNKS = 4096

#: Chunks of an array that are looked for one by one, where objects cannot be listed.
_MOST_CHUNKS = 1 << 20

#: Examples that a finding names.
_SHOWN = 5


@dataclass(slots=True)
class LabelValues:
    """Which label values an array holds, by index of its t axis (0 where it has none)."""

    axes: tuple[str, ...]
    shape: tuple[int, ...]
    by_frame: dict[int, list[PixelArray]] = field(default_factory=dict)
    whole: bool = True

    def add(self, region: Region, block: PixelArray) -> None:
        """Add the values of a block."""
        timed = self.axes[:1] == ("t",)
        frames = enumerate(block, region[0][0]) if timed else [(0, block)]
        for t, frame in frames:
            flat = frame.ravel()
            # Labels are long runs of equal values: without repeats there is little to sort.
            values = np.concatenate((flat[:1], flat[1:][flat[1:] != flat[:-1]]))
            self.by_frame.setdefault(t, []).append(distinct(values))

    def at(self, t: int | None) -> set[int]:
        """Values on one frame; on all frames if there is no t axis, or ``t`` is None."""
        if t is None or self.axes[:1] != ("t",):
            return set(self.everywhere().tolist())
        found = self.by_frame.get(t, [])
        if len(found) > 1:
            self.by_frame[t] = found = [distinct(np.concatenate(found))]
        return set(found[0].tolist()) if found else set()

    def everywhere(self) -> PixelArray:
        """All values but the background."""
        found = [v for values in self.by_frame.values() for v in values]
        every: PixelArray = distinct(np.concatenate(found or [np.empty(0, np.int64)]))
        return np.asarray(every[every != 0])

    def has(self, t: int | None, z: int | None) -> bool:
        """Whether t and z are indices of the array."""
        sizes = dict(zip(self.axes, self.shape, strict=False))
        return all(i is None or 0 <= i < sizes.get(a, 1) for a, i in (("t", t), ("z", z)))


def check_pixels(
    documents: Documents,
    storage: Storage,
    pool: WorkerPool,
    findings: Findings,
    progress: Progress | None = None,
) -> dict[str, LabelValues]:
    """Decode every array; returns the values of level 0 of each label image that decodes."""
    store = StorageStore(storage)
    infos = {
        path: info
        for path in sorted(documents.arrays)
        if (info := documents.array(path)) is not None
    }
    labels = dict(_label_levels(documents))
    values = {p: LabelValues(axes, infos[p].shape) for p, (_, axes) in labels.items()}
    there = _objects_by_array(documents, infos, findings)
    work = [
        (info, region)
        for info in infos.values()
        for region in _blocks(info, there[info.path] if there else None, findings)
    ]
    total, done = sum(region_nbytes(r, i.dtype.itemsize) for i, r in work), 0
    calls = (partial(_decode, CheckedArray(store, i), r, values.get(i.path)) for i, r in work)
    for (info, region), wrong in zip(work, pool.imap(calls), strict=True):
        if wrong is not None:
            findings.of(info.path).add("chunk-decodes", "", f"{region_text(region)}: {wrong}")
            if info.path in values:
                values[info.path].whole = False
        done += region_nbytes(region, info.dtype.itemsize)
        if progress is not None:
            progress(done, total)
    for path in sorted(documents.arrays.keys() - infos.keys()):
        try:
            open_array(store, path, documents.zarr_format)
        except Exception as error:  # any error of zarr-python
            findings.of(path).add("array-opens", "", _error_text(error))
    level0: dict[str, LabelValues] = {}
    for path, (group, _) in labels.items():
        if group not in level0:
            level0[group] = values[path]
        elif values[path].whole and level0[group].whole:
            _check_level(path, level0[group], values[path], findings.of(group))
    whole = {group: known for group, known in level0.items() if known.whole}
    for group, known in whole.items():
        _check_described(documents, group, known, findings.of(group))
    return whole


def _label_levels(documents: Documents) -> Iterator[tuple[str, tuple[str, tuple[str, ...]]]]:
    """Arrays of label images: path, then the group and its axes; level 0 first."""
    for path in sorted(documents.groups):
        content = documents.ome(path)
        if "image-label" in content or ("multiscales" in content and "labels" in path.split("/")):
            image = first_multiscale(documents, path)
            for level, info in image.arrays if image is not None else ():
                if image is not None and info.dtype.kind in "iu":
                    yield level.path, (path, image.axes)


def _blocks(
    info: ArrayMeta, there: list[tuple[int, ...]] | None, findings: Findings
) -> list[Region]:
    """Blocks to decode: those with objects, if it is known which objects there are."""
    chunks = math.prod(-(-n // c) for n, c in zip(info.shape, info.chunk, strict=True))
    if not chunks:
        return []
    itemsize = info.dtype.itemsize
    size = block_shape(
        info.shape,
        info.object_shape,
        info.chunk,
        itemsize=itemsize,
        limit=_BLOCK_BYTES,
        fill=min(_BLOCK_BYTES // 4, _BLOCK_CHUNKS * math.prod(info.chunk) * itemsize),
    )
    if chunks <= _MOST_CHUNKS:
        every = blocks(info.shape, size)
        if there is None or info.fill != 0:
            return list(every)
    elif there is None:
        findings.of(info.path).add("chunks-countable", "", f"{chunks:,} chunks")
        return []
    touched: set[tuple[int, ...]] = set()
    for index in there:
        spans = zip(index, info.object_shape, info.shape, size, strict=True)
        touched.update(
            product(*(range(i * o // b, -(-min((i + 1) * o, n) // b)) for i, o, n, b in spans))
        )
    return [
        tuple((i * b, min((i + 1) * b, n)) for i, b, n in zip(index, size, info.shape, strict=True))
        for index in sorted(touched)
    ]


def _decode(array: CheckedArray, region: Region, values: LabelValues | None) -> str | None:
    """Read a block; returns what is wrong with it."""
    try:
        block = array.read(region)
    except DifferenceError as error:
        return _error_text(error.__cause__)
    if values is not None:
        values.add(region, block)
    return None


def _error_text(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _objects_by_array(
    documents: Documents, infos: dict[str, ArrayMeta], findings: Findings
) -> dict[str, list[tuple[int, ...]]] | None:
    """Indices of the objects of each array, ``None`` if they cannot be listed.

    Reports objects below an array that are not on its grid, and those without a byte: zarr-python reads
    a shard of no bytes as one that does not exist.
    """
    if documents.objects is None:
        return None
    found: dict[str, list[tuple[int, ...]]] = {path: [] for path in infos}
    for key, size in sorted(documents.objects.items()):
        path = key
        while path:
            path = path.rpartition("/")[0]
            if path in documents.arrays:
                break
        info = infos.get(path)
        name = key[len(path) :].lstrip("/")
        if info is None or name in ("zarr.json", ".zarray", ".zattrs"):
            continue
        index = info.index_of(key)
        if index is None:
            findings.of(path).add("chunk-on-grid", "", name)
            continue
        found[path].append(index)
        if not size:
            findings.of(path).add("chunk-decodes", "", f"{name} has no bytes")
    return found


def _check_level(path: str, level0: LabelValues, level: LabelValues, findings: Findings) -> None:
    invented = np.setdiff1d(level.everywhere(), level0.everywhere())
    if invented.size:
        name = path[len(findings.group) :].lstrip("/")
        found = f"{invented.size} values in level {name!r}: {_some(invented.tolist())}"
        findings.add("level-values", "", found)


def _check_described(
    documents: Documents, path: str, values: LabelValues, findings: Findings
) -> None:
    """Values in the attributes against values of pixels."""
    label, start = documents.ome(path).get("image-label"), documents.pointer(path)
    there = set(values.everywhere().tolist())
    named = {
        key: _label_values(label.get(key) if isinstance(label, dict) else None)
        for key in ("properties", "colors")
    }
    for key, listed in named.items():
        if unused := sorted(listed - there - {0}):
            found = f"{len(unused)} values without pixels: {_some(unused)}"
            findings.add("label-value-unused", f"{start}/image-label/{key}", found)
    own = documents.own(path)
    if own.get("values") == "semantic":
        ids = {c.get("id") for c in own.get("categories") or [] if isinstance(c, dict)}
        if ids and (unknown := sorted(there - ids)):
            found = f"values of no category: {_some(unknown)}"
            findings.add("class-unknown", "/ngff_bio/categories", found)
    elif named["properties"] and (unnamed := sorted(there - named["properties"])):
        found = f"{len(unnamed)} values of pixels: {_some(unnamed)}"
        findings.add("label-value-unnamed", f"{start}/image-label/properties", found)


def _some(values: list[Any]) -> str:
    """The first few values."""
    return ", ".join(map(str, values[:_SHOWN]))


def _label_values(entries: object) -> set[int]:
    listed = entries if isinstance(entries, list) else []
    values = [e.get("label-value") for e in listed if isinstance(e, dict)]
    return {v for v in values if isinstance(v, int)}
