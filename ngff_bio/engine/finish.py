"""The last step: tables and metadata, written when every pixel is in place.

Metadata goes from the leaves to the root, so that nothing opens before all below it is whole. All of
it is made again from the records if this is stopped half-way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ngff_bio import ngff
from ngff_bio.engine.crew import Crew
from ngff_bio.engine.describe import (
    dataset_attributes,
    image_attributes,
    label_attributes,
    plate_groups,
)
from ngff_bio.engine.layout import ArrayPlan
from ngff_bio.engine.manifest import ManifestWriter, SourceFiles, no_files
from ngff_bio.engine.nodes import Nodes
from ngff_bio.engine.plan import Plan, PlannedArray
from ngff_bio.engine.records import PartRecord, UnitRecord
from ngff_bio.engine.report import Written
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
from ngff_bio.errors import StoreError
from ngff_bio.model import Image, InstanceLayer, LabelLayer, VolumeLayer
from ngff_bio.storage import Storage

#: Documents written at once where each is a request.
_REQUESTS = 16


def finish(
    plan: Plan,
    records: Iterable[UnitRecord],
    storage: Storage,
    source_files: SourceFiles = no_files,
) -> Written:
    """Write tables, metadata and the manifest; returns what was written.

    Parameters
    ----------
    plan
        With a codec for every array. Images in which a part failed are not in it.
    records
        Of all units.
    source_files
        Names the files that were read, for the manifest.
    """
    manifest = ManifestWriter(plan, list(records), storage, source_files)
    storage = manifest.storage
    parts = parts_by_array(manifest.records)
    written = Written()
    nodes = Nodes(plan.settings.zarr_format)
    if plan.dataset.layout != "image":
        nodes.add_group("", dataset_attributes(plan))
    layers: dict[int, list[tuple[int, PlannedArray]]] = defaultdict(list)
    for number, planned in enumerate(plan.arrays):
        layers[planned.image].append((number, planned))
    crew = Crew(_REQUESTS - 1 if storage.reach == "network" else 0)
    try:
        for index, image in enumerate(plan.dataset.images):
            _add_image(plan, nodes, image, layers[index], parts, storage, written)
        for path, attributes in plate_groups(plan):
            nodes.add_group(path, attributes)
        for lot in manifest.before_root(nodes.documents(plan.settings.consolidated), crew.map):
            crew.map(lambda one: written.add(storage.put(*one)), lot)
    finally:
        crew.close()
    return written


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


def _add_image(
    plan: Plan,
    nodes: Nodes,
    image: Image,
    layers: list[tuple[int, PlannedArray]],
    parts: dict[int, list[PartRecord]],
    storage: Storage,
    written: Written,
) -> None:
    tables, names = [], []
    for number, planned in layers:
        if planned.layer is None:
            nodes.add_array(planned.plan)
            attributes = image_attributes(plan, image, planned.plan, parts[number])
            nodes.add_group(image.path, attributes)
            continue
        layer = image.labels[planned.layer]
        names += _add_layer(plan, nodes, image, layer, planned.plan, parts[number])
        if _write_table(image, layer, planned.plan, parts[number], storage, written):
            tables.append(layer.name)
            _add_tracks(plan, nodes, image, layer, storage, written)
    if names:
        labels = ngff.encode(ngff.GroupMeta(labels=tuple(names)), plan.settings.version)
        nodes.add_group(f"{image.path}/labels".lstrip("/"), labels)
    if tables:
        nodes.add_group(f"{image.path}/tables".lstrip("/"), {"tables": tables})
        for name in tables:
            nodes.add_group(f"{image.path}/tables/{name}".lstrip("/"), GROUP_ATTRIBUTES)


def _add_layer(
    plan: Plan,
    nodes: Nodes,
    image: Image,
    layer: LabelLayer,
    array: ArrayPlan,
    parts: list[PartRecord],
) -> list[str]:
    hidden = max((p.hidden for p in parts), default=0)
    table = any(p.rows or p.objects for p in parts)
    arrays = [array, *(hidden_plan(array, k) for k in range(1, hidden + 1))]
    for number, one in enumerate(arrays):
        nodes.add_array(one)
        attributes = label_attributes(plan, image, layer, one, number, hidden, table)
        nodes.add_group(one.path, attributes)
    return [a.path.rpartition("/")[2] for a in arrays]


def _add_tracks(
    plan: Plan, nodes: Nodes, image: Image, layer: LabelLayer, storage: Storage, written: Written
) -> None:
    """The graph of a tracked layer, made of its whole table."""
    if not isinstance(layer, InstanceLayer) or not layer.tracked:
        return
    table = from_parquet(_rows(storage, table_key(image, layer)))
    groups, arrays, sizes = write_tracks(image, layer, table, plan.settings.zarr_format, storage)
    for path, attributes in groups.items():
        nodes.add_group(path, attributes)
    nodes.arrays.update(arrays)
    for size in sizes:
        written.add(size)


def table_key(image: Image, layer: LabelLayer) -> str:
    """Where the table of a layer lies."""
    return f"{image.path}/tables/{layer.name}/{FILE}".lstrip("/")


def _write_table(
    image: Image,
    layer: LabelLayer,
    array: ArrayPlan,
    parts: list[PartRecord],
    storage: Storage,
    written: Written,
) -> bool:
    """Write the table of a layer; returns whether it has one."""
    key = table_key(image, layer)
    if isinstance(layer, VolumeLayer):
        objects = merge_objects([p.objects for p in parts])
        if objects:
            data = to_parquet(volume_table(layer, array.axes, objects))
            written.add(storage.put(key, data))
        return bool(objects)
    rows = [p.rows for p in parts if p.rows]
    if rows and rows != [key]:  # several parts left their rows beside the data
        tables = [from_parquet(_rows(storage, r)) for r in rows]
        written.add(storage.put(key, to_parquet(concatenate(tables))))
    return bool(rows)


def _rows(storage: Storage, key: str) -> bytes:
    found = storage.get(key)
    if found is None:
        raise StoreError(
            "table rows of a unit that is done have gone",
            file=f"{storage.url}/{key}",
            mend="run the same command again: it makes what is missing",
        )
    return found
