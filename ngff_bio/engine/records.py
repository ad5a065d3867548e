"""What a unit leaves behind when it is done: which objects it wrote, and what it learned.

Records lie beside the data while a conversion runs. They are how a second run of the same command
knows what is done, and what the last step (tables, metadata) is made from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from ngff_bio.storage import Storage

#: Folder in the destination that holds the state of a running conversion; gone when it has ended.
STATE = ".ngff_bio"


@dataclass(slots=True)
class ObjectRecord:
    """An object: its key, size in bytes, CRC-32C of its bytes."""

    key: str
    size: int
    crc32c: int


@dataclass(slots=True)
class PartRecord:
    """What one part of a unit learned.

    ``crc32c`` is that of the pixels that were read, in C order, native byte order. ``low`` and
    ``high`` are the extremes of the coarsest level that the part made.
    """

    array: int
    step: int
    region: list[tuple[int, int]]
    crc32c: int | None = None
    low: float | None = None
    high: float | None = None
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    instances: int = 0
    hidden: int = 0
    overlaps: int = 0
    rows: str | None = None
    disagreement: int = 0
    notices: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class UnitRecord:
    """A unit that is done."""

    id: str
    objects: list[ObjectRecord] = field(default_factory=list)
    parts: list[PartRecord] = field(default_factory=list)


def record_key(unit: str) -> str:
    """Where the record of a unit lies."""
    return f"{STATE}/units/{unit}.json"


def save_record(storage: Storage, record: UnitRecord) -> None:
    """Write a unit's record; from then on the unit counts as done."""
    storage.put(record_key(record.id), msgspec.json.encode(record))


def load_records(storage: Storage) -> dict[str, UnitRecord]:
    """Records of all units that are done."""
    found = {}
    for key, _ in storage.list(f"{STATE}/units"):
        data = storage.get(key)
        if data is not None:
            record = msgspec.json.decode(data, type=UnitRecord)
            found[record.id] = record
    return found
