"""Images whose source cannot be read: they are skipped as a whole, and reported.

A missing frame is not filled with zeros, which would look like acquired data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ngff_bio.engine.plan.plan import Plan
from ngff_bio.engine.write.records import Failure, UnitRecord, load_record
from ngff_bio.errors import SourceError
from ngff_bio.model import Notice
from ngff_bio.storage import Storage


@dataclass(frozen=True, slots=True)
class Skipped:
    """A plan without the images that failed, whose dataset has a notice of each, and sizes of the
    objects that were removed.
    """

    plan: Plan
    removed: list[int] = field(default_factory=list)


def skip_failed_images(plan: Plan, records: Mapping[str, UnitRecord], storage: Storage) -> Skipped:
    """Skip images in which a part failed.

    Objects that were written of them are removed, and parts of records are renumbered.

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
        return Skipped(plan)
    images = plan.dataset.images
    if len(failed) == len(images):
        first = failed[min(failed)]
        raise SourceError(
            f"no image could be converted; error of the first one: {first.what}",
            file=first.file,
            record=first.record,
            hint="fix the source, then run the same command again",
        )
    notices = [
        Notice("skipped", f"the image {images[n].name!r} was skipped: {f.what}", f.file, f.record)
        for n, f in sorted(failed.items())
    ]
    starts = tuple(f"{images[number].path}/" for number in failed)
    removed = [
        size
        for record in records.values()
        if any(plan.arrays[p.array].image in failed for p in record.parts)
        for size in _remove(record.id, starts, storage)
    ]
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
    dataset = replace(dataset, notices=(*dataset.notices, *notices))
    return Skipped(replace(plan, dataset=dataset, arrays=arrays), removed)


def _remove(unit: str, starts: tuple[str, ...], storage: Storage) -> Iterator[int]:
    """Remove what a unit wrote below some paths; yields the size of each object."""
    record = load_record(storage, unit)
    for key, size in record.objects if record is not None else ():
        if key.startswith(starts):
            storage.delete(key)
            yield size
