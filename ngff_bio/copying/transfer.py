"""``copy``: a store to another place, object by object, checked against its manifest.

Folders, buckets and zips can be read and written, web servers read: what a store contains is known from
its manifest, without a listing. The root documents are written last: a copy that opens is complete. A
copy that was interrupted is resumed by the same call.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ngff_bio.copying.archive import MEMORY, copy_to_zip
from ngff_bio.copying.objects import (
    MARK,
    ROOTS,
    CopyReport,
    StoredObject,
    check_complete,
    check_unchanged,
    equal_objects,
    objects_of,
    read_object,
    token_of,
)
from ngff_bio.copying.part import Choice, part_of_store
from ngff_bio.engine.write.manifest import MANIFEST, MANIFEST_CHECKSUM
from ngff_bio.engine.write.transaction import settled_view
from ngff_bio.errors import StoreExistsError
from ngff_bio.parallel import WorkerPool, cpu_count, shared_pool
from ngff_bio.storage import Storage, storage_at
from ngff_bio.storage.zipped import ZipStorage
from ngff_bio.zarrio.journal import JOURNAL, PLAN, STATE

#: Called with bytes copied and in all.
Progress = Callable[[int, int], None]


def copy(
    store: str | os.PathLike[str] | Storage,
    destination: str | os.PathLike[str] | Storage,
    *,
    images: str | Sequence[str] = (),
    plate: str | Sequence[str] = (),
    split: str | Sequence[str] = (),
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
        What ends in ``.ozx`` or ``.zip`` is one file, which appears whole. On this machine it is
        resumed too; in a bucket it starts from the beginning if it is interrupted.
    images
        Globs of paths of images: only these are copied. Plates, lists of images and the manifest then
        name nothing else.
    plate
        Globs of paths of plates: only their images are copied.
    split
        Only images with frames of a split are copied: its name, a pattern (``*train``), or train, val
        or test whatever its name. Images are copied whole; the report says if they have other frames.
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
        Called with bytes sent and in all, by the threads that send: by one of them at a time.

    Raises
    ------
    ngff_bio.errors.StoreError
        If an object of the store is missing or damaged.
    ngff_bio.errors.StoreExistsError
        If the destination contains a store, or anything else, which is never removed.
    ngff_bio.errors.StorageError
        If reading or writing fails. The same call resumes, but not to a zip in a bucket.
    """
    source, target = (
        storage_at(store, source_options),
        storage_at(destination, storage_options),
    )
    report = CopyReport(source.url, target.url)
    check_complete(source)
    source = settled_view(source)  # the old or the new store, where a write was interrupted
    words = ([given] if isinstance(given, str) else given for given in (images, plate, split))
    if choice := Choice(*words):
        source = part_of_store(source, choice, report.notes)
    objects = objects_of(source, report)
    report.objects, report.bytes = len(objects), sum(o.size for o in objects.values())
    remote = "network" in (source.locality, target.locality)
    pool = shared_pool(remote=True) if remote else WorkerPool(workers or cpu_count())
    given = (source, objects, report, pool, progress or (lambda done, total: None))
    if isinstance(target, ZipStorage):
        copy_to_zip(target, *given, overwrite=overwrite, dry_run=dry_run)
    else:
        _to_storage(target, *given, overwrite=overwrite, dry_run=dry_run)
    return report


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
    token = token_of(objects)
    mark = _parsed(target.get(MARK))
    there = {k: n for k, n in target.list() if k != MARK}
    resumed = token is not None and mark == {"token": token}
    if resumed:  # all that is there was written by this copy, or is known to be equal
        equal = {k for k, n in there.items() if k in objects and objects[k].size == n}
    else:
        equal = equal_objects(target, there, objects)
        up_to_date = equal == objects.keys() == there.keys()
        store = not {*ROOTS, PLAN, JOURNAL}.isdisjoint(there)
        if there and not up_to_date and mark is None and not (overwrite and store):
            _refuse(target, there)
        if up_to_date and mark is None:
            report.requests = {"LIST": 1}
            return
    todo = {k: o for k, o in objects.items() if k not in equal}
    stale = sorted(there.keys() - equal)
    report.sent, report.bytes_sent = len(todo), sum(o.size for o in todo.values())
    report.removed = len(stale)
    report.requests = {
        "PUT": len(todo) + 1 + bool(stale),
        "DELETE": len(stale) + 1,
        "LIST": 1,
        "GET": len(todo),
    }
    if dry_run:
        return
    if mark is not None:
        target.remove_partial()
    if stale:
        _remove(target, token, stale)
    target.put(MARK, json.dumps({"token": token}).encode())
    _send(target, source, objects, todo, pool, progress)
    target.delete(MARK)
    if target.locality == "machine":
        target.delete_all(STATE)  # the folder that is empty now


def _parsed(mark: bytes | None) -> Any:
    try:
        return None if mark is None else json.loads(mark)
    except (ValueError, RecursionError):
        return {}


def _refuse(target: Storage, there: Mapping[str, int]) -> None:
    if any(key in there for key in ROOTS):
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


def _remove(target: Storage, token: str | None, stale: list[str]) -> None:
    """Remove what differs, the root first and the manifest last: that says what does not differ."""
    target.put(MARK, json.dumps({"removing": token}).encode())
    order = {key: -1 - i for i, key in enumerate(ROOTS)}
    order |= {MANIFEST_CHECKSUM: 1, MANIFEST: 2}
    for key in sorted(stale, key=lambda k: (order.get(k, 0), k)):
        target.delete(key)


def _send(
    target: Storage,
    source: Storage,
    objects: Mapping[str, StoredObject],
    todo: Mapping[str, StoredObject],
    pool: WorkerPool,
    progress: Progress,
) -> None:
    """Send objects: those that open the store last."""
    total, done = sum(o.size for o in todo.values()), 0
    last = [k for k in (MANIFEST, MANIFEST_CHECKSUM, *ROOTS) if k in todo]
    memory, counting = _Memory(MEMORY), threading.Lock()

    def send(key: str) -> None:
        nonlocal done
        with memory.held(todo[key].size):
            size = target.put(key, read_object(source, key, todo[key]))
        with counting:
            done += size
            progress(done, total)

    pool.map(send, sorted(todo.keys() - set(last)))
    check_unchanged(source, objects)
    for key in last:
        send(key)


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
