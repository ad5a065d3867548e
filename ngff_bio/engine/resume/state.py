"""The state of a conversion, kept beside the data while it runs: what was begun, and what is done.

``.ngff_bio/plan.json`` says what is being written, ``.ngff_bio/append.json`` what is being appended; it
is the first object that is written. ``.ngff_bio/units/`` holds a record for each unit that is done,
``.ngff_bio/rows/`` table rows that are not in their table yet, ``.ngff_bio/claim.json`` the lease. A
store that replaces another one is written below ``.ngff_bio/new/``, with a state of its own there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypedDict

import msgspec

from ngff_bio.engine.plan.plan import WorkPlan
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.engine.resume.fingerprint import changed_images, differences
from ngff_bio.engine.resume.lease import LEASE, holder
from ngff_bio.engine.write.manifest import SourceFiles, read_conversion, source_rows
from ngff_bio.errors import StoreExistsError
from ngff_bio.parallel import decoder_of
from ngff_bio.storage import Storage, StorageBelow
from ngff_bio.zarrio.journal import (
    ADDITION,
    JOURNAL,
    PLAN,
    STAGED,
    STATE,
    UNITS,
    sealed,
    unsealed,
)

Kind = Literal["new", "append"]

#: What to do at a destination: begin; resume an interrupted conversion; nothing, since it is done;
#: write another store beside the one that is there, and put it in its place (replace); remove what
#: exists and begin, because the user wants it (discard) or because nothing of the interrupted
#: conversion can be kept (restart).
Action = Literal["begin", "resume", "done", "replace", "discard", "restart"]


class Begun(TypedDict, total=False):
    """Content of ``plan.json``.

    ``plan`` is the summary of the plan (see `summarize`), ``sizes`` are the raw bytes of each unit,
    ``base`` is what a store contained before something was appended. ``removing`` alone: an incomplete
    store is being removed; ``damaged`` alone: it cannot be read.
    """

    kind: Kind
    plan: dict[str, Any]
    sizes: list[int]
    base: dict[str, Any] | None
    removing: bool
    damaged: bool


class _Summary(TypedDict):
    """Types of the members of a plan's summary that are looked at one by one."""

    source: str
    name: str
    images: dict[str, list[str | None]]
    settings: dict[str, Any]


class _Base(TypedDict):
    """Types of the documents of a store that is appended to."""

    zarr_format: Literal[2, 3]
    groups: dict[str, dict[str, Any]]
    arrays: dict[str, dict[str, Any]]
    consolidated: bool
    root: str


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
    for place in (storage, StorageBelow(storage, STAGED)):
        begun = read_plan(place)
        if begun is not None and "plan" in begun:
            break
    else:
        return None
    done = {key.rpartition("/")[2].removesuffix(".json") for key, _ in place.list(UNITS)}
    by = holder(storage)
    sizes = begun["sizes"]
    return Progress(
        kind=begun["kind"],
        source=begun["plan"]["source"],
        name=begun["plan"]["name"],
        units=len(sizes),
        done=len(done),
        bytes=sum(sizes),
        bytes_done=sum(sizes[int(d)] for d in done if d.isdecimal() and int(d) < len(sizes)),
        running=None if by is None else f"process {by['pid']} on {by['host']}",
        settings=begun["plan"]["settings"],
    )


def read_plan(storage: Storage) -> Begun | None:
    """What was begun at a destination."""
    for key in (PLAN, ADDITION):
        if (found := storage.get(key)) is not None:
            return _parsed(found)
    return None


def _parsed(found: bytes) -> Begun:
    try:
        begun = decoder_of(Begun).decode(unsealed(found))
        if "removing" not in begun:
            decoder_of(_Summary)
            msgspec.convert(begun["plan"], _Summary)
            if not {"kind", "sizes"} <= begun.keys():
                return Begun(damaged=True)
            if begun["kind"] == "append":
                decoder_of(_Base)
                msgspec.convert(begun["base"], _Base)
    except (msgspec.DecodeError, ValueError, RecursionError, KeyError):
        return Begun(damaged=True)
    return begun


def write_plan(
    storage: Storage,
    plan: WorkPlan,
    summary: dict[str, Any],
    kind: Kind,
    base: dict[str, Any] | None = None,
) -> None:
    """Record what is being written; ``base`` are the documents of a store that is appended to."""
    sizes = [u.nbytes for u in plan.units]
    begun = Begun(kind=kind, plan=summary, sizes=sizes, base=base)
    storage.put(PLAN if kind == "new" else ADDITION, sealed(json.dumps(begun).encode()))


def decide_action(summary: dict[str, Any], storage: Storage, overwrite: bool) -> Action:
    """What to do at the destination of a new store; changes nothing.

    Raises
    ------
    ngff_bio.errors.StoreExistsError
        If the destination contains a store, an incomplete store that was begun with other settings or
        another source, or anything that is not a store (that is never removed).
    """
    # A listing of a bucket can be an old one: what there is not is asked for by name there.
    sure = storage.locality != "network"
    if _is_empty(storage) and (sure or not (_is_whole(storage) or read_plan(storage))):
        return "begin"
    if _is_whole(storage):
        if overwrite or action_of(read_plan(StorageBelow(storage, STAGED)), summary) is not None:
            return "replace"
        _refuse_content(storage, whole=True)
    begun = read_plan(storage)
    if begun is not None:
        action = action_of(begun, summary)
        if action is None and not overwrite:
            raise other_plan(begun, summary, storage)
        return action or "discard"
    _refuse_content(storage, whole=False)
    return "begin"


def action_of(begun: Begun | None, summary: dict[str, Any]) -> Action | None:
    """How a conversion goes on with what was begun; ``None`` if that is another one, or nothing."""
    if begun is None:
        return None
    if "removing" in begun:
        return "discard"
    if "damaged" in begun or begun["kind"] != "new" or differences(begun["plan"], summary):
        return None
    changed = changed_images(begun["plan"], summary)
    return "restart" if changed and len(changed) == len(summary["images"]) else "resume"


def same_conversion(
    conversion: dict[str, Any], storage: Storage, source_files: SourceFiles
) -> bool:
    """Whether a store is what a conversion would write, by its manifest: the same settings, layout and
    names, and files of the source with the same checksums.
    """
    if read_conversion(storage) != conversion:
        return False
    if conversion["content"] is not None:  # nothing of the source is a file
        return True
    found = set(source_files())
    checked = bool(found) and all(crc is not None for _, _, crc in found)
    return checked and found == source_rows(storage)


def same_files(storage: Storage, source_files: SourceFiles) -> bool:
    """Whether the files of a source are those that a store was made of, as far as both are known."""
    found = set(source_files())
    return not found or found == source_rows(storage)


def check_destination(storage: Storage, overwrite: bool, settings: Settings) -> None:
    """Check what no source can change, before the source is read.

    Raises
    ------
    ngff_bio.errors.StoreExistsError
        If the destination contains a complete store that was converted with other settings, or
        anything that is not a store.
    """
    states = (PLAN, JOURNAL, f"{STAGED}/{PLAN}")
    if _is_empty(storage) or any(storage.size(key) is not None for key in states):
        return
    whole = _is_whole(storage)
    known = read_conversion(storage) if whole and not overwrite else None
    if not (whole and overwrite) and (known is None or known["settings"] != settings.to_json()):
        _refuse_content(storage, whole)


def _is_empty(storage: Storage) -> bool:
    """Whether there is nothing but a lease: found by one request."""
    return all(key == LEASE for key, _ in islice(storage.list(), 2))


def _is_whole(storage: Storage) -> bool:
    return any(storage.size(key) is not None for key in ("zarr.json", ".zgroup"))


def _refuse_content(storage: Storage, whole: bool) -> None:
    """Refuse a complete store, and objects that do not belong to the state of a conversion."""
    if whole:
        raise StoreExistsError(
            "the destination already contains a store",
            file=storage.url,
            hint="choose another destination, add what is new with --append, or replace it with "
            "--overwrite",
        )
    other = next((key for key, _ in storage.list() if not key.startswith(f"{STATE}/")), None)
    if other is not None:
        raise StoreExistsError(
            "the destination is not empty, and is not a store",
            file=storage.url,
            found=other,
            hint="choose another destination, or remove its content yourself",
        )


def other_plan(
    begun: Begun,
    summary: dict[str, Any],
    storage: Storage,
    way_out: str = "use --overwrite to begin again",
) -> StoreExistsError:
    """The error for a conversion that was begun with other settings or another source."""
    if "damaged" in begun:
        return StoreExistsError(
            "the state of an incomplete store is damaged",
            file=f"{storage.url}/{PLAN}",
            hint=way_out,
        )
    differ = differences(begun["plan"], summary)
    if list(differ) == ["layout"]:
        return StoreExistsError(
            "the source has changed since the conversion was interrupted: its images have other "
            "shapes, types or label layers",
            file=storage.url,
            record=some(changed_images(begun["plan"], summary)),
            hint=f"undo the change and run the same command again to resume, or {way_out}",
        )
    differ.pop("layout", None)  # a checksum, which follows from the others
    return StoreExistsError(
        "the destination contains an incomplete store that was begun with other settings or another "
        "source",
        file=storage.url,
        expected=", ".join(f"{k}={_short(before)}" for k, (before, _) in differ.items()),
        found=", ".join(f"{k}={_short(now)}" for k, (_, now) in differ.items()),
        hint=f"use the same settings and source as before, or {way_out}",
    )


def _short(value: Any) -> str:
    """A shape as options spell it; anything else as it is."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def some(names: list[str]) -> str:
    """The first names of several, for messages."""
    return ", ".join(n or "(root)" for n in names[:3]) + (
        f" and {len(names) - 3} more" if len(names) > 3 else ""
    )
