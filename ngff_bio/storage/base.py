"""The small interface between the package and the places where bytes are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NoReturn, Protocol, runtime_checkable

from ngff_bio.errors import StorageError
from ngff_bio.ranged_file import RangedFile

Buffer = bytes | bytearray | memoryview

#: Who can see what is put: only this process, this machine (and who mounts the same folder), anyone.
Locality = Literal["process", "machine", "network"]


@runtime_checkable
class Storage(Protocol):
    """A flat space of named objects. Keys use ``/`` and never start or end with one.

    An object is put whole and appears whole or not at all. An implementation pickles, and its
    ``repr`` holds no secret. One that names this class as its base inherits the methods that can be
    made of the others.
    """

    @property
    def url(self) -> str:
        """Where it is, for messages; holds no secret."""
        ...

    @property
    def locality(self) -> Locality:
        """From where the same objects can be seen."""
        ...

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        """Write one object whole, replacing it if it is there; returns its size in bytes.

        Raises
        ------
        ngff_bio.errors.StorageError
            If it cannot be written (disk full, no rights, no answer).
        """
        ...

    def compare_and_swap(self, key: str, before: bytes | None, after: bytes) -> bool:
        """Replace an object only if it still is ``before`` (``None``: only if there is none).

        Of several who try at once, one succeeds. Returns whether this one did.
        """
        ...

    def get(self, key: str) -> bytes | None:
        """All bytes of an object, or ``None`` if there is none."""
        ...

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """``length`` bytes from ``start`` on; a negative ``start`` counts from the end.

        Fewer where the object ends before; ``None`` if there is no such object. One request.
        """
        ...

    def size(self, key: str) -> int | None:
        """Size in bytes, or ``None`` if there is no such object."""
        ...

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Keys below ``prefix`` with their sizes, in no order."""
        ...

    def versions(self, prefix: str = "") -> Iterator[tuple[str, int, str]]:
        """Keys below ``prefix`` with their sizes, and what changes when the object does, as far as it
        is known: ``""`` if nothing is.
        """
        return ((key, size, "") for key, size in self.list(prefix))

    def folders(self, prefix: str = "") -> Sequence[str]:
        """Names directly below ``prefix`` that have keys below them, sorted.

        Raises
        ------
        ngff_bio.errors.StorageError
            If the place cannot be listed (a web server).
        """
        start = f"{prefix}/" if prefix else ""
        names = (key[len(start) :].partition("/") for key, _ in self.list(prefix))
        return sorted({name for name, slash, _ in names if slash})

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens if there is none."""
        ...

    def delete_all(self, prefix: str = "", known: Iterable[str] = ()) -> None:
        """Remove everything below ``prefix``, and ``known`` keys, which a listing need not show yet."""
        for key in {*known, *(key for key, _ in self.list(prefix))}:
            self.delete(key)

    def rename(self, key: str, after: str) -> None:
        """Move an object to another key, replacing what is there; it is never at neither of both."""
        data = self.get(key)
        if data is not None:
            self.put(after, data)
            self.delete(key)

    def raise_refusal(self) -> None:
        """Raise if a document was taken for missing because access to it was denied.

        Raises
        ------
        ngff_bio.errors.StorageError
            As for any request that is refused.
        """
        return

    def remove_partial(self) -> int:
        """Remove what unfinished puts of dead processes have left behind; returns how many."""
        return 0


class ReadOnlyStorage(Storage):
    """A storage that is only read: whoever writes to it gets an error.

    Attributes
    ----------
    refusal, advice
        Sentence and hint of the error.
    """

    refusal = "the store can only be read"
    advice: str | None = None

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        """Not possible: raises."""
        self._refuse()

    def compare_and_swap(self, key: str, before: bytes | None, after: bytes) -> bool:
        """Not possible: raises."""
        self._refuse()

    def delete(self, key: str) -> None:
        """Not possible: raises."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise StorageError(self.refusal, file=self.url, hint=self.advice)


def pieces(data: Buffer | Sequence[Buffer]) -> Sequence[Buffer]:
    """One buffer or several, as several."""
    return [data] if isinstance(data, bytes | bytearray | memoryview) else data


def open_object(storage: Storage, key: str, tail: int) -> RangedFile:
    """An object as a seekable file; its last `tail` bytes are fetched first, in one request.

    Formats that are read from their end (zip, Parquet) then often need no second one.

    Raises
    ------
    FileNotFoundError
        If there is no such object.
    """
    end = storage.get_range(key, -tail, tail)
    if end is None:
        raise FileNotFoundError(key)
    # Fewer bytes than requested: the object is not larger.
    size = len(end) if len(end) < tail else storage.size(key) or len(end)
    first = size - len(end)

    def read_range(start: int, length: int) -> bytes:
        if start >= first:
            return end[start - first : start - first + length]
        return storage.get_range(key, start, length) or b""

    return RangedFile(read_range, size)
