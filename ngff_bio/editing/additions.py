"""What is written beside images of a finished store, in one transaction: labels, images, tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ngff_bio import ngff
from ngff_bio.editing.values import ComputedPixels, GivenPixels
from ngff_bio.engine.plan.layout import Stored
from ngff_bio.engine.plan.plan import Job, Plan, Unit
from ngff_bio.engine.plan.planning import plan_dataset
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.engine.resume.stored import stored_array
from ngff_bio.engine.run.runners import Runner, ThreadRunner
from ngff_bio.engine.run.scheduler import Scheduler, pilots
from ngff_bio.engine.run.tasks import current_client
from ngff_bio.engine.write.finish import ImageDocuments, parts_by_array
from ngff_bio.engine.write.records import UnitRecord
from ngff_bio.engine.write.tables import FILE, group_attributes, to_parquet
from ngff_bio.engine.write.units import run_unit
from ngff_bio.engine.write.update import HeldStore, StoreChange, changed_store
from ngff_bio.errors import StoreError, StoreExistsError
from ngff_bio.model import (
    ArrayPixels,
    Axis,
    Channel,
    LabelLayer,
    PixelArray,
    Pixels,
    Region,
    SourceDataset,
    SourceImage,
    VolumeLayer,
)
from ngff_bio.ngff.metadata import VERSIONS
from ngff_bio.reader.image import Image
from ngff_bio.storage import Storage
from ngff_bio.zarrio.journal import within
from ngff_bio.zarrio.nodes import Nodes, add_document

if TYPE_CHECKING:
    import pyarrow as pa

#: Group of the images beside an image, and of each kind of thing.
FOLDERS = {"labels": "labels", "images": "derived", "tables": "tables"}


@dataclass(frozen=True)
class StoreAddition:
    """Labels, a derived image, or a table, to be written beside an image.

    Parameters
    ----------
    image
        An image of an open store.
    name
        Of the labels, the derived image, the table.
    layer
        The labels.
    pixels, axes
        The derived image.
    table
        The table, or the one of the labels instead of one that their pixels give.
    attributes
        Further attributes of a derived image.
    """

    image: Image
    name: str
    layer: LabelLayer | None = None
    pixels: Pixels | None = None
    axes: str = ""
    table: pa.Table | None = None
    attributes: dict[str, Any] | None = None

    @property
    def kind(self) -> str:
        """``labels``, ``images`` or ``tables``."""
        if self.layer is not None:
            return "labels"
        return "tables" if self.pixels is None else "images"

    @property
    def path(self) -> str:
        """Group that is written."""
        return self.image.below(f"{FOLDERS[self.kind]}/{self.name}")

    @property
    def exists(self) -> bool:
        """Whether the image has something of this name."""
        return self.name in names_of(self.image, self.kind)


def names_of(image: Image, kind: str) -> Sequence[str]:
    """Names of the labels, derived images or tables of an image."""
    return {"labels": image.labels, "images": tuple(image.derived), "tables": image.tables}[kind]


def check_free(images: Iterable[Image], kind: str, name: str) -> None:
    """Refuse to replace anything.

    Raises
    ------
    ngff_bio.errors.StoreExistsError
        If an image has something of this kind and name.
    """
    for image in images:
        if name in names_of(image, kind):
            what = {"labels": "labels", "images": "a derived image", "tables": "a table"}[kind]
            raise StoreExistsError(
                f"the image has {what} of this name",
                file=image.url,
                found=name,
                hint="choose another name, or replace it with --overwrite (in Python: "
                "overwrite=True)",
            )


def write_additions(
    additions: Sequence[StoreAddition], storage: Storage | HeldStore, runner: Runner | None = None
) -> None:
    """Write all of it, replacing what has the same names, in one transaction.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the images are of a kind that cannot be added to.
    ngff_bio.errors.StoreBusyError, ngff_bio.errors.StorageError
        If the store cannot be written.
    """
    plan = _plan(additions)
    new, removed = [], []
    for one in additions:
        paths = [one.path]
        if one.layer is not None:
            paths += _beside(one.image, one.name)
        new += paths
        removed += paths if one.exists else []
    with changed_store(storage, new, removed) as change:
        plan, records = write_pixels(plan, change, runner)
        made = ImageDocuments(
            plan, change.writer, parts_by_array(records), Nodes(change.zarr_format)
        )
        arrays = defaultdict(list)
        for number, planned in enumerate(plan.arrays):
            arrays[planned.image].append((number, planned))
        sources = {source.path: n for n, source in enumerate(plan.dataset.images)}
        for one in additions:
            table = one.table
            if one.kind != "tables":
                number = sources[one.path if one.kind == "images" else one.image.path]
                given = table is not None and isinstance(one.layer, VolumeLayer)
                wanted = [
                    a for a in arrays[number] if one.kind == "images" or a[1].layer is not None
                ]
                made.add_image(plan.dataset.images[number], wanted, given_tables=given)
            _list(one, change, made.nodes)
            if table is not None:
                path = one.image.below(f"tables/{one.name}")
                change.put(f"{path}/{FILE}", to_parquet(table))
                change.set_group(path, group_attributes())
        listed = {p for one in additions for p in (one.image.below(f) for f in FOLDERS.values())}
        for path, attributes in made.nodes.groups.items():
            there = not within(path, removed) and change.tree.document(path) is not None
            if path not in listed and (attributes or not there):
                change.set_group(path, attributes)
        for path, document in made.nodes.arrays.items():
            change.set_array(path, document)


def _beside(image: Image, name: str) -> list[str]:
    """Paths of the table and of the hidden label images and tracks that labels have."""
    found = [image.below(f"tables/{name}")]
    if name in image.labels:
        own = image.label_attributes(name)
        found += [image.below(f"labels/{h}") for h in image.hidden(name)]
        if own.get("tracks") == f"../../tracks/{name}":
            found.append(image.below(f"tracks/{name}"))
    return found


def _list(one: StoreAddition, change: StoreChange, made: Nodes) -> None:
    """Name what is added where its kind is listed."""
    image = one.image
    before = {"labels": list(image.labels), "tables": list(image.tables)}
    if one.kind == "labels":
        gone = [one.name, *image.layers.get(one.name, ())]
        path = image.below("labels")
        found = ngff.decode(made.groups[path])
        added = found.labels if found is not None and found.labels else (one.name,)
        kept = [n for n in before["labels"] if n not in gone]
        list_labels(image, change, [*kept, *added])
        has_table = one.table is not None or image.below(f"tables/{one.name}") in made.groups
        tables = [t for t in before["tables"] if t != one.name or one.name not in before["labels"]]
        if has_table:
            tables = [*(t for t in tables if t != one.name), one.name]
        if tables != before["tables"]:
            list_tables(image, change, tables)
    elif one.kind == "images":
        names = list(dict.fromkeys([*image.derived, one.name]))
        change.set_group(image.below("derived"), {"derived": names})
    elif not one.exists:
        list_tables(image, change, [*before["tables"], one.name])


def list_labels(image: Image, change: StoreChange, names: Sequence[str]) -> None:
    """Write the list of the label images of an image."""
    path = image.below("labels")
    version = cast("Any", image.meta.version)
    encoded = ngff.encode(ngff.GroupMeta(labels=tuple(names)), version)
    change.set_group(path, {**(image.nodes.attributes(path) or {}), **encoded})


def list_tables(image: Image, change: StoreChange, names: Sequence[str]) -> None:
    """Write the list of the tables of an image."""
    path = image.below("tables")
    change.set_group(path, {**(image.nodes.attributes(path) or {}), "tables": list(names)})


def _plan(additions: Sequence[StoreAddition]) -> Plan:
    """Additions as the engine writes them: on the levels and chunks of their images."""
    stored: dict[str, Stored] = {}
    sources = [source_of(one, stored) for one in additions if one.kind != "tables"]
    wanted = [one for one in additions if one.kind != "tables"]
    versions = {one.image.meta.version for one in wanted}
    levels = {len(one.image.multiscale.levels) for one in wanted}
    version = next(iter(versions), "0.5")
    if len(versions) > 1 or version not in VERSIONS:
        raise StoreError(
            "nothing can be added to images of these versions",
            expected="one of " + ", ".join(VERSIONS),
            found=", ".join(sorted(map(str, versions))),
        )
    settings = Settings(version=version, levels=max(levels, default=1))
    plan = plan_dataset(SourceDataset("", "", "", "collection", tuple(sources)), settings, stored)
    images = {n for n, one in enumerate(wanted) if one.kind == "images"}
    new = {n for n, p in enumerate(plan.arrays) if p.layer is not None or p.image in images}
    units = (replace(u, parts=tuple(p for p in u.parts if p.array in new)) for u in plan.units)
    return replace(plan, units=tuple(u for u in units if u.parts))


def stored_layout(image: Image, path: str, axes: str) -> Stored | None:
    """Layout of an image, or of a label image of it, by their groups; see `stored_array`."""
    nodes = Nodes(image.nodes.zarr_format)
    for number in range(len(image.multiscale.levels)):
        level = f"{path}/{number}".lstrip("/")
        if (document := image.nodes.document(level)) is not None:
            add_document(nodes, level, document)
    return stored_array(nodes, path, axes)


def source_of(one: StoreAddition, stored: dict[str, Stored]) -> SourceImage:
    """What is written, as an image of a source; the layout of its image goes to `stored`."""
    image = one.image
    unknown = [a.name for a in image.multiscale.axes if a.name not in "tczyx"]
    if unknown:
        raise StoreError("nothing can be added to an image with these axes", found=unknown)
    scale = image.scale
    axes = tuple(
        Axis(a.name, None if scale[a.name] == 1 and a.unit is None else scale[a.name], a.unit)
        for a in image.multiscale.axes
    )
    shift = image.multiscale.levels[0].translation
    if one.pixels is not None:
        kept = [i for i, a in enumerate(axes) if a.name in one.axes]
        size = one.pixels.shape[one.axes.index("c")] if "c" in one.axes else 1
        known = [Channel(c.label) for c in image.meta.channels if c.label]
        return SourceImage(
            one.path,
            one.name,
            tuple(axes[i] for i in kept),
            one.pixels,
            channels=tuple(known) if len(known) == size and "c" in one.axes else (),
            translation=shift and tuple(shift[i] for i in kept),
            attributes=one.attributes or {},
        )
    assert one.layer is not None
    with suppress(StoreError):  # laid out otherwise: the labels get a layout of their own
        found = stored_layout(image, image.path, image.axes)
        if found is not None:
            stored[image.path] = found
    empty = ArrayPixels(np.broadcast_to(np.zeros((), image.dtype), image.shape))
    name = image.attributes.get("name") or image.path
    return SourceImage(image.path, name, axes, empty, (one.layer,), translation=shift)


def write_pixels(
    plan: Plan, change: StoreChange, runner: Runner | None
) -> tuple[Plan, list[UnitRecord]]:
    """Write all levels; returns the plan with the codecs that were chosen."""
    records: list[UnitRecord] = []
    with (runner or ThreadRunner()).start(change.storage, "stop") as workers:
        for phase in plan.phases():
            units = phase
            if any(_is_lazy(plan, unit) for unit in units) and _can_compute(change.storage):
                first = pilots(plan, units)
                scheduler = Scheduler(plan, first)
                records += [record for _, record in workers.run(scheduler)]
                plan = plan.with_choices(scheduler.plan.choices)
                rest = [unit for unit in units if unit not in first]
                records += _compute(plan, rest, change.storage)
                continue
            scheduler = Scheduler(plan, units)
            records += [record for _, record in workers.run(scheduler)]
            plan = plan.with_choices(scheduler.plan.choices)
    for record in records:
        change.note_written(record.objects, record.checksums)
    return plan, records


@dataclass(frozen=True)
class _Hole:
    """An array that is not sent."""

    shape: tuple[int, ...]


def _given(source: Pixels | LabelLayer) -> GivenPixels | None:
    pixels = source.pixels if isinstance(source, VolumeLayer) else source
    return pixels if isinstance(pixels, GivenPixels) and pixels.lazy else None


def _is_lazy(plan: Plan, unit: Unit) -> bool:
    return unit.phase == 0 and any(_given(s) for s in plan.job(unit).sources.values())


def _can_compute(storage: Storage) -> bool:
    """Whether tasks of dask can write into a storage: those of a cluster not into this process."""
    return storage.locality != "process" or current_client() is None


def _compute(plan: Plan, units: Sequence[Unit], storage: Storage) -> list[UnitRecord]:
    """Write units whose pixels are dask arrays: one task writes whole objects, which no other does."""
    import dask
    from dask.delayed import delayed

    write = delayed(_write_blocks, pure=False)
    tasks = []
    for unit in units:
        job, blocks = plan.job(unit), {}
        for number, source in job.sources.items():
            given = _given(source)
            if given is not None:
                regions = [p.region for p in unit.parts if p.array == number]
                blocks[number] = [(region, given.block(region)) for region in regions]
        tasks.append(write(_without_arrays(job), storage, blocks))
    done: list[UnitRecord] = list(dask.compute(*tasks))  # type: ignore[attr-defined, no-untyped-call]  # untyped
    return done


def _with_sources(job: Job, change: Any) -> Job:
    sources: dict[int, Pixels | LabelLayer] = {}
    for number, source in job.sources.items():
        if isinstance(source, VolumeLayer):
            sources[number] = replace(source, pixels=change(number, source.pixels))
        else:
            sources[number] = change(number, source)
    return replace(job, sources=sources)


def _without_arrays(job: Job) -> Job:
    """A job that does not hold the graphs of its arrays."""

    def empty(number: int, pixels: Pixels) -> Pixels:
        if not isinstance(pixels, GivenPixels) or not pixels.lazy:
            return pixels
        return replace(pixels, array=_Hole(pixels.shape))

    return _with_sources(job, empty)


def _write_blocks(
    job: Job, storage: Storage, blocks: dict[int, list[tuple[Region, PixelArray]]]
) -> UnitRecord:
    """Run by a task of dask: write a unit from blocks that were computed."""

    def computed(number: int, pixels: Pixels) -> Pixels:
        if number not in blocks or not isinstance(pixels, GivenPixels):
            return pixels
        found = {tuple(map(tuple, region)): block for region, block in blocks[number]}
        return ComputedPixels(pixels, cast("dict[Region, PixelArray]", found))

    return run_unit(_with_sources(job, computed), storage)
