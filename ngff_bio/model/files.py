"""Files of a source, and how a source declares what it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class SourceFile(Protocol):
    """One file of a source: in a folder, in an archive, or behind a URL. Pickles."""

    @property
    def name(self) -> str:
        """Its path below the source's root, with ``/``."""
        ...

    @property
    def size(self) -> int:
        """Size in bytes, uncompressed."""
        ...

    @property
    def identity(self) -> str | None:
        """Name, size and what else is known without reading the file (times of its last changes,
        checksum, ETag): changes when the content does. ``None`` if nothing is known that does.
        """
        ...

    @property
    def path(self) -> Path | None:
        """Its path on this machine, or ``None`` if it has none."""
        ...

    def open(self) -> BinaryIO:
        """The file, open for reading in binary; seekable."""
        ...

    def read(self) -> bytes:
        """All of its bytes."""
        ...

    def read_range(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on; fewer at the end of the file."""
        ...


#: A file, an array in memory, or a text that changes when the content does.
SourcePart = SourceFile | NDArray[Any] | str

#: What ``source_parts`` gives: ``None`` is a part about which nothing is declared.
SourceParts = Iterable[SourcePart | None]


def parts_of(*things: object) -> Iterator[SourcePart | None]:
    """What things (pixels, label layers) are made of, as their ``source_parts`` declares it.

    ``None`` for each of them that declares nothing: what an interrupted conversion has read of it is
    read again, since its content may have changed.
    """
    for thing in things:
        declare = getattr(thing, "source_parts", None)
        declared = None if declare is None else declare()
        if declared is None:
            yield None
        else:
            yield from declared


def files_of(parts: SourceParts) -> Iterator[SourceFile]:
    """The files among parts.

    ``isinstance(part, SourceFile)`` would evaluate all properties, and so read the state of each file.
    """
    return (p for p in parts if p is not None and not isinstance(p, str | np.ndarray))


def names_of(parts: SourceParts) -> set[str]:
    """Names of the files among parts."""
    return {file.name for file in files_of(parts)}


def leads_out(name: str) -> bool:
    """Whether the name of a file is not one below a folder: absolute, of a drive, or with ``..``."""
    path = name.replace("\\", "/")
    return ".." in path.split("/") or path.startswith("/") or path[1:3] == ":/"
