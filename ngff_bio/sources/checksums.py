"""Sizes and checksums of the files that a dataset is read from, found while it is converted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c

from ngff_bio.model import Dataset, SourceFile
from ngff_bio.sources.files import FileTree

_BLOCK = 1 << 20

#: Name, size in bytes, CRC-32C (None where it was not calculated).
FileRecord = tuple[str, int, int | None]


@dataclass
class NotingTree:
    """A tree of files that remembers which of them a source asked for."""

    tree: FileTree
    asked: dict[str, None] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """The root as the user named it."""
        return self.tree.origin

    def names(self) -> list[str]:
        """Names of all files."""
        return self.tree.names()

    def file(self, name: str) -> SourceFile:
        """One file by its name."""
        file = self.tree.file(name)
        self.asked[name] = None
        return file

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.tree, name)


def files_of(tree: NotingTree, dataset: Dataset) -> list[str]:
    """Names of all files that a dataset is read from: those asked for, and those of its frames."""
    frames = {frame.name for image in dataset.images for frame in image.frames}
    return sorted({*tree.asked, *frames.intersection(tree.names())})


def checksums(tree: FileTree, names: Iterable[str]) -> Iterator[FileRecord]:
    """Size and checksum of each file, an archive's members as the one file that they lie in.

    A file that is not on this machine is not fetched a second time for its checksum.
    """
    archives: set[str] = set()
    for name in names:
        file = tree.file(name)
        archive = getattr(file, "archive", None)
        if isinstance(archive, str | Path) and Path(archive).is_file():
            if str(archive) not in archives:
                archives.add(str(archive))
                with Path(archive).open("rb") as opened:
                    yield (Path(archive).name, *_checksum(opened))
        elif file.path is not None:
            with file.path.open("rb") as opened:
                yield (name, *_checksum(opened))
        else:
            yield name, file.size, None


def _checksum(file: BinaryIO) -> tuple[int, int]:
    size, crc = 0, 0
    while block := file.read(_BLOCK):
        size += len(block)
        crc = google_crc32c.extend(crc, block)
    return size, crc


class Checksums:
    """Checksums of files, calculated beside the conversion, while their bytes are in the cache."""

    def __init__(self, tree: FileTree, names: Iterable[str]) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checksums")
        self._stopped = False
        self._found: Future[list[FileRecord]] = self._pool.submit(self._run, tree, list(names))

    def _run(self, tree: FileTree, names: list[str]) -> list[FileRecord]:
        found: list[FileRecord] = []
        for record in checksums(tree, names):
            if self._stopped:
                break
            found.append(record)
        return found

    def __call__(self) -> list[FileRecord]:
        """All of them; waits until they are there."""
        return self._found.result()

    def __enter__(self) -> Checksums:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._pool.shutdown(wait=True, cancel_futures=True)
