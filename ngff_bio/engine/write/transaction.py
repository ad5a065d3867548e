"""Writes into a store that become visible all at once: the writing side of `ngff_bio.zarrio.journal`.

All of it happens under the lease of the store. Killed between any two operations, the store is the old
one or the new one for whoever opens, validates or verifies it; the next write finishes or undoes what
was begun.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from ngff_bio.engine.write.listing import current_keys
from ngff_bio.engine.write.manifest import manifest_keys
from ngff_bio.errors import StorageError, StoreError
from ngff_bio.storage import Buffer, Storage, StorageBelow
from ngff_bio.zarrio.documents import parse_json, to_json
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


class State(NamedTuple):
    """What a conversion keeps while it runs: how many units it has, and the keys of its table rows."""

    units: int = 0
    rows: frozenset[str] = frozenset()


NO_STATE = State()


@dataclass
class Transaction(NewView):
    """A store that is being changed: what is put becomes visible with :meth:`commit`.

    Its objects are those that were put, else those of the store. ``named`` are keys of the manifest at
    paths that are new. It is sent with each unit of work.
    """

    named: Collection[str] = ()
    _put: set[str] = field(default_factory=set)

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
        named = _named(
            storage, journal
        )  # before: a manifest that is damaged is needed to undo, too
        storage.put(JOURNAL, journal.to_json())
        return cls(storage, journal, named=named)

    @classmethod
    def resume(cls, storage: Storage) -> Transaction | None:
        """The transaction that was begun, without objects that wait to be moved."""
        journal = read_journal(storage)
        if journal is None:
            return None
        storage.delete_all(STAGED, _staged(current_keys(storage)))
        return cls(storage, journal, named=_named(storage, journal))

    def _gone(self, key: str) -> bool:
        return within(key, self.journal.removed)  # its state belongs to whoever writes

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        """Write one object: to its place if nothing is there and nothing names it."""
        self._put.add(key)
        return self.storage.put(f"{STAGED}/{key}" if self._is_staged(key) else key, data)

    def _is_staged(self, key: str) -> bool:
        new = within(key, self.journal.new) and key not in self.named
        return not new or within(key, self.journal.removed)

    def commit(
        self, documents: Mapping[str, bytes], state: State = NO_STATE, written: Iterable[str] = ()
    ) -> None:
        """Make all of it visible, with these documents of the root; then move it to its places.

        ``state`` is that of the conversion, ``written`` what other processes have put.
        """
        there = next((key for key in FIRST_READ if self.storage.size(key) is not None), None)
        root = next((k for k in FIRST_READ if k in documents or k == there), ".zattrs")
        texts = {key: data.decode() for key, data in documents.items()}
        if root == there and root not in texts and not within(root, self.journal.removed):
            data = self.storage.get(root) or b""
            try:
                texts[root] = data.decode()
            except UnicodeDecodeError:  # UTF-16, which the json of Python reads
                texts[root] = to_json(parse_json(data, root)).decode()
        staged = filter(self._is_staged, self._put.union(written))
        self.journal = replace(
            self.journal,
            documents=texts,
            root=root,
            staged=frozenset(staged),
            units=state.units,
            rows=state.rows,
        )
        self.storage.put(JOURNAL, self.journal.to_json())
        self.storage.put(root, self.journal.marked())
        _complete(self.storage, self.journal)

    def undo(self) -> None:
        """Remove all that was put."""
        _undo(self.storage, self.journal, self._put)


def replace_store(
    storage: Storage, documents: Mapping[str, bytes], plan: str, state: State = NO_STATE
) -> None:
    """Put the store below ``.ngff_bio/new/`` in the place of the one that is there.

    Its root is not there yet, but given; ``plan`` is a digest of what was converted.
    """
    journal = Journal(id=uuid.uuid4().hex, removed=frozenset([""]), plan=plan)
    Transaction(storage, journal).commit(documents, state)


def publish_store(
    storage: Storage, documents: Mapping[str, bytes], plan: str, state: State = NO_STATE
) -> None:
    """Write the documents of the root of a new store, when everything else is there.

    Its state is removed before: from the moment that it opens, nothing of the conversion is left but
    the journal. ``plan`` is a digest of what was converted.
    """
    root = next(k for k in ("zarr.json", ".zmetadata", ".zgroup") if k in documents)
    texts = {key: data.decode() for key, data in documents.items()}
    journal = Journal(
        id=uuid.uuid4().hex,
        documents=texts,
        root=root,
        first=True,
        plan=plan,
        units=state.units,
        rows=state.rows,
    )
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


def _named(storage: Storage, journal: Journal) -> set[str]:
    return {key for key in manifest_keys(storage) if within(key, journal.new)}


def _undo(storage: Storage, journal: Journal, put: Collection[str] = ()) -> None:
    """Without the keys that were `put`, by another process, all is looked for in a listing."""
    named = manifest_keys(storage)
    there = {*put, *(f"{STAGED}/{key}" for key in put)} or current_keys(storage)
    for path in sorted(journal.new):
        keys = {key for key in there if within(key, (path,))}
        if storage.size(path) is not None:
            keys.add(path)
        for key in sorted(keys.union(key for key, _ in storage.list(path)).difference(named)):
            storage.delete(key)
    if storage.size(f"{STAGED}/{PLAN}") is None:  # else it is a conversion that can be resumed
        storage.delete_all(STAGED, _staged(there))
    _delete_journal(storage)


def _staged(keys: Iterable[str]) -> Iterable[str]:
    return (key for key in keys if within(key, (STAGED,)))


def _complete(storage: Storage, journal: Journal, phase: Phase = "committed") -> None:
    """Move everything to its place; each step can be done again.

    What is known by name is not looked for in listings: that of a bucket can be an old one.
    """
    if phase != "finished":
        place = storage
        replaces = "" in journal.removed
        if replaces:  # what was being appended to the old store goes with it
            for path in (UNITS, ROWS):
                storage.delete_all(path)
            for key in (PLAN, ADDITION):
                storage.delete(key)
            place = StorageBelow(storage, STAGED)
        place.delete_all(UNITS, (f"{UNITS}/{number:06d}.json" for number in range(journal.units)))
        place.delete_all(ROWS, journal.rows)
        for key in (PLAN, ADDITION):
            place.delete(key)
        storage.delete_all(f"{STAGED}/{STATE}")
        staged: Collection[str] = journal.staged
        if replaces and storage.locality == "network":
            with suppress(StoreError):  # damaged: nothing is known
                staged = manifest_keys(NewView(storage, journal))
        if not journal.moving and not journal.first:
            _remove(storage, journal)
            journal = replace(journal, moving=True)
            storage.put(JOURNAL, journal.to_json())
        listed = {key[len(STAGED) + 1 :] for key, _ in storage.list(STAGED)}
        for key in sorted(listed.union(staged) if storage.locality == "network" else listed):
            if key in listed or storage.size(f"{STAGED}/{key}") is not None:
                storage.rename(f"{STAGED}/{key}", key)
        documents = journal.documents or {}
        for key in sorted(ROOTS, key=lambda k: (k == journal.root, k)):
            if key in documents:
                storage.put(key, documents[key].encode())
            elif within(key, journal.removed) or key == journal.root:
                storage.delete(key)
    _delete_journal(storage)


def _remove(storage: Storage, journal: Journal) -> None:
    paths: Iterable[str] = journal.removed
    known: set[str] = set()
    if storage.locality == "network":
        with suppress(StoreError):  # damaged: nothing is known
            known = manifest_keys(storage)
    if "" in journal.removed:
        keys = known.union(key for key, _ in storage.list())
        paths = {key.partition("/")[0] for key in keys} - {STATE, journal.root}
    for path in sorted(paths):
        if storage.size(path) is not None:
            storage.delete(path)
        else:
            storage.delete_all(path, (key for key in known if within(key, (path,))))


def _delete_journal(storage: Storage) -> None:
    """A lost answer is not an error where it is gone: the store is complete."""
    try:
        storage.delete(JOURNAL)
    except StorageError:
        if storage.get(JOURNAL) is not None:
            raise
