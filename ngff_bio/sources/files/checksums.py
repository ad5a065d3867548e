"""Sizes and checksums of the files that a dataset is read from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import BinaryIO

from ngff_bio.checksums import crc32c
from ngff_bio.model import SourceDataset, SourceFile, SourceParts
from ngff_bio.sources.files.archives import ArchiveMember, UnpackedTar
from ngff_bio.sources.files.remote import RemoteFile, check_unchanged
from ngff_bio.sources.files.tree import FileTree

_BLOCK = 1 << 20

#: Name, size in bytes, CRC-32C (None where it was not calculated).
FileRecord = tuple[str, int, int | None]


def files_of(tree: FileTree, dataset: SourceDataset) -> list[str]:
    """Names of all files that a dataset is made of: those of the tree that were not skipped."""
    skipped = {notice.file for notice in dataset.notices if notice.kind == "skipped"}
    skipped.update(dataset.account.unread)
    return [name for name in tree.names() if name not in skipped]


def checksums(
    tree: FileTree, names: Iterable[str], stopped: Event | None = None, *, checked: bool = True
) -> Iterator[FileRecord]:
    """Size and checksum of each file; members of an archive count as the archive, once.

    Files that are not on this machine are not fetched a second time for their checksum.

    Parameters
    ----------
    stopped
        Ends it early when set.
    checked
        Whether checksums are calculated; else there are sizes alone.
    """
    stopped = stopped or Event()
    archives: set[str] = set()
    for name in names:
        if stopped.is_set():
            return
        file: SourceFile = tree.file(name)
        if isinstance(file, ArchiveMember):
            file = _outermost(file)
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
            continue  # a file that the dataset needs is reported where it is read


def _outermost(file: SourceFile) -> SourceFile:
    """The file itself, or the archive that it is a member of."""
    while isinstance(file, ArchiveMember | UnpackedTar):
        file = file.container
    return file


def _checksum(file: BinaryIO, stopped: Event) -> tuple[int, int]:
    size, crc = 0, 0
    while (block := file.read(_BLOCK)) and not stopped.is_set():
        size += len(block)
        crc = crc32c(block, crc)
    return size, crc


class Checksums:
    """Checksums of files, calculated beside the conversion, while their bytes are in the cache.

    ``parts`` are read by the conversion: those in buckets must be what was listed, in the end.
    """

    def __init__(
        self, tree: FileTree, names: Iterable[str], parts: Callable[[], SourceParts] = tuple
    ) -> None:
        self._parts = parts
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checksums")
        self._stopped = Event()
        self._found = self._pool.submit(
            lambda listed: list(checksums(tree, listed, self._stopped)), list(names)
        )

    def __call__(self) -> list[FileRecord]:
        """All of them; waits until they are complete.

        Raises
        ------
        ngff_bio.errors.SourceError
            If a file was changed.
        """
        read = {_outermost(part) for part in self._parts() if isinstance(part, SourceFile)}
        check_unchanged(file for file in read if isinstance(file, RemoteFile))
        return self._found.result()

    def __enter__(self) -> Checksums:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
