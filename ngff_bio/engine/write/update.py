"""Changing a finished store: objects, metadata, its copy at the root, and the manifest together."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from ngff_bio.engine.resume.lease import Lease
from ngff_bio.engine.write.checksums import ChecksummingWriter
from ngff_bio.engine.write.manifest import (
    MANIFEST,
    object_entries,
    read_conversion,
    read_manifest,
    write_manifest,
)
from ngff_bio.engine.write.transaction import Transaction, settle
from ngff_bio.errors import (
    NgffBioError,
    StorageError,
    StoreBusyError,
    StoreError,
    StoreExistsError,
)
from ngff_bio.parallel import shared_pool
from ngff_bio.printing import printable
from ngff_bio.storage import Buffer, MemoryStorage, Storage, storage_above
from ngff_bio.zarrio.documents import Document, load_document, to_json
from ngff_bio.zarrio.hierarchy import Hierarchy
from ngff_bio.zarrio.journal import ADDITION, PLAN, ROOTS, STAGED, STATE, Journal, NewView, within
from ngff_bio.zarrio.nodes import Nodes

#: The page that `publish` puts at the root.
PAGE = "index.html"


class OldPagesWarning(UserWarning):
    """What `publish` made describes the store as it was before a change."""


@dataclass(frozen=True)
class HeldStore:
    """A finished store that only this process may change."""

    storage: Storage
    _lost: threading.Event
    _root: dict[str, bytes | None]
    #: An interrupted change that was visible already, and was finished with the lease.
    finished: Journal | None = None

    def check_lease(self) -> None:
        """Raise if someone else may change the store by now.

        Raises
        ------
        ngff_bio.errors.StoreBusyError
            If another process has the lease.
        """
        if self._lost.is_set():
            raise StoreBusyError(
                "another process has taken over the store, because this one did not renew its "
                "lease in time",
                file=self.storage.url,
                hint="run the same command again",
            )

    def check(self) -> None:
        """Raise if someone else has changed the store, or may do so by now.

        Raises
        ------
        ngff_bio.errors.StoreBusyError
            If another process has the lease, or a program that takes none has written the root.
        """
        self.check_lease()
        if _root_of(self.storage) != self._root:
            raise StoreBusyError(
                "another program has changed the store in the meantime",
                file=self.storage.url,
                hint="run the same command again",
            )


def _root_of(storage: Storage) -> dict[str, bytes | None]:
    return {key: storage.get(key) for key in ROOTS}


@contextmanager
def held_store(storage: Storage) -> Iterator[HeldStore]:
    """The lease of a finished store, until the block ends; what was interrupted in it is settled.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is no store.
    ngff_bio.errors.StoreBusyError
        If another process is writing into it.
    ngff_bio.errors.StoreExistsError
        If a conversion that replaces it or appends to it was interrupted.
    ngff_bio.errors.StorageError
        If it cannot be written.
    """
    while isinstance(storage, NewView):  # was opened during a write that was interrupted
        storage = storage.storage
    Hierarchy.open(storage)  # a place without a store stays empty
    refuse_inner(storage)
    lost = threading.Event()
    with Lease(storage, lost.set):
        finished = settle(storage)
        for key in (ADDITION, f"{STAGED}/{PLAN}"):
            if storage.size(key) is not None:
                raise StoreExistsError(
                    "a conversion into this store was interrupted, and must end before the store is "
                    "changed",
                    file=storage.url,
                    hint="run its command again to finish it, or undo it with `ngff-bio discard STORE`",
                )
        yield HeldStore(storage, lost, _root_of(storage), finished)


@contextmanager
def changed_store(
    storage: Storage | HeldStore, new: Collection[str] = (), removed: Collection[str] = ()
) -> Iterator[StoreChange]:
    """A finished store, to be changed: all at once when the block ends, not at all if it fails.

    Parameters
    ----------
    storage
        The store, or one whose lease is held; of a held one, this is the last change.
    new
        Paths of what is added; where there is something already, objects are replaced one by one.
    removed
        Paths of what is removed; something else can be put there.

    Raises
    ------
    ngff_bio.errors.StoreError
        If its metadata or its manifest cannot be read.
    ngff_bio.errors.NgffBioError
        As :func:`held_store`.
    """
    if not isinstance(storage, HeldStore):
        with held_store(storage) as held, changed_store(held, new, removed) as change:
            yield change
        return
    held, place = storage, storage.storage
    tree = Hierarchy.open(place)
    tree.attributes("")  # raises if they cannot be marked
    empty = shared_pool(remote=True).map(lambda path: _is_empty(place, path), new)
    new = [path for path, free in zip(new, empty, strict=True) if free]
    transaction = Transaction.begin(place, new, removed)
    change = StoreChange(tree, transaction)
    try:
        yield change
        documents = change.finish()
        held.check()
    except BaseException:
        with suppress(NgffBioError):  # the next write does it
            transaction.undo()
        raise
    transaction.commit(documents, written=change.written)
    if change.pages_are_old:
        warnings.warn(
            printable(
                "the page, README, RO-Crate and Croissant that `publish` made are of the store before "
                f"this change: run `ngff-bio publish` again, from {place.url} to itself or from the "
                "store that it is a copy of"
            ),
            OldPagesWarning,
            stacklevel=4,
        )


def refuse_inner(storage: Storage) -> None:
    """Refuse a group inside of a store: metadata and manifest at the root would not be changed.

    Raises
    ------
    ngff_bio.errors.StoreError
        If there is a group above.
    """
    top, path = storage, ""
    while (above := storage_above(top)) is not None:
        with suppress(StorageError):  # what is above may not be read
            if any(above.size(key) is not None for key in ("zarr.json", ".zgroup")):
                path = f"{top.url.replace(os.sep, '/').rpartition('/')[2]}/{path}".strip("/")
                top = above
                continue
        break
    if top is not storage:
        raise StoreError(
            "only a whole store can be changed, and this is a group inside of one",
            file=storage.url,
            hint=f"name the store {top.url} and, where an image is asked for, {path}",
        )


def _is_empty(storage: Storage, path: str) -> bool:
    return storage.size(path) is None and next(iter(storage.list(path)), None) is None


class StoreChange:
    """What is put, added and removed in a store."""

    def __init__(self, tree: Hierarchy, transaction: Transaction) -> None:
        self.tree = tree
        self._transaction = transaction
        self.writer = ChecksummingWriter(transaction)
        #: Paths whose pixels are not those that were converted any more.
        self.redrawn: set[str] = set()
        #: Whether the store was published, and its page was not written again.
        self.pages_are_old = False
        self._nodes = Nodes(tree.zarr_format)

    @property
    def zarr_format(self) -> Literal[2, 3]:
        """Of the store."""
        return self.tree.zarr_format

    @property
    def storage(self) -> Storage:
        """Where what is put is visible at once, to its writer."""
        return self._transaction

    @property
    def written(self) -> Iterable[str]:
        """Keys of what was put."""
        return self.writer.written

    def note_written(
        self, objects: Sequence[tuple[str, int]], checksums: Mapping[str, int]
    ) -> None:
        """Take objects that were put to :attr:`storage` by their sizes and checksums."""
        self.writer.written.update(
            {k: (n, checksums[k]) for k, n in objects if not k.startswith(f"{STATE}/")}
        )

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> None:
        """Write one object."""
        self.writer.put(key, data)

    def set_group(self, path: str, attributes: Mapping[str, Any]) -> None:
        """Write a group with these attributes, and groups above it where there are none."""
        self._nodes.groups[path] = dict(attributes)
        while path := path.rpartition("/")[0]:
            if path not in self._nodes.groups and self.tree.document(path) is None:
                self._nodes.groups[path] = {}

    def set_array(self, path: str, document: Document) -> None:
        """Write the document of an array."""
        self._nodes.arrays[path] = document

    def finish(self) -> dict[str, bytes]:
        """Write documents and the manifest; returns the final documents of the root."""
        batches = self._nodes.documents(consolidated=False)
        documents = {key: data for batch in batches for key, data in batch}
        root = {key: documents.pop(key) for key in list(documents) if key in ROOTS}
        for key, data in documents.items():
            self.put(key, data)
        if self.tree.consolidated:
            root |= self._consolidated()
        storage = self._transaction.storage
        if storage.size(MANIFEST) is not None:
            removed = self._transaction.journal.removed
            entries = {
                (e.kind, e.path, e.region): e
                for e in read_manifest(storage)
                if e.kind == "source"
                or (
                    not within(e.path, removed)
                    and not (e.kind == "pixels" and within(e.path, self.redrawn))
                )
            }
            self.pages_are_old = (
                any(kind == "object" and path == PAGE for kind, path, _ in entries)
                and PAGE not in self.writer.written
            )
            last = ChecksummingWriter(MemoryStorage())
            for key, data in root.items():
                last.put(key, data)
            for entry in object_entries({**self.writer.written, **last.written}):
                entries[entry.kind, entry.path, entry.region] = entry
            write_manifest(self._transaction, entries.values(), read_conversion(storage))
        return root

    def _consolidated(self) -> dict[str, bytes]:
        """The document of the root that keeps a copy of all others, as they are now."""
        key = "zarr.json" if self.tree.zarr_format == 3 else ".zmetadata"
        document = load_document(self.tree.storage, key) or {}
        holder = document["consolidated_metadata"] if key == "zarr.json" else document
        removed = self._transaction.journal.removed
        holder["metadata"] = {
            path: node for path, node in holder["metadata"].items() if not within(path, removed)
        } | self._nodes.copies()
        if key == "zarr.json" and "" in self._nodes.groups:
            document["attributes"] = self._nodes.groups[""]
        return {key: to_json(document, compact=True)}
