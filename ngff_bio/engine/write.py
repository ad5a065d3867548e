"""From a dataset to a store: plan, run what is not done yet, finish, report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from ngff_bio.engine.finish import finish
from ngff_bio.engine.plan import Plan, plan_dataset
from ngff_bio.engine.records import STATE, UnitRecord, load_records
from ngff_bio.engine.report import Report
from ngff_bio.engine.runners import Runner, ThreadRunner
from ngff_bio.engine.settings import Settings
from ngff_bio.errors import StoreExistsError
from ngff_bio.model import Dataset, InstanceLayer, Notice, VolumeLayer, gathered
from ngff_bio.storage import Storage

#: Called with (raw bytes done, raw bytes in all) after every unit.
Progress = Callable[[int, int], None]

_PLAN = f"{STATE}/plan.json"
_ROOTS = ("zarr.json", ".zgroup", ".zattrs")


def write_dataset(
    dataset: Dataset,
    storage: Storage,
    settings: Settings | None = None,
    *,
    runner: Runner | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> Report:
    """Convert a dataset into a store.

    A second call with the same dataset and settings goes on where a stopped one was.

    Parameters
    ----------
    overwrite
        Whether a store (or a half-made one) that lies at the destination is removed first.

    Raises
    ------
    ngff_bio.errors.StoreExistsError
        If something lies at the destination: a whole store, one half-made with other settings, or
        anything that is no store (that is never removed).
    """
    began = time.monotonic()
    plan = plan_dataset(dataset, settings or Settings())
    records = _prepare(plan, storage, overwrite)
    report = Report(dataset.origin, dataset.source, storage.url, resumed=len(records))
    total = sum(u.nbytes for u in plan.units)
    done = sum(u.nbytes for u in plan.units if u.id in records)
    runner = runner or ThreadRunner()
    for units in plan.phases():
        rest = [u for u in units if u.id not in records]
        for unit, record in runner.run(plan, rest, storage):
            records[record.id] = record
            done += unit.nbytes
            if progress is not None:
                progress(done, total)
    finish(plan, records.values(), storage)
    storage.delete_all(STATE)
    _fill(report, plan, records, storage)
    report.seconds = time.monotonic() - began
    return report


def _prepare(plan: Plan, storage: Storage, overwrite: bool) -> dict[str, UnitRecord]:
    """Make the destination ready; returns the records of units that are done already."""
    whole = any(storage.size(k) is not None for k in _ROOTS)
    begun = storage.get(_PLAN)
    if (whole or begun is not None) and overwrite:
        storage.delete_all()
    elif whole:
        raise StoreExistsError(
            "a store lies at the destination already",
            file=storage.url,
            mend="choose another destination, or say --overwrite to replace it",
        )
    elif begun is not None:
        _same_plan(json.loads(begun), plan, storage)
        return load_records(storage)
    elif (other := next(iter(storage.list()), None)) is not None:
        raise StoreExistsError(
            "the destination is not empty, and what lies there is no store",
            file=storage.url,
            found=other[0],
            mend="choose another destination, or remove what lies there yourself",
        )
    state = {"fingerprint": plan.fingerprint, "units": len(plan.units), "plan": plan.summary()}
    storage.put(_PLAN, json.dumps(state).encode())
    return {}


def _same_plan(begun: dict[str, Any], plan: Plan, storage: Storage) -> None:
    if begun["fingerprint"] == plan.fingerprint:
        return
    before, now = begun["plan"], plan.summary()
    flat_before = {k: v for k, v in before.items() if k != "settings"} | before["settings"]
    flat_now = {k: v for k, v in now.items() if k != "settings"} | now["settings"]
    differ = [k for k in flat_now if json.dumps(flat_now[k]) != json.dumps(flat_before.get(k))]
    raise StoreExistsError(
        "a half-made store lies at the destination, begun with other settings or another source",
        file=storage.url,
        expected=", ".join(f"{k}={flat_before.get(k)}" for k in differ),
        found=", ".join(f"{k}={flat_now[k]}" for k in differ),
        mend="use the settings that it was begun with, or say --overwrite to begin again",
    )


def _fill(report: Report, plan: Plan, records: dict[str, UnitRecord], storage: Storage) -> None:
    dataset = plan.dataset
    report.images = len(dataset.images)
    report.frames = sum(max(len(i.frames), 1) for i in dataset.images)
    report.labels = sorted({layer.name for i in dataset.images for layer in i.labels})
    report.units = len(plan.units)
    report.bytes_raw = sum(u.nbytes for u in plan.units if u.phase == 0)
    report.notices = list(dataset.notices)
    names: dict[str, str] = {}
    for planned in plan.arrays:
        names[planned.plan.path or "/"] = str(planned.plan.codec)
    report.codecs = _by_codec(names)
    values: dict[int, set[str]] = {}
    for record in records.values():
        for part in record.parts:
            report.instances += part.instances
            report.overlaps += part.overlaps
            values.setdefault(part.array, set()).update(part.objects)
            report.notices += [Notice(**n) for n in part.notices]
    report.instances += sum(len(v) for v in values.values())
    report.notices += _disagreements(plan, records)
    report.notices = gathered(report.notices)
    for _, size in storage.list():
        report.objects += 1
        report.bytes_stored += size


def _by_codec(names: dict[str, str]) -> dict[str, str]:
    """Codec by array; only the first arrays of a large dataset, since they repeat."""
    return dict(list(names.items())[:20])


def _disagreements(plan: Plan, records: dict[str, UnitRecord]) -> list[Notice]:
    counts: dict[int, int] = {}
    for record in records.values():
        for part in record.parts:
            counts[part.array] = counts.get(part.array, 0) + part.disagreement
    found = []
    for number, count in sorted(counts.items()):
        planned = plan.arrays[number]
        image = plan.dataset.images[planned.image]
        layer = image.labels[planned.layer] if planned.layer is not None else None
        if count and isinstance(layer, InstanceLayer | VolumeLayer):
            found.append(
                Notice(
                    "warning",
                    f"two sources of the label layer {layer.name!r} disagree on {count} pixels; "
                    "the first was taken",
                    record=image.name,
                    count=count,
                )
            )
    return found
