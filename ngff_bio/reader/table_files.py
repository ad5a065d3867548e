"""Files of tables, read in parts through a storage."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from ngff_bio.errors import NgffBioError, StoreError
from ngff_bio.reader.nodes import NodeTree
from ngff_bio.storage import Storage

#: Bytes from the end that are fetched at first: the footer, or all of a small table.
TAIL = 64 << 10


class RangedFile(io.RawIOBase):
    """An object of a storage as a file: what is not asked for is not fetched."""

    def __init__(self, storage: Storage, key: str) -> None:
        self._storage, self._key = storage, key
        tail = storage.get_range(key, -TAIL, TAIL)
        if tail is None:
            raise StoreError("a table that is listed is not there", file=f"{storage.url}/{key}")
        if len(tail) < TAIL:
            self._size = len(tail)
        else:
            self._size = storage.size(key) or len(tail)
        self._tail = tail
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Position."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Bytes from the position on."""
        rest = max(self._size - self._at, 0)
        count = rest if size is None or size < 0 else min(size, rest)
        start = self._at - (self._size - len(self._tail))
        if not count:
            return b""
        if start >= 0:
            data = self._tail[start : start + count]
        else:
            data = self._storage.get_range(self._key, self._at, count) or b""
        self._at += len(data)
        return data


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
            file = pa.PythonFile(RangedFile(storage, f"{path}/table.parquet"), mode="r")
            return TableData(pads.ParquetFileFormat().make_fragment(file))
        if backend == "csv":
            import pyarrow.csv as pacsv

            data = storage.get(f"{path}/table.csv")
            if data is None:
                raise StoreError("a table that is listed is not there", file=url)
            return TableData(pads.dataset(pacsv.read_csv(pa.BufferReader(data))))
    except NgffBioError:  # no answer is not a damaged table
        raise
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(
            "a table cannot be read", file=url, found=f"{type(error).__name__}: {error}"
        ) from error
    raise StoreError(
        "a table is kept in a way that is not read here",
        file=url,
        expected="parquet or csv",
        found=backend,
        mend="open it with ngio",
    )
