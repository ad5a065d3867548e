"""A store's objects against its manifest: damaged, missing and unknown objects."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from functools import partial

from ngff_bio.checks.differences import Difference, Progress
from ngff_bio.checksums import crc32c
from ngff_bio.engine.write.manifest import (
    MANIFEST,
    MANIFEST_CHECKSUM,
    ManifestEntry,
    checksum_line,
    parse_manifest,
)
from ngff_bio.errors import StorageError, StoreError
from ngff_bio.parallel import WorkerPool
from ngff_bio.storage import Storage
from ngff_bio.zarrio.journal import STATE

#: What is not checked where objects cannot be listed.
NOT_LISTED = (
    "the objects cannot be listed there: ones that the manifest does not name are not found"
)

#: Objects larger than this are read in ranges: memory stays bounded whatever the shard size.
_RANGE = 16 << 20


def load_manifest(storage: Storage) -> tuple[list[ManifestEntry], list[Difference]]:
    """Rows of the manifest, and what is wrong with the manifest itself.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the store has none.
    """
    data, checksum = storage.get(MANIFEST), storage.get(MANIFEST_CHECKSUM)
    if data is None:
        if checksum is None:
            raise StoreError(
                "the store has no manifest",
                file=storage.url,
                expected=MANIFEST,
                hint="name the source to compare with instead: --source",
            )
        return [], [Difference("object", MANIFEST, "the manifest is missing")]
    found: list[Difference] = []
    if checksum is None:
        what = "the checksum of the manifest is missing"
        found.append(Difference("object", MANIFEST_CHECKSUM, what))
    elif checksum != (expected := checksum_line(data)):
        what = "the manifest or its checksum is damaged"
        lines = {"expected": _line_text(expected), "found": _line_text(checksum)}
        found.append(Difference("object", MANIFEST, what, **lines))
    try:
        return parse_manifest(data), found
    except StoreError as error:
        wrong = Difference("object", MANIFEST, error.what, found=error.found)
        return [], [*found, wrong]


def _line_text(line: bytes) -> str:
    """A line that should be text."""
    return line[:60].decode("ascii", "backslashreplace").strip()


def check_objects(
    storage: Storage,
    entries: Iterable[ManifestEntry],
    pool: WorkerPool,
    progress: Progress,
    sample: int | None = None,
) -> Iterator[Difference | int | str]:
    """Check every object against its entry.

    Yields differences, the bytes of each object that was read, and what was not checked. With
    ``sample``, only so many are read, always the same ones; of the others the size is compared.
    """
    known = {e.path: e for e in entries if e.kind == "object"}
    try:
        there = {k: n for k, n in storage.list() if not k.startswith(f"{STATE}/")}
    except StorageError:  # a web server cannot list its objects, but has a size for each
        yield NOT_LISTED
        sizes = pool.map(storage.size, known)
        there = {k: size for k, size in zip(known, sizes, strict=True) if size is not None}
    for key in sorted(known.keys() - there.keys()):
        yield Difference("object", key, "the object is missing")
    for key in sorted(there.keys() - known.keys() - {MANIFEST, MANIFEST_CHECKSUM}):
        yield Difference("object", key, "the manifest does not name this object")
    present = sorted(known.keys() & there.keys())
    if sample is not None and sample < len(present):
        rest = set(present)
        present = sorted(random.Random(0).sample(present, sample))
        rest.difference_update(present)
        for key in sorted(k for k in rest if there[k] != known[k].size):
            yield _other_size(known[key], there[key])
    total, done = sum(there[k] for k in present), 0
    work = (partial(_check, storage, known[key], there[key]) for key in present)
    for size, difference in pool.imap(work):
        done += size
        progress(done, total)
        yield size
        if difference is not None:
            yield difference


def _other_size(entry: ManifestEntry, size: int) -> Difference:
    sizes = {"expected": f"{entry.size} bytes", "found": f"{size} bytes"}
    return Difference("object", entry.path, "the size of the object differs", **sizes)


def _check(storage: Storage, entry: ManifestEntry, size: int) -> tuple[int, Difference | None]:
    if size != entry.size:
        return size, _other_size(entry, size)
    crc = 0
    try:
        for block in _blocks(storage, entry.path, size):
            crc = crc32c(block, crc)
    except StorageError as error:
        return size, Difference("object", entry.path, f"the object cannot be read: {error.what}")
    if crc == entry.crc32c:
        return size, None
    what = "the bytes of the object are not those that were written"
    sums = {"expected": f"CRC-32C {entry.crc32c:08x}", "found": f"CRC-32C {crc:08x}"}
    return size, Difference("object", entry.path, what, **sums)


def _blocks(storage: Storage, key: str, size: int) -> Iterator[bytes]:
    if size <= _RANGE:
        yield storage.get(key) or b""
        return
    for start in range(0, size, _RANGE):
        yield storage.get_range(key, start, min(_RANGE, size - start)) or b""
