"""Undoing a write that was interrupted, instead of finishing it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any, Literal

from ngff_bio.engine.resume.lease import Lease
from ngff_bio.engine.resume.redo import remove_incomplete
from ngff_bio.engine.resume.state import read_plan
from ngff_bio.engine.write.listing import current_keys
from ngff_bio.engine.write.manifest import manifest_keys
from ngff_bio.engine.write.records import load_records
from ngff_bio.engine.write.transaction import settle
from ngff_bio.storage import FolderStorage, Storage, storage_at
from ngff_bio.storage.zip_writer import PartialZip
from ngff_bio.storage.zipped import ZipStorage
from ngff_bio.zarrio.journal import (
    ADDITION,
    JOURNAL,
    PLAN,
    RESULTS,
    ROOTS,
    ROWS,
    STAGED,
    UNITS,
    missing_store,
    within,
)

#: What was discarded: an incomplete store, what was being appended, the store that was to replace
#: another one, another change, or what a copy wrote of a zip; ``finished``: it was visible already,
#: and was put in its place.
Discarded = Literal["store", "append", "replace", "change", "copy", "finished"]

_REPLACING = f"{STAGED}/{PLAN}"


def discard(
    place: str | os.PathLike[str] | Storage, storage_options: Mapping[str, Any] | None = None
) -> Discarded | None:
    """Undo a write into a store that was interrupted: the store is what it was before, byte for byte.

    An interrupted conversion into a new store is removed, and so is the file that an interrupted copy
    to a zip on this machine has left beside it. If this is interrupted, a second call
    continues. Returns what was discarded, ``None`` if nothing was interrupted.

    Parameters
    ----------
    place
        Folder or URL of the store.
    storage_options
        Options of a bucket.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is neither a store nor an interrupted write.
    ngff_bio.errors.StoreBusyError
        If another process is writing into the store.
    ngff_bio.errors.StorageError
        If something cannot be removed.
    """
    storage = storage_at(place, storage_options)
    if isinstance(storage, ZipStorage) and isinstance(storage.outer, FolderStorage):
        path = storage.outer.root / storage.key
        if PartialZip.begun(path):
            with PartialZip(path) as partial:
                partial.discard()
            return "copy"
    if not _begun(storage):
        if all(storage.size(key) is None for key in ROOTS):
            raise missing_store(storage)
        return None
    with Lease(storage, lambda: None):
        return _discard(storage)


def _begun(storage: Storage) -> bool:
    if any(storage.size(key) is not None for key in (JOURNAL, PLAN, ADDITION, _REPLACING)):
        return True
    return any(next(iter(storage.list(path)), None) is not None for path in (STAGED, RESULTS))


def _discard(storage: Storage) -> Discarded | None:
    changed = any(storage.list(RESULTS)) or storage.size(JOURNAL) is not None
    storage.delete_all(RESULTS)
    if settle(storage) is not None:
        return "finished"
    if storage.size(ADDITION) is not None:
        there = current_keys(storage)
        _remove_added(storage, there)
        for path in (UNITS, ROWS):
            storage.delete_all(path, (key for key in there if within(key, (path,))))
        storage.delete(ADDITION)
        settle(storage)
        return "append"
    if storage.size(PLAN) is not None:
        remove_incomplete(storage)
        storage.delete(PLAN)
        return "store"
    if storage.size(_REPLACING) is not None or next(iter(storage.list(STAGED)), None) is not None:
        storage.delete_all(STAGED, (k for k in current_keys(storage) if within(k, (STAGED,))))
        return "replace"
    return "change" if changed else None


def _remove_added(storage: Storage, there: Collection[str]) -> None:
    """Remove what units have written: what the manifest does not name, below images that grow."""
    begun = read_plan(storage) or {}
    images = frozenset(begun["plan"]["images"] if "plan" in begun else ())
    stored = (begun.get("base") or {}).get("groups", {})
    named = manifest_keys(storage)
    for record in load_records(storage, there or None):
        for key, _ in record.objects:
            if key not in named and within(key, images):
                storage.delete(key)
    for path in filter(None, images.difference(stored)):
        storage.delete_all(path, (key for key in there if within(key, (path,))))
