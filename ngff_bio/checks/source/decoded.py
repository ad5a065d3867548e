"""Decoded pixels of level 0 against the checksums of those that were read from the source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from ngff_bio.checks.source.differences import Difference
from ngff_bio.checks.source.tasks import Found, StoredArray, Task, region_words, unreadable
from ngff_bio.checks.store.arrayinfo import array_info
from ngff_bio.checks.store.documents import Documents
from ngff_bio.engine.resume.checksumming import checksum
from ngff_bio.engine.write.manifest import Entry, parse_region


def decoded_tasks(documents: Documents, store: Any, regions: Iterable[Entry]) -> Iterator[Task]:
    """Decode each region that the manifest knows the pixels of."""
    for entry in regions:
        info = array_info(entry.path, documents.arrays.get(entry.path, {}))
        if info is None:
            missing = Difference("pixels", entry.path, "the array is missing")
            yield Task(0, partial(Found, [missing]))
        else:
            yield Task(entry.size, partial(_check, StoredArray(store, info), entry))


def _check(array: StoredArray, entry: Entry) -> Found:
    region = parse_region(entry.region or "")
    try:
        block = array.read(region)
    except Exception as error:
        return Found([unreadable(array, region, error)])
    found = checksum(block)
    if found == entry.crc32c:
        return Found()
    return Found(
        [
            Difference(
                "pixels",
                array.path,
                "the decoded pixels are not those that were read from the source",
                where=region_words(region),
                expected=f"CRC-32C {entry.crc32c:08x}",
                found=f"CRC-32C {found:08x}",
            )
        ]
    )
