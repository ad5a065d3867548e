"""A part of a storage as a storage of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ngff_bio.storage.base import Buffer, Locality, Storage


@dataclass(frozen=True)
class StorageBelow(Storage):
    """What is below a prefix of another storage; its keys are relative to the prefix."""

    storage: Storage
    prefix: str

    @property
    def url(self) -> str:
        """URL of the other storage, and the prefix."""
        return f"{self.storage.url}/{self.prefix}"

    @property
    def locality(self) -> Locality:
        """That of the other storage."""
        return self.storage.locality

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if key else self.prefix

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        """Write one object whole."""
        return self.storage.put(self._key(key), data)

    def compare_and_swap(self, key: str, before: bytes | None, after: bytes) -> bool:
        """Replace an object only if it still is ``before``."""
        return self.storage.compare_and_swap(self._key(key), before, after)

    def get(self, key: str) -> bytes | None:
        """All bytes of an object, or ``None``."""
        return self.storage.get(self._key(key))

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Part of an object, or ``None``; a negative ``start`` counts from the end."""
        return self.storage.get_range(self._key(key), start, length)

    def size(self, key: str) -> int | None:
        """Size in bytes, or ``None``."""
        return self.storage.size(self._key(key))

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Keys below ``prefix`` with their sizes."""
        start = len(self.prefix) + 1
        return ((key[start:], size) for key, size in self.storage.list(self._key(prefix)))

    def versions(self, prefix: str = "") -> Iterator[tuple[str, int, str]]:
        """Keys below ``prefix`` with their sizes and versions."""
        start = len(self.prefix) + 1
        return ((k[start:], n, v) for k, n, v in self.storage.versions(self._key(prefix)))

    def folders(self, prefix: str = "") -> Sequence[str]:
        """Names directly below ``prefix`` that have keys below them, sorted."""
        return self.storage.folders(self._key(prefix))

    def delete(self, key: str) -> None:
        """Remove an object."""
        self.storage.delete(self._key(key))

    def delete_all(self, prefix: str = "", known: Iterable[str] = ()) -> None:
        """Remove everything below ``prefix``."""
        self.storage.delete_all(self._key(prefix), map(self._key, known))

    def rename(self, key: str, after: str) -> None:
        """Move an object to another key."""
        self.storage.rename(self._key(key), self._key(after))

    def raise_refusal(self) -> None:
        """Raise if a document was taken for missing because access to it was denied."""
        self.storage.raise_refusal()

    def remove_partial(self) -> int:
        """Remove what unfinished puts of dead processes have left behind, of all of the storage."""
        return self.storage.remove_partial()
