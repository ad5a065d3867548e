"""Objects in a dictionary: for tests, and for stores that are written and read in one process."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ngff_bio.storage.base import Buffer, Locality, Storage, pieces


@dataclass
class MemoryStorage(Storage):
    """Storage in this process's memory."""

    objects: dict[str, bytes] = field(default_factory=dict)
    url: str = "memory:"
    _lock: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def locality(self) -> Locality:
        """Only this process sees it."""
        return "process"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.objects, self.url))

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        """Write one object whole."""
        whole = b"".join(pieces(data))
        self.objects[key] = whole
        return len(whole)

    def compare_and_swap(self, key: str, before: bytes | None, after: bytes) -> bool:
        """Replace an object only if it still is ``before``."""
        with self._lock:
            if self.objects.get(key) != before:
                return False
            self.objects[key] = bytes(after)
            return True

    def get(self, key: str) -> bytes | None:
        """All bytes of an object, or ``None``."""
        return self.objects.get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Part of an object, or ``None``; a negative ``start`` counts from the end."""
        whole = self.objects.get(key)
        if whole is None:
            return None
        start = start if start >= 0 else max(len(whole) + start, 0)
        return whole[start : start + length]

    def size(self, key: str) -> int | None:
        """Size in bytes, or ``None``."""
        return len(self.objects[key]) if key in self.objects else None

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Keys below ``prefix`` with their sizes."""
        start = f"{prefix}/" if prefix else ""
        yield from [(k, len(v)) for k, v in list(self.objects.items()) if k.startswith(start)]

    def versions(self, prefix: str = "") -> Iterator[tuple[str, int, str]]:
        """Keys below ``prefix`` with their sizes and checksums."""
        return ((key, size, str(zlib.crc32(self.objects[key]))) for key, size in self.list(prefix))

    def delete(self, key: str) -> None:
        """Remove an object."""
        self.objects.pop(key, None)
