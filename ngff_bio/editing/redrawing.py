"""Edited annotations, drawn and written: label images, their levels, tables, tracks, attributes.

Objects whose outlines are as before are taken from the label image in which they are whole, so that
nothing is drawn again in another way than it was; how they cover each other follows the same rule as
in a conversion.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ngff_bio.editing.additions import (
    StoreAddition,
    list_labels,
    source_of,
    stored_layout,
    write_pixels,
)
from ngff_bio.editing.changes import provenance
from ngff_bio.editing.edited_rows import (
    edited_instances,
    with_classes,
    with_columns,
    with_extents,
)
from ngff_bio.editing.table_edits import LayerEdit, stored_table
from ngff_bio.engine.plan.layout import ArrayPlan, Stored
from ngff_bio.engine.plan.plan import Plan, UnitPart
from ngff_bio.engine.plan.planning import plan_dataset
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.engine.write.finish import parts_by_array
from ngff_bio.engine.write.metadata import label_attributes
from ngff_bio.engine.write.records import PartRecord
from ngff_bio.engine.write.tables import FILE, from_parquet, group_attributes, to_parquet
from ngff_bio.engine.write.units import hidden_plan
from ngff_bio.engine.write.update import HeldStore, StoreChange, changed_store
from ngff_bio.errors import StoreError
from ngff_bio.model import (
    Instance,
    InstanceLayer,
    LabelLayer,
    PixelArray,
    Region,
    Rle,
    SampleType,
    SourceDataset,
    SourceImage,
    SourceParts,
    VolumeLayer,
    label_dtype,
)
from ngff_bio.ngff.attributes import EDITED, KEY, LabelAttributes, edits_of, further_field
from ngff_bio.ngff.edited_objects import EDITED_OBJECTS, edited_objects, with_edits
from ngff_bio.parallel import shared_pool
from ngff_bio.printing import printable
from ngff_bio.raster.coco_rle import rle_from_window
from ngff_bio.raster.runs import label_extents
from ngff_bio.reader.image import Image
from ngff_bio.reader.tables.foreign import backend_of
from ngff_bio.zarrio.chunks import objects_in
from ngff_bio.zarrio.codecs import AUTO
from ngff_bio.zarrio.zarr_python import StorageStore

if TYPE_CHECKING:
    import pyarrow as pa

#: Edits that the attributes of a label image list at most: the last ones.
_LISTED = 50


def write_edits(
    image: Image, edits: Sequence[LayerEdit], held: HeldStore, author: str | None
) -> None:
    """Write edited tables and what follows from them, in one transaction.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If an outline cannot be drawn, or a class is stated wrong.
    ngff_bio.errors.StoreError
        If the label images are laid out in a way that ngff_bio does not write.
    """
    layers = [_EditedLayer(image, edit) for edit in edits]
    removed = [path for layer in layers for path in layer.replaced()]
    with changed_store(held, removed=removed) as change:
        names = list(image.labels)
        for layer in layers:
            names += layer.write(change, author)
        if names != list(image.labels):
            list_labels(image, change, names)


@dataclass(frozen=True)
class _EditedInstances:
    """Objects of a layer by frame: edited ones with their outlines, others with their pixels."""

    image: Image
    layer: str
    table: pa.Table
    rows: Mapping[int, Sequence[int]]
    edited: Mapping[int, Instance]

    def read(self, t: int) -> list[Instance]:
        found: list[Instance] = []
        masks: dict[str, dict[int, Any]] = {}
        columns = self.table.select(["label", "label_image"]).to_pydict()
        planes = self.table["z"].to_pylist()
        seen: set[tuple[int, int | None]] = set()
        for row in self.rows.get(t, ()):
            if row in self.edited:
                found.append(self.edited[row])
                continue
            label, whole_in, z = columns["label"][row], columns["label_image"][row], planes[row]
            mask = None
            if (label, z) not in seen:  # two outlines of an object on a plane have one mask
                place = f"{whole_in} {z or 0}"
                if place not in masks:
                    masks[place] = self._masks(whole_in, t, z or 0)
                mask = masks[place].get(label)
            seen.add((label, z))
            found.append(Instance(label, mask, t=t, z=z))
        return found

    def _masks(self, name: str, t: int, z: int) -> dict[int, Rle]:
        """Run lengths of all objects of a label image on a plane."""
        at = {"t": t, "z": z}
        axes = self.image.axes.replace("c", "")
        plane = self.image.label(name).array(0)[tuple(at.get(a, slice(None)) for a in axes)]
        found = {}
        values, _, low, high = label_extents(plane)
        boxes = zip(values.tolist(), low.tolist(), high.tolist(), strict=True)
        for value, (y0, x0), (y1, x1) in boxes:
            rle = rle_from_window(plane[y0:y1, x0:x1] == value, (x0, y0), plane.shape)
            found[value] = Rle(plane.shape, rle["counts"])
        return found

    def source_parts(self) -> SourceParts:
        return (None,)


@dataclass(frozen=True)
class _FewerLabels:
    """A label image without some of its objects, by frame."""

    image: Image
    layer: str
    removed: Mapping[int, Sequence[int]]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.image.label(self.layer).array(0).shape

    @property
    def dtype(self) -> SampleType:
        return self.image.label(self.layer).dtype

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        return (1,) * len(self.shape)

    def read(self, region: Region) -> PixelArray:
        block = self.image.label(self.layer).array(0).read(region)
        start = region[0][0] if "t" in self.image.axes else 0
        for t, labels in self.removed.items():
            frame = block
            if "t" in self.image.axes:
                if not 0 <= t - start < len(block):
                    continue
                frame = block[t - start]
            frame[np.isin(frame, labels)] = 0
        return block

    def source_parts(self) -> SourceParts:
        return (None,)


@dataclass
class _EditedLayer:
    """An edited layer, and what is written of it."""

    image: Image
    edit: LayerEdit
    plan: Plan = field(init=False)
    source: SourceImage = field(init=False)
    table: pa.Table = field(init=False)
    own: dict[str, Any] = field(init=False)
    _whole: bool = False

    def __post_init__(self) -> None:
        edit, image = self.edit, self.image
        self._attributes = dict(image.nodes.attributes(self._path) or {})
        before, table = stored_table(image, edit.layer), f"../../tables/{edit.layer}"
        new = LabelAttributes(layer=edit.layer, values="instance", table=table)
        self.own = deepcopy(image.nodes.own(self._path)) or new.to_json()
        self.table, self.own["categories"] = with_classes(edit, before, self.own)
        self.edit = edit = replace(edit, table=self.table)
        self._hidden = len(self.own.get("hidden") or ())
        self._has_tracks = self.own.get("tracks") == f"../../tracks/{edit.layer}"
        self._parents = self._parents_of_tracks() if self._has_tracks else {}
        self._plan(self._layer())

    @property
    def _path(self) -> str:
        return self.image.below(f"labels/{self.edit.layer}")

    def _layer(self) -> LabelLayer:
        """The layer as the engine draws it."""
        edit, name = self.edit, self.edit.layer
        labels = self.table["label"].to_pylist()
        most = max(labels, default=0)
        more: dict[str, Any] = {"tracked": bool(self.own.get("tracked")), "parents": self._parents}
        if "polygons" not in self.table.column_names:
            gone: dict[int, list[int]] = defaultdict(list)
            for t, label in edit.removed:
                gone[t].append(label)
            return VolumeLayer(name, _FewerLabels(self.image, name, gone), "instance", most, **more)
        rows: dict[int, list[int]] = defaultdict(list)
        for row, (t, _) in enumerate(edit.keys):
            rows[t].append(row)
        rule = further_field(self.own, "outline_rule")
        edited = edited_instances(edit, rule)
        outlined = edited_instances(replace(edit, redrawn=frozenset(self._in_table_only())), rule)
        self.table = with_extents(self.image, edit, edited)
        instances = _EditedInstances(self.image, name, self.table, rows, outlined | edited)
        return InstanceLayer(name, instances, len(labels), most, **more)

    def _in_table_only(self) -> set[tuple[int, int]]:
        """Objects that are whole in no label image."""
        whole_in = self.table["label_image"].to_pylist()
        keys = (k for k, name in zip(self.edit.keys, whole_in, strict=True) if name is None)
        return {*keys} - self.edit.added - self.edit.redrawn

    def _plan(self, layer: LabelLayer) -> None:
        image, axes = self.image, self.image.axes.replace("c", "")
        stored: dict[str, Stored] = {}
        self.source = source_of(StoreAddition(image, layer.name, layer), stored)
        found = stored_layout(image, self._path, axes)
        if found is None:
            raise StoreError("a label image is listed but missing", file=f"{image.url}/labels")
        dtype = label_dtype(layer.max_value)
        if dtype.itemsize > np.dtype(found.dtype).itemsize:
            found, self._whole = replace(found, dtype=dtype.str, codec=AUTO), True
        stored[self._path] = replace(found, frames=0)
        version: Any = image.meta.version
        settings = Settings(version=version, levels=len(found.levels))
        dataset = SourceDataset("", "", "", "collection", (self.source,))
        plan = plan_dataset(dataset, settings, stored)
        parts = ((u, tuple(p for p in u.parts if self._is_redrawn(p, axes))) for u in plan.units)
        self.plan = replace(plan, units=tuple(replace(u, parts=p) for u, p in parts if p))

    def _is_redrawn(self, part: UnitPart, axes: str) -> bool:
        if part.array != 1:
            return False
        first, stop = part.region[0] if "t" in axes else (0, 1)
        frames = self.edit.frames
        return (self._whole and bool(frames)) or any(first <= t < stop for t in frames)

    @property
    def _array(self) -> ArrayPlan:
        return self.plan.arrays[1].plan

    def replaced(self) -> list[str]:
        """Paths of what is written anew, where nothing of it may stay."""
        layer = self.edit.layer
        paths = [self.image.below(f"tracks/{layer}")] if self._has_tracks else []
        table = self.image.below(f"tables/{layer}")
        if backend_of(self.image.nodes.attributes(table) or {}) != "parquet":
            paths.append(table)
        arrays = [self._array, *(hidden_plan(self._array, k + 1) for k in range(self._hidden))]
        if self._whole:
            return paths + [f"{a.path}/{level.path}" for a in arrays for level in a.levels]
        keys = [
            key
            for unit in self.plan.units
            for part in unit.parts
            for array in arrays
            for key in _objects(array, part)
        ]
        sizes = shared_pool(remote=True).map(self.image.storage.size, keys)
        return paths + [key for key, size in zip(keys, sizes, strict=True) if size is not None]

    def write(self, change: StoreChange, author: str | None) -> list[str]:
        """Write all of it; returns the names of new hidden label images."""
        image, layer = self.image, self.edit.layer
        self.plan, records = write_pixels(self.plan, change, None)
        parts = parts_by_array(records).get(1, [])
        if "polygons" in self.table.column_names:
            self._place(parts, change)
        hidden = max([self._hidden, *(p.hidden for p in parts)])
        arrays = [self._array, *(hidden_plan(self._array, k + 1) for k in range(hidden))]
        change.redrawn.update(a.path for a in arrays if parts)
        table = image.below(f"tables/{layer}")
        change.put(f"{table}/{FILE}", to_parquet(self.table))
        unique = len(set(self.table["label"].to_pylist())) == self.table.num_rows
        change.set_group(table, group_attributes(layer if unique else None))
        self.own["attributes"] = {**(self.own.get("attributes") or {}), **self._noted(author)}
        if hidden:
            self.own["hidden"] = [a.path.rpartition("/")[2] for a in arrays[1:]]
        change.set_group(self._path, {**self._attributes, KEY: self.own})
        new = []
        for number, array in enumerate(arrays):
            if number > self._hidden:
                new.append(array.path.rpartition("/")[2])
                change.set_group(array.path, self._hidden_attributes(array, number, hidden))
            if self._whole or number > self._hidden:
                for path, document in array.documents().items():
                    change.set_array(path, document)
        if self._has_tracks:
            self._write_tracks(change)
        return new

    def _noted(self, author: str | None) -> dict[str, Any]:
        """The attributes that list the edits, and the objects that all of them have edited."""
        edits = [*edits_of(self.own), {**provenance(author), **self.edit.counts}]
        noted: dict[str, Any] = {EDITED: edits[-_LISTED:]}
        if (known := edited_objects(self.own)) is not None:
            noted[EDITED_OBJECTS] = with_edits(known, self.edit.objects).to_json()
        return noted

    def _place(self, parts: Sequence[PartRecord], change: StoreChange) -> None:
        """Note in which label image each object on the frames that were drawn is whole."""
        whole_in = self.table["label_image"].to_pylist()
        before = list(whole_in)
        by_frame: dict[int, list[int]] = defaultdict(list)
        for row, (t, _) in enumerate(self.edit.keys):
            by_frame[t].append(row)
        for part in parts:
            if part.rows is None:
                continue
            drawn = from_parquet(change.storage.get(part.rows) or b"")
            span = part.region[0] if "t" in self._array.axes else (0, 1)
            rows = [row for t in range(*span) for row in by_frame[t]]
            for row, name in zip(rows, drawn["label_image"].to_pylist(), strict=True):
                whole_in[row] = name
        lost = [r for r, name in enumerate(whole_in) if name is None and before[r] is not None]
        if lost:
            text = (
                f"{len(lost)} objects overlap so many others that only the table has their outlines"
            )
            warnings.warn(printable(text), stacklevel=5)
        self.table = with_columns(self.table, {"label_image": whole_in})

    def _hidden_attributes(self, array: ArrayPlan, number: int, hidden: int) -> dict[str, Any]:
        layer = self.source.labels[0]
        made = label_attributes(self.plan, self.source, layer, array, number, hidden, True)
        made[KEY] = {**made[KEY], "categories": self.own["categories"]}
        return made

    def _parents_of_tracks(self) -> dict[int, int]:
        """Label value of the object that each one is a part of, by the graph."""
        import zarr

        path = self.image.below(f"tracks/{self.edit.layer}")
        store = StorageStore(self.image.storage, path)
        group = zarr.open_group(store, mode="r", use_consolidated=False)
        edges: Any = group["edges/ids"]
        labels: Any = group["nodes/props/label/values"]
        label = np.asarray(labels[:])[np.asarray(edges[:], np.int64)].reshape(-1, 2).astype(int)
        present = {label for _, label in self.edit.keys}
        return {b: a for a, b in label.tolist() if a != b and {a, b} <= present}

    def _write_tracks(self, change: StoreChange) -> None:
        from ngff_bio.engine.write.tracks import write_tracks

        groups, arrays = write_tracks(
            self.source, self.source.labels[0], self.table, change.zarr_format, change.writer
        )
        for path, attributes in groups.items():
            change.set_group(path, attributes)
        for path, document in arrays.items():
            change.set_array(path, document)


def _objects(array: ArrayPlan, part: UnitPart) -> list[str]:
    """Keys of all objects that a part writes."""
    step, region, found = array.passes[part.step], part.region, []
    for number in range(step.first, step.stop):
        level = array.levels[number]
        if number:
            region = tuple(
                (a // f, min(-(-b // f), n))
                for (a, b), f, n in zip(region, level.factor, level.shape, strict=True)
            )
        meta = array.meta(number)
        found += [meta.key(index) for index, _ in objects_in(meta, region)]
    return found
