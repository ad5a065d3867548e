"""A storage that writes down every request, for tests that count them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ngff_bio.storage import Storage


@dataclass
class CountingStorage:
    """Passes on to another storage; ``asked`` holds (kind, key) of every request."""

    inner: Storage
    locality: Any = "network"
    asked: list[tuple[str, str]] = field(default_factory=list)
    bytes_read: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return self.inner.url

    def _note(self, kind: str, key: str, data: Any = None) -> Any:
        with self._lock:
            self.asked.append((kind, key))
            self.bytes_read += len(data) if data is not None else 0
        return data

    def get(self, key: str) -> bytes | None:
        return self._note("get", key, self.inner.get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        return self._note("get_range", key, self.inner.get_range(key, start, length))

    def size(self, key: str) -> int | None:
        self._note("size", key)
        return self.inner.size(key)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        self._note("list", prefix)
        return self.inner.list(prefix)

    def folders(self, prefix: str = "") -> Sequence[str]:
        self._note("folders", prefix)
        return self.inner.folders(prefix)

    def counts(self) -> dict[str, int]:
        """Requests by kind since the last call."""
        found = dict(sorted(Counter(kind for kind, _ in self.asked).items()))
        self.asked.clear()
        self.bytes_read = 0
        return found
