"""What is being written into a store, and the store as it is before and after.

A finished store changes by transactions. All of one becomes visible at once, by a single object: the
*mark* of a transaction in the document of the root that a reader fetches first. Below ``.ngff_bio/``

- ``journal.json`` says what is being written (`Journal`);
- ``new/`` holds new versions of objects that the store has already, by their keys. Objects that it does
  not have are written to their places: nothing names them yet.

Until the root is marked, the store is what it was, and new objects do not belong to it. From then on it
is the new store: an object below ``new/`` counts, not the one in its place. Objects are then moved to
their places, and the root is replaced by the final one, last.

Nothing below ``.ngff_bio/`` is part of a store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from ngff_bio.errors import IncompleteStoreError, StoreError, StoreNotFoundError
from ngff_bio.parallel import decoder_of
from ngff_bio.storage import Locality, ReadOnlyStorage, Storage
from ngff_bio.zarrio.codecs import crc32c_bytes
from ngff_bio.zarrio.documents import attributes_of, parse_json, store_errors, to_json

#: What is below it is not part of a store.
STATE = ".ngff_bio"
JOURNAL = f"{STATE}/journal.json"
STAGED = f"{STATE}/new"

#: What a conversion keeps while it runs: of a new store, and of one that is appended to.
PLAN = f"{STATE}/plan.json"
ADDITION = f"{STATE}/append.json"
UNITS = f"{STATE}/units"
ROWS = f"{STATE}/rows"

#: Results that an interrupted run of ``map_images`` has left.
RESULTS = f"{STATE}/map"

#: Attribute of a root that is marked: the id of the journal.
MARK = "ngff_bio_journal"

#: Documents of a root in the order in which a reader looks for the one that opens it.
FIRST_READ = ("zarr.json", ".zmetadata", ".zattrs")
ROOTS = (*FIRST_READ, ".zgroup")


def sealed(data: bytes) -> bytes:
    """JSON with its CRC-32C in a last line: it can be damaged before it is read."""
    return data + b"\n" + crc32c_bytes(data).hex().encode() + b"\n"


def unsealed(data: bytes) -> bytes:
    """The JSON; raises a `ValueError` if it is not what was written."""
    text, line, seal = data.removesuffix(b"\n").rpartition(b"\n")
    if line and seal != crc32c_bytes(text).hex().encode():
        raise ValueError("the checksum is wrong")
    return text or data


class Journal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A transaction.

    Parameters
    ----------
    id
        Names it in the mark.
    new
        Paths at and below which objects are written that the store does not have.
    removed
        Paths at and below which the new store has only what is below ``new/``; ``""`` is all.
    documents
        Final documents of the root; there as soon as everything else is written.
    root
        The one of them that is marked.
    moving
        Whether what is removed is gone, and objects are being moved to their places.
    first
        Whether there was no store before: its root is written without a mark.
    plan
        Digest of the plan of the conversion that writes the store.
    staged
        Keys that were written below ``new/``; those of a store that is replaced are in its manifest.
    units, rows
        How many units the conversion has, and the keys of its table rows.
    """

    id: str
    new: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    documents: dict[str, str] | None = None
    root: str = ""
    moving: bool = False
    first: bool = False
    plan: str = ""
    staged: frozenset[str] = frozenset()
    units: int = 0
    rows: frozenset[str] = frozenset()

    def to_json(self) -> bytes:
        """The content of ``journal.json``."""
        return sealed(msgspec.json.encode(self))

    def marked(self) -> bytes:
        """The document of the root with the mark."""
        text = (self.documents or {}).get(self.root)
        if self.root == "zarr.json":
            document: dict[str, Any] = {"zarr_format": 3, "node_type": "group"}
        elif self.root == ".zmetadata":
            document = {"metadata": {".zgroup": {"zarr_format": 2}}, "zarr_consolidated_format": 1}
        else:
            document = {}
        if text is not None:
            document = parse_json(text.encode(), self.root)
        holder = document
        if self.root == "zarr.json":
            holder = document.setdefault("attributes", {})
        elif self.root == ".zmetadata":
            holder = document.setdefault("metadata", {}).setdefault(".zattrs", {})
        holder[MARK] = self.id
        return to_json(document, compact=True)


#: ``begun``: not visible yet. ``committed``: visible, not all in place. ``finished``: in place.
Phase = Literal["begun", "committed", "finished"]


def read_journal(storage: Storage) -> Journal | None:
    """The transaction of a store that has begun.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the journal cannot be understood.
    """
    data = storage.get(JOURNAL)
    if data is None:
        return None
    with store_errors("the journal of a write cannot be read", file=f"{storage.url}/{JOURNAL}"):
        return decoder_of(Journal).decode(unsealed(data))


def phase_of(storage: Storage, journal: Journal) -> Phase:
    """How far a transaction is, by the document of the root."""
    if journal.documents is None:
        return "begun"
    data = storage.get(journal.root)
    if data is not None and _mark(data, journal.root) == journal.id:
        return "committed"
    if journal.first:
        return "begun" if data is None else "finished"
    return "finished" if journal.moving else "begun"


def _mark(data: bytes, root: str) -> object:
    try:
        document = parse_json(data, root)
    except StoreError:
        return None
    if root == ".zmetadata":
        documents = document.get("metadata")
        document = {"attributes": documents.get(".zattrs") if isinstance(documents, dict) else {}}
    return document.get(MARK) if root == ".zattrs" else attributes_of(document).get(MARK)


def within(key: str, paths: Collection[str]) -> bool:
    """Whether a key is at or below one of several paths."""
    while paths:
        if key in paths:
            return True
        if not key:
            return False
        key = key.rpartition("/")[0]
    return False


def open_change(storage: Storage) -> tuple[Journal, bool] | None:
    """The journal of a change that is not finished, and whether it is committed: the root is marked.

    Raises
    ------
    ngff_bio.errors.IncompleteStoreError
        If a store is being written where there was none.
    ngff_bio.errors.StoreError
        If the journal cannot be understood.
    """
    journal = read_journal(storage)
    if journal is None or (phase := phase_of(storage, journal)) == "finished":
        return None
    if journal.first:
        raise missing_store(storage)
    return journal, phase == "committed"


def committed_view(storage: Storage) -> Storage | None:
    """The new store, where the root is marked; ``None`` if it is not. Raises as `open_change`."""
    change = open_change(storage)
    return NewView(storage, change[0]) if change is not None and change[1] else None


@dataclass
class _View(ReadOnlyStorage):
    """A store without its state, to be read."""

    refusal = "a store that is being written to can only be read"

    storage: Storage
    journal: Journal

    @property
    def url(self) -> str:
        """That of the store."""
        return self.storage.url

    @property
    def locality(self) -> Locality:
        """That of the store."""
        return self.storage.locality


@dataclass
class OldView(_View):
    """A store before a transaction; ``named`` are the keys of its manifest, if it has one."""

    named: Collection[str] = field(default=(), repr=False)

    def _hidden(self, key: str) -> bool:
        own = key.startswith(f"{STATE}/")
        return own or (within(key, self.journal.new) and key not in self.named)

    def get(self, key: str) -> bytes | None:
        """All bytes of an object, or ``None``."""
        return None if self._hidden(key) else self.storage.get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Part of an object, or ``None``."""
        return None if self._hidden(key) else self.storage.get_range(key, start, length)

    def size(self, key: str) -> int | None:
        """Size in bytes, or ``None``."""
        return None if self._hidden(key) else self.storage.size(key)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Keys below ``prefix`` with their sizes."""
        return ((k, n) for k, n in self.storage.list(prefix) if not self._hidden(k))


@dataclass
class NewView(_View):
    """A store after a transaction whose objects are not all in their places."""

    _moving: bool = False

    def _ending(self) -> bool:
        """Whether what is removed has gone by now: an object in its place is a new one."""
        if not self._moving:
            now = read_journal(self.storage)
            self._moving = now is None or now.id != self.journal.id or now.moving
        return self._moving

    def _gone(self, key: str) -> bool:
        return key.startswith(f"{STATE}/") or (
            within(key, self.journal.removed) and not self._ending()
        )

    def get(self, key: str) -> bytes | None:
        """All bytes of an object, or ``None``."""
        documents = self.journal.documents or {}
        if key in ROOTS and (key in documents or within(key, self.journal.removed)):
            return documents[key].encode() if key in documents else None
        found = self.storage.get(f"{STAGED}/{key}")
        return self.storage.get(key) if found is None and not self._gone(key) else found

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Part of an object, or ``None``."""
        if key in ROOTS:
            whole = self.get(key)
            return None if whole is None else whole[start:][:length]
        found = self.storage.get_range(f"{STAGED}/{key}", start, length)
        if found is None and not self._gone(key):
            found = self.storage.get_range(key, start, length)
        return found

    def size(self, key: str) -> int | None:
        """Size in bytes, or ``None``."""
        if key in ROOTS:
            return None if (document := self.get(key)) is None else len(document)
        found = self.storage.size(f"{STAGED}/{key}")
        return self.storage.size(key) if found is None and not self._gone(key) else found

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Keys below ``prefix`` with their sizes."""
        start = len(STAGED) + 1
        below = f"{STAGED}/{prefix}" if prefix else STAGED
        found = {k: n for k, n in self.storage.list(prefix) if k not in ROOTS and not self._gone(k)}
        found |= {k[start:]: n for k, n in self.storage.list(below)}
        if not prefix:
            roots = ((key, self.size(key)) for key in ROOTS)
            found |= {key: size for key, size in roots if size is not None}
        return iter((k, n) for k, n in found.items() if not k.startswith(f"{STATE}/"))


def missing_store(storage: Storage) -> StoreNotFoundError | IncompleteStoreError:
    """The error for a place without the root of a store: there is none, or it is incomplete."""
    while isinstance(storage, OldView | NewView):
        storage = storage.storage
    if any(storage.size(key) is not None for key in (PLAN, JOURNAL)):
        return IncompleteStoreError(
            "the store is incomplete",
            file=storage.url,
            hint="run the same convert command again: it resumes where it stopped",
        )
    storage.raise_refusal()
    return StoreNotFoundError(
        "there is no Zarr store here",
        file=storage.url,
        expected="a zarr.json or a .zgroup",
        hint="name the folder or URL that holds it",
    )
