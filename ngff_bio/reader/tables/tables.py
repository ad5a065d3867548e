"""Annotation tables as data frames; rows are chosen before they are read.

A table is a Parquet file in the store (ngio's table layout). Its footer says which row groups can
hold rows that are asked for, and only those are fetched, only the columns that are wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from ngff_bio.errors import NameNotFoundError, NgffBioError, StoreError
from ngff_bio.parallel import shared_pool
from ngff_bio.reader.access.notices import left_out
from ngff_bio.reader.tables.frames import Library, as_frame, dask_frame
from ngff_bio.reader.tables.rows import RowFilter, row_filter
from ngff_bio.reader.tables.table_files import open_table

if TYPE_CHECKING:
    from ngff_bio.reader.access.dataset import Dataset
    from ngff_bio.reader.access.image import Image


def read_tables(
    image: Image,
    table: str | None = None,
    *,
    t: int | slice | Sequence[int] | None = None,
    category: str | Sequence[str] | None = None,
    label: int | Sequence[int] | None = None,
    x: Any = None,
    y: Any = None,
    z: Any = None,
    units: Literal["world", "pixel"] = "world",
    where: Mapping[str, Any] | Any = None,
    columns: Sequence[str] | None = None,
    to: Library = "pandas",
) -> Any:
    """Rows of the tables of an image.

    Parameters
    ----------
    table
        Name of one; all of them if ``None``, with the column ``layer`` first.
    t
        Frames: an index, several, or a slice.
    category
        Names of classes.
    label
        Label values.
    x, y, z
        (start, stop) of a region that rows must touch, as for :meth:`Image.region`. A row that
        says neither box nor polygons is kept.
    units
        ``pixel``: x, y and z are pixels of level 0.
    where
        More to hold: values by column (a list means any of them), or a pyarrow expression.
    columns
        Those wanted; all if ``None``.
    to
        ``pandas``, ``pyarrow``, ``polars``, ``geopandas`` (polygons as geometry, in pixels), or
        ``dask`` (nothing is read until computed).

    Raises
    ------
    ngff_bio.errors.NameNotFoundError
        If there is no such table, or no such column in any of them.
    ngff_bio.errors.DependencyError
        If the library is not installed.
    """
    names = image.tables if table is None else (table,)
    chosen = row_filter(
        image, t=t, category=category, label=label, x=x, y=y, z=z, units=units, where=where
    )
    first = {} if table is not None else {"layer": None}
    jobs = [(image, name, chosen, columns, {**first, **({"layer": name} if first else {})})
            for name in names]  # fmt: skip
    if to == "dask":
        return dask_frame(_read_one, jobs)
    tables = [_read_one(job) for job in jobs]
    return as_frame(_joined(tables), to)


def read_all_tables(
    dataset: Dataset,
    table: str | None = None,
    *,
    images: Iterable[str] | None = None,
    to: Library = "pandas",
    columns: Sequence[str] | None = None,
    **rows: Any,
) -> Any:
    """Rows of the tables of many images, with the columns ``image`` and ``layer`` first.

    Parameters
    ----------
    table
        Name of one; all of them if ``None``.
    images
        Paths of images, such as ``ds.images.query("well == 'C7'").path``; all if ``None``.
    to, columns
        As for :func:`read_tables`.
    rows
        Which rows, as for :func:`read_tables`. With ``to="dask"`` every image's table is a
        partition that is read when it is computed.

    Raises
    ------
    ngff_bio.errors.NameNotFoundError
        If no image has such a table.
    """
    jobs, known = [], dict[str, None]()
    for path in dataset if images is None else images:
        try:
            image = dataset[path]
            known |= dict.fromkeys(image.tables)
        except StoreError as error:
            left_out(f"the image {path!r}", error)
            continue
        chosen = row_filter(image, **rows)
        for name in image.tables:
            if table in (None, name):
                jobs.append((image, name, chosen, columns, {"image": path, "layer": name}))
    if table is not None and not jobs:
        raise NameNotFoundError(
            f"no image has a table {table!r}",
            file=dataset.url,
            expected=", ".join(known) or "there are no tables",
        )
    if to == "dask":
        return dask_frame(_read_one, jobs)
    remote = getattr(dataset._nodes.storage, "locality", "machine") == "network"
    return as_frame(_joined(shared_pool(remote=remote).map(_read_one, jobs)), to)


Job = tuple["Image", str, RowFilter, "Sequence[str] | None", dict[str, Any]]


def _read_one(job: Job) -> pa.Table:
    """Rows of one table, with columns that say where they are from."""
    image, name, chosen, columns, more = job
    if name not in image.tables:
        raise image._unknown("table", name, image.tables)
    data = open_table(image._nodes, image._below(f"tables/{name}"))
    present = set(data.schema.names)
    if columns is not None and not present & set(columns):
        wanted: list[str] = []
    else:
        wanted = [c for c in (columns or data.schema.names) if c in present]
    try:
        condition = chosen.expression(present, name)
        read = list(dict.fromkeys([*wanted, *chosen.needed(present)]))
        found = chosen.refine(data.to_table(columns=read, filter=condition))
    except NgffBioError:
        raise
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise StoreError(
            "a table cannot be read",
            file=f"{image.url}/tables/{name}",
            found=f"{type(error).__name__}: {error}",
        ) from error
    found = found.select(wanted)
    for at, (column, value) in enumerate(more.items()):
        filled = pa.array([value] * found.num_rows, pa.string()).dictionary_encode()
        if column not in found.schema.names:
            found = found.add_column(at, column, filled.cast(pa.string()))
    return found


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    if not tables:
        return pa.table({})
    return pa.concat_tables(tables, promote_options="permissive")


__all__ = ["read_all_tables", "read_tables"]
