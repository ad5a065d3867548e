"""Adding labels and tables to a finished store, and removing them, in one transaction each."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ngff_bio import ngff
from ngff_bio._version import __version__
from ngff_bio.editing.values import label_values
from ngff_bio.engine.plan.layout import Stored
from ngff_bio.engine.plan.plan import Plan, plan_dataset
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.engine.resume.stored import stored_array
from ngff_bio.engine.run.runners import ThreadRunner
from ngff_bio.engine.run.scheduler import Scheduler
from ngff_bio.engine.write.finish import parts_by_array
from ngff_bio.engine.write.metadata import label_attributes
from ngff_bio.engine.write.records import UnitRecord
from ngff_bio.engine.write.tables import FILE, group_attributes, to_parquet, volume_table
from ngff_bio.engine.write.update import StoreChange, changed_store
from ngff_bio.engine.write.volumes import merge_objects
from ngff_bio.errors import ArgumentError, NameNotFoundError, StoreError, StoreExistsError
from ngff_bio.model import (
    ArrayPixels,
    Axis,
    Category,
    SourceDataset,
    SourceImage,
    VolumeLayer,
)
from ngff_bio.ngff.attributes import ADDED, KEY
from ngff_bio.ngff.metadata import VERSIONS
from ngff_bio.reader.image import Image
from ngff_bio.storage import is_key
from ngff_bio.zarrio.nodes import Nodes, add_document

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def write_labels(
    image: Image,
    name: str,
    labels: Any,
    *,
    classes: Mapping[int, str] | None = None,
    table: pd.DataFrame | pa.Table | None = None,
    overwrite: bool = False,
    author: str | None = None,
) -> None:
    """Write a label image beside an image: with all its levels, a table, metadata and manifest.

    Killed at any moment, the store is the old or the new one. Levels are reduced by the most frequent
    value. The attributes of the label image state author, time and program; ``verify`` reports it as
    added later.

    Parameters
    ----------
    image
        An image of an open store.
    name
        Name of the label image.
    labels
        Integers of at most 32 bits, or booleans: a NumPy, dask or xarray array with the axes of the
        image without c, and its shape. Of a dask array, only as much is computed at a time as is
        written.
    classes
        Name of each value, where values are classes; else they are objects, and get a table with box
        and size of each.
    table
        The table of the objects instead: it has a column ``label``.
    overwrite
        Whether labels of this name are replaced.
    author
        Who made them; the name of the user if ``None``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If name, shape, axes or type do not fit, or a value is negative or too large.
    ngff_bio.errors.StoreExistsError
        If there are labels of this name.
    ngff_bio.errors.StoreBusyError
        If another process is writing into the store.
    ngff_bio.errors.StorageError
        If the store cannot be written.
    """
    _check_name(name)
    values = label_values(image, labels)
    path, table_path = image.below(f"labels/{name}"), image.below(f"tables/{name}")
    there = name in image.labels
    if there and not overwrite:
        raise StoreExistsError(
            "the image has labels of this name",
            file=image.url,
            found=name,
            hint="choose another name, or replace them with --overwrite (in Python: overwrite=True)",
        )
    arrow = None if table is None else _arrow(table, "label")
    added = {"by": author or _user(), "program": f"ngff_bio {__version__}", "time": _now()}
    listed = [Category(int(value), str(text)) for value, text in (classes or {}).items()]
    layer = VolumeLayer(
        name,
        values,
        "instance" if classes is None else "semantic",
        values.max_value,
        tuple(listed),
        attributes={ADDED: added},
    )
    plan = _plan(image, layer)
    removed = [path, table_path] if there else []
    with changed_store(image.storage, [path, table_path], removed) as change:
        plan, records = _write_pixels(plan, change)
        (number,) = (n for n, planned in enumerate(plan.arrays) if planned.layer is not None)
        planned = plan.arrays[number].plan
        if arrow is None and layer.kind == "instance":
            parts = parts_by_array(records).get(number, [])
            objects = merge_objects([p.objects for p in parts])
            arrow = volume_table(layer, planned.axes, objects) if objects else None
        for key, document in planned.documents().items():
            change.set_array(key, document)
        source = plan.dataset.images[0]
        has_table = arrow is not None
        change.set_group(path, label_attributes(plan, source, layer, planned, 0, 0, has_table))
        _list_labels(image, change, [*(n for n in image.labels if n != name), name])
        tables = [t for t in image.tables if t != name or not there]
        if arrow is not None:
            _put_table(image, change, name, arrow)
            tables = [*(t for t in tables if t != name), name]
        if tables != list(image.tables):
            _list_tables(image, change, tables)
    _reread(image)


def write_table(
    image: Image, name: str, table: pd.DataFrame | pa.Table, *, overwrite: bool = False
) -> None:
    """Write a table beside an image, as ``tables/<name>``: any columns that Parquet can hold.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the name is not one, or the table cannot be stored.
    ngff_bio.errors.StoreExistsError
        If there is a table of this name.
    ngff_bio.errors.StoreBusyError, ngff_bio.errors.StorageError
        If the store cannot be written.
    """
    _check_name(name)
    if name in image.tables and not overwrite:
        raise StoreExistsError(
            "the image has a table of this name",
            file=image.url,
            found=name,
            hint="choose another name, or pass overwrite=True",
        )
    arrow = _arrow(table)
    path = image.below(f"tables/{name}")
    removed = [path] if name in image.tables else []
    with changed_store(image.storage, [path], removed) as change:
        _put_table(image, change, name, arrow)
        if name not in image.tables:
            _list_tables(image, change, [*image.tables, name])
    _reread(image)


def remove(image: Image, path: str) -> None:
    """Remove labels (with their table, hidden label images and tracks) or a table of an image.

    Parameters
    ----------
    path
        ``labels/<name>`` or ``tables/<name>``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the path is neither.
    ngff_bio.errors.NameNotFoundError
        If there is nothing at the path.
    ngff_bio.errors.StoreBusyError, ngff_bio.errors.StorageError
        If the store cannot be written.
    """
    kind, _, name = path.strip("/").partition("/")
    if kind not in ("labels", "tables"):
        raise ArgumentError(
            "neither labels nor a table", expected="labels/NAME or tables/NAME", found=path
        )
    there = image.labels if kind == "labels" else image.tables
    if name not in there:
        raise NameNotFoundError(
            f"no {kind} {name!r} in the image", file=image.url, expected=", ".join(there) or None
        )
    labels, tables = list(image.labels), list(image.tables)
    removed = [image.below(f"{kind}/{name}")]
    if kind == "labels":
        own = image.nodes.own(image.below(f"labels/{name}"))
        gone = [name, *(h for h in own.get("hidden") or () if h in labels)]
        labels = [n for n in labels if n not in gone]
        removed += [image.below(f"labels/{n}") for n in gone[1:]]
        if own.get("table") == f"../../tables/{name}":
            tables = [t for t in tables if t != name]
            removed.append(image.below(f"tables/{name}"))
        if own.get("tracks") == f"../../tracks/{name}":
            removed.append(image.below(f"tracks/{name}"))
    else:
        tables.remove(name)
    with changed_store(image.storage, removed=removed) as change:
        if labels != list(image.labels):
            _list_labels(image, change, labels)
        if tables != list(image.tables):
            _list_tables(image, change, tables)
        for other in labels if kind == "tables" else ():
            at = image.below(f"labels/{other}")
            attributes = dict(image.nodes.attributes(at) or {})
            own = image.nodes.own(at)
            if own.get("table") == f"../../tables/{name}":
                own.pop("table")
                change.set_group(at, {**attributes, KEY: own})
    _reread(image)


def _plan(image: Image, layer: VolumeLayer) -> Plan:
    """The label image as the engine writes it: on the levels and chunks of its image."""
    version = image.meta.version
    if version not in VERSIONS:
        raise StoreError("labels cannot be added to an image of this version", found=version)
    unknown = [a.name for a in image.multiscale.axes if a.name not in "tczyx"]
    if unknown:
        raise StoreError("labels cannot be added to an image with these axes", found=unknown)
    scale = image.scale
    axes = tuple(
        Axis(a.name, None if scale[a.name] == 1 and a.unit is None else scale[a.name], a.unit)
        for a in image.multiscale.axes
    )
    nodes = Nodes(image.nodes.zarr_format)
    for number in range(len(image.multiscale.levels)):
        path = image.below(str(number))
        if (document := image.nodes.document(path)) is not None:
            add_document(nodes, path, document)
    stored: dict[str, Stored] = {}
    with suppress(StoreError):  # laid out otherwise: the labels get a layout of their own
        found = stored_array(nodes, image.path, image.axes)
        if found is not None:
            stored[image.path] = found
    empty = ArrayPixels(np.broadcast_to(np.zeros((), image.dtype), image.shape))
    source = SourceImage(
        image.path,
        image.attributes.get("name") or image.path,
        axes,
        empty,
        (layer,),
        translation=image.multiscale.levels[0].translation,
    )
    settings = Settings(version=version, levels=len(image.multiscale.levels))
    plan = plan_dataset(SourceDataset("", "", "", "collection", (source,)), settings, stored)
    units = (
        replace(u, parts=tuple(p for p in u.parts if plan.arrays[p.array].layer is not None))
        for u in plan.units
    )
    return replace(plan, units=tuple(u for u in units if u.parts))


def _write_pixels(plan: Plan, change: StoreChange) -> tuple[Plan, list[UnitRecord]]:
    """Write all levels; returns the plan with the codec that was chosen."""
    records: list[UnitRecord] = []
    with ThreadRunner().start(change.storage, "stop") as workers:
        for phase in plan.phases():
            scheduler = Scheduler(plan, phase)
            records += [record for _, record in workers.run(scheduler)]
            plan = plan.with_choices(scheduler.plan.choices)
    for record in records:
        change.note_written(record.objects, record.checksums)
    return plan, records


def _list_labels(image: Image, change: StoreChange, names: list[str]) -> None:
    path = image.below("labels")
    version = cast("Any", image.meta.version)
    encoded = ngff.encode(ngff.GroupMeta(labels=tuple(names)), version)
    change.set_group(path, {**(image.nodes.attributes(path) or {}), **encoded})


def _list_tables(image: Image, change: StoreChange, names: list[str]) -> None:
    path = image.below("tables")
    change.set_group(path, {**(image.nodes.attributes(path) or {}), "tables": names})


def _put_table(image: Image, change: StoreChange, name: str, table: pa.Table) -> None:
    path = image.below(f"tables/{name}")
    change.put(f"{path}/{FILE}", to_parquet(table))
    change.set_group(path, group_attributes())


def _arrow(table: Any, required: str | None = None) -> pa.Table:
    import pyarrow as pa

    try:
        found = table if isinstance(table, pa.Table) else pa.Table.from_pandas(table)
    except (pa.ArrowException, AttributeError, TypeError, ValueError) as error:
        raise ArgumentError(
            "the table cannot be stored", expected="a pandas or Arrow table", found=error
        ) from error
    if required is not None and required not in found.column_names:
        raise ArgumentError(
            "the table has no such column", expected=required, found=", ".join(found.column_names)
        )
    return found


def _check_name(name: str) -> None:
    if not name or "/" in name or name.startswith(".") or not is_key(name):
        raise ArgumentError("not a name", expected="a name without / and leading .", found=name)


def _user() -> str | None:
    with suppress(Exception):  # no such user, no such variable
        return getpass.getuser()
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _reread(image: Image) -> None:
    """Let the open image see what has changed below it."""
    image.nodes.refresh()
    for name in ("labels", "tables"):
        image.__dict__.pop(name, None)
