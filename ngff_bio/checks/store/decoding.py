"""Every chunk decodes, and label levels hold only values that level 0 has.

Arrays are read by zarr-python, a bounded block at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.checks.source.tasks import StoredArray, region_words
from ngff_bio.checks.source.zarr_view import open_array, view
from ngff_bio.checks.spec.findings import Finding, Report, Rule
from ngff_bio.checks.store.arrayinfo import (
    ArrayInfo,
    array_info,
    block_shape,
    blocks,
    region_nbytes,
)
from ngff_bio.checks.store.arrays import levels_of
from ngff_bio.checks.store.documents import Documents
from ngff_bio.checks.store.multiscales import multiscales
from ngff_bio.model import Region
from ngff_bio.parallel import WorkerPool
from ngff_bio.storage import Storage

_BLOCK_BYTES = 32 << 20

#: Examples that a finding names.
_SHOWN = 5

CHUNK_DECODES = Rule(
    "chunk-decodes",
    "MUST",
    "chunks",
    "each chunk decodes, with the codecs of the array, to a block of its chunk shape",
    "restore the object from a copy, or convert again",
    authority="Zarr specification",
)
ARRAY_OPENS = Rule(
    "array-opens",
    "MUST",
    "array metadata",
    "the metadata of an array says its shape, data type, chunk grid and codecs",
    "restore the document from a copy, or convert again",
    authority="Zarr specification",
)
CHUNK_ON_GRID = Rule(
    "chunk-on-grid",
    "ADVICE",
    "chunk keys",
    "objects below an array are its metadata and the chunks of its grid",
    "remove the object",
    authority="Zarr specification",
)
LEVEL_VALUES = Rule(
    "level-values",
    "MUST",
    '"labels" metadata',
    "label values have meanings, so that a level cannot hold values that level 0 has not: levels "
    "of labels are never interpolated",
    "make the levels by nearest neighbour or mode",
    authority="ngff_bio",
)
LABEL_VALUE_UNUSED = Rule(
    "label-value-unused",
    "ADVICE",
    '"labels" metadata',
    'label values in "properties" and "colors" are values of pixels',
    "take the value out, if it is not meant for other images too",
    authority="ngff_bio",
)
LABEL_VALUE_UNNAMED = Rule(
    "label-value-unnamed",
    "ADVICE",
    '"labels" metadata',
    '"properties" describes the set of unique possible pixel values',
    "describe the value, or take the pixels away",
    authority="ngff_bio",
)
CLASS_UNKNOWN = Rule(
    "class-unknown",
    "MUST",
    "labels",
    "the values of a semantic label image are the ids of its categories",
    "add the category, or take the pixels away",
    authority="ngff_bio schemas",
)

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class LabelValues:
    """Which label values an array holds, by index of its t axis (0 where it has none)."""

    axes: tuple[str, ...]
    shape: tuple[int, ...]
    by_frame: dict[int, list[NDArray[Any]]] = field(default_factory=dict)
    whole: bool = True

    def add(self, region: Region, block: NDArray[Any]) -> None:
        """Learn the values of a block."""
        timed = self.axes[:1] == ("t",)
        frames = enumerate(block, region[0][0]) if timed else [(0, block)]
        for t, frame in frames:
            self.by_frame.setdefault(t, []).append(distinct(frame))

    def at(self, t: int | None) -> set[int]:
        """Values on one frame; on all of them if there is no t axis or none is named."""
        if t is None or self.axes[:1] != ("t",):
            return set(self.everywhere().tolist())
        found = self.by_frame.get(t, [])
        if len(found) > 1:
            self.by_frame[t] = found = [np.unique(np.concatenate(found))]
        return set(found[0].tolist()) if found else set()

    def everywhere(self) -> NDArray[Any]:
        """All values but the background."""
        found = [v for values in self.by_frame.values() for v in values]
        every: NDArray[Any] = np.unique(np.concatenate(found or [np.empty(0, np.int64)]))
        return np.asarray(every[every != 0])

    def has(self, t: int | None, z: int | None) -> bool:
        """Whether t and z are indices of the array."""
        sizes = dict(zip(self.axes, self.shape, strict=False))
        return all(i is None or 0 <= i < sizes.get(a, 1) for a, i in (("t", t), ("z", z)))


def distinct(block: NDArray[Any]) -> NDArray[Any]:
    """Sorted values of a block of labels, which are long runs of equal ones."""
    flat = block.ravel()
    if not flat.size:
        return flat
    values: NDArray[Any] = np.unique(flat[np.r_[True, flat[1:] != flat[:-1]]])
    return values


def check_pixels(
    documents: Documents,
    storage: Storage,
    pool: WorkerPool,
    *,
    strict: bool = False,
    progress: Progress | None = None,
) -> tuple[list[Finding], dict[str, LabelValues]]:
    """Decode every array; returns the label values of each label image's level 0, too."""
    store = view(storage)
    infos = [
        info
        for path, document in sorted(documents.arrays.items())
        if (info := array_info(path, document)) is not None
    ]
    labels = dict(_label_levels(documents))
    values = {p: LabelValues(axes, info.shape) for p, (_, axes, info) in labels.items()}
    work = [(info, region) for info in infos for region in _blocks(info)]
    total, done = sum(region_nbytes(r, i.dtype.itemsize) for i, r in work), 0
    reports: dict[str, Report] = {}
    calls = (partial(_decode, StoredArray(store, i), r, values.get(i.path)) for i, r in work)
    for (info, region), wrong in zip(work, pool.imap(calls), strict=True):
        if wrong is not None:
            report = reports.setdefault(info.path, Report("", info.path, strict=strict))
            report.add(CHUNK_DECODES, "", f"{region_words(region)}: {wrong}")
            if info.path in values:
                values[info.path].whole = False
        done += region_nbytes(region, info.dtype.itemsize)
        if progress is not None:
            progress(done, total)
    findings = [f for report in reports.values() for f in report.findings]
    findings += _unopened(documents, {i.path for i in infos}, store, strict)
    findings += _odd_objects(documents, infos, strict)
    level0: dict[str, LabelValues] = {}
    for path, (group, _, _) in labels.items():
        if group not in level0:
            level0[group] = values[path]
        elif values[path].whole and level0[group].whole:
            findings += _check_level(group, path, level0[group], values[path], strict)
    for group, known in level0.items():
        if known.whole:
            findings += _check_described(documents, group, known, strict)
    return findings, {g: v for g, v in level0.items() if v.whole}


def _label_levels(
    documents: Documents,
) -> Iterator[tuple[str, tuple[str, tuple[str, ...], ArrayInfo]]]:
    """Arrays of label images: path, then the group, axes and what the array is; level 0 first."""
    for path in sorted(documents.groups):
        content = documents.ome(path)
        if "image-label" in content or ("multiscales" in content and "labels" in path.split("/")):
            multiscale = next(multiscales(content, ""), None)
            if multiscale is not None:
                for _, info in levels_of(documents, path, multiscale):
                    if info.dtype.kind in "iu":
                        yield info.path, (path, multiscale.axes, info)


def _blocks(info: ArrayInfo) -> Iterator[Region]:
    if any(n == 0 for n in info.shape):
        return
    block = block_shape(
        info.shape, info.object_shape, info.chunk, itemsize=info.dtype.itemsize, most=_BLOCK_BYTES
    )
    yield from blocks(info.shape, _grown(block, info))


def _grown(block: tuple[int, ...], info: ArrayInfo) -> tuple[int, ...]:
    """Several chunks at once, where chunks are small."""
    grown = list(block)
    for i in reversed(range(len(block))):
        size = region_nbytes(tuple((0, n) for n in grown), info.dtype.itemsize)
        while grown[i] < info.shape[i] and 2 * size <= _BLOCK_BYTES // 4:
            grown[i], size = min(2 * grown[i], info.shape[i]), 2 * size
    return tuple(grown)


def _decode(array: StoredArray, region: Region, values: LabelValues | None) -> str | None:
    """Read a block; returns what is wrong with it."""
    try:
        block = array.read(region)
    except Exception as error:  # whatever a codec makes of damaged bytes
        return f"{type(error).__name__}: {error}"[:200]
    if values is not None:
        values.add(region, block)
    return None


def _unopened(
    documents: Documents, understood: set[str], store: Any, strict: bool
) -> Iterator[Finding]:
    """Arrays that are not understood here, nor by zarr-python."""
    for path in sorted(documents.arrays.keys() - understood):
        try:
            open_array(store, path, documents.zarr_format)
        except Exception as error:  # whatever zarr-python makes of it
            report = Report("", path, strict=strict)
            report.add(ARRAY_OPENS, "", f"{type(error).__name__}: {error}"[:200])
            yield from report.findings


def _odd_objects(documents: Documents, infos: list[ArrayInfo], strict: bool) -> Iterator[Finding]:
    """Objects below an array that are no chunk of it, and chunks without a byte.

    zarr-python reads a shard of no bytes as one that is not there.
    """
    if documents.objects is None:
        return
    known = {info.path: info for info in infos}
    for key in sorted(documents.objects):
        path = key
        while path:
            path = path.rpartition("/")[0]
            if path in known or path in documents.arrays:
                break
        info = known.get(path)
        if info is None:
            continue
        name = key[len(path) :].lstrip("/")
        if name in ("zarr.json", ".zarray", ".zattrs"):
            continue
        report = Report("", path, strict=strict)
        if not info.has_key(key):
            report.add(CHUNK_ON_GRID, "", name)
        elif not documents.objects[key]:
            report.add(CHUNK_DECODES, "", f"{name} has no bytes")
        yield from report.findings


def _check_level(
    group: str, path: str, level0: LabelValues, level: LabelValues, strict: bool
) -> list[Finding]:
    report = Report("", group, strict=strict)
    invented = np.setdiff1d(level.everywhere(), level0.everywhere())
    if invented.size:
        some = ", ".join(map(str, invented[:_SHOWN].tolist()))
        name = path[len(group) :].lstrip("/")
        report.add(LEVEL_VALUES, "", f"{invented.size} values in level {name!r}: {some}")
    return report.findings


def _check_described(
    documents: Documents, path: str, values: LabelValues, strict: bool
) -> list[Finding]:
    """Values that the attributes name, and those of pixels."""
    report = Report("", path, strict=strict)
    content, start = documents.ome(path), "/ome" if "ome" in documents.attributes(path) else ""
    label = content.get("image-label")
    there = set(values.everywhere().tolist())
    named = {
        key: _label_values(label.get(key) if isinstance(label, dict) else None)
        for key in ("properties", "colors")
    }
    for key, listed in named.items():
        unused = sorted(listed - there - {0})
        if unused:
            some = ", ".join(map(str, unused[:_SHOWN]))
            pointer = f"{start}/image-label/{key}"
            report.add(LABEL_VALUE_UNUSED, pointer, f"{len(unused)} values without pixels: {some}")
    own = documents.attributes(path).get("ngff_bio")
    semantic = isinstance(own, dict) and own.get("values") == "semantic"
    if semantic and own is not None:
        ids = {c.get("id") for c in own.get("categories") or [] if isinstance(c, dict)}
        unknown = sorted(there - ids)
        if unknown and ids:
            some = ", ".join(map(str, unknown[:_SHOWN]))
            report.add(CLASS_UNKNOWN, "/ngff_bio/categories", f"values of no category: {some}")
    elif named["properties"] and (unnamed := sorted(there - named["properties"])):
        some = ", ".join(map(str, unnamed[:_SHOWN]))
        pointer = f"{start}/image-label/properties"
        report.add(LABEL_VALUE_UNNAMED, pointer, f"{len(unnamed)} values of pixels: {some}")
    return report.findings


def _label_values(entries: Any) -> set[int]:
    listed = entries if isinstance(entries, list) else []
    values = [e.get("label-value") for e in listed if isinstance(e, dict)]
    return {v for v in values if isinstance(v, int)}
