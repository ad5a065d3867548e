"""The last step: tables, metadata and the manifest, written when all pixels are.

Metadata is written from the leaves to the root, so that nothing opens before all below it is complete;
the documents of the root are returned. All of it is made again from the records if this is interrupted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ngff_bio import ngff
from ngff_bio.checksums import crc32c
from ngff_bio.engine.plan.layout import ArrayPlan
from ngff_bio.engine.plan.plan import Plan, PlannedArray, below
from ngff_bio.engine.write.checksums import ChecksummingWriter
from ngff_bio.engine.write.manifest import SourceFiles, make_entries, no_files, write_manifest
from ngff_bio.engine.write.metadata import (
    dataset_attributes,
    image_attributes,
    label_attributes,
    plate_groups,
)
from ngff_bio.engine.write.ome_xml import add_ome_xml
from ngff_bio.engine.write.records import PartRecord, UnitRecord
from ngff_bio.engine.write.tables import (
    FILE,
    from_parquet,
    group_attributes,
    to_parquet,
    volume_table,
)
from ngff_bio.engine.write.units import hidden_plan
from ngff_bio.engine.write.volumes import merge_objects
from ngff_bio.errors import StoreError
from ngff_bio.model import (
    LabelLayer,
    Notice,
    SourceDataset,
    SourceImage,
    VolumeLayer,
    gathered,
)
from ngff_bio.ngff.attributes import KEY
from ngff_bio.parallel import WorkerPool, shared_pool
from ngff_bio.storage import Storage
from ngff_bio.zarrio.nodes import Nodes

#: Attributes of a dataset that do not change when something is appended: who began the store, and how.
_UNCHANGED = ("converter", "options", "licence", "citation", "attributes")


@dataclass(frozen=True, slots=True)
class Before:
    """A store that is appended to: its documents, and the dataset that it contains in the end (of
    images that do not change, only the path is known).
    """

    nodes: Nodes
    whole: SourceDataset
    consolidated: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """The documents of the root, which are not written yet, and the size of each object in bytes."""

    roots: dict[str, bytes]
    sizes: list[int]


def finish(
    plan: Plan,
    records: Iterable[UnitRecord],
    storage: Storage,
    source_files: SourceFiles = no_files,
    before: Before | None = None,
    conversion: Mapping[str, Any] | None = None,
) -> Finished:
    """Write tables, metadata and the manifest; all but the documents of the root.

    Parameters
    ----------
    plan
        With a codec for every array. Images in which a part failed are not in it.
    records
        Of all units.
    source_files
        Names the files that were read, for the manifest.
    before
        The store that is appended to, if it is not a new one.
    conversion
        What the manifest records of the conversion.
    """
    old = Nodes(plan.settings.zarr_format) if before is None else before.nodes
    done = list(records)
    plan = _with_notices(plan, done)
    writer = ChecksummingWriter(storage)
    maker = ImageDocuments(plan, writer, parts_by_array(done), old)
    layers: dict[int, list[tuple[int, PlannedArray]]] = defaultdict(list)
    for number, planned in enumerate(plan.arrays):
        layers[planned.image].append((number, planned))
    for index, image in enumerate(plan.dataset.images):
        maker.add_image(image, layers[index])
    whole = plan if before is None else replace(plan, dataset=before.whole)
    if plan.dataset.layout != "image":
        root = dataset_attributes(whole)
        if before is not None:
            root[KEY] |= {k: v for k, v in old.groups[""][KEY].items() if k in _UNCHANGED}
        maker.nodes.add_group("", root)
    for path, attributes in plate_groups(whole):
        maker.nodes.add_group(path, attributes)
    maker.add_plate_tables(whole.dataset)
    maker.nodes.add_missing(old)
    made_now = {image.path for image in plan.dataset.images}
    own = [d for d in whole.dataset.documents if not made_now.isdisjoint(d.images)]
    add_ome_xml(maker.nodes, writer, own, appended=before is not None)
    consolidated = plan.settings.consolidated if before is None else before.consolidated
    pool = shared_pool(remote=True) if storage.locality == "network" else WorkerPool()
    roots, last = write_documents(maker.nodes, writer, consolidated, old, pool)
    entries = make_entries(
        plan,
        done,
        storage,
        {**writer.written, **last},
        source_files,
        pool,
        added=before is not None,
    )
    sizes = write_manifest(storage, entries, conversion)
    made = [*writer.written.values(), *last.values()]
    return Finished(roots, [*sizes, *(size for size, _ in made)])


def write_documents(
    nodes: Nodes,
    writer: ChecksummingWriter,
    consolidated: bool,
    old: Nodes | None,
    pool: WorkerPool,
) -> tuple[dict[str, bytes], dict[str, tuple[int, int]]]:
    """Write all documents but those of the root; returns these, and size and checksum of each."""
    roots: dict[str, bytes] = {}
    for batch in nodes.documents(consolidated, old):
        if any("/" in key for key, _ in batch):
            pool.map(lambda one: writer.put(*one), batch)
        else:
            roots.update(batch)
    return roots, {key: (len(data), crc32c(data)) for key, data in roots.items()}


def _with_notices(plan: Plan, records: Iterable[UnitRecord]) -> Plan:
    """The plan of a dataset that also has the notices of its units."""
    found = (Notice(**n) for record in records for part in record.parts for n in part.notices)
    notices = tuple(gathered((*plan.dataset.notices, *found)))
    return replace(plan, dataset=replace(plan.dataset, notices=notices))


def parts_by_array(records: Iterable[UnitRecord]) -> dict[int, list[PartRecord]]:
    """Records of each array's parts, in an order that does not depend on the order of writing."""
    parts: dict[int, list[PartRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda r: r.id):
        for part in record.parts:
            parts[part.array].append(part)
    for found in parts.values():
        found.sort(key=lambda p: (p.step, p.region))
    return parts


@dataclass(slots=True)
class ImageDocuments:
    """Tables and metadata of images, made one by one; ``old`` are the documents before appending."""

    plan: Plan
    writer: ChecksummingWriter
    parts: dict[int, list[PartRecord]]
    old: Nodes
    nodes: Nodes = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = Nodes(self.plan.settings.zarr_format)

    def add_image(
        self,
        image: SourceImage,
        arrays: list[tuple[int, PlannedArray]],
        *,
        given_tables: bool = False,
    ) -> None:
        """Write the tables of an image, and make its documents and those of its labels.

        With ``given_tables`` its layers have tables that are written elsewhere.
        """
        tables: dict[str, dict[str, Any]] = {}
        names: list[str] = []
        for number, planned in arrays:
            parts = self.parts.get(number, [])
            if planned.layer is None:
                self.nodes.arrays.update(planned.plan.documents())
                self.nodes.add_group(image.path, self._image_attributes(image, planned, parts))
                continue
            layer = image.labels[planned.layer]
            has_table = given_tables or self._add_table(image, layer, planned, parts)
            if has_table and not given_tables:
                tables[layer.name] = self._table_attributes(image, layer, parts)
                self._add_tracks(image, layer)
            names += self._add_layer(image, layer, planned.plan, parts, has_table)
        if names:
            labels = ngff.encode(ngff.GroupMeta(labels=tuple(names)), self.plan.settings.version)
            self.nodes.add_group(below(image, "labels"), labels)
        if tables:
            self.nodes.add_group(below(image, "tables"), {"tables": list(tables)})
            for name, attributes in tables.items():
                self.nodes.add_group(below(image, f"tables/{name}"), attributes)

    def _image_attributes(
        self, image: SourceImage, planned: PlannedArray, parts: list[PartRecord]
    ) -> dict[str, Any]:
        found = image_attributes(self.plan, image, planned.plan, parts)
        if image.path in self.old.groups:  # display settings were computed from all old frames
            before = self.old.groups[image.path]
            for new, known in ((found, before), (found.get("ome"), before.get("ome"))):
                if new is not None and known is not None and "omero" in known:
                    new["omero"] = known["omero"]
        return found

    def _add_layer(
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

    def _add_table(
        self, image: SourceImage, layer: LabelLayer, planned: PlannedArray, parts: list[PartRecord]
    ) -> bool:
        """Write the table of a layer; returns whether it has one."""
        key = table_key(image, layer)
        there = below(image, f"tables/{layer.name}") in self.old.groups
        if isinstance(layer, VolumeLayer):
            objects = merge_objects([p.objects for p in parts])
            tables = [volume_table(layer, planned.plan.axes, objects)] if objects else []
        else:  # several parts wrote their rows beside the data
            rows = [p.rows for p in parts if p.rows]
            if rows == [key] and not there:
                return True
            tables = [from_parquet(_rows(self.writer.storage, r)) for r in rows]
        if tables and there:
            tables.insert(0, from_parquet(_rows(self.writer.storage, key)))
        if tables:
            import pyarrow as pa

            self.writer.put(key, to_parquet(pa.concat_tables(tables, promote_options="default")))
        return bool(tables) or there

    def add_plate_tables(self, dataset: SourceDataset) -> None:
        """Write the tables of plates."""
        import pyarrow as pa

        for plate in dataset.plates:
            group = f"{plate.path}/tables".lstrip("/")
            if plate.tables:
                self.nodes.add_group(group, {"tables": [t.name for t in plate.tables]})
            for table in plate.tables:
                columns = {name: list(values) for name, values in table.columns.items()}
                self.writer.put(f"{group}/{table.name}/{FILE}", to_parquet(pa.table(columns)))
                attributes = {**group_attributes(), "type": table.type}
                self.nodes.add_group(f"{group}/{table.name}", attributes)

    def _table_attributes(
        self, image: SourceImage, layer: LabelLayer, parts: list[PartRecord]
    ) -> dict[str, Any]:
        """Attributes of the table of a layer, which is linked to its label image."""
        old = self.old.groups.get(below(image, f"tables/{layer.name}"))
        if old is not None:
            return old
        frames = "t" in image.axis_names and image.pixels.shape[0] > 1
        several = sum(p.annotations for p in parts) > sum(p.instances for p in parts)
        unique = not several and not (frames and (layer.tracked or isinstance(layer, VolumeLayer)))
        return group_attributes(layer.name if unique else None)

    def _add_tracks(self, image: SourceImage, layer: LabelLayer) -> None:
        """The graph of a tracked layer, made of its whole table."""
        if not layer.tracked:
            return
        from ngff_bio.engine.write.tracks import write_tracks

        table = from_parquet(_rows(self.writer.storage, table_key(image, layer)))
        zarr_format = self.plan.settings.zarr_format
        groups, arrays = write_tracks(image, layer, table, zarr_format, self.writer)
        for path, attributes in groups.items():
            self.nodes.add_group(path, attributes)
        self.nodes.arrays.update(arrays)


def table_key(image: SourceImage, layer: LabelLayer) -> str:
    """Key of the table of a layer."""
    return below(image, f"tables/{layer.name}/{FILE}")


def _rows(storage: Storage, key: str) -> bytes:
    found = storage.get(key)
    if found is None:
        raise StoreError(
            "table rows of a finished unit are missing",
            file=f"{storage.url}/{key}",
            hint="run the same command again to write what is missing",
        )
    return found
