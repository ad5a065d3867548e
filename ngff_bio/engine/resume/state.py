"""The state of a conversion, kept beside the data while it runs: what was begun, and what is done.

``.ngff_bio/plan.json`` says what is being written; it is the first object that is written and the last
that is removed. ``.ngff_bio/units/`` holds a record for each unit that is done, ``.ngff_bio/rows/``
table rows that are not in their table yet, ``.ngff_bio/claim.json`` the lease.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypedDict

from ngff_bio.engine.plan.plan import Plan
from ngff_bio.engine.resume.fingerprint import changed_images, differences, undeclared_images
from ngff_bio.engine.resume.lease import LEASE, holder
from ngff_bio.engine.write.records import STATE, UNITS, UnitRecord, load_records, record_key
from ngff_bio.errors import StorageError, StoreExistsError
from ngff_bio.model import Notice
from ngff_bio.storage import Storage

PLAN = f"{STATE}/plan.json"

#: Documents of a root: those that open it first.
_ROOTS = ("zarr.json", ".zgroup", ".zattrs", ".zmetadata")

Kind = Literal["new", "append"]

#: What to do at a destination: begin; resume an interrupted conversion; remove the state of one that
#: has finished (cleanup); remove what exists and begin (replace), or do so because the interrupted
#: conversion cannot be resumed (restart).
Action = Literal["begin", "resume", "cleanup", "replace", "restart"]


class Begun(TypedDict, total=False):
    """Content of ``plan.json``.

    ``plan`` is the summary of the plan (see `summarize`), ``sizes`` are the raw bytes of each unit,
    ``base`` is what a store contained before something was appended. ``removing`` alone: the store is
    being removed.
    """

    kind: Kind
    plan: dict[str, Any]
    sizes: list[int]
    base: dict[str, Any] | None
    removing: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a conversion that has not finished.

    ``units`` and ``bytes`` are totals, ``done`` and ``bytes_done`` what is written; ``running`` names
    the process that is writing, ``None`` if none is. A ``new`` store does not open yet; ``append`` adds
    to one that does.
    """

    kind: Kind
    source: str
    name: str
    units: int
    done: int
    bytes: int
    bytes_done: int
    running: str | None
    settings: dict[str, Any]


def progress_of(storage: Storage) -> Progress | None:
    """Progress of the conversion into a destination; ``None`` if none was begun, or it has finished."""
    begun = read_plan(storage)
    if begun is None or "plan" not in begun:
        return None
    done = {key.rpartition("/")[2].removesuffix(".json") for key, _ in storage.list(UNITS)}
    by = holder(storage)
    sizes = begun["sizes"]
    return Progress(
        kind=begun["kind"],
        source=begun["plan"]["source"],
        name=begun["plan"]["name"],
        units=len(sizes),
        done=len(done),
        bytes=sum(sizes),
        bytes_done=sum(sizes[int(d)] for d in done),
        running=None if by is None else f"process {by['pid']} on {by['host']}",
        settings=begun["plan"]["settings"],
    )


def read_plan(storage: Storage) -> Begun | None:
    """What was begun at a destination."""
    found = storage.get(PLAN)
    return None if found is None else json.loads(found)


def write_plan(
    storage: Storage,
    plan: Plan,
    summary: dict[str, Any],
    kind: Kind,
    base: dict[str, Any] | None = None,
) -> None:
    """Record what is being written; ``base`` are the documents of a store that is appended to."""
    sizes = [u.nbytes for u in plan.units]
    begun = Begun(kind=kind, plan=summary, sizes=sizes, base=base)
    storage.put(PLAN, json.dumps(begun).encode())


def decide_action(summary: dict[str, Any], storage: Storage, overwrite: bool) -> Action:
    """What to do at the destination of a new store; changes nothing.

    Raises
    ------
    ngff_bio.errors.StoreExistsError
        If the destination contains a store, an incomplete store that was begun with other settings or
        another source, or anything that is not a store (that is never removed).
    """
    if _is_empty(storage):
        return "begin"
    begun = read_plan(storage)
    whole = _is_whole(storage)
    if begun is not None and "removing" in begun:
        return "replace"
    if begun is not None and begun["kind"] == "new" and not differences(begun["plan"], summary):
        changed = changed_images(begun["plan"], summary)
        if changed and (whole or len(changed) == len(summary["images"])):
            return "restart"
        return "cleanup" if whole else "resume"
    if (whole or begun is not None) and overwrite:
        return "replace"
    if begun is not None and not whole:
        raise other_plan(begun, summary, storage)
    _refuse_content(storage, whole)
    return "begin"


def check_destination(storage: Storage, overwrite: bool) -> None:
    """Check what no source can change, before the source is read.

    Raises
    ------
    ngff_bio.errors.StoreExistsError
        If the destination contains a complete store, or anything that is not a store.
    """
    if not _is_empty(storage) and storage.size(PLAN) is None:
        whole = _is_whole(storage)
        if not (whole and overwrite):
            _refuse_content(storage, whole)


def _is_empty(storage: Storage) -> bool:
    """Whether there is nothing but a lease: found by one request."""
    return all(key == LEASE for key, _ in islice(storage.list(), 2))


def _is_whole(storage: Storage) -> bool:
    return any(storage.size(key) is not None for key in _ROOTS[:2])


def _refuse_content(storage: Storage, whole: bool) -> None:
    """Refuse a complete store, and objects that do not belong to the state of a conversion."""
    if whole:
        raise StoreExistsError(
            "the destination already contains a store",
            file=storage.url,
            hint="choose another destination, or use --overwrite to replace it",
        )
    other = next((key for key, _ in storage.list() if not key.startswith(f"{STATE}/")), None)
    if other is not None:
        raise StoreExistsError(
            "the destination is not empty, and is not a store",
            file=storage.url,
            found=other,
            hint="choose another destination, or remove its content yourself",
        )


def other_plan(begun: Begun, summary: dict[str, Any], storage: Storage) -> StoreExistsError:
    """The error for a conversion that was begun with other settings or another source."""
    differ = differences(begun["plan"], summary)
    if list(differ) == ["layout"]:
        return StoreExistsError(
            "the source has changed since the conversion was interrupted: its images have other "
            "shapes, types or label layers",
            file=storage.url,
            record=_some(changed_images(begun["plan"], summary)),
            hint="undo the change and run the same command again to resume, or use --overwrite to "
            "begin again",
        )
    return StoreExistsError(
        "the destination contains an incomplete store that was begun with other settings or another "
        "source",
        file=storage.url,
        expected=", ".join(f"{k}={_short(before)}" for k, (before, _) in differ.items()),
        found=", ".join(f"{k}={_short(now)}" for k, (_, now) in differ.items()),
        hint="use the same settings and source as before, or --overwrite to begin again",
    )


def _short(value: Any) -> str:
    """A shape as options spell it; anything else as it is."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _some(names: list[str]) -> str:
    return ", ".join(n or "(root)" for n in names[:3]) + (
        f" and {len(names) - 3} more" if len(names) > 3 else ""
    )


def reread_notices(summary: dict[str, Any], storage: Storage) -> list[Notice]:
    """What differs from the conversion that was begun, and is not resumed of it, and why."""
    begun = read_plan(storage)
    if begun is None or "plan" not in begun:
        return []
    then, now = begun["plan"].get("on_error"), summary["on_error"]
    notices = []
    if then != now:
        effect = {
            "skip": "what cannot be read is left out of the store, and listed here",
            "stop": "what cannot be read ends the conversion",
        }[now]
        notices = [
            Notice("note", f"begun with --on-error {then}, resumed with --on-error {now}: {effect}")
        ]
    unknown = undeclared_images(summary)
    changed = [p for p in changed_images(begun["plan"], summary) if p not in set(unknown)]
    reasons = {
        "their source was changed since the conversion was interrupted": changed,
        "nothing is known of their source that changes with its content": unknown,
    }
    return notices + [
        Notice(
            "note", f"images were not resumed but read again: {why}", None, _some(paths), len(paths)
        )
        for why, paths in reasons.items()
        if paths
    ]


def forget_changed(plan: Plan, summary: dict[str, Any], storage: Storage) -> None:
    """Remove what was written of images whose source has changed, and record what it is now.

    ``plan.json`` changes last: if this is interrupted, a second run does it again.
    """
    begun = read_plan(storage)
    paths = set() if begun is None else set(changed_images(begun["plan"], summary))
    if begun is None or not paths:
        return
    numbers = {i for i, image in enumerate(plan.dataset.images) if image.path in paths}
    done = {key for key, _ in storage.list(UNITS)}
    for unit in plan.units:
        key = record_key(unit.id)
        if key in done and any(plan.arrays[p.array].image in numbers for p in unit.parts):
            storage.delete(key)
    for path in sorted(paths):
        storage.delete_all(path)
    write_plan(storage, plan, summary, begun["kind"], begun["base"])


def resumed_records(storage: Storage) -> Iterator[UnitRecord]:
    """Records of units that are done: their objects exist with the recorded size, and no part failed.

    Other records are removed, so that their units are done again, and so is what killed processes
    have left behind.
    """
    storage.remove_partial()
    sizes = dict(storage.list()) if storage.locality == "network" else None

    def exists(key: str, size: int | None) -> bool:
        found = storage.size(key) if sizes is None else sizes.get(key)
        return found is not None if size is None else found == size

    for record in load_records(storage):
        rows = [part.rows for part in record.parts if part.rows]
        if (
            all(exists(key, size) for key, size in record.objects)
            and all(exists(key, None) for key in rows)
            and not any(part.failed for part in record.parts)
        ):
            yield record
        else:
            storage.delete(record_key(record.id))


def remove_store(storage: Storage) -> None:
    """Remove a store; after an interruption it does not open, and a second run can continue."""
    storage.put(PLAN, json.dumps(Begun(removing=True)).encode())
    for key in _ROOTS:
        storage.delete(key)
    tops = {key.partition("/")[0] for key, _ in storage.list()} - {STATE}
    for top in sorted(tops):
        if storage.size(top) is not None:
            storage.delete(top)
        else:
            storage.delete_all(top)
    _clear_units(storage)


def _clear_units(storage: Storage) -> None:
    storage.delete_all(UNITS)
    storage.delete_all(f"{STATE}/rows")


def clear(storage: Storage) -> None:
    """Remove the state of a store that is complete; ``plan.json`` goes last.

    While it is there, the same command ends with success. A lost answer to its removal is not an
    error where it is gone: the store is complete, and nothing would be left to recognise it by.
    """
    _clear_units(storage)
    storage.delete(LEASE)
    try:
        storage.delete(PLAN)
    except StorageError:
        if storage.get(PLAN) is not None:
            raise
    with suppress(StorageError):
        storage.delete_all(STATE)  # folders that are empty now
