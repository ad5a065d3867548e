"""Writes into a store that become visible all at once: the writing side of `ngff_bio.zarrio.journal`.

All of it happens under the lease of the store. Killed between any two operations, the store is the old
one or the new one for whoever opens, validates or verifies it; the next write finishes or undoes what
was begun.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from ngff_bio.engine.write.manifest import manifest_keys
from ngff_bio.errors import StorageError, StoreError
from ngff_bio.storage import Buffer, Storage
from ngff_bio.zarrio.journal import (
    ADDITION,
    FIRST_READ,
    JOURNAL,
    PLAN,
    ROOTS,
    ROWS,
    STAGED,
    STATE,
    UNITS,
    Journal,
    NewView,
    OldView,
    Phase,
    open_change,
    phase_of,
    read_journal,
    within,
)


@dataclass
class Transaction(NewView):
    """A store that is being changed: what is put becomes visible with :meth:`commit`.

    Its objects are those that were put, else those of the store.
    """

    named: Collection[str] = ()

    @classmethod
    def begin(
        cls, storage: Storage, new: Iterable[str] = (), removed: Iterable[str] = ()
    ) -> Transaction:
        """Begin to change a store.

        Parameters
        ----------
        new
            Paths at and below which objects are written at once to their places. What the manifest
            names there is not new.
        removed
            Paths at and below which nothing is kept but what is put.
        """
        journal = Journal(id=uuid.uuid4().hex, new=frozenset(new), removed=frozenset(removed))
        storage.put(JOURNAL, journal.to_json())
        return cls(storage, journal, named=manifest_keys(storage))

    @classmethod
    def resume(cls, storage: Storage) -> Transaction | None:
        """The transaction that was begun, without objects that wait to be moved."""
        journal = read_journal(storage)
        if journal is None:
            return None
        storage.delete_all(STAGED)
        return cls(storage, journal, named=manifest_keys(storage))

    def _gone(self, key: str) -> bool:
        return within(key, self.journal.removed)  # its state belongs to whoever writes

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        """Write one object: to its place if nothing is there and nothing names it."""
        new = within(key, self.journal.new) and key not in self.named
        if new and not within(key, self.journal.removed):
            return self.storage.put(key, data)
        return self.storage.put(f"{STAGED}/{key}", data)

    def commit(self, documents: Mapping[str, bytes]) -> None:
        """Make all of it visible, with these documents of the root; then move it to its places."""
        there = next((key for key in FIRST_READ if self.storage.size(key) is not None), None)
        root = next((k for k in FIRST_READ if k in documents or k == there), ".zattrs")
        texts = {key: data.decode() for key, data in documents.items()}
        if root == there and root not in texts and not within(root, self.journal.removed):
            texts[root] = (self.storage.get(root) or b"").decode()
        self.journal = replace(self.journal, documents=texts, root=root)
        self.storage.put(JOURNAL, self.journal.to_json())
        self.storage.put(root, self.journal.marked())
        _complete(self.storage, self.journal)

    def undo(self) -> None:
        """Remove all that was put."""
        _undo(self.storage, self.journal)


def replace_store(storage: Storage, documents: Mapping[str, bytes], plan: str) -> None:
    """Put the store below ``.ngff_bio/new/`` in the place of the one that is there.

    Its root is not there yet, but given; ``plan`` is a digest of what was converted.
    """
    journal = Journal(id=uuid.uuid4().hex, removed=frozenset([""]), plan=plan)
    Transaction(storage, journal).commit(documents)


def publish_store(storage: Storage, documents: Mapping[str, bytes], plan: str) -> None:
    """Write the documents of the root of a new store, when everything else is there.

    Its state is removed before: from the moment that it opens, nothing of the conversion is left but
    the journal. ``plan`` is a digest of what was converted.
    """
    root = next(k for k in ("zarr.json", ".zmetadata", ".zgroup") if k in documents)
    texts = {key: data.decode() for key, data in documents.items()}
    journal = Journal(id=uuid.uuid4().hex, documents=texts, root=root, first=True, plan=plan)
    storage.put(JOURNAL, journal.to_json())
    _complete(storage, journal)


def settle(storage: Storage) -> Journal | None:
    """Finish what was committed, undo what was not; what a conversion can resume stays.

    Returns what was finished.
    """
    journal = read_journal(storage)
    if journal is None:
        return None
    phase = phase_of(storage, journal)
    if phase != "begun" or (journal.first and journal.documents is not None):
        _complete(storage, journal, phase)
        return journal
    if storage.size(ADDITION) is None:
        _undo(storage, journal)
    return None


def settled_view(storage: Storage) -> Storage:
    """The store as it is before or after a write that was interrupted, to be read.

    Raises as `ngff_bio.zarrio.journal.open_change`.
    """
    if (change := open_change(storage)) is None:
        return storage
    journal, committed = change
    if committed:
        return NewView(storage, journal)
    try:
        named = manifest_keys(storage)
    except StoreError:  # whoever looks at the manifest itself reports it
        named = set()
    return OldView(storage, journal, named)


def _undo(storage: Storage, journal: Journal) -> None:
    named = manifest_keys(storage)
    for path in sorted(journal.new):
        keys = [path] if storage.size(path) is not None else []
        for key in [*keys, *(key for key, _ in storage.list(path))]:
            if key not in named:
                storage.delete(key)
    if storage.size(f"{STAGED}/{PLAN}") is None:  # else it is a conversion that can be resumed
        storage.delete_all(STAGED)
    _delete_journal(storage)


def _complete(storage: Storage, journal: Journal, phase: Phase = "committed") -> None:
    """Move everything to its place; each step can be done again."""
    if phase != "finished":
        for path in (UNITS, ROWS, f"{STAGED}/{STATE}"):
            storage.delete_all(path)
        for key in (PLAN, ADDITION):
            storage.delete(key)
        if not journal.moving and not journal.first:
            _remove(storage, journal)
            journal = replace(journal, moving=True)
            storage.put(JOURNAL, journal.to_json())
        for key, _ in sorted(storage.list(STAGED)):
            storage.rename(key, key[len(STAGED) + 1 :])
        documents = journal.documents or {}
        for key in sorted(ROOTS, key=lambda k: (k == journal.root, k)):
            if key in documents:
                storage.put(key, documents[key].encode())
            elif within(key, journal.removed) or key == journal.root:
                storage.delete(key)
    _delete_journal(storage)


def _remove(storage: Storage, journal: Journal) -> None:
    paths: Iterable[str] = journal.removed
    if "" in journal.removed:
        paths = {key.partition("/")[0] for key, _ in storage.list()} - {STATE, journal.root}
    for path in sorted(paths):
        if storage.size(path) is not None:
            storage.delete(path)
        else:
            storage.delete_all(path)


def _delete_journal(storage: Storage) -> None:
    """A lost answer is not an error where it is gone: the store is complete."""
    try:
        storage.delete(JOURNAL)
    except StorageError:
        if storage.get(JOURNAL) is not None:
            raise
