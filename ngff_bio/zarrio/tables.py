"""Tables of a store, read within limits: few bytes of Parquet can stand for any number of rows."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from ngff_bio.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    import zarr

#: Rows of a table that is read as a whole.
MOST_ROWS = 10_000_000

#: Bytes of the columns of a table that are read at once, in memory.
MOST_BYTES = 4 << 30

#: Bytes of a cell, at least.
_CELL = 8

#: Rows that are decoded at once: usually, and where a few texts may be those of all of them.
_ROWS, _FEW_ROWS = 1 << 16, 1 << 8


def read_parquet(source: Any, file: object, columns: Collection[str] | None = None) -> pa.Table:
    """A table as a whole, or those of its columns.

    Parameters
    ----------
    source
        What `pyarrow.parquet.ParquetFile` takes.
    file
        For messages.

    Raises
    ------
    ngff_bio.errors.StoreError
        If it has more than `MOST_ROWS` rows, or its columns take more than `MOST_BYTES`.
    pyarrow.ArrowException, OSError
        If it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    parquet = pq.ParquetFile(source)
    check_rows(parquet.metadata.num_rows, file)
    check_footer(parquet.metadata, file, columns)
    schema = parquet.schema_arrow
    if columns is not None:
        schema = pa.schema([f for f in schema if f.name in columns], schema.metadata)
    names = None if columns is None else list(columns)
    threads = parquet.metadata.num_rows > _ROWS
    batches = parquet.iter_batches(
        _batch_rows(parquet.metadata), columns=names, use_threads=threads
    )
    return collect(batches, schema, file).combine_chunks()


def read_csv(source: pa.NativeFile, file: object) -> pa.Table:
    """A table of text; raises as `read_parquet`. Its size is a small multiple of that of the text."""
    import pyarrow.csv

    _check(_CELL * source.size(), MOST_BYTES, "bytes", file)
    table = pyarrow.csv.read_csv(source)
    check_rows(table.num_rows, file)
    return table


def check_arrays(group: zarr.Group, file: object) -> None:
    """Raise if arrays below a group take too many bytes: few chunks can stand for any shape.

    Groups count too, by their attribute ``shape``: it is that of sparse matrices of AnnData.
    """
    needed = 0
    for _, node in group.members(None):
        shape: Any = node.attrs.get("shape", [0]) if hasattr(node, "members") else node.shape
        needed += _CELL * math.prod(map(int, shape))
        _check(needed, MOST_BYTES, "bytes", file)


def collect(batches: Iterable[pa.RecordBatch], schema: pa.Schema, file: object) -> pa.Table:
    """Batches as a table; raises as `read_parquet` where they take too many bytes."""
    import pyarrow as pa

    kept, size = [], 0
    for batch in batches:
        size += batch.nbytes
        _check(size, MOST_BYTES, "bytes", file)
        kept.append(batch)
    return pa.Table.from_batches(kept, schema)


def check_rows(rows: int, file: object) -> None:
    """Raise if a table has too many rows to be read as a whole."""
    _check(rows, MOST_ROWS, "rows", file)


def check_footer(
    metadata: pq.FileMetaData,
    file: object,
    columns: Collection[str] | None = None,
    *,
    streamed: bool = False,
) -> None:
    """Raise if columns of a Parquet file take too many bytes, by its footer.

    What the footer states of single columns is not asked for: where it is damaged, pyarrow ends the
    process (an exception of C++ that it does not catch).

    Parameters
    ----------
    streamed
        Only one row group is in memory at a time.
    """
    needed = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        wide = group.num_columns if columns is None else len(columns)
        stated = group.total_byte_size if columns is None else 0
        needed = max(_CELL * wide * group.num_rows, stated) + (0 if streamed else needed)
        _check(needed, MOST_BYTES, "bytes", file)


def _batch_rows(metadata: pq.FileMetaData) -> int:
    """Rows that take less than `MOST_BYTES`, where each has all bytes of its group; at least a few."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    largest = max((group.total_byte_size for group in groups), default=1)
    return max(_FEW_ROWS, min(_ROWS, MOST_BYTES // max(largest, 1)))


def _check(found: int, most: int, unit: str, file: object) -> None:
    if found > most:
        raise StoreError(
            "a table is larger than allowed",
            file=file,
            expected=f"at most {most:,} {unit}",
            found=f"{found:,} {unit} or more",
            hint="read some columns and rows of it: annotations(columns=..., t=...)",
        )
