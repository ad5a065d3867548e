"""Label images that the source stores as pixels or runs: every voxel, and every object's row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.checks.differences import Difference
from ngff_bio.checks.reading import (
    CheckedArray,
    block_shape,
    blocks,
    region_nbytes,
    region_text,
)
from ngff_bio.checks.source.compare_pixels import MOST_BYTES
from ngff_bio.checks.source.compare_rows import RowComparison
from ngff_bio.checks.source.tasks import Found, Task, reading_source
from ngff_bio.model import Pixels, Region, RunVolume, VolumeLayer


def draw(source: Pixels | RunVolume, region: Region) -> NDArray[Any]:
    """The block of a region; runs are written out pixel by pixel."""
    if not isinstance(source, RunVolume):
        return source.read(region)
    plane = int(np.prod(source.shape[1:]))
    low, high = region[0][0] * plane, region[0][1] * plane
    begin = np.clip(source.starts, low, high)
    end = np.clip(source.starts + source.lengths, low, high)
    kept = np.flatnonzero(end > begin)
    begin, end = begin[kept], end[kept]
    # Background, run, background, run, ..., background: they tile the whole slab.
    sizes = np.empty(2 * kept.size + 1, np.int64)
    sizes[1::2] = end - begin
    sizes[0::2] = np.append(begin, high) - np.append(low, end)
    values = np.zeros(sizes.size, source.dtype)
    values[1::2] = source.values[kept]
    slab = np.repeat(values, sizes)
    shaped = slab.reshape(region[0][1] - region[0][0], *source.shape[1:])
    return shaped[(slice(None), *(slice(*r) for r in region[1:]))]


@dataclass(slots=True)
class Objects:
    """Pixels, extent and pixels by class of each object of a layer, as counted so far."""

    seen: dict[int, dict[str, Any]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def add(self, block: NDArray[Any], region: Region, classes: NDArray[Any] | None) -> None:
        """Count the objects of a block."""
        values, low, high, kinds = _runs(block, classes)
        if not values.size:
            return
        order = np.argsort(values, kind="stable")
        values, low, high, kinds = values[order], low[:, order], high[:, order], kinds[order]
        names, first = np.unique(values, return_index=True)
        length = high[-1] - low[-1]
        counts = np.add.reduceat(length, first)
        least = np.minimum.reduceat(low, first, axis=1)
        most = np.maximum.reduceat(high, first, axis=1)
        found: dict[int, dict[str, Any]] = {
            int(name): {
                "pixels": int(counts[i]),
                "start": [int(n) + r[0] for n, r in zip(least[:, i], region, strict=True)],
                "stop": [int(n) + r[0] for n, r in zip(most[:, i], region, strict=True)],
                "classes": {},
            }
            for i, name in enumerate(names)
        }
        if classes is not None:
            pairs, place = np.unique(np.stack([values, kinds]), axis=1, return_inverse=True)
            times = np.bincount(place.ravel(), weights=length).astype(np.int64)
            for value, kind, count in zip(*pairs.tolist(), times.tolist(), strict=True):
                found[value]["classes"][kind] = count
        with self.lock:
            self._merge(found)

    def _merge(self, found: Mapping[int, dict[str, Any]]) -> None:
        for value, new in found.items():
            old = self.seen.setdefault(value, new)
            if old is new:
                continue
            old["pixels"] += new["pixels"]
            old["start"] = [min(a, b) for a, b in zip(old["start"], new["start"], strict=True)]
            old["stop"] = [max(a, b) for a, b in zip(old["stop"], new["stop"], strict=True)]
            for kind, count in new["classes"].items():
                old["classes"][kind] = old["classes"].get(kind, 0) + count


def _runs(
    block: NDArray[Any], classes: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Stretches of one value (and class) along the last axis, background left out.

    Returns
    -------
    values
        int64 (n).
    low, high
        int64 (axes, n): half-open extent of each along every axis.
    kinds
        int64 (n): class, 0 without classes.
    """
    width = block.shape[-1]
    flat = np.ascontiguousarray(block).reshape(-1)
    new = np.ones(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=new[1:])
    also = None if classes is None else np.ascontiguousarray(classes).reshape(-1)
    if also is not None:
        new[1:] |= also[1:] != also[:-1]
    new[::width] = True  # a run ends where its row does
    first = np.flatnonzero(new)
    last = np.append(first[1:], flat.size)
    shown = flat[first] != 0
    first, last = first[shown], last[shown]
    low = np.array(np.unravel_index(first, block.shape), np.int64).reshape(block.ndim, -1)
    high = low + 1
    high[-1] = low[-1] + (last - first)
    kinds = np.zeros(first.size, np.int64) if also is None else also[first].astype(np.int64)
    return flat[first].astype(np.int64), low, high, kinds


def volume_tasks(
    array: CheckedArray, layer: VolumeLayer, classes: VolumeLayer | None, objects: Objects
) -> Iterator[Task]:
    """Compare every voxel with the source's own label, and count the pixels of every object."""
    info = array.info
    sources = [layer.pixels, *([classes.pixels] if classes is not None else [])]
    read_blocks = [p.read_block_shape for p in sources]
    block = block_shape(
        info.shape, info.object_shape, info.chunk, *read_blocks, itemsize=4, most=MOST_BYTES // 2
    )
    for region in blocks(info.shape, block):
        nbytes = region_nbytes(region, info.dtype.itemsize)
        yield Task(nbytes, partial(_compare, array, layer, classes, objects, region))


def _compare(
    array: CheckedArray,
    layer: VolumeLayer,
    classes: VolumeLayer | None,
    objects: Objects,
    region: Region,
) -> Found:
    with reading_source(array.path):
        expected = draw(layer.pixels, region)
        kinds = draw(classes.pixels, region) if classes is not None else None
    if layer.kind == "instance":
        objects.add(expected, region, kinds)
    found = array.read(region)
    where = region_text(region)
    return Found(list(mask_differences(array.path, expected, found, where, layer.source_ids)))


def mask_differences(
    path: str,
    expected: NDArray[Any],
    found: NDArray[Any],
    where: str,
    source_ids: Mapping[int, Any],
) -> Iterator[Difference]:
    """Instances that differ between two label blocks: pixels that each lacks, or has too many."""
    wrong = expected != found
    if not wrong.any():
        return
    should, shows = expected[wrong], found[wrong]
    lacks, extra = (_counts(values) for values in (should, shows))
    for value in sorted({*lacks, *extra} - {0}):
        name = f"label {value}"
        if value in source_ids:
            name += f", id {source_ids[value]}"
        yield Difference(
            "mask",
            path,
            f"{lacks.get(value, 0)} pixels are missing, {extra.get(value, 0)} are too many",
            where=where,
            instance=name,
        )


def _counts(values: NDArray[Any]) -> dict[int, int]:
    return dict(zip(*(a.tolist() for a in np.unique(values, return_counts=True)), strict=True))


def compare_objects(
    path: str, table: Any, layer: VolumeLayer, axes: str, objects: Objects
) -> Iterator[Difference]:
    """Compare the table of a layer's objects with the objects that were counted in the source."""
    seen = dict(sorted(objects.seen.items()))
    if table is None:
        if seen and layer.kind == "instance":
            yield Difference("row", path, f"the table of {len(seen)} objects is missing")
        return
    names = {c.id: c.name for c in layer.categories}
    majority = [_majority(o["classes"]) for o in seen.values()]
    columns: dict[str, list[Any]] = {
        "label": list(seen),
        "label_image": [layer.name] * len(seen),
        "source_id": [str(layer.source_ids.get(v, v)) for v in seen],
        "pixels": [o["pixels"] for o in seen.values()],
    }
    if layer.classes is not None:
        columns |= {
            "category": [None if k is None else names.get(k) for k, _ in majority],
            "category_id": [None if k is None else str(k) for k, _ in majority],
            "category_fraction": [share for _, share in majority],
        }
    for i, axis in enumerate(axes):
        columns[f"{axis}_start"] = [o["start"][i] for o in seen.values()]
        columns[f"{axis}_stop"] = [o["stop"][i] for o in seen.values()]
    comparison = RowComparison(path, [f"label {v}" for v in seen])
    yield from comparison.differences(table, columns)


def _majority(classes: Mapping[int, int]) -> tuple[int | None, float | None]:
    """The most frequent class and its share; of equals the smallest; none if most have none."""
    if not classes:
        return None, None
    kind = sorted(classes, key=lambda k: (-classes[k], k))[0]
    return (kind or None), classes[kind] / sum(classes.values())
