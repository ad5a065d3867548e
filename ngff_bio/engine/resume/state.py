"""The state of a conversion, kept beside the data while it runs: what was begun, what is done.

``.ngff_bio/plan.json`` says what is being made; it is the first object that is written and the last
that is removed. ``.ngff_bio/units/`` holds a record for each unit that is done, ``.ngff_bio/rows/``
table rows on their way, ``.ngff_bio/claim.json`` who is at it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from ngff_bio.engine.plan.plan import Plan
from ngff_bio.engine.resume import lease as claim
from ngff_bio.engine.resume.fingerprint import differences
from ngff_bio.engine.resume.records import STATE, UNITS, UnitRecord, record_key
from ngff_bio.errors import StoreExistsError
from ngff_bio.storage import Storage

PLAN = f"{STATE}/plan.json"

#: Documents of a root: those that open it first.
_ROOTS = ("zarr.json", ".zgroup", ".zattrs", ".zmetadata")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a half-made store is.

    ``units`` and ``bytes`` count in all, ``done`` and ``bytes_done`` what is there; ``running``
    says who is at it, ``None`` if nobody is. ``kind`` is what is being done: ``new`` is a store
    that does not open yet, ``append`` adds to one that does.
    """

    kind: Literal["new", "append"]
    source: str
    name: str
    units: int
    done: int
    bytes: int
    bytes_done: int
    running: str | None
    settings: dict[str, Any]


def progress_of(storage: Storage) -> Progress | None:
    """How far the conversion into a destination is; ``None`` where none has been begun, or where
    it has ended.
    """
    begun = read_plan(storage)
    if begun is None or "plan" not in begun:
        return None
    done = {key.rpartition("/")[2].removesuffix(".json") for key, _ in storage.list(UNITS)}
    by = claim.holder(storage)
    sizes: list[int] = begun["sizes"]
    return Progress(
        kind=begun.get("kind", "new"),
        source=begun["plan"]["source"],
        name=begun["plan"]["name"],
        units=len(sizes),
        done=len(done),
        bytes=sum(sizes),
        bytes_done=sum(sizes[int(d)] for d in done),
        running=None if by is None else f"process {by['pid']} on {by['host']}",
        settings=begun["plan"]["settings"],
    )


def read_plan(storage: Storage) -> dict[str, Any] | None:
    """What a destination says is being made in it."""
    found = storage.get(PLAN)
    return None if found is None else json.loads(found)


def write_plan(
    storage: Storage,
    plan: Plan,
    kind: Literal["new", "append"],
    base: dict[str, Any] | None = None,
) -> None:
    """Say what is being made, and from what (the documents of a store that is added to)."""
    begun = {
        "kind": kind,
        "fingerprint": plan.fingerprint,
        "sizes": [u.nbytes for u in plan.units],
        "plan": plan.summary,
        "base": base,
    }
    storage.put(PLAN, json.dumps(begun).encode())


#: What is to be done at a destination: begin, go on, tidy up behind a conversion that has ended, or
#: remove what lies there and begin.
Action = Literal["begin", "resume", "cleanup", "replace"]


def look(plan: Plan, storage: Storage, overwrite: bool) -> Action:
    """What is to be done at the destination of a new store; changes nothing.

    Raises
    ------
    ngff_bio.errors.StoreExistsError
        If something lies at the destination: a whole store, one half-made with other settings, or
        anything that is no store (that is never removed).
    """
    if all(key == claim.LEASE for key, _ in islice(storage.list(), 2)):
        return "begin"  # nothing is there: told by one request instead of four
    begun = read_plan(storage)
    whole = any(storage.size(key) is not None for key in _ROOTS[:2])
    if begun is not None and "removing" in begun:
        return "replace"
    if begun is not None and begun["kind"] == "new" and begun["fingerprint"] == plan.fingerprint:
        return "cleanup" if whole else "resume"
    if (whole or begun is not None) and overwrite:
        return "replace"
    if whole:
        raise StoreExistsError(
            "a store lies at the destination already",
            file=storage.url,
            hint="choose another destination, or say --overwrite to replace it",
        )
    if begun is not None:
        refuse_other(begun, plan, storage)
    if (other := foreign_object(storage)) is not None:
        raise StoreExistsError(
            "the destination is not empty, and what lies there is no store",
            file=storage.url,
            found=other,
            hint="choose another destination, or remove what lies there yourself",
        )
    return "begin"


def foreign_object(storage: Storage) -> str | None:
    """Anything at a destination that is not of its state."""
    return next((key for key, _ in storage.list() if not key.startswith(f"{STATE}/")), None)


def refuse_other(begun: dict[str, Any], plan: Plan, storage: Storage) -> None:
    """Refuse to go on with what was begun with other settings or another source.

    Raises
    ------
    ngff_bio.errors.StoreExistsError
        It names both.
    """
    differ = differences(begun["plan"], plan.summary)
    raise StoreExistsError(
        "a half-made store lies at the destination, begun with other settings or another source",
        file=storage.url,
        expected=", ".join(f"{k}={_short(before)}" for k, (before, _) in differ.items()),
        found=", ".join(f"{k}={_short(now)}" for k, (_, now) in differ.items()),
        hint="use the settings and the source that it was begun with, or say --overwrite to begin "
        "again",
    )


def _short(value: Any) -> str:
    """A digest by its first letters, a shape as it is given, anything else as it is."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    digest = isinstance(value, str) and len(value) == 64 and " " not in value
    return f"{value[:8]}..." if digest else str(value)


def intact(records: Iterable[UnitRecord], storage: Storage) -> Iterable[UnitRecord]:
    """Records whose objects lie there in the size that they were written with, and that have no
    failed part. The others are removed: their units will be done again.
    """
    sizes = dict(storage.list()) if storage.locality == "network" else None

    def there(key: str, size: int | None) -> bool:
        found = storage.size(key) if sizes is None else sizes.get(key)
        return found is not None if size is None else found == size

    for record in records:
        rows = [part.rows for part in record.parts if part.rows]
        if (
            all(there(key, size) for key, size in record.objects)
            and all(there(key, None) for key in rows)
            and not any(part.failed for part in record.parts)
        ):
            yield record
        else:
            storage.delete(record_key(record.id))


def remove_store(storage: Storage) -> None:
    """Remove a store, so that it never opens half-removed, and so that a second run goes on."""
    storage.put(PLAN, json.dumps({"removing": True}).encode())
    for key in _ROOTS:
        storage.delete(key)
    tops = {key.partition("/")[0] for key, _ in storage.list()} - {STATE}
    for top in sorted(tops):
        if storage.size(top) is not None:
            storage.delete(top)
        else:
            storage.delete_all(top)
    clear_units(storage)


def clear_units(storage: Storage) -> None:
    """Remove the records of units, and rows on their way."""
    storage.delete_all(UNITS)
    storage.delete_all(f"{STATE}/rows")


def clear(storage: Storage) -> None:
    """Remove the state: the store is whole. What says that it was begun goes last."""
    clear_units(storage)
    storage.delete(claim.LEASE)
    storage.delete(PLAN)
    storage.delete_all(STATE)
