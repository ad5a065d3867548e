"""The tables of a store, read when they are needed and forgotten soon."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any

from ngff_bio.checks.source.differences import Difference
from ngff_bio.storage import Storage

#: Tables that are kept: pieces of work on the frames of one image come one after another.
_KEPT = 4


class StoredTables:
    """Reads tables.

    Parameters
    ----------
    storage
        The store.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._lock = Lock()
        self._wrong: dict[str, Difference] = {}

    def read(self, path: str) -> Any:
        """Arrow table of an object; ``None`` if it is missing or cannot be read."""
        with self._lock:
            if path not in self._kept:
                self._kept[path] = self._load(path)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(path)
            return self._kept[path]

    @property
    def differences(self) -> list[Difference]:
        """Tables that could not be read."""
        return list(self._wrong.values())

    def _load(self, path: str) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        data = self._storage.get(path)
        if data is None:
            return None
        try:
            return pq.read_table(pa.BufferReader(data))
        except (pa.ArrowException, OSError) as error:
            what = f"the table cannot be read: {error}"[:200]
            self._wrong[path] = Difference("row", path, what)
            return None
