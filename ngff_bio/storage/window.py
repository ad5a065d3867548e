"""A stored object as a seekable file: only what is read is fetched."""

from __future__ import annotations

import io

from ngff_bio.storage.base import Storage


class Window(io.RawIOBase):
    """An object of a storage, to be read; its end is fetched first, in one request.

    Formats that are read from their end (zip, Parquet) then often need no second one.

    Parameters
    ----------
    storage, key
        The object.
    tail
        Bytes of its end that are fetched at first.

    Raises
    ------
    FileNotFoundError
        If there is no such object.
    """

    def __init__(self, storage: Storage, key: str, tail: int) -> None:
        held = storage.get_range(key, -tail, tail)
        if held is None:
            raise FileNotFoundError(key)
        self._storage, self._key, self._held, self._at = storage, key, held, 0
        # Fewer bytes than requested: the object is not larger.
        self._size = len(held) if len(held) < tail else storage.size(key) or len(held)

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
        if not count:
            return b""
        start = self._at - (self._size - len(self._held))
        if start >= 0:
            data = self._held[start : start + count]
        else:
            data = self._storage.get_range(self._key, self._at, count) or b""
        self._at += len(data)
        return data
