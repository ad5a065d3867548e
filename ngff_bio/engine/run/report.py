"""What a conversion did: for the user to read, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ngff_bio.engine.plan.plan import Plan
from ngff_bio.engine.resume.records import UnitRecord
from ngff_bio.model import InstanceLayer, Notice, VolumeLayer, gathered

#: Arrays whose codec is named: those of a large dataset repeat.
_MOST_NAMED = 20


@dataclass(slots=True)
class Written:
    """How many objects were written, and how many bytes in them."""

    objects: int = 0
    nbytes: int = 0

    def add(self, size: int) -> None:
        """One more."""
        self.objects += 1
        self.nbytes += size


@dataclass(slots=True)
class ConversionReport:
    """Outcome of a conversion.

    ``bytes_raw`` counts pixels of images and labels at level 0; ``bytes_stored`` and ``objects``
    what was written. ``codecs`` names the codec of each array (of the first 20); ``choices`` says,
    where one was chosen by trying, what was tried: codec, bytes of sample, size that each candidate
    made of them. ``resumed`` is the number of units that were done before.
    """

    source: str
    format: str
    destination: str
    images: int = 0
    frames: int = 0
    instances: int = 0
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

    @property
    def skipped(self) -> list[Notice]:
        """What is not in the store, and why."""
        return [n for n in self.notices if n.kind == "skipped"]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


def fill_report(report: ConversionReport, plan: Plan, records: Mapping[str, UnitRecord]) -> None:
    """Say what was made, from the plan and from what the units found."""
    dataset = plan.dataset
    report.images = len(dataset.images)
    report.frames = dataset.frame_count
    report.labels = sorted({layer.name for i in dataset.images for layer in i.labels})
    report.units = len(plan.units)
    report.bytes_raw = plan.bytes_raw
    report.notices = [*dataset.notices, *report.notices]
    for planned in plan.arrays[:_MOST_NAMED]:
        report.codecs[planned.plan.path or "/"] = str(planned.plan.codec)
    values: dict[int, set[str]] = {}
    disagreements: dict[int, int] = {}
    for _, record in sorted(records.items()):
        for codec_group, choice in record.choices.items():
            tried = {"codec": str(choice.codec), "sample": choice.raw, "sizes": choice.sizes}
            report.choices[codec_group] = tried
        for part in record.parts:
            report.instances += part.instances
            report.overlaps += part.overlaps
            values.setdefault(part.array, set()).update(part.objects)
            report.notices += [Notice(**n) for n in part.notices]
            disagreements[part.array] = disagreements.get(part.array, 0) + part.disagreement
    report.instances += sum(len(v) for v in values.values())
    for number, count in sorted(disagreements.items()):
        _tell_disagreement(report, plan, number, count)
    report.notices = gathered(report.notices)


def _tell_disagreement(report: ConversionReport, plan: Plan, number: int, count: int) -> None:
    planned = plan.arrays[number]
    image = plan.dataset.images[planned.image]
    layer = image.labels[planned.layer] if planned.layer is not None else None
    if count and isinstance(layer, InstanceLayer | VolumeLayer):
        report.notices.append(
            Notice(
                "warning",
                f"two sources of the label layer {layer.name!r} disagree on {count} pixels; "
                "the first was taken",
                record=image.name,
                count=count,
            )
        )
