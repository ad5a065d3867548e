"""Running one unit: read, reduce, compress, write, and say what was done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from ngff_bio.engine.instances import draw_instances
from ngff_bio.engine.layout import ArrayPlan
from ngff_bio.engine.levels import read_level
from ngff_bio.engine.plan import Job, Part, pass_of
from ngff_bio.engine.pyramid import reduce_block
from ngff_bio.engine.records import ObjectRecord, PartRecord, UnitRecord, save_record
from ngff_bio.engine.shard import crc32c, objects_of
from ngff_bio.engine.volumes import compare_volumes, measure_volume, read_volume
from ngff_bio.model import InstanceLayer, Region, VolumeLayer
from ngff_bio.storage import Storage


def run_unit(job: Job, storage: Storage) -> UnitRecord:
    """Do one unit and record it.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a source file is damaged.
    ngff_bio.errors.StorageError
        If an object cannot be written. Nothing else is undone: the unit is not recorded, and a
        second run does it again.
    """
    worker = _Worker(job, storage, UnitRecord(job.unit.id))
    for part in job.unit.parts:
        worker.record.parts.append(worker.run(part))
    save_record(storage, worker.record)
    return worker.record


@dataclass(slots=True)
class _Worker:
    job: Job
    storage: Storage
    record: UnitRecord
    volumes: dict[tuple[int, Region], NDArray[Any]] = field(default_factory=dict)

    def run(self, part: Part) -> PartRecord:
        plan, source = self.job.arrays[part.array], self.job.sources[part.array]
        done = PartRecord(part.array, part.step, list(part.region))
        if pass_of(plan, part).source >= 0:
            block = read_level(plan, pass_of(plan, part).source, part.region, self.storage)
            self.write(plan, part, block, done)
        elif isinstance(source, InstanceLayer):
            self.draw(plan, part, source, done)
        elif isinstance(source, VolumeLayer):
            self.label_volume(plan, part, source, done)
        else:
            block = source.read(part.region)
            done.crc32c = crc32c(block.data)
            self.write(plan, part, block, done)
        return done

    def draw(self, plan: ArrayPlan, part: Part, layer: InstanceLayer, done: PartRecord) -> None:
        drawn = draw_instances(plan, part.region, layer)
        self.write(plan, part, drawn.labels, done)
        for number, hidden in drawn.hidden_blocks():
            self.write(hidden_plan(plan, number), part, hidden, done)
        done.instances, done.hidden = drawn.count, drawn.layers
        done.overlaps = drawn.overlaps
        done.notices = drawn.notices
        if drawn.count:
            done.rows = drawn.save_rows(plan, part, self.storage, self.record.objects)

    def label_volume(
        self, plan: ArrayPlan, part: Part, layer: VolumeLayer, done: PartRecord
    ) -> None:
        block = self.volume(layer, part.region).astype(plan.dtype, copy=False)
        done.crc32c = crc32c(block.data)
        if layer.compare is not None:
            done.disagreement = compare_volumes(
                layer, block, read_volume(layer.compare, part.region)
            )
        if layer.kind == "instance":
            classes = [
                self.volume(other, part.region)
                for other in self.job.layers.get(part.array, ())
                if isinstance(other, VolumeLayer)
            ]
            done.objects = measure_volume(block, part.region, classes[0] if classes else None)
        self.write(plan, part, block, done)

    def volume(self, layer: VolumeLayer, region: Region) -> NDArray[Any]:
        """A label volume's block; read once in this unit, whoever asks."""
        # Not by name: a unit may hold parts of several images, whose layers are named alike.
        key = (id(layer.pixels), region)
        if key not in self.volumes:
            self.volumes[key] = read_volume(layer.pixels, region)
        return self.volumes[key]

    def write(self, plan: ArrayPlan, part: Part, block: NDArray[Any], done: PartRecord) -> None:
        """Write every level of a pass from the block that it starts from."""
        made = pass_of(plan, part)
        start = tuple(a for a, _ in part.region)
        for level in range(made.first, made.stop):
            factor = plan.levels[level].factor
            if level > 0:
                block = reduce_block(block, factor, plan.method)
                start = tuple(s // f for s, f in zip(start, factor, strict=True))
            for key, data in objects_of(plan, level, start, block, self.encoder(plan)):
                crc = 0
                for piece in data:
                    crc = crc32c(piece, crc)
                self.record.objects.append(ObjectRecord(key, self.storage.put(key, data), crc))
        if block.size and block.dtype.kind in "uif":
            done.low, done.high = float(block.min()), float(block.max())

    def encoder(self, plan: ArrayPlan) -> Any:
        def encode(chunks: Iterable[NDArray[Any]]) -> Iterator[bytes]:
            return (plan.codec.encode(chunk) for chunk in chunks)

        return encode


def hidden_plan(plan: ArrayPlan, number: int) -> ArrayPlan:
    """The label image that holds hidden instances of another one: laid out alike."""
    return replace(plan, path=f"{plan.path}-hidden-{number}")


def extremes(records: Iterable[PartRecord]) -> tuple[float, float] | None:
    """Smallest and largest pixel value that parts have seen on their coarsest level."""
    lows = [r.low for r in records if r.low is not None]
    highs = [r.high for r in records if r.high is not None]
    return (min(lows), max(highs)) if lows and highs else None
