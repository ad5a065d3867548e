"""The last step: tables and metadata, written when every pixel is in place.

Metadata goes from the leaves to the root, so that nothing opens before all below it is whole. All of
it is made again from the records if this is stopped half-way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ngff_bio import ngff
from ngff_bio.engine.plan.layout import ArrayPlan
from ngff_bio.engine.plan.plan import Plan, PlannedArray, below
from ngff_bio.engine.write.manifest import ManifestWriter, SourceFiles, no_files
from ngff_bio.engine.write.metadata import (
    dataset_attributes,
    image_attributes,
    label_attributes,
    plate_groups,
)
from ngff_bio.engine.write.records import PartRecord, UnitRecord
from ngff_bio.engine.write.tables import (
    FILE,
    GROUP_ATTRIBUTES,
    concatenate,
    from_parquet,
    rows_before,
    to_parquet,
    volume_table,
)
from ngff_bio.engine.write.units import hidden_plan
from ngff_bio.engine.write.volumes import merge_objects
from ngff_bio.errors import StoreError
from ngff_bio.model import InstanceLayer, LabelLayer, SourceDataset, SourceImage, VolumeLayer
from ngff_bio.ngff.attributes import KEY
from ngff_bio.parallel import WorkerPool, shared_pool
from ngff_bio.storage import Storage
from ngff_bio.zarrio.nodes import Nodes

#: Attributes of a dataset that stay as they were when something is added.
_OF_THE_BEGINNING = ("converter", "options", "licence", "citation", "attributes")


@dataclass(frozen=True, slots=True)
class Before:
    """A store that is added to: what it said, and the dataset that it holds in the end (of images
    that stay as they are, only the path is known).
    """

    nodes: Nodes
    whole: SourceDataset
    consolidated: bool


def finish(
    plan: Plan,
    records: Iterable[UnitRecord],
    storage: Storage,
    source_files: SourceFiles = no_files,
    before: Before | None = None,
) -> list[int]:
    """Write tables, metadata and the manifest; returns the size of each object in bytes.

    Parameters
    ----------
    plan
        With a codec for every array. Images in which a part failed are not in it.
    records
        Of all units.
    source_files
        Names the files that were read, for the manifest.
    before
        The store that is added to, if it is not a new one.
    """
    old = Nodes(plan.settings.zarr_format) if before is None else before.nodes
    added = before is not None
    manifest = ManifestWriter(plan, list(records), storage, source_files, added=added)
    storage = manifest.storage
    maker = _Maker(plan, storage, parts_by_array(manifest.records), old)
    layers: dict[int, list[tuple[int, PlannedArray]]] = defaultdict(list)
    for number, planned in enumerate(plan.arrays):
        layers[planned.image].append((number, planned))
    for index, image in enumerate(plan.dataset.images):
        maker.add_image(image, layers[index])
    whole = plan if before is None else replace(plan, dataset=before.whole)
    if plan.dataset.layout != "image":
        root = dataset_attributes(whole)
        if before is not None:  # who began the store, and how, stays as it is
            root[KEY] |= {k: v for k, v in old.groups[""][KEY].items() if k in _OF_THE_BEGINNING}
        maker.nodes.add_group("", root)
    for path, attributes in plate_groups(whole):
        maker.nodes.add_group(path, attributes)
    maker.nodes.add_missing(old)
    consolidated = plan.settings.consolidated if before is None else before.consolidated
    pool = shared_pool(remote=True) if storage.locality == "network" else WorkerPool()
    for lot in manifest.before_root(maker.nodes.documents(consolidated, old), pool.map):
        maker.sizes += pool.map(lambda one: storage.put(*one), lot)
    return [*maker.sizes, *manifest.sizes]


def parts_by_array(records: Iterable[UnitRecord]) -> dict[int, list[PartRecord]]:
    """What is known of each array's parts, in order, whatever the order was in which they were
    made.
    """
    parts: dict[int, list[PartRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda r: r.id):
        for part in record.parts:
            parts[part.array].append(part)
    for found in parts.values():
        found.sort(key=lambda p: (p.step, p.region))
    return parts


@dataclass(slots=True)
class _Maker:
    """Makes tables and metadata, image by image. ``old`` is what the store said before."""

    plan: Plan
    storage: Storage
    parts: dict[int, list[PartRecord]]
    old: Nodes
    sizes: list[int] = field(default_factory=list)
    nodes: Nodes = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = Nodes(self.plan.settings.zarr_format)

    def add_image(self, image: SourceImage, arrays: list[tuple[int, PlannedArray]]) -> None:
        tables, names = [], []
        for number, planned in arrays:
            parts = self.parts.get(number, [])
            if planned.layer is None:
                self.nodes.arrays.update(planned.plan.documents())
                self.nodes.add_group(image.path, self.image_attributes(image, planned, parts))
                continue
            layer = image.labels[planned.layer]
            has_table = self.add_table(image, layer, planned, parts)
            if has_table:
                tables.append(layer.name)
                self.add_tracks(image, layer)
            names += self.add_layer(image, layer, planned.plan, parts, has_table)
        if names:
            labels = ngff.encode(ngff.GroupMeta(labels=tuple(names)), self.plan.settings.version)
            self.nodes.add_group(below(image, "labels"), labels)
        if tables:
            self.nodes.add_group(below(image, "tables"), {"tables": tables})
            for name in tables:
                self.nodes.add_group(below(image, f"tables/{name}"), GROUP_ATTRIBUTES)

    def image_attributes(
        self, image: SourceImage, planned: PlannedArray, parts: list[PartRecord]
    ) -> dict[str, Any]:
        found = image_attributes(self.plan, image, planned.plan, parts)
        if image.path in self.old.groups:  # how channels are shown was settled on all old frames
            before = self.old.groups[image.path]
            for new, known in ((found, before), (found.get("ome"), before.get("ome"))):
                if new is not None and known is not None and "omero" in known:
                    new["omero"] = known["omero"]
        return found

    def add_layer(
        self,
        image: SourceImage,
        layer: LabelLayer,
        array: ArrayPlan,
        parts: list[PartRecord],
        table: bool,
    ) -> list[str]:
        hidden = max((p.hidden for p in parts), default=0)
        while hidden_plan(array, hidden + 1).path in self.old.groups:
            hidden += 1
        arrays = [array, *(hidden_plan(array, k) for k in range(1, hidden + 1))]
        for number, one in enumerate(arrays):
            self.nodes.arrays.update(one.documents())
            attributes = label_attributes(self.plan, image, layer, one, number, hidden, table)
            self.nodes.add_group(one.path, attributes)
        return [a.path.rpartition("/")[2] for a in arrays]

    def add_table(
        self, image: SourceImage, layer: LabelLayer, planned: PlannedArray, parts: list[PartRecord]
    ) -> bool:
        """Write the table of a layer; returns whether it has one."""
        key = table_key(image, layer)
        there = below(image, f"tables/{layer.name}") in self.old.groups
        if isinstance(layer, VolumeLayer):
            objects = merge_objects([p.objects for p in parts])
            if objects:
                self.put(key, volume_table(layer, planned.plan.axes, objects))
            return bool(objects) or there
        rows = [p.rows for p in parts if p.rows]
        if rows and (there or rows != [key]):  # several parts left their rows beside the data
            tables = [from_parquet(_rows(self.storage, r)) for r in rows]
            if there:  # less what a stopped run may have added already
                known = from_parquet(_rows(self.storage, key))
                tables.insert(0, rows_before(known, planned.start or 0))
            self.put(key, concatenate(tables))
        return bool(rows) or there

    def add_tracks(self, image: SourceImage, layer: LabelLayer) -> None:
        """The graph of a tracked layer, made of its whole table."""
        if not isinstance(layer, InstanceLayer) or not layer.tracked:
            return
        from ngff_bio.engine.write.tracks import write_tracks

        table = from_parquet(_rows(self.storage, table_key(image, layer)))
        zarr_format = self.plan.settings.zarr_format
        groups, arrays, sizes = write_tracks(image, layer, table, zarr_format, self.storage)
        for path, attributes in groups.items():
            self.nodes.add_group(path, attributes)
        self.nodes.arrays.update(arrays)
        self.sizes += sizes

    def put(self, key: str, table: Any) -> None:
        self.sizes.append(self.storage.put(key, to_parquet(table)))


def table_key(image: SourceImage, layer: LabelLayer) -> str:
    """Where the table of a layer lies."""
    return below(image, f"tables/{layer.name}/{FILE}")


def _rows(storage: Storage, key: str) -> bytes:
    found = storage.get(key)
    if found is None:
        raise StoreError(
            "table rows of a unit that is done have gone",
            file=f"{storage.url}/{key}",
            hint="run the same command again: it makes what is missing",
        )
    return found
