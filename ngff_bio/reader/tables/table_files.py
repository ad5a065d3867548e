"""Files of tables, read in parts through a storage."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.dataset as pads

from ngff_bio.errors import NgffBioError, StoreError
from ngff_bio.reader.access.nodes import NodeTree
from ngff_bio.storage import open_object

#: Bytes from the end that are fetched first: the footer, or all of a small table.
TAIL = 64 << 10


def open_table(nodes: NodeTree, path: str) -> pads.Dataset:
    """The table of a group, Parquet or CSV in ngio's layout; columns and rows are read on demand.

    Raises
    ------
    ngff_bio.errors.StoreError
        If it has another format, is missing, or is damaged.
    """
    backend = (nodes.attributes(path) or {}).get("backend", "parquet")
    file = f"{nodes.storage.url}/{path}"
    if backend not in ("parquet", "csv"):
        raise StoreError(
            "unknown format of a table",
            file=file,
            expected="parquet or csv",
            found=backend,
            hint="open it with ngio",
        )
    key = f"{path}/table.{backend}"
    try:
        if backend == "parquet":
            file_like = pa.PythonFile(open_object(nodes.storage, key, TAIL), mode="r")
            fragment = pads.ParquetFileFormat().make_fragment(file_like)
            return pads.FileSystemDataset([fragment], fragment.physical_schema, fragment.format)
        import pyarrow.csv

        data = nodes.storage.get(key)
        if data is None:
            raise FileNotFoundError
        return pads.dataset(pyarrow.csv.read_csv(pa.BufferReader(data)))
    except NgffBioError:  # no response does not mean a damaged table
        raise
    except FileNotFoundError:
        raise StoreError(
            "a table is listed but missing", file=f"{nodes.storage.url}/{key}"
        ) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise damaged_table(file, error) from error


def damaged_table(file: str, error: Exception) -> StoreError:
    """The error for a table that pyarrow cannot read."""
    return StoreError("a table cannot be read", file=file, found=f"{type(error).__name__}: {error}")
