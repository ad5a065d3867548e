"""Objects of a store: what its manifest, or a listing, says that there are; read and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ngff_bio.checks.store.objects import load_manifest
from ngff_bio.checksums import crc32c
from ngff_bio.engine.write.manifest import MANIFEST, MANIFEST_CHECKSUM, parse_manifest
from ngff_bio.errors import IncompleteStoreError, StorageError, StoreError
from ngff_bio.storage import Storage, checked_key
from ngff_bio.zarrio.hierarchy import Hierarchy
from ngff_bio.zarrio.journal import PLAN, STATE, missing_store

#: Documents of a root, in the order in which they are written; they are removed in the other.
ROOTS = (".zmetadata", ".zattrs", ".zgroup", "zarr.json")

#: What is being copied to a place: written first, removed last.
MARK = f"{STATE}/copy.json"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Size of an object in bytes, and its CRC-32C if the manifest has one, else what its storage knows
    of its version.
    """

    size: int
    crc32c: int | None = None
    version: str = ""


@dataclass(slots=True)
class CopyReport:
    """Outcome of a copy, or what it would be.

    Parameters
    ----------
    store, destination
        URLs or paths of both.
    objects, bytes
        Of the store.
    sent, bytes_sent
        Objects that were sent, with their bytes: the others were at the destination.
    removed
        Objects at the destination that the store does not contain, or that differed.
    requests
        Write (PUT), remove and list requests at the destination, and reads (GET) of the store, without
        those of its metadata.
    unchecked
        Keys of objects that the manifest does not name: they were copied without a checksum.
    notes
        What else is worth knowing.
    """

    store: str
    destination: str
    objects: int = 0
    bytes: int = 0
    sent: int = 0
    bytes_sent: int = 0
    removed: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    unchecked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


def check_complete(source: Storage) -> None:
    """Refuse what is not a complete store.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is no store.
    ngff_bio.errors.IncompleteStoreError
        If a copy to there, or a conversion, has not ended.
    """
    if source.size(MARK) is not None:
        raise IncompleteStoreError(
            "the store is an incomplete copy",
            file=source.url,
            hint="run the same copy command again: it resumes",
        )
    if source.size(PLAN) is not None:
        raise missing_store(source)
    Hierarchy.open(source)


def objects_of(source: Storage, report: CopyReport) -> dict[str, StoredObject]:
    """Objects of a complete store by key.

    Raises
    ------
    ngff_bio.errors.StoreError
        If it is not what its manifest says.
    """
    found: dict[str, StoredObject] = {}
    manifest = source.get(MANIFEST)
    if manifest is not None:
        entries, wrong = load_manifest(source)
        if wrong:
            raise StoreError(str(wrong[0]), file=source.url, hint="copy from an intact store")
        for entry in entries:
            if entry.kind == "object":
                key = checked_key(entry.path, f"{source.url}/{MANIFEST}")
                found[key] = StoredObject(entry.size, entry.crc32c)
        found[MANIFEST] = StoredObject(len(manifest), crc32c(manifest))
        line = source.get(MANIFEST_CHECKSUM) or b""
        found[MANIFEST_CHECKSUM] = StoredObject(len(line), crc32c(line))
    try:
        listed = _listed(source)
    except StorageError:
        if manifest is None:
            raise StoreError(
                "the store has no manifest, and its objects cannot be listed",
                file=source.url,
                expected=MANIFEST,
                hint="only stores written by ngff_bio have one; copy from a folder or a bucket",
            ) from None
        return found
    for key, known in found.items():
        size = listed[key].size if key in listed else None
        if size != known.size:
            raise _damaged(source, key, f"{known.size} bytes", size)
    report.unchecked = sorted(listed.keys() - found.keys())
    return found | {key: listed[key] for key in report.unchecked}


def _listed(source: Storage) -> dict[str, StoredObject]:
    return {
        checked_key(key, source.url): StoredObject(size, None, version)  # a zip may have any name
        for key, size, version in source.versions()
        if not key.startswith(f"{STATE}/")
    }


def check_unchanged(source: Storage, objects: Mapping[str, StoredObject]) -> None:
    """Check that no object that has no checksum has changed since the objects were listed.

    Raises
    ------
    ngff_bio.errors.StoreError
        If one has: what was copied may be of two versions.
    """
    unchecked = {key: one for key, one in objects.items() if one.crc32c is None}
    now = _listed(source) if unchecked else {}
    for key, one in unchecked.items():
        if now.get(key) != one:
            raise StoreError(
                "the store was changed while it was copied",
                file=f"{source.url}/{key}",
                hint="run the same command again: it begins anew",
            )


def _damaged(source: Storage, key: str, expected: object, found: object) -> StoreError:
    return StoreError(
        "an object of the store is missing or damaged",
        file=f"{source.url}/{key}",
        expected=expected,
        found="nothing" if found is None else found,
        hint="`ngff-bio verify` lists all of them; copy from an intact store",
    )


def read_object(source: Storage, key: str, known: StoredObject) -> bytes:
    """An object that is what the manifest says; read twice where the network may have changed it."""
    found: object = None
    for _ in range(2):
        data = source.get(key)
        if data is None:
            continue
        found = f"{len(data)} bytes, CRC-32C {crc32c(data):08x}"
        if len(data) == known.size and known.crc32c in (None, crc32c(data)):
            return data
    crc = "" if known.crc32c is None else f", CRC-32C {known.crc32c:08x}"
    raise _damaged(source, key, f"{known.size} bytes{crc}", found)


def token_of(objects: Mapping[str, StoredObject]) -> str | None:
    """Digest of what a store contains; ``None`` if of an object only the size is known."""
    if any(o.crc32c is None and not o.version for o in objects.values()):
        return None
    lines = (f"{key} {o.size} {o.crc32c} {o.version}" for key, o in sorted(objects.items()))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def equal_objects(
    target: Storage, there: Mapping[str, int], objects: Mapping[str, StoredObject]
) -> set[str]:
    """Objects at a destination that are known to be those of the store, by both manifests."""
    data = target.get(MANIFEST) if MANIFEST in there else None
    if data is None:
        return set()
    try:
        known = {e.path: (e.size, e.crc32c) for e in parse_manifest(data) if e.kind == "object"}
    except StoreError:
        return set()
    known[MANIFEST] = (len(data), crc32c(data))
    line = target.get(MANIFEST_CHECKSUM) or b""
    known[MANIFEST_CHECKSUM] = (len(line), crc32c(line))
    return {
        key
        for key, one in objects.items()
        if one.crc32c is not None
        and there.get(key) == one.size
        and known.get(key) == (one.size, one.crc32c)
    }
