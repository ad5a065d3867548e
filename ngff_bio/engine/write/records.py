"""The record of a unit that is done: which objects it wrote, and what it found.

Records are stored beside the data while a conversion runs. A second run of the same command reads from
them what is done, and the last step (tables, metadata) is made from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

import msgspec

from ngff_bio.engine.write.codec_selection import CodecChoice
from ngff_bio.parallel import decoder_of
from ngff_bio.storage import Storage
from ngff_bio.zarrio.journal import UNITS, sealed, unsealed


@dataclass(slots=True)
class Failure:
    """Why a part could not be written: what is wrong with the source, and where."""

    what: str
    file: str | None = None
    record: str | None = None


#: Numbers that the columns of tables hold: others are those of a damaged record.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Bound = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Quantiles = Annotated[list[float], msgspec.Meta(max_length=11)]
Checksum = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]


class MeasuredObject(TypedDict, total=False):
    """An object of a label volume on one frame: pixels, half-open bounds along each axis but t, pixels
    by class value.
    """

    count: Count
    start: list[Bound]
    stop: list[Bound]
    classes: dict[str, Count]


@dataclass(slots=True)
class PartRecord:
    """What was found in one part of a unit.

    ``quantiles`` are those of the coarsest level that the part of an image wrote, by channel; ``rows``
    is the key of its table rows. ``crc32c`` is that of the pixels that were read, in C order,
    little-endian, in the type of the array. ``objects`` are those of a label volume, by
    ``frame:label``. ``instances`` are distinct labels on a frame, and
    ``annotations`` their outlines, runs and boxes, of which an instance may have several.
    """

    array: int
    step: int
    region: list[tuple[int, int]]
    quantiles: list[Quantiles] = field(default_factory=list)
    objects: dict[str, MeasuredObject] = field(default_factory=dict)
    instances: int = 0
    annotations: int = 0
    hidden: int = 0
    overlaps: int = 0
    rows: str | None = None
    disagreement: int = 0
    notices: list[dict[str, Any]] = field(default_factory=list)
    failed: Failure | None = None
    crc32c: Checksum | None = None


@dataclass(slots=True)
class UnitRecord:
    """A unit that is done.

    ``objects`` are keys and sizes in bytes, ``checksums`` the CRC-32C of each by key; ``choices``
    are codecs that were chosen on its pixels, by `ArrayPlan.codec_group`.
    """

    id: str
    objects: list[tuple[str, Count]] = field(default_factory=list)
    parts: list[PartRecord] = field(default_factory=list)
    choices: dict[str, CodecChoice] = field(default_factory=dict)
    checksums: dict[str, Checksum] = field(default_factory=dict)


def record_key(unit: str) -> str:
    """Key of the record of a unit."""
    return f"{UNITS}/{unit}.json"


def save_record(storage: Storage, record: UnitRecord) -> None:
    """Write a unit's record; from then on the unit counts as done."""
    storage.put(record_key(record.id), sealed(msgspec.json.encode(record)))


def load_record(storage: Storage, unit: str) -> UnitRecord | None:
    """The record of a unit, or ``None`` if it is not done, or its record is damaged."""
    data = storage.get(record_key(unit))
    try:
        record = None if data is None else decoder_of(UnitRecord).decode(unsealed(data))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return record if record is not None and record.id == unit else None


def load_records(storage: Storage, keys: Iterable[str] | None = None) -> Iterable[UnitRecord]:
    """Records of all units that are done, one after another; of some ``keys`` if these are given."""
    listed = (key for key, _ in storage.list(UNITS)) if keys is None else keys
    for key in sorted(key for key in listed if key.startswith(f"{UNITS}/")):
        record = load_record(storage, key.rpartition("/")[2].removesuffix(".json"))
        if record is not None:
            yield record
