"""Annotation tables as data frames; rows are selected before they are read.

A table is a Parquet file in the store (ngio's table layout). Its footer has the value ranges of the row
groups: only those that can contain selected rows are fetched, and only the selected columns.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from ngff_bio.errors import (
    NameNotFoundError,
    NgffBioError,
    StoreError,
    closest_names,
    import_optional,
    plain_reason,
)
from ngff_bio.model import MAX_HIDDEN
from ngff_bio.parallel import shared_pool
from ngff_bio.printing import printable
from ngff_bio.reader.access.image import ImageNode, PartlyUnreadableWarning, warn_skipped
from ngff_bio.reader.access.nodes import NodeTree
from ngff_bio.reader.tables.foreign import anndata_table, backend_of, json_table
from ngff_bio.reader.tables.frames import Library, as_frame
from ngff_bio.reader.tables.rows import EVERY_ROW, RowFilter, RowSelection, row_filter, values_of
from ngff_bio.storage import open_object
from ngff_bio.zarrio.tables import check_footer, collect, read_csv, read_parquet

if TYPE_CHECKING:
    import pandas as pd


def read_tables(
    images: Iterable[ImageNode],
    table: str | None,
    url: str,
    origin: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    to: Library = "pandas",
    rows: RowSelection | None = None,
) -> Any:
    """Rows of the tables of images; see :meth:`ngff_bio.reader.Image.annotations`.

    Parameters
    ----------
    table
        Name of a table; all tables if ``None``.
    url
        What the images belong to, for messages.
    origin
        Of ``image`` and ``layer``, the columns that are added to the left.
    """
    parts: list[TablePart] = []
    known: dict[str, None] = {}
    for image in images:
        known |= dict.fromkeys(image.tables)
        chosen = row_filter(image, rows or {})
        parts += [
            TablePart(image, name, chosen, columns, tuple(origin))
            for name in image.tables
            if table in (None, name)
        ]
    if table is not None and not parts:
        raise NameNotFoundError(
            f"no table {table!r}",
            file=url,
            expected=closest_names(table, known) or "there are no tables",
        )
    wanted = values_of((rows or {}).get("category") or ())
    if to == "dask":
        _check_categories(parts, wanted, url)
        return dask_frame(parts)
    remote = bool(parts) and parts[0].image.storage.locality == "network"
    found = shared_pool(remote=remote).map(TablePart.read, parts)
    with types_reported(url):
        joined = pa.concat_tables(found, promote_options="permissive") if found else pa.table({})
    present = joined.schema.names
    if wanted and "category" in present:
        seen = joined["category"].unique().to_pylist()
        wanted = tuple(c for c in wanted if c not in seen)
    _check_categories(parts, wanted, url)
    for column in columns or () if parts else ():
        if column not in present:
            every = dict.fromkeys(name for part in parts for name in part.open().schema.names)
            raise NameNotFoundError(
                f"no table has a column {column!r}",
                file=url,
                expected=closest_names(column, every),
            )
    return as_frame(joined, to)


def column_names(image: ImageNode, table: str) -> tuple[str, ...]:
    """Columns of a table of an image; its rows are not read."""
    return tuple(open_table(image.nodes, image.table_path(table)).schema.names)


@dataclass(frozen=True)
class TablePart:
    """Selected rows of one table."""

    image: ImageNode
    name: str
    rows: RowFilter
    columns: Sequence[str] | None
    origin: tuple[str, ...]

    def open(self) -> pads.Dataset:
        """The table itself."""
        return open_table(self.image.nodes, self.image.table_path(self.name))

    def read(self) -> pa.Table:
        """The rows, with columns that name their image and layer."""
        data = self.open()
        present = set(data.schema.names)
        columns = [c for c in self.columns or data.schema.names if c in present]
        condition = self.rows.expression(present, self.name)
        needed = list(dict.fromkeys([*columns, *self.rows.needed(present)]))
        found = self.rows.refine(
            _scan(data, f"{self.image.url}/tables/{self.name}", needed, condition)
        )
        found = found.select(columns)
        for at, column in enumerate(c for c in self.origin if c not in present):
            value = self.image.path if column == "image" else self.name
            found = found.add_column(at, column, pa.repeat(pa.scalar(value), found.num_rows))
        return found


def annotation_parts(images: Mapping[str, ImageNode], columns: Sequence[str]) -> list[TablePart]:
    """Columns of the tables of label layers, and of all tables of an image that has none of these.

    Other tables beside them, as of measurements, describe the same objects.
    """
    return [
        TablePart(image, name, EVERY_ROW, columns, ("image", "layer"))
        for image in readable_images(images, images)
        for name in [n for n in image.tables if n in image.layers] or image.tables
    ]


@contextmanager
def damage_reported(url: str) -> Iterator[None]:
    """Errors of Arrow as one that names the table."""
    try:
        yield
    except NgffBioError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise damaged_table(url, error) from error


def union_schema(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Every column of some tables; each may be null, since some of the tables may not have it.

    Raises
    ------
    pyarrow.ArrowTypeError, pyarrow.ArrowInvalid
        If a column has types that cannot be joined; see `types_reported`.
    """
    seen = dict.fromkeys(schema.remove_metadata() for schema in schemas)
    every = pa.unify_schemas([*seen], promote_options="permissive") if seen else ()
    return pa.schema([field.with_nullable(True) for field in every])


@contextmanager
def types_reported(url: str) -> Iterator[None]:
    """Tables that cannot be joined as one error that names the column; `url` is that of the store."""
    try:
        yield
    except pa.ArrowException as error:
        raise StoreError(
            "a column has different types in the tables of a store",
            file=url,
            found=printable(str(error)),
            hint="write the column with one type in all tables, or read the tables of each image alone",
        ) from error


def table_rows(data: pads.Dataset, url: str) -> pd.DataFrame:
    """All rows of a table; `url` is for messages.

    Raises
    ------
    ngff_bio.errors.StoreError
        If it is damaged.
    """
    frame: pd.DataFrame = _scan(data, url).to_pandas()
    return frame


def _scan(
    data: pads.Dataset,
    url: str,
    columns: list[str] | None = None,
    condition: pc.Expression | None = None,
) -> pa.Table:
    """Rows of a table that a condition selects; raises as `table_rows`."""
    with damage_reported(url):
        for fragment in data.get_fragments():
            if isinstance(fragment, pads.ParquetFileFragment):
                check_footer(fragment.metadata, url, columns, streamed=condition is not None)
        scanner = data.scanner(columns=columns, filter=condition)
        found = collect(scanner.to_reader(), scanner.projected_schema, url)
        found.validate(full=True)  # texts that are not UTF-8 fail in pandas otherwise
    return found


def dask_frame(parts: Sequence[TablePart]) -> Any:
    """A dask data frame with a partition per part; one of each name is read for its columns.

    Raises
    ------
    ngff_bio.errors.DependencyError
        If ``dask.dataframe`` is not installed.
    """
    frames = import_optional("dask.dataframe", "dask[dataframe]")
    if not parts:
        import pandas as pd

        return frames.from_pandas(pd.DataFrame(), npartitions=1)
    first = {part.name: part for part in reversed(parts)}
    with types_reported(parts[0].image.storage.url):
        schema = union_schema(part.read().schema for part in first.values())
    meta = schema.empty_table().to_pandas()
    return frames.from_map(_read_partition, list(parts), schema=schema, meta=meta)


def _read_partition(part: TablePart, schema: pa.Schema) -> pd.DataFrame:
    """One partition with the columns of all."""
    parts = [schema.empty_table(), part.read()]
    with types_reported(part.image.storage.url):
        table = pa.concat_tables(parts, promote_options="permissive").select(schema.names)
        frame: pd.DataFrame = table.cast(schema).to_pandas()
    return frame


def _check_categories(parts: Sequence[TablePart], wanted: Sequence[str], url: str) -> None:
    """Raise if a class has no rows because no table knows it."""
    if not wanted or not parts:
        return
    known: dict[str, None] = {}
    for part in parts:
        listed = part.image.label_attributes(part.name).get("categories") or ()
        known |= dict.fromkeys(str(c.get("name")) for c in listed)
    if not known.keys() >= set(wanted):  # classes that only the tables have
        for part in parts:
            known |= dict.fromkeys(classes_of(part.image, part.name).values())
    for name in wanted:
        if name not in known:
            raise NameNotFoundError(
                f"no category {name!r}",
                file=url,
                expected=closest_names(name, filter(None, known)) or "there are no categories",
            )


def classes_of(image: ImageNode, layer: str) -> dict[int, str]:
    """Class by label value, from the table of the layer, or from the label image's properties.

    Empty if neither has classes.
    """
    if layer in image.tables:
        columns = ("label", "category")
        table = _parquet_columns(image, layer, columns)
        if table is None:
            table = TablePart(image, layer, EVERY_ROW, columns, ()).read()
        if set(columns) <= set(table.schema.names):
            return dict(zip(*(table[c].to_pylist() for c in columns), strict=True))
    meta = image.label_meta(layer).label if layer in image.labels else None
    properties = meta.properties if meta is not None else ()
    return {int(p["label-value"]): p["class"] for p in properties if "class" in p}


def _parquet_columns(image: ImageNode, table: str, columns: Sequence[str]) -> pa.Table | None:
    """Columns of a table without the scanner of a data set, which takes longer than a small table.

    ``None`` if the table cannot be read, or does not have each of them once.
    """
    path = image.table_path(table)
    if backend_of(image.nodes.attributes(path) or {}) != "parquet":
        return None
    try:
        found = open_object(image.storage, f"{path}/table.parquet", TAIL)
        rows = read_parquet(pa.PythonFile(found, mode="r"), image.nodes.url(path), columns)
        if any(rows.schema.names.count(c) != 1 for c in columns):
            return None
        rows.validate(full=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError):  # reported by whoever reads it all
        return None
    return rows


def in_table_only(image: ImageNode, layer: str) -> set[tuple[int, int]]:
    """Frame and label value of the instances of a layer that are whole in none of its label images.

    A warning states their number: what label images show of them is not all of them.
    """
    if len(image.layers.get(layer, ())) < MAX_HIDDEN or layer not in image.tables:
        return set()
    every = RowFilter({}, None, {}, pc.field("label_image").is_null())
    rows = TablePart(image, layer, every, ("t", "label"), ()).read()
    if rows.num_rows:
        text = (
            f"{rows.num_rows} instances of {image.url}/labels/{layer} are left out: "
            "they overlap so many others that only the table has their outlines"
        )
        warnings.warn(printable(text), PartlyUnreadableWarning, stacklevel=4)
    return set(zip(rows["t"].to_pylist(), rows["label"].to_pylist(), strict=True))


def readable_images(images: Mapping[str, ImageNode], paths: Iterable[str]) -> Iterator[ImageNode]:
    """Images by path; a warning names those that cannot be read."""
    for path in paths:
        try:
            image = images[path]
            _ = image.tables
        except StoreError as error:
            warn_skipped(f"the image {path!r}", error)
        else:
            yield image


#: Bytes from the end that are fetched first: the footer, or all of a small table.
TAIL = 64 << 10


def open_table(nodes: NodeTree, path: str) -> pads.Dataset:
    """The table of a group, in ngio's layout or as AnnData; those of Parquet are read on demand.

    Raises
    ------
    ngff_bio.errors.StoreError
        If it has another format, is missing, or is damaged.
    """
    backend = backend_of(nodes.attributes(path) or {})
    file = f"{nodes.storage.url}/{path}"
    if backend == "json":
        return _checked_columns(pads.dataset(json_table(nodes, path)), file)
    if backend == "anndata":
        return _checked_columns(pads.dataset(anndata_table(nodes, path)), file)
    if backend not in ("parquet", "csv"):
        raise StoreError(
            "unknown format of a table",
            file=file,
            expected="parquet, csv, json or anndata",
            found=backend,
            hint="have the program that wrote it write one of these formats",
        )
    key = f"{path}/table.{backend}"
    try:
        if backend == "parquet":
            file_like = pa.PythonFile(open_object(nodes.storage, key, TAIL), mode="r")
            fragment = pads.ParquetFileFormat().make_fragment(file_like)
            schema = fragment.physical_schema
            return _checked_columns(
                pads.FileSystemDataset([fragment], schema, fragment.format), file
            )
        data = nodes.storage.get(key)
        if data is None:
            raise FileNotFoundError
        return _checked_columns(pads.dataset(read_csv(pa.BufferReader(data), file)), file)
    except NgffBioError:  # no response does not mean a damaged table
        raise
    except FileNotFoundError:
        raise StoreError(
            "a table is listed but missing", file=f"{nodes.storage.url}/{key}"
        ) from None
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise damaged_table(file, error) from error


def _checked_columns(data: pads.Dataset, file: str) -> pads.Dataset:
    """A table whose columns have names of their own, which are UTF-8."""
    names = data.schema.names
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise StoreError("a table has a column twice", file=file, record=twice)
    return data


def damaged_table(file: str, error: Exception) -> StoreError:
    """The error for a table that pyarrow cannot read."""
    return StoreError("a table cannot be read", file=file, found=plain_reason(error))
