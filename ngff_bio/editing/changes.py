"""Adding labels, images and tables to a finished store, and removing them, in one transaction each."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ngff_bio._version import __version__
from ngff_bio.editing.additions import (
    FOLDERS,
    StoreAddition,
    check_free,
    list_labels,
    list_tables,
    names_of,
    write_additions,
)
from ngff_bio.editing.values import image_values, label_values
from ngff_bio.engine.write.update import changed_store, held_store
from ngff_bio.errors import ArgumentError, NameNotFoundError
from ngff_bio.model import Category, VolumeLayer
from ngff_bio.ngff.attributes import ADDED, KEY
from ngff_bio.reader.image import Image
from ngff_bio.storage import is_key

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
    check_name(name)
    values = label_values(image, labels, classes)
    layer = VolumeLayer(
        name,
        values,
        "instance" if classes is None else "semantic",
        values.max_value or 0,
        categories_of(classes),
        attributes={ADDED: provenance(author)},
    )
    arrow = None if table is None else arrow_table(table, "label")
    _write(StoreAddition(image, name, layer, table=arrow), overwrite=overwrite)


def write_image(
    image: Image, name: str, pixels: Any, *, overwrite: bool = False, author: str | None = None
) -> None:
    """Write an image that was made from another one beside it: ``image.derived[name]``.

    Parameters
    ----------
    image
        An image of an open store.
    name
        Name of the derived image.
    pixels
        Integers, floats or booleans: a NumPy, dask or xarray array with the axes of the image, with
        the same or another number of channels, or without the axis c.
    overwrite
        Whether a derived image of this name is replaced.
    author
        Who made it; the name of the user if ``None``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If name, shape, axes or type do not fit.
    ngff_bio.errors.StoreExistsError
        If there is a derived image of this name.
    ngff_bio.errors.StoreBusyError, ngff_bio.errors.StorageError
        If the store cannot be written.
    """
    check_name(name)
    values, axes = image_values(image, pixels)
    attributes = {ADDED: provenance(author)}
    one = StoreAddition(image, name, pixels=values, axes=axes, attributes=attributes)
    _write(one, overwrite=overwrite)


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
    check_name(name)
    _write(StoreAddition(image, name, table=arrow_table(table)), overwrite=overwrite)


def remove(image: Image, path: str) -> None:
    """Remove labels (with their table, hidden label images and tracks), a derived image, or a table.

    Parameters
    ----------
    path
        ``labels/<name>``, ``images/<name>`` or ``tables/<name>``.

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
    if kind not in FOLDERS:
        every = [f"{k}/{name}" for k in FOLDERS for name in names_of(image, k)]
        raise ArgumentError(
            "nothing that can be removed",
            file=image.url,
            expected=", ".join(every) or "labels/NAME, images/NAME or tables/NAME",
            found=path,
        )
    with held_store(image.storage) as held:
        reread(image)  # others may have written since it was opened
        there = names_of(image, kind)
        removed = [image.below(f"{FOLDERS[kind]}/{name}")]
        if name not in there:
            if held.finished is not None and removed[0] in held.finished.removed:
                return  # by a run that was interrupted
            raise NameNotFoundError(
                f"no {kind} {name!r} in the image",
                file=image.url,
                expected=", ".join(there) or None,
            )
        labels, tables = list(image.labels), list(image.tables)
        if kind == "labels":
            own = image.nodes.own(image.below(f"labels/{name}"))
            gone = [name, *image.hidden(name)]
            labels = [n for n in labels if n not in gone]
            removed += [image.below(f"labels/{n}") for n in gone[1:]]
            if own.get("table") == f"../../tables/{name}":
                tables = [t for t in tables if t != name]
                removed.append(image.below(f"tables/{name}"))
            if own.get("tracks") == f"../../tracks/{name}":
                removed.append(image.below(f"tracks/{name}"))
        elif kind == "tables":
            tables.remove(name)
        with changed_store(held, removed=removed) as change:
            if labels != list(image.labels):
                list_labels(image, change, labels)
            if tables != list(image.tables):
                list_tables(image, change, tables)
            if kind == "images":
                change.set_group(
                    image.below("derived"), {"derived": [n for n in there if n != name]}
                )
            for other in labels if kind == "tables" else ():
                at = image.below(f"labels/{other}")
                attributes = dict(image.nodes.attributes(at) or {})
                own = image.nodes.own(at)
                if own.get("table") == f"../../tables/{name}":
                    own.pop("table")
                    change.set_group(at, {**attributes, KEY: own})
    reread(image)


def _write(one: StoreAddition, *, overwrite: bool) -> None:
    with held_store(one.image.storage) as held:
        reread(one.image)  # others may have written since it was opened
        if not overwrite:
            check_free([one.image], one.kind, one.name)
        write_additions([one], held)
    reread(one.image)


def categories_of(classes: Mapping[int, str] | None) -> tuple[Category, ...]:
    """Categories of label values that are classes."""
    return tuple(Category(int(value), str(text)) for value, text in (classes or {}).items())


def provenance(author: str | None = None, **more: Any) -> dict[str, Any]:
    """Who writes, with which program, when: UTC, or ``SOURCE_DATE_EPOCH`` if it is set.

    See https://reproducible-builds.org/specs/source-date-epoch.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdecimal() else datetime.now(UTC)
    time = now.isoformat(timespec="seconds")
    return {"by": author or _user(), "program": f"ngff_bio {__version__}", "time": time, **more}


def arrow_table(table: Any, required: str | None = None) -> pa.Table:
    """A pandas or Arrow table as an Arrow table.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it is neither, or a required column is missing.
    """
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


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a group.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it is empty, or contains a / or a leading dot.
    """
    if not name or "/" in name or name.startswith(".") or not is_key(name):
        raise ArgumentError("not a name", expected="a name without / and leading .", found=name)


def _user() -> str | None:
    with suppress(Exception):  # no such user, no such variable
        return getpass.getuser()
    return None


def reread(image: Image) -> None:
    """Let the open image see what has changed below it."""
    image.nodes.refresh()
    for name in ("labels", "tables"):
        image.__dict__.pop(name, None)
