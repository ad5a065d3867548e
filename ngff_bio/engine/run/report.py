"""The report of a conversion: for the user to read, and as JSON."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ngff_bio.engine.plan.plan import Plan
from ngff_bio.engine.write.records import UnitRecord
from ngff_bio.model import FileAccount, Notice, VolumeLayer, gathered
from ngff_bio.printing import clean_json

#: Arrays whose codec is named: those of a large dataset repeat.
_MAX_NAMED = 20


@dataclass(slots=True)
class ConversionReport:
    """Outcome of a conversion.

    ``frames`` are time points. ``instances`` are objects on a frame, ``annotations`` the records that
    describe them (rows of tables): an instance may have several, as the parts of a labelme group;
    both are ``None`` for a store, whose objects are not counted.
    ``bytes_raw`` counts pixels of images and labels at level 0; ``bytes_stored`` and ``objects``
    what was written. ``account`` says of each file of the source whether it was read.
    ``codecs`` names the codec of each array (of the first 20). ``choices`` lists,
    for each codec that was chosen by trying, the codec, the bytes of the sample and the size that each
    candidate compressed them to. ``resumed`` is the number of units that were done before.
    """

    source: str
    format: str
    destination: str
    images: int = 0
    frames: int = 0
    instances: int | None = 0
    annotations: int | None = 0
    overlaps: int = 0
    labels: list[str] = field(default_factory=list)
    codecs: dict[str, str] = field(default_factory=dict)
    choices: dict[str, dict[str, Any]] = field(default_factory=dict)
    units: int = 0
    resumed: int = 0
    objects: int = 0
    bytes_raw: int = 0
    bytes_stored: int = 0
    seconds: float = 0.0
    notices: list[Notice] = field(default_factory=list)
    account: FileAccount = field(default_factory=FileAccount)

    @property
    def skipped(self) -> list[Notice]:
        """What is not in the store, and why."""
        return [n for n in self.notices if n.kind == "skipped"]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found = asdict(replace(self, account=FileAccount()))
        found["files"] = self.account.to_json()
        del found["account"]
        return {key: clean_json(value) for key, value in found.items()}


def make_report(
    plan: Plan,
    records: Mapping[str, UnitRecord],
    notices: Iterable[Notice],
    *,
    destination: str,
    objects: int,
    bytes_stored: int,
    resumed: int,
) -> ConversionReport:
    """The report of a conversion, from its plan and the records of its units."""
    dataset = plan.dataset
    ordered = [record for _, record in sorted(records.items())]
    parts = [part for record in ordered for part in record.parts]
    values: dict[int, set[str]] = defaultdict(set)
    for part in parts:
        values[part.array].update(part.objects)
    objects_measured = sum(map(len, values.values()))
    whole = len(records) == len(plan.units)
    lost = _without_pixels(plan, values) if whole else ()
    found = [*dataset.notices, *notices, *(Notice(**n) for part in parts for n in part.notices)]
    return ConversionReport(
        source=dataset.origin,
        format=dataset.source,
        destination=destination,
        images=len(dataset.images),
        frames=dataset.frame_count,
        instances=sum(p.instances for p in parts) + objects_measured,
        annotations=sum(p.annotations for p in parts) + objects_measured,
        overlaps=sum(p.overlaps for p in parts),
        labels=sorted({layer.name for i in dataset.images for layer in i.labels}),
        codecs={p.plan.path or "/": str(p.plan.codec) for p in plan.arrays[:_MAX_NAMED]},
        choices={
            group: {"codec": str(choice.codec), "sample": choice.raw, "sizes": choice.sizes}
            for record in ordered
            for group, choice in record.choices.items()
        },
        units=len(plan.units),
        resumed=resumed,
        objects=objects,
        bytes_raw=plan.bytes_raw,
        bytes_stored=bytes_stored,
        notices=gathered([*found, *_disagreements(plan, ordered), *lost]),
        account=dataset.account,
    )


def _without_pixels(plan: Plan, measured: Mapping[int, set[str]]) -> Iterator[Notice]:
    """Listed labels without pixels, and links from or to such; `measured`: `PartRecord.objects`."""
    for number, planned in enumerate(plan.arrays):
        image = plan.dataset.images[planned.image]
        layer = None if planned.layer is None else image.labels[planned.layer]
        if not isinstance(layer, VolumeLayer) or not (layer.parents or layer.listed):
            continue
        seen = {int(key.partition(":")[2]) for key in measured[number]}
        links = [c for c, p in sorted(layer.parents.items()) if not seen.issuperset((c, p))]
        for lost, what in (
            ([v for v in layer.listed if v not in seen], "no pixels: they are not in the store"),
            (links, "parents or parts without pixels: their links are not in its graph"),
        ):
            if lost:
                yield Notice(
                    "warning",
                    f"tracks of the label layer {layer.name!r} have {what}",
                    record=f"{image.name} track {', '.join(map(str, lost[:5]))}",
                    count=len(lost),
                )


def _disagreements(plan: Plan, records: Iterable[UnitRecord]) -> Iterator[Notice]:
    counts: Counter[int] = Counter()
    for record in records:
        for part in record.parts:
            counts[part.array] += part.disagreement
    for number, count in sorted(counts.items()):
        planned = plan.arrays[number]
        if count and planned.layer is not None:
            image = plan.dataset.images[planned.image]
            yield Notice(
                "warning",
                f"two sources of the label layer {image.labels[planned.layer].name!r} disagree on "
                f"{count} pixels; the first was used",
                record=image.name,
                count=count,
            )
