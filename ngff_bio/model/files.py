"""What a source file is to those who read it, wherever it lies."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable


@runtime_checkable
class SourceFile(Protocol):
    """One file of a source: in a folder, in an archive, or behind a URL. Pickles."""

    @property
    def name(self) -> str:
        """Its path below the source's root, with ``/``, as the source spells it."""
        ...

    @property
    def size(self) -> int:
        """Size in bytes, uncompressed."""
        ...

    @property
    def path(self) -> Path | None:
        """Its path on this machine, or ``None`` where it has none."""
        ...

    def open(self) -> BinaryIO:
        """The file, open for reading in binary; seekable."""
        ...

    def read(self) -> bytes:
        """All of its bytes."""
        ...

    def read_range(self, offset: int, size: int) -> bytes:
        """Up to `size` of its bytes from `offset` on; fewer at its end."""
        ...
