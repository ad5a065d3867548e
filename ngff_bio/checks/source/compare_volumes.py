"""Label images that the source stores as pixels or runs: every voxel, and every object's row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ngff_bio.checks.differences import Difference, Found, Task, reading_source
from ngff_bio.checks.reading import (
    CheckedArray,
    block_shape,
    blocks,
    region_nbytes,
    region_text,
)
from ngff_bio.checks.source.compare_pixels import MAX_BYTES
from ngff_bio.checks.source.compare_rows import RowComparison, without_edited
from ngff_bio.model import PixelArray, Pixels, Region, RunVolume, VolumeLayer
from ngff_bio.ngff.edited_objects import EditedObjects

if TYPE_CHECKING:
    import pyarrow as pa


def draw(source: Pixels | RunVolume, region: Region) -> PixelArray:
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


class ObjectCounts:
    """Counts the objects of a layer, block by block: pixels and extent, by frame and class.

    Parameters
    ----------
    axes
        Axes of the layer.
    edited
        Objects that are left out.
    """

    def __init__(self, axes: str, edited: EditedObjects) -> None:
        self.axes, self.edited = axes, edited
        self._blocks: list[pa.Table] = []

    def without_edited(self, block: PixelArray, region: Region) -> PixelArray:
        """A block without the pixels of edited objects."""
        if not self.edited.ranges:
            return block
        block = block.copy()
        first = region[0][0] if self.axes.startswith("t") else 0
        for n, frame in enumerate(block if self.axes.startswith("t") else [block]):
            frame[self.edited.has(first + n, frame)] = 0
        return block

    def add(self, block: PixelArray, region: Region, classes: PixelArray | None) -> None:
        """Count the objects of a block."""
        import pyarrow as pa

        runs = pa.table(_runs(block, region, classes, self.axes))
        self._blocks.append(_merged(runs, "t", "label", "class"))

    def counted(self) -> pa.Table | None:
        """A row for each frame, object and class; ``None`` if nothing was added."""
        import pyarrow as pa

        if not self._blocks:
            return None
        return _merged(pa.concat_tables(self._blocks), "t", "label", "class")

    def nodes(self) -> set[tuple[int, int]]:
        """Label value and frame of each object."""
        table = self.counted()
        if table is None:
            return set()
        return set(zip(table["label"].to_pylist(), table["t"].to_pylist(), strict=True))


def _merged(table: pa.Table, *keys: str) -> pa.Table:
    """One row for each value of the keys."""
    how = {
        name: "sum" if name == "pixels" else "min" if name.endswith("start") else "max"
        for name in table.column_names
        if name not in ("t", "label", "class")
    }
    merged = table.group_by(keys, use_threads=False).aggregate(list(how.items()))
    named = [f"{name}_{function}" for name, function in how.items()]
    return (
        merged.select([*keys, *named])
        .rename_columns([*keys, *how])
        .sort_by([("t", "ascending"), ("label", "ascending")])
    )


def _runs(
    block: PixelArray, region: Region, classes: PixelArray | None, axes: str
) -> dict[str, PixelArray | list[None]]:
    """Stretches of one label (and class) along the last axis, without the background.

    Columns: frame, 0 without an axis t; label; class, null without classes; pixels; half-open extent
    along each other axis.
    """
    flat = np.ascontiguousarray(block).reshape(-1)
    new = np.ones(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=new[1:])
    also = None if classes is None else np.ascontiguousarray(classes).reshape(-1)
    if also is not None:
        new[1:] |= also[1:] != also[:-1]
    new[:: block.shape[-1]] = True  # a run ends where its row does
    first = np.flatnonzero(new)
    length = np.diff(first, append=flat.size)
    shown = flat[first] != 0
    first, length = first[shown], length[shown]
    columns: dict[str, PixelArray | list[None]] = {
        "t": np.zeros(first.size, np.int64),
        "label": flat[first].astype(np.int64),
        "class": [None] * first.size if also is None else also[first].astype(np.int64),
        "pixels": length,
    }
    places = np.unravel_index(first, block.shape)
    for axis, place, (offset, _) in zip(axes, places, region, strict=True):
        if axis == "t":
            columns["t"] = place + offset
            continue
        columns[f"{axis}_start"] = place + offset
        columns[f"{axis}_stop"] = place + offset + (length if axis == axes[-1] else 1)
    return columns


def volume_tasks(
    array: CheckedArray, layer: VolumeLayer, classes: VolumeLayer | None, objects: ObjectCounts
) -> Iterator[Task]:
    """Compare every voxel with the source's own label, and count the pixels of every object."""
    info = array.info
    sources = [layer.pixels, *([classes.pixels] if classes is not None else [])]
    read_blocks = [p.read_block_shape for p in sources]
    block = block_shape(
        info.shape, info.object_shape, info.chunk, *read_blocks, itemsize=4, limit=MAX_BYTES // 2
    )
    for region in blocks(info.shape, block):
        nbytes = region_nbytes(region, info.dtype.itemsize)
        yield Task(nbytes, partial(_compare, array, layer, classes, objects, region))


def _compare(
    array: CheckedArray,
    layer: VolumeLayer,
    classes: VolumeLayer | None,
    objects: ObjectCounts,
    region: Region,
) -> Found:
    with reading_source(array.path):
        expected = objects.without_edited(draw(layer.pixels, region), region)
        kinds = draw(classes.pixels, region) if classes is not None else None
    if layer.kind == "instance":
        objects.add(expected, region, kinds)
    found = objects.without_edited(array.read(region), region)
    where = region_text(region)
    return Found(list(mask_differences(array.path, expected, found, where, layer.source_ids)))


def mask_differences(
    path: str,
    expected: PixelArray,
    found: PixelArray,
    where: str,
    source_ids: Mapping[int, object],
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


def _counts(values: PixelArray) -> dict[int, int]:
    return dict(zip(*(a.tolist() for a in np.unique(values, return_counts=True)), strict=True))


def compare_objects(
    path: str, table: pa.Table | None, layer: VolumeLayer, objects: ObjectCounts
) -> Found:
    """Compare the table of a layer's objects with the objects that were counted in the source."""
    counted = objects.counted()
    by_label = None if counted is None else _merged(counted, "t", "label")
    seen = [] if by_label is None else by_label["label"].to_pylist()
    frames = [] if by_label is None else by_label["t"].to_pylist()
    if table is None:
        missing = Difference("row", path, f"the table of {len(seen)} objects is missing")
        return Found([missing] if seen and layer.kind == "instance" else [], len(seen))
    table = without_edited(table, objects.edited)
    columns: dict[str, list[object]] = {
        "label": seen,
        "label_image": [layer.name] * len(seen),
        "source_id": [str(layer.source_ids.get(v, v)) for v in seen],
        "pixels": [] if by_label is None else by_label["pixels"].to_pylist(),
    }
    if "t" in objects.axes:
        columns["t"] = frames
    if layer.tracked:
        columns["track_id"] = columns["source_id"]
    if layer.parents:
        above = [layer.parents.get(v) for v in seen]
        columns["parent_id"] = [
            None if p is None else str(layer.source_ids.get(p, p)) for p in above
        ]
    if layer.classes is not None:
        names = {c.id: c.name for c in layer.categories}
        classes = _majorities(counted)
        majority = [classes[key] for key in zip(frames, seen, strict=True)]
        columns |= {
            "category": [None if k is None else names.get(k) for k, _ in majority],
            "category_id": [None if k is None else str(k) for k, _ in majority],
            "category_fraction": [share for _, share in majority],
        }
    for name in (
        f"{axis}_{end}" for axis in objects.axes if axis != "t" for end in ("start", "stop")
    ):
        columns[name] = [] if by_label is None else by_label[name].to_pylist()
    named = [
        f"label {v}" + (f" at t={t}" if "t" in objects.axes else "")
        for t, v in zip(frames, seen, strict=True)
    ]
    comparison = RowComparison(path, named)
    return Found(list(comparison.differences(table, columns)), len(seen))


def _majorities(
    counted: pa.Table | None,
) -> dict[tuple[int, int], tuple[int | None, float | None]]:
    """The most frequent class of each object (frame, label) and its share; of equals the smallest.

    No class if most pixels have class 0; no share either if there are no classes.
    """
    pixels: dict[tuple[int, int], dict[int | None, int]] = {}
    for row in [] if counted is None else counted.to_pylist():
        pixels.setdefault((row["t"], row["label"]), {})[row["class"]] = row["pixels"]
    found: dict[tuple[int, int], tuple[int | None, float | None]] = {}
    for label, by_class in pixels.items():
        most = min(by_class, key=lambda k: (-by_class[k], k or 0))
        share = by_class[most] / sum(by_class.values())
        found[label] = (most or None, None if most is None else share)
    return found
