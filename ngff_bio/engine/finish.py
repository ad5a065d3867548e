"""The last step: tables and metadata, written when every pixel is in place.

Metadata goes from the leaves to the root, so that nothing opens before all below it is whole.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ngff_bio import ngff
from ngff_bio.engine.describe import (
    dataset_attributes,
    image_attributes,
    label_attributes,
    plate_groups,
)
from ngff_bio.engine.layout import ArrayPlan
from ngff_bio.engine.plan import Plan, PlannedArray
from ngff_bio.engine.records import PartRecord, UnitRecord
from ngff_bio.engine.shard import array_metadata
from ngff_bio.engine.tables import (
    FILE,
    GROUP_ATTRIBUTES,
    concatenate,
    from_parquet,
    to_parquet,
    volume_table,
)
from ngff_bio.engine.tracks import write_tracks
from ngff_bio.engine.units import hidden_plan
from ngff_bio.engine.volumes import merge_objects
from ngff_bio.model import Image, InstanceLayer, LabelLayer, VolumeLayer
from ngff_bio.storage import Storage


@dataclass(slots=True)
class Nodes:
    """Metadata documents of a store by path (``""`` is the root)."""

    zarr_format: int
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrays: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add_group(self, path: str, attributes: Mapping[str, Any] | None = None) -> None:
        """A group; groups above it are added where they are missing."""
        self.groups.setdefault(path, {}).update(attributes or {})
        while path:
            path = path.rpartition("/")[0]
            self.groups.setdefault(path, {})

    def add_array(self, plan: ArrayPlan) -> None:
        """All levels of an array."""
        for number, level in enumerate(plan.levels):
            path = f"{plan.path}/{level.path}".lstrip("/")
            self.arrays[path] = array_metadata(plan, number)

    def documents(self, consolidated: bool) -> Iterable[tuple[str, bytes]]:
        """Keys and bytes, children before parents, the root last."""
        paths = sorted({*self.groups, *self.arrays}, key=lambda p: (-_depth(p), p))
        for path in paths:
            yield from (
                self._v2(path, consolidated)
                if self.zarr_format == 2
                else self._v3(path, consolidated)
            )

    def _v3(self, path: str, consolidated: bool) -> Iterable[tuple[str, bytes]]:
        document = self._node(path)
        if path == "" and consolidated:
            below = {p: self._node(p) for p in sorted({*self.groups, *self.arrays}) if p}
            document["consolidated_metadata"] = {
                "kind": "inline",
                "must_understand": False,
                "metadata": below,
            }
        whole = "consolidated_metadata" in document
        yield f"{path}/zarr.json".lstrip("/"), _json(document, compact=whole)

    def _node(self, path: str) -> dict[str, Any]:
        if path in self.arrays:
            return self.arrays[path]
        return {"zarr_format": 3, "node_type": "group", "attributes": self.groups[path]}

    def _v2(self, path: str, consolidated: bool) -> Iterable[tuple[str, bytes]]:
        if path == "" and consolidated:
            below: dict[str, Any] = {}
            for p in sorted({*self.groups, *self.arrays}):
                below |= {f"{p}/{name}".lstrip("/"): doc for name, doc in self._v2_node(p)}
            yield (
                ".zmetadata",
                _json({"zarr_consolidated_format": 1, "metadata": below}, compact=True),
            )
        for name, document in self._v2_node(path):
            yield f"{path}/{name}".lstrip("/"), _json(document)

    def _v2_node(self, path: str) -> list[tuple[str, dict[str, Any]]]:
        """Attributes first: a group without them would open as an empty one."""
        if path in self.arrays:
            return [(".zarray", self.arrays[path])]
        found: list[tuple[str, dict[str, Any]]] = []
        if self.groups[path]:
            found.append((".zattrs", self.groups[path]))
        return [*found, (".zgroup", {"zarr_format": 2})]


def _depth(path: str) -> int:
    return path.count("/") + 1 if path else 0


def _json(document: Any, *, compact: bool = False) -> bytes:
    """Indented for people; without white space where all of a store is in it."""
    if compact:
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def finish(plan: Plan, records: Iterable[UnitRecord], storage: Storage) -> list[str]:
    """Write tables and metadata; returns the keys that were written.

    Parameters
    ----------
    records
        Of all units.
    """
    parts: dict[int, list[PartRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda r: r.id):
        for part in record.parts:
            parts[part.array].append(part)
    for found in parts.values():
        found.sort(key=lambda p: (p.step, p.region))
    nodes = Nodes(plan.settings.zarr_format)
    if plan.dataset.layout != "image":
        nodes.add_group("", dataset_attributes(plan))
    layers: dict[int, list[tuple[int, PlannedArray]]] = defaultdict(list)
    for number, planned in enumerate(plan.arrays):
        layers[planned.image].append((number, planned))
    written = []
    for index, image in enumerate(plan.dataset.images):
        tables = []
        names = []
        for number, planned in layers[index]:
            if planned.layer is None:
                nodes.add_array(planned.plan)
                nodes.add_group(
                    image.path, image_attributes(plan, image, planned.plan, parts[number])
                )
                continue
            layer = image.labels[planned.layer]
            names += _add_layer(plan, nodes, image, layer, planned.plan, parts[number])
            key = _write_table(image, layer, planned.plan, parts[number], storage)
            if key is not None:
                written.append(key)
                tables.append(layer.name)
                written += _add_tracks(plan, nodes, image, layer, key, storage)
        if names:
            nodes.add_group(
                f"{image.path}/labels".lstrip("/"),
                ngff.encode(ngff.GroupMeta(labels=tuple(names)), plan.settings.version),
            )
        if tables:
            nodes.add_group(f"{image.path}/tables".lstrip("/"), {"tables": tables})
            for name in tables:
                nodes.add_group(f"{image.path}/tables/{name}".lstrip("/"), GROUP_ATTRIBUTES)
    for path, attributes in plate_groups(plan):
        nodes.add_group(path, attributes)
    for key, data in nodes.documents(plan.settings.consolidated):
        storage.put(key, data)
        written.append(key)
    return written


def _add_layer(
    plan: Plan,
    nodes: Nodes,
    image: Image,
    layer: LabelLayer,
    array: ArrayPlan,
    parts: list[PartRecord],
) -> list[str]:
    hidden = max((p.hidden for p in parts), default=0)
    arrays = [array, *(hidden_plan(array, k) for k in range(1, hidden + 1))]
    for number, one in enumerate(arrays):
        nodes.add_array(one)
        nodes.add_group(
            one.path, label_attributes(plan, image, layer, one, number, hidden, has_table(parts))
        )
    return [a.path.rpartition("/")[2] for a in arrays]


def _add_tracks(
    plan: Plan, nodes: Nodes, image: Image, layer: LabelLayer, table: str, storage: Storage
) -> list[str]:
    """The graph of a tracked layer, made of its whole table."""
    data = storage.get(table) if isinstance(layer, InstanceLayer) and layer.tracked else None
    if data is None or not isinstance(layer, InstanceLayer):
        return []
    zarr_format = plan.settings.zarr_format
    groups, arrays, keys = write_tracks(image, layer, from_parquet(data), zarr_format, storage)
    for path, attributes in groups.items():
        nodes.add_group(path, attributes)
    nodes.arrays.update(arrays)
    return keys


def has_table(parts: list[PartRecord]) -> bool:
    """Whether any part of a layer holds an instance."""
    return any(p.rows or p.objects for p in parts)


def table_key(image: Image, layer: LabelLayer) -> str:
    """Where the table of a layer lies."""
    return f"{image.path}/tables/{layer.name}/{FILE}".lstrip("/")


def _write_table(
    image: Image,
    layer: LabelLayer,
    array: ArrayPlan,
    parts: list[PartRecord],
    storage: Storage,
) -> str | None:
    key = table_key(image, layer)
    if isinstance(layer, VolumeLayer):
        objects = merge_objects([p.objects for p in parts])
        if not objects:
            return None
        storage.put(key, to_parquet(volume_table(layer, array.axes, objects)))
        return key
    rows = [p.rows for p in parts if p.rows]
    if not rows:
        return None
    if rows != [key]:  # several parts left their rows beside the data
        tables = [from_parquet(data) for r in rows if (data := storage.get(r)) is not None]
        storage.put(key, to_parquet(concatenate(tables)))
    return key
