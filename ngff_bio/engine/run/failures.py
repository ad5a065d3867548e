"""Images whose source could not be read: they are left out whole, and named.

Never half: a frame of zeros in the place of one that is missing would be data that nobody took.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ngff_bio.engine.plan.plan import Plan
from ngff_bio.engine.resume.records import Failure, UnitRecord, load_record
from ngff_bio.engine.run.report import ConversionReport
from ngff_bio.errors import SourceError
from ngff_bio.model import Notice
from ngff_bio.storage import Storage


def skip_failed_images(
    plan: Plan, records: Mapping[str, UnitRecord], storage: Storage, report: ConversionReport
) -> Plan:
    """The plan without images in which a part failed.

    What was written of them is removed, parts of records are numbered anew, and each gets a notice.

    Raises
    ------
    ngff_bio.errors.SourceError
        If no image is left.
    """
    failed: dict[int, Failure] = {}
    for _, record in sorted(records.items()):
        for part in record.parts:
            if part.failed is not None:
                failed.setdefault(plan.arrays[part.array].image, part.failed)
    if not failed:
        return plan
    images = plan.dataset.images
    if len(failed) == len(images):
        first = failed[min(failed)]
        raise SourceError(
            f"no image could be converted; of the first one: {first.what}",
            file=first.file,
            record=first.record,
            hint="put the source right, then run the same command again",
        )
    for number, failure in sorted(failed.items()):
        image = images[number]
        what = f"the image {image.name!r} was left out: {failure.what}"
        report.notices.append(Notice("skipped", what, failure.file, failure.record))
    starts = tuple(f"{images[number].path}/" for number in failed)
    for record in records.values():
        if any(plan.arrays[p.array].image in failed for p in record.parts):
            _remove(record.id, starts, storage, report)
    kept = [i for i in range(len(images)) if i not in failed]
    place = {old: new for new, old in enumerate(kept)}
    numbers = {
        old: new for new, old in enumerate(n for n, p in enumerate(plan.arrays) if p.image in place)
    }
    for record in records.values():
        record.parts = [p for p in record.parts if p.array in numbers]
        for part in record.parts:
            part.array = numbers[part.array]
    arrays = tuple(replace(p, image=place[p.image]) for p in plan.arrays if p.image in place)
    dataset = plan.dataset.with_images(images[i] for i in kept)
    return replace(plan, dataset=dataset, arrays=arrays)


def _remove(unit: str, starts: tuple[str, ...], storage: Storage, report: ConversionReport) -> None:
    """Remove what a unit wrote below some paths; what lay there before stays."""
    record = load_record(storage, unit)
    for key, size in record.objects if record is not None else ():
        if key.startswith(starts):
            storage.delete(key)
            report.objects -= 1
            report.bytes_stored -= size
