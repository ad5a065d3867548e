"""What of an interrupted conversion is kept, and what is removed because it is to be done again."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from ngff_bio.engine.plan.plan import Plan, Unit
from ngff_bio.engine.resume.fingerprint import changed_images, undeclared_images
from ngff_bio.engine.resume.state import Begun, read_plan, some, write_plan
from ngff_bio.engine.run.scheduler import pilots
from ngff_bio.engine.write.listing import current_keys
from ngff_bio.engine.write.records import UnitRecord, load_record, load_records, record_key
from ngff_bio.model import Notice
from ngff_bio.storage import Storage
from ngff_bio.zarrio.journal import PLAN, ROWS, STAGED, STATE, UNITS, sealed, within

_CODEC_AGAIN = Notice(
    "note",
    "the source of an image on whose pixels a codec was chosen was changed: it is chosen again, and "
    "all that is written with it is done again",
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
            "note", f"images were not resumed but read again: {why}", None, some(paths), len(paths)
        )
        for why, paths in reasons.items()
        if paths
    ]


def changed_notices(files: list[str]) -> list[Notice]:
    """That files were changed, of which a store that is appended to has something already."""
    what = (
        "files were changed since the store was made of them: what it contains of them stays as it is, "
        "only what is new is added; --overwrite converts all of it again"
    )
    return [Notice("note", what, None, some(files), len(files))] if files else []


def forget_changed(plan: Plan, summary: dict[str, Any], storage: Storage) -> list[Notice]:
    """Remove what was written of images whose source has changed, and record what it is now.

    If a codec was chosen on the pixels of one of them, it is chosen again: what was written with it of
    other images is done again too, and the notices say so. ``plan.json`` changes last, and records with
    choices after those that depend on them: if this is interrupted, a second run does it again.
    """
    begun = read_plan(storage)
    paths = set() if begun is None else set(changed_images(begun["plan"], summary))
    if begun is None or not paths:
        return []
    numbers = {i for i, image in enumerate(plan.dataset.images) if image.path in paths}
    units = [
        unit
        for unit in plan.units
        if any(plan.arrays[p.array].image in numbers for p in unit.parts)
    ]
    records = {unit.id: load_record(storage, unit.id) for unit in units}
    choosing = _chosen_by(plan, units).union(
        *(record.choices for record in records.values() if record is not None)
    )
    again = [u for u in plan.units if u.id not in records and choosing & plan.undecided(u)]
    for unit in again:  # the same objects are written again
        storage.delete(record_key(unit.id))
    there = current_keys(storage)
    for unit_id in records:
        storage.delete(record_key(unit_id))
    for path in sorted(paths):
        storage.delete_all(path, (key for key in there if within(key, (path,))))
    write_plan(storage, plan, summary, begun["kind"], begun["base"])
    return [_CODEC_AGAIN] if again else []


def _chosen_by(plan: Plan, units: Collection[Unit]) -> set[str]:
    """Codec groups that are chosen on the pixels of some units, if all are begun in their order."""
    found: set[str] = set()
    covered: set[str] = set()
    for unit in pilots(plan, plan.units):
        chosen = plan.undecided(unit)
        if unit in units:
            found |= chosen - covered
        covered |= chosen
    return found


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


def remove_incomplete(storage: Storage) -> None:
    """Remove an incomplete store; after an interruption a second run can continue."""
    there = current_keys(storage) if read_plan(storage) is not None else []
    for path in (
        UNITS,
        ROWS,
    ):  # nothing is done without them; a full disk has room for the mark then
        storage.delete_all(path, (key for key in there if within(key, (path,))))
    storage.put(PLAN, sealed(json.dumps(Begun(removing=True)).encode()))
    there = there or [key for key, _ in storage.list()]
    for top in sorted({key.partition("/")[0] for key in there} - {STATE}):
        if storage.size(top) is not None:
            storage.delete(top)
        else:
            storage.delete_all(top, (key for key in there if within(key, (top,))))
    for path in (UNITS, ROWS, STAGED):
        storage.delete_all(path, (key for key in there if within(key, (path,))))
