"""Instances given by outlines, runs or boxes: every mask, every row, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ngff_bio.checks.differences import Difference, DifferenceError, Found, Task, reading_source
from ngff_bio.checks.reading import CheckedArray, region_nbytes
from ngff_bio.checks.source.compare_rows import RowComparison, StoredTables, without_edited
from ngff_bio.checks.source.compare_volumes import mask_differences
from ngff_bio.checks.source.redraw import Mask, index_of, offsets_of, redraw
from ngff_bio.model import MAX_HIDDEN, Instance, InstanceLayer, PixelArray, Polygons, Rle, Shape
from ngff_bio.ngff.edited_objects import EditedObjects

if TYPE_CHECKING:
    import pyarrow as pa

#: Raw bytes of label frames that one task compares.
_BATCH_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer in the store: its label images by name (hidden ones too), and its table.

    Objects that were edited after the conversion are not compared.
    """

    layer: InstanceLayer
    axes: str
    images: Mapping[str, CheckedArray]
    table_path: str
    tables: StoredTables
    edited: EditedObjects

    @property
    def visible(self) -> CheckedArray:
        """The label image that shows all instances."""
        return self.images[self.layer.name]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the label images."""
        return self.visible.info.shape

    @property
    def timed(self) -> bool:
        """Whether there is a t axis."""
        return self.axes.startswith("t")

    @property
    def depth(self) -> int:
        """Number of planes."""
        return self.shape[-3] if "z" in self.axes else 1


def instance_tasks(stored: StoredLayer) -> Iterator[Task]:
    """Compare every instance of a layer, some frames at a time."""
    frames = stored.shape[0] if stored.timed else 1
    whole = tuple((0, n) for n in stored.shape)
    each = region_nbytes(whole, stored.visible.info.dtype.itemsize) // max(frames, 1)
    batch = max(1, _BATCH_BYTES // max(each, 1))
    for first in range(0, frames, batch):
        span = range(first, min(first + batch, frames))
        yield Task(len(span) * each * len(stored.images), partial(_compare, stored, span))


def _compare(stored: StoredLayer, frames: range) -> Found:
    found = Found()
    table = stored.tables.read(stored.table_path)
    region = tuple((0, n) for n in stored.shape)
    if stored.timed:
        region = ((frames.start, frames.stop), *region[1:])
    blocks: dict[str, PixelArray] = {}
    for name, array in stored.images.items():
        try:
            block = array.read(region)
            blocks[name] = block.reshape(len(frames), stored.depth, *block.shape[-2:])
        except DifferenceError as error:
            found.differences.append(error.difference)
    for t in frames:
        planes = {name: block[t - frames.start] for name, block in blocks.items()}
        try:
            with reading_source(stored.visible.path):
                instances = stored.layer.instances.read(t)
        except DifferenceError as error:
            found.differences.append(error.difference)
            continue
        rows = _rows_of(table, t)
        if t in stored.edited.ranges:
            later = stored.edited.has(t, np.array([i.value for i in instances], np.int64))
            instances = [i for i, gone in zip(instances, later, strict=True) if not gone]
            rows = None if rows is None else without_edited(rows, stored.edited)
        frame = _Frame(stored, t, instances, planes, rows)
        found.differences += frame.differences()
        found.instances += len({i.value for i in instances})
        found.frames += 1
    return found


@dataclass(slots=True)
class _Frame:
    stored: StoredLayer
    t: int
    instances: list[Instance]
    planes: dict[str, PixelArray]
    table: pa.Table | None
    masks: list[Mask] = field(default_factory=list)

    @property
    def where(self) -> str | None:
        return f"t={self.t}" if self.stored.timed else None

    def differences(self) -> Iterator[Difference]:
        *_, height, width = self.stored.shape
        with reading_source(self.stored.visible.path):
            self.masks = redraw(self.instances, (height, width))
        yield from self._rows()
        whole_in = self._whole_in()
        by_plane: dict[int, list[int]] = {}
        for i, instance in enumerate(self.instances):
            for z in range(self.stored.depth) if instance.z is None else [instance.z]:
                by_plane.setdefault(z, []).append(i)
        for z in range(self.stored.depth):
            yield from self._plane(z, by_plane.get(z, []), whole_in)

    def _rows(self) -> Iterator[Difference]:
        """Every column of every row."""
        table = self.table
        if table is None:
            if self.instances:
                yield Difference(
                    "row",
                    self.stored.table_path,
                    f"the table of {len(self.instances)} instances is missing",
                    where=self.where,
                )
            return
        columns = source_columns(self.instances)
        columns["pixels"] = [
            len(mask) * (1 if i.z is not None else self.stored.depth)
            for i, mask in zip(self.instances, self.masks, strict=True)
        ]
        if "label_image" in table.column_names:
            # The label image that holds an instance whole is checked by its pixels.
            table = table.drop_columns(["label_image"])
        names = [instance_name(i) for i in self.instances]
        comparison = RowComparison(self.stored.table_path, names, self.where)
        yield from comparison.differences(table, columns)

    def _whole_in(self) -> list[str | None]:
        """Name of the label image in which each instance is whole, by its row."""
        visible: list[str | None] = [self.stored.layer.name] * len(self.instances)
        table = self.table
        if table is None or "label_image" not in table.column_names:
            return visible
        named: list[str | None] = table["label_image"].to_pylist()
        return named if len(named) == len(visible) else visible

    def _plane(self, z: int, rows: list[int], whole_in: list[str | None]) -> Iterator[Difference]:
        where = " ".join(
            p for p in (self.where, f"z={z}" if "z" in self.stored.axes else None) if p
        )
        masks, source_ids = self._by_value(rows)
        visible, edited = self.stored.layer.name, self.stored.edited
        planes = {name: plane[z].ravel() for name, plane in self.planes.items()}
        if self.t in edited.ranges:
            planes = {n: np.where(edited.has(self.t, p), 0, p) for n, p in planes.items()}
            homes = {self.instances[i].value: whole_in[i] for i in rows}
            shown = self._shown_among_edited(masks, homes, planes.get(visible))
        else:
            shown = self._painted(masks)
        wanted = {n: np.zeros_like(shown) for n in planes if n != visible}
        wanted[visible] = shown
        for i in rows:
            value, home = self.instances[i].value, whole_in[i]
            mask = masks[value]
            if home is None and len(self.stored.images) > MAX_HIDDEN:
                continue  # its outline, compared with the source's, is its only whole copy
            if home not in wanted:
                yield self._not_whole(
                    i, where, f"its row names the label image {home!r}, which does not exist"
                )
            elif home == visible:
                covered = int(np.count_nonzero(shown[index_of(mask)] != value))
                if covered:
                    yield self._not_whole(
                        i,
                        where,
                        f"{covered} of its pixels are covered by others, and its row "
                        "names no other label image",
                    )
            else:
                wanted[home][index_of(mask)] = value
        for name, plane in planes.items():
            path = self.stored.images[name].path
            yield from mask_differences(path, wanted[name], plane, where, source_ids)

    def _not_whole(self, i: int, where: str, what: str) -> Difference:
        path = self.stored.visible.path
        return Difference("mask", path, what, where or None, instance_name(self.instances[i]))

    def _by_value(self, rows: list[int]) -> tuple[dict[int, Mask], dict[int, int | str]]:
        """Mask and source id by label value; one object outlined twice is one mask."""
        masks: dict[int, Mask] = {}
        source_ids: dict[int, int | str] = {}
        for i in rows:
            value, source_id = self.instances[i].value, self.instances[i].source_id
            known = masks.get(value)
            masks[value] = (
                self.masks[i]
                if known is None
                else np.union1d(offsets_of(known), offsets_of(self.masks[i]))
            )
            if source_id is not None:
                source_ids[value] = source_id
        return masks, source_ids

    def _painted(self, masks: Mapping[int, Mask]) -> PixelArray:
        """The visible label image by the overlap rule: larger first, ties in source order."""
        *_, height, width = self.stored.shape
        flat = np.zeros(height * width, self.stored.visible.info.dtype)
        for value in sorted(masks, key=lambda v: -len(masks[v])):  # stable: ties keep their order
            flat[index_of(masks[value])] = value
        return flat

    def _shown_among_edited(
        self,
        masks: Mapping[int, Mask],
        homes: Mapping[int, str | None],
        there: PixelArray | None,
    ) -> PixelArray:
        """The visible label image where edited objects may cover others.

        Objects that are whole in it show all of their pixels. Of others any part may be covered: what
        is there is right where it is within their outlines.
        """
        *_, height, width = self.stored.shape
        flat = np.zeros(height * width, self.stored.visible.info.dtype)
        for value, mask in masks.items():
            if homes[value] == self.stored.layer.name:
                flat[index_of(mask)] = value
            elif there is not None:
                offsets = offsets_of(mask)
                flat[offsets[there[offsets] == value]] = value
        return flat


def _rows_of(table: pa.Table | None, t: int) -> pa.Table | None:
    """The rows of one frame, in order."""
    if table is None or "t" not in table.column_names:
        return table
    import pyarrow.compute as pc

    return table.filter(pc.equal(table["t"], t))


def instance_name(instance: Instance) -> str:
    """Name of an instance for a difference."""
    name = f"label {instance.value}"
    return name if instance.source_id is None else f"{name}, id {instance.source_id}"


def source_columns(instances: list[Instance]) -> dict[str, list[object]]:
    """Values that the table should have for instances, by column."""
    columns: dict[str, list[object]] = {
        "label": [i.value for i in instances],
        "t": [i.t for i in instances],
        "z": [i.z for i in instances],
        "category": [i.category for i in instances],
        "category_id": [_text(i.category_id) for i in instances],
        "source_id": [_text(i.source_id) for i in instances],
        "track_id": [_text(i.track_id) for i in instances],
        "area": [i.area for i in instances],
        "iscrowd": [i.iscrowd for i in instances],
        "score": [i.score for i in instances],
        "files": [list(i.files) or None for i in instances],
        "indices": [list(i.indices) or None for i in instances],
        "variants": [None if i.variants is None else list(i.variants) for i in instances],
        "offset_y": [None if i.window is None else i.window[0] for i in instances],
        "offset_x": [None if i.window is None else i.window[1] for i in instances],
        "record": [i.record for i in instances],
    }
    for n, name in enumerate(("box_x", "box_y", "box_width", "box_height")):
        columns[name] = [None if i.box is None else i.box[n] for i in instances]
    shapes = [i.geometry if isinstance(i.geometry, Shape) else None for i in instances]
    rles = [i.geometry if isinstance(i.geometry, Rle) else None for i in instances]
    columns |= {
        "shape_type": [None if s is None else s.type for s in shapes],
        "mask": [None if s is None else s.mask for s in shapes],
        "polygons": [_outline(i) for i in instances],
        "rle_size": [None if r is None else list(r.size) for r in rles],
        "rle_counts": [r.counts if r and isinstance(r.counts, str) else None for r in rles],
        "rle_runs": [list(r.counts) if r and not isinstance(r.counts, str) else None for r in rles],
    }
    return columns


def _text(value: int | str | None) -> str | None:
    return None if value is None else str(value)


def _outline(instance: Instance) -> list[object] | None:
    if isinstance(instance.geometry, Polygons):
        return [list(part) for part in instance.geometry.parts]
    if isinstance(instance.geometry, Shape):
        return [[value for point in instance.geometry.points for value in point]]
    return None
