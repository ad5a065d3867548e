"""Files of tables, read in parts through a storage."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from ngff_bio.errors import NgffBioError, StoreError
from ngff_bio.reader.access.nodes import NodeTree
from ngff_bio.storage.window import Window

#: Bytes from the end that are fetched at first: the footer, or all of a small table.
TAIL = 64 << 10

_GONE = "a table that is listed is not there"


class TableData:
    """A table that is read by columns and rows."""

    def __init__(self, source: Any) -> None:
        self._source = source
        schema = source.schema if isinstance(source, pads.Dataset) else source.physical_schema
        self.schema: pa.Schema = schema

    def to_table(self, columns: list[str], filter: Any) -> pa.Table:
        """Rows for which the filter holds."""
        return self._source.to_table(columns=columns, filter=filter)


def open_table(nodes: NodeTree, path: str) -> TableData:
    """The table of a group: Parquet or CSV, as ngio lays them out.

    Raises
    ------
    ngff_bio.errors.StoreError
        If it is kept in another way, is not there, or is damaged.
    """
    backend = (nodes.attributes(path) or {}).get("backend", "parquet")
    storage, url = nodes.storage, f"{nodes.storage.url}/{path}"
    try:
        if backend == "parquet":
            window = Window(storage, f"{path}/table.parquet", TAIL)
            file = pa.PythonFile(window, mode="r")
            return TableData(pads.ParquetFileFormat().make_fragment(file))
        if backend == "csv":
            import pyarrow.csv as pacsv

            data = storage.get(f"{path}/table.csv")
            if data is None:
                raise StoreError(_GONE, file=url)
            return TableData(pads.dataset(pacsv.read_csv(pa.BufferReader(data))))
    except NgffBioError:  # no answer is not a damaged table
        raise
    except FileNotFoundError:
        raise StoreError(_GONE, file=f"{url}/table.parquet") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(
            "a table cannot be read", file=url, found=f"{type(error).__name__}: {error}"
        ) from error
    raise StoreError(
        "a table is kept in a way that is not read here",
        file=url,
        expected="parquet or csv",
        found=backend,
        hint="open it with ngio",
    )
