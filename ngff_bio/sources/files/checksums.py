"""Sizes and checksums of the files that a dataset is read from, found while it is converted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any, BinaryIO

import google_crc32c

from ngff_bio.model import SourceDataset
from ngff_bio.sources.files.tree import FileTree

_BLOCK = 1 << 20

#: Name, size in bytes, CRC-32C (None where it was not calculated).
FileRecord = tuple[str, int, int | None]


def files_of(tree: FileTree, dataset: SourceDataset) -> list[str]:
    """Names of all files that a dataset is made of: those of the tree that were not skipped."""
    skipped = {notice.file for notice in dataset.notices if notice.kind == "skipped"}
    return [name for name in tree.names() if name not in skipped]


def checksums(
    tree: FileTree, names: Iterable[str], stopped: Event | None = None, *, checked: bool = True
) -> Iterator[FileRecord]:
    """Size and checksum of each file, an archive's members as the one file that they lie in.

    What is not on this machine is not fetched a second time for its checksum. Setting ``stopped``
    ends it early. ``checked`` false gives sizes alone.
    """
    stopped = stopped or Event()
    archives: set[str] = set()
    for name in names:
        if stopped.is_set():
            return
        file: Any = tree.file(name)
        while (container := getattr(file, "container", None)) is not None:
            file = container
        if file is not tree.file(name):
            if file.name in archives:
                continue
            archives.add(file.name)
        if file.path is None or not checked:
            yield file.name, file.size, None
            continue
        try:
            with file.path.open("rb") as opened:
                yield (file.name, *_checksum(opened, stopped))
        except OSError:
            continue  # one that the dataset needs fails where it is read, and is told of there


def _checksum(file: BinaryIO, stopped: Event) -> tuple[int, int]:
    size, crc = 0, 0
    while (block := file.read(_BLOCK)) and not stopped.is_set():
        size += len(block)
        crc = google_crc32c.extend(crc, block)
    return size, crc


class Checksums:
    """Checksums of files, calculated beside the conversion, while their bytes are in the cache."""

    def __init__(self, tree: FileTree, names: Iterable[str]) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checksums")
        self._stopped = Event()
        self._found: Future[list[FileRecord]] = self._pool.submit(self._run, tree, list(names))

    def _run(self, tree: FileTree, names: list[str]) -> list[FileRecord]:
        return list(checksums(tree, names, self._stopped))

    def __call__(self) -> list[FileRecord]:
        """All of them; waits until they are there."""
        return self._found.result()

    def __enter__(self) -> Checksums:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
