"""``copy``: a store to another place, object by object, checked against its manifest.

Folders, buckets and zips can be read and written, web servers read: what a store contains is known from
its manifest, without a listing. The root documents are written last: a copy that opens is complete. A
copy that was interrupted is resumed by the same call.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from ngff_bio import ngff
from ngff_bio.checks.store.objects import load_manifest
from ngff_bio.engine.write.checksums import crc32c
from ngff_bio.engine.write.manifest import MANIFEST, MANIFEST_CHECKSUM, parse_manifest
from ngff_bio.engine.write.records import STATE
from ngff_bio.errors import (
    ArgumentError,
    IncompleteStoreError,
    StorageError,
    StoreError,
    StoreExistsError,
)
from ngff_bio.parallel import WorkerPool, cpu_count, shared_pool
from ngff_bio.storage import Storage, checked_key, storage_at
from ngff_bio.storage.zip_writer import ZipWriter, zip_comment, zip_order
from ngff_bio.storage.zipped import ZipStorage
from ngff_bio.zarrio.documents import attributes_of, load_node
from ngff_bio.zarrio.hierarchy import missing_store

#: Documents of a root, in the order in which they are written; they are removed in the other.
_ROOTS = (".zmetadata", ".zattrs", ".zgroup", "zarr.json")

#: What is being copied to a place: written first, removed last.
_MARK = f"{STATE}/copy.json"

#: Bytes of objects that are held at a time.
_MEMORY = 128 << 20

#: Objects of one batch that is read for a zip.
_BATCH = 16

#: Called with bytes copied and in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Size of an object in bytes, and its CRC-32C if the manifest has one."""

    size: int
    crc32c: int | None = None


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
        Write, remove and list requests at the destination.
    unchecked
        Keys of objects that the manifest does not name: they were copied without a checksum.
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

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


def copy(
    store: str | os.PathLike[str] | Storage,
    destination: str | os.PathLike[str] | Storage,
    *,
    images: str | Sequence[str] = (),
    overwrite: bool = False,
    dry_run: bool = False,
    source_options: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> CopyReport:
    """Copy a store: folder, bucket, zip or web server to folder, bucket or zip.

    Each object is checked against the manifest before it is written. Only what differs is sent.

    Parameters
    ----------
    store
        The store.
    destination
        An empty place, one where the same copy was interrupted, or with ``overwrite`` another store.
        A path that ends in ``.ozx`` or ``.zip`` is one file on this machine, which appears whole.
    images
        Globs of paths of images: only these are copied. Plates, lists of images and the manifest then
        name nothing else.
    overwrite
        Whether a store at the destination becomes equal to this one. It does not open meanwhile.
    dry_run
        Whether only to report what would be sent.
    source_options, storage_options
        Options of the bucket of the store, and of that of the destination, as in
        :class:`ngff_bio.storage.BucketStorage`.
    workers
        Threads where both are on this machine; one per processor core if 0.
    progress
        Called with bytes sent and in all.

    Raises
    ------
    ngff_bio.errors.StoreError
        If an object of the store is missing or damaged.
    ngff_bio.errors.StoreExistsError
        If the destination contains a store or anything else.
    ngff_bio.errors.StorageError
        If reading or writing fails. The same call resumes.
    """
    source, target = (
        storage_at(store, source_options),
        storage_at(destination, storage_options),
    )
    report = CopyReport(source.url, target.url)
    _check_complete(source)
    if images:
        from ngff_bio.copying.part import part_of_store

        source = part_of_store(source, [images] if isinstance(images, str) else images)
    objects = _objects(source, report)
    report.objects, report.bytes = len(objects), sum(o.size for o in objects.values())
    remote = "network" in (source.locality, target.locality)
    pool = shared_pool(remote=True) if remote else WorkerPool(workers or cpu_count())
    given = (source, objects, report, pool, progress or (lambda done, total: None))
    if isinstance(target, ZipStorage):
        _to_zip(target, *given, overwrite=overwrite, dry_run=dry_run)
    else:
        _to_storage(target, *given, overwrite=overwrite, dry_run=dry_run)
    return report


def _check_complete(source: Storage) -> None:
    """Refuse what is no store, and one that is incomplete."""
    if source.size(f"{STATE}/plan.json") is not None:
        raise missing_store(source, incomplete=True)
    if not any(source.size(key) is not None for key in _ROOTS):
        if source.size(_MARK) is not None:
            raise IncompleteStoreError(
                "the store is an incomplete copy",
                file=source.url,
                hint="run the same copy command again: it resumes",
            )
        raise missing_store(source, incomplete=False)


def _objects(source: Storage, report: CopyReport) -> dict[str, StoredObject]:
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
        listed = {k: n for k, n in source.list() if not k.startswith(f"{STATE}/")}
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
        if listed.get(key) != known.size:
            raise _damaged(source, key, f"{known.size} bytes", listed.get(key))
    report.unchecked = sorted(listed.keys() - found.keys())
    return found | {key: StoredObject(listed[key]) for key in report.unchecked}


def _damaged(source: Storage, key: str, expected: object, found: object) -> StoreError:
    return StoreError(
        "an object of the store is missing or damaged",
        file=f"{source.url}/{key}",
        expected=expected,
        found="nothing" if found is None else found,
        hint="`ngff-bio verify` lists all of them; copy from an intact store",
    )


def _read(source: Storage, key: str, known: StoredObject) -> bytes:
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


def _to_storage(
    target: Storage,
    source: Storage,
    objects: dict[str, StoredObject],
    report: CopyReport,
    pool: WorkerPool,
    progress: Progress,
    *,
    overwrite: bool,
    dry_run: bool,
) -> None:
    token = _token(objects)
    mark = _parsed(target.get(_MARK))
    there = {k: n for k, n in target.list() if k != _MARK}
    resumed = mark == {"token": token}
    if resumed:  # all that is there was written by this copy, or is known to be equal
        equal = {k for k, n in there.items() if k in objects and objects[k].size == n}
    else:
        equal = _equal_objects(target, there, objects)
        up_to_date = equal == objects.keys() == there.keys()
        if there and not up_to_date and mark is None and not overwrite:
            _refuse(target, there)
        if up_to_date and mark is None:
            return
    todo = {k: o for k, o in objects.items() if k not in equal}
    stale = sorted(there.keys() - equal)
    report.sent, report.bytes_sent = len(todo), sum(o.size for o in todo.values())
    report.removed = len(stale)
    report.requests = {"PUT": len(todo) + 1 + bool(stale), "DELETE": len(stale) + 1, "LIST": 1}
    if dry_run:
        return
    if stale:
        _remove(target, token, stale)
    target.put(_MARK, json.dumps({"token": token}).encode())
    _send(target, source, todo, pool, progress)
    target.delete(_MARK)


def _token(objects: Mapping[str, StoredObject]) -> str:
    lines = (f"{key} {o.size} {o.crc32c}" for key, o in sorted(objects.items()))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _parsed(mark: bytes | None) -> Any:
    try:
        return None if mark is None else json.loads(mark)
    except ValueError:
        return {}


def _equal_objects(
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


def _refuse(target: Storage, there: Mapping[str, int]) -> None:
    if any(key in there for key in _ROOTS):
        raise StoreExistsError(
            "the destination already contains another store",
            file=target.url,
            hint="choose another destination, or use --overwrite to make it equal to this one: only "
            "what differs is sent",
        )
    raise StoreExistsError(
        "the destination is not empty, and is not a store",
        file=target.url,
        found=min(there),
        hint="choose another destination, or remove its content yourself",
    )


def _remove(target: Storage, token: str, stale: list[str]) -> None:
    """Remove what differs, the root first and the manifest last: that says what does not differ."""
    target.put(_MARK, json.dumps({"removing": token}).encode())
    order = {key: -1 - i for i, key in enumerate(_ROOTS)}
    order |= {MANIFEST_CHECKSUM: 1, MANIFEST: 2}
    for key in sorted(stale, key=lambda k: (order.get(k, 0), k)):
        target.delete(key)


def _send(
    target: Storage,
    source: Storage,
    todo: Mapping[str, StoredObject],
    pool: WorkerPool,
    progress: Progress,
) -> None:
    """Send objects: those that open the store last."""
    total, done = sum(o.size for o in todo.values()), 0
    last = [k for k in (MANIFEST, MANIFEST_CHECKSUM, *_ROOTS) if k in todo]
    memory = _Memory(_MEMORY)

    def send(key: str) -> int:
        with memory.held(todo[key].size):
            return target.put(key, _read(source, key, todo[key]))

    for size in pool.imap(partial(send, key) for key in sorted(todo.keys() - set(last))):
        done += size
        progress(done, total)
    for key in last:
        done += send(key)
        progress(done, total)


class _Memory:
    """Bytes that threads may hold together; one of them always may."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0
        self._changed = threading.Condition()

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + size <= self._limit)
            self._held += size
        try:
            yield
        finally:
            with self._changed:
                self._held -= size
                self._changed.notify_all()


def _to_zip(
    target: ZipStorage,
    source: Storage,
    objects: dict[str, StoredObject],
    report: CopyReport,
    pool: WorkerPool,
    progress: Progress,
    *,
    overwrite: bool,
    dry_run: bool,
) -> None:
    from ngff_bio.storage import FolderStorage

    if not isinstance(target.outer, FolderStorage):
        raise ArgumentError(
            "a zip can only be written on this machine",
            file=target.url,
            hint="write it to a folder, then upload the file",
        )
    if target.outer.size(target.key) is not None and not overwrite:
        raise StoreExistsError(
            "the destination already exists",
            file=target.url,
            hint="choose another destination, or use --overwrite to replace it",
        )
    comment = b""
    if "zarr.json" in objects:
        comment = zip_comment(_version(source))
    elif target.key.lower().endswith(".ozx"):
        raise ArgumentError(
            "a store of Zarr v2 cannot be an .ozx file",
            file=source.url,
            expected="OME-Zarr 0.5 or newer",
            hint="write a .zip instead, or convert again with --ome-version 0.5",
        )
    report.sent, report.bytes_sent = report.objects, report.bytes
    if dry_run:
        return
    done = 0
    with ZipWriter(target.outer.root / target.key, comment) as archive:
        for batch in _batches(zip_order(objects), objects):
            for key, data in zip(
                batch, pool.map(lambda k: _read(source, k, objects[k]), batch), strict=True
            ):
                archive.put(key, data)
                done += len(data)
            progress(done, report.bytes)


def _batches(keys: list[str], objects: Mapping[str, StoredObject]) -> Iterator[list[str]]:
    """Keys in their order, as many at a time as may be held."""
    batch: list[str] = []
    size = 0
    for key in keys:
        if batch and (len(batch) >= _BATCH or size + objects[key].size > _MEMORY):
            yield batch
            batch, size = [], 0
        batch.append(key)
        size += objects[key].size
    if batch:
        yield batch


def _version(source: Storage) -> str:
    return ngff.version_of(dict(attributes_of(load_node(source, "", 3)))) or "0.5"
