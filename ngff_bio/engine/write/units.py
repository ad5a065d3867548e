"""Running one unit: read, reduce, compress, write, and record what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ngff_bio.engine.plan.layout import ArrayPlan, Pass
from ngff_bio.engine.plan.plan import Job, OwnJob, UnitPart
from ngff_bio.engine.write.checksums import ChecksummingWriter, checksum
from ngff_bio.engine.write.codec_selection import CodecChoice, choose_codec, sample_of
from ngff_bio.engine.write.display import quantiles
from ngff_bio.engine.write.levels import read_level
from ngff_bio.engine.write.pyramid import reduce_block, reduce_smooth
from ngff_bio.engine.write.records import Failure, PartRecord, UnitRecord, save_record
from ngff_bio.errors import (
    NgffBioError,
    SourceError,
    SourceNotFoundError,
    StorageError,
    WorkerError,
)
from ngff_bio.model import InstanceLayer, OnError, PixelArray, Region, VolumeLayer
from ngff_bio.parallel import WorkerPool
from ngff_bio.storage import Storage
from ngff_bio.zarrio.chunks import parts_of, write_block
from ngff_bio.zarrio.codecs import AUTO


def run_unit(
    job: Job | OwnJob,
    storage: Storage,
    pool: WorkerPool | None = None,
    on_error: OnError = "stop",
) -> UnitRecord:
    """Do one unit and record it.

    Parameters
    ----------
    pool
        Threads that help to compress; closing it cancels the unit.
    on_error
        With ``skip`` a part whose source is wrong is recorded as failed, and the rest is done.

    Raises
    ------
    ngff_bio.errors.SourceError, ngff_bio.errors.SourceNotFoundError
        If a source file is damaged or missing.
    ngff_bio.errors.StorageError
        If an object cannot be written. Nothing is undone: the unit is not recorded, and a second run
        does it again.
    ngff_bio.parallel.Cancelled
        If the conversion is being cancelled.
    """
    if not isinstance(job, Job):
        return job.run(storage, pool or WorkerPool(), on_error)
    worker = _Worker(job, ChecksummingWriter(storage), pool or WorkerPool())
    record = UnitRecord(job.unit.id, choices=worker.choices)
    run_parts(job, worker.run, record, worker.pool, on_error)
    worker.choose_missing(p.array for p in record.parts if p.failed is None)
    return save_unit(record, worker.writer)


def run_parts(
    job: Job | OwnJob,
    run: Callable[[UnitPart], PartRecord],
    record: UnitRecord,
    pool: WorkerPool,
    on_error: OnError,
) -> None:
    """Run each part of a unit; one whose source is wrong is recorded as failed with ``skip``."""
    for part in job.unit.parts:
        pool.check()
        try:
            done = run(part)
        except MemoryError as error:
            raise WorkerError(
                "not enough memory for a unit of work",
                record=job.names[part.array],
                expected=f"about {job.unit.memory >> 20:,} MB",
                found=str(error) or None,
                hint="use fewer --workers, or choose a smaller --shard",
            ) from error
        except NgffBioError as error:
            if on_error == "stop" or isinstance(error, StorageError):
                raise
            failed = Failure(error.what, error.file, error.record or job.names[part.array])
            done = PartRecord(part.array, part.step, list(part.region), failed=failed)
        record.parts.append(done)


def save_unit(record: UnitRecord, writer: ChecksummingWriter) -> UnitRecord:
    """Record a unit with the objects that it has written."""
    for key, (size, crc) in writer.written.items():
        record.objects.append((key, size))
        record.checksums[key] = crc
    save_record(writer.storage, record)
    return record


@dataclass(slots=True)
class _Worker:
    job: Job
    writer: ChecksummingWriter
    pool: WorkerPool
    choices: dict[str, CodecChoice] = field(default_factory=dict)
    volumes: dict[tuple[int, Region], PixelArray] = field(default_factory=dict)

    def run(self, part: UnitPart) -> PartRecord:
        plan, source = self.job.arrays[part.array], self.job.sources[part.array]
        done = PartRecord(part.array, part.step, list(part.region))
        step = plan.passes[part.step]
        if step.source >= 0:
            self.reduce(plan, part, step, done)
        elif isinstance(source, InstanceLayer):
            self.draw(plan, part, source, done)
        elif isinstance(source, VolumeLayer):
            self.label_volume(plan, part, source, done)
        else:
            block = self.read(source, part)
            done.crc32c = checksum(block)
            self.write(plan, part, block, done)
        return done

    def read(self, source: Any, part: UnitPart) -> PixelArray:
        """A block of the source."""
        with _as_source_errors(self.job.names[part.array]):
            block: PixelArray = source.read(part.region)
        shape = tuple(b - a for a, b in part.region)
        if block.shape != shape:
            raise SourceError(
                "a block of the source has another shape than requested",
                record=self.job.names[part.array],
                expected=shape,
                found=block.shape,
            )
        return block

    def reduce(self, plan: ArrayPlan, part: UnitPart, step: Pass, done: PartRecord) -> None:
        """Make levels from one that an earlier phase wrote."""
        below = plan.levels[step.source].shape
        factor = plan.levels[step.first].factor
        halo = tuple(
            (min(a, step.halo), min(n - b, step.halo)) if f > 1 else (0, 0)
            for (a, b), n, f in zip(part.region, below, factor, strict=True)
        )
        wide = tuple((a - x, b + y) for (a, b), (x, y) in zip(part.region, halo, strict=True))
        block = read_level(plan, step.source, wide, self.writer.storage, self.pool.map)
        if step.halo:
            start = tuple(a // f for (a, _), f in zip(part.region, factor, strict=True))
            block = reduce_smooth(block, factor, halo)
            self.put_level(plan, step.first, start, block)
            self.sample(plan, block, done)
        else:
            self.write(plan, part, block, done)

    def draw(self, plan: ArrayPlan, part: UnitPart, layer: InstanceLayer, done: PartRecord) -> None:
        from ngff_bio.engine.write.instances import draw_instances

        with _as_source_errors(self.job.names[part.array]):
            drawn = draw_instances(plan, part.region, layer)
        self.write(plan, part, drawn.labels, done)
        for number, hidden in sorted(drawn.hidden.items()):
            self.write(hidden_plan(plan, number), part, hidden, done)
        done.instances = len({(i.t, i.value) for i in drawn.instances})
        done.annotations = len(drawn.instances)
        done.hidden = max(drawn.whole_in, default=0)
        done.overlaps = sum(map(bool, drawn.whole_in))
        done.notices = [
            n if n["file"] else {**n, "record": f"{self.job.names[part.array]} {n['record']}"}
            for n in drawn.notices
        ]
        if drawn.instances:
            done.rows = drawn.save_rows(plan, part, self.writer)

    def label_volume(
        self, plan: ArrayPlan, part: UnitPart, layer: VolumeLayer, done: PartRecord
    ) -> None:
        from ngff_bio.engine.write.volumes import compare_volumes, measure_volume, read_volume

        block = self.volume(layer, part).astype(plan.dtype, copy=False)
        done.crc32c = checksum(block)
        if layer.compare is not None:
            other = read_volume(layer.compare, part.region)
            done.disagreement = compare_volumes(layer, block, other)
        if layer.kind == "instance":
            classes = [
                self.volume(other, part)
                for other in self.job.layers.get(part.array, ())
                if isinstance(other, VolumeLayer)
            ]
            kinds = classes[0] if classes else None
            done.objects = measure_volume(block, part.region, kinds, frames="t" in plan.axes)
        self.write(plan, part, block, done)

    def volume(self, layer: VolumeLayer, part: UnitPart) -> PixelArray:
        """A label volume's block; read once for all layers of this unit that need it."""
        from ngff_bio.engine.write.volumes import read_volume
        from ngff_bio.model import RunVolume

        # Not by name: a unit may hold parts of several images, whose layers have the same names.
        key = (id(layer.pixels), part.region)
        if key not in self.volumes:
            if any(region != part.region for _, region in self.volumes):
                self.volumes.clear()  # parts of one region come one after another
            if isinstance(layer.pixels, RunVolume):
                self.volumes[key] = read_volume(layer.pixels, part.region)
            else:
                self.volumes[key] = self.read(layer.pixels, part)
        return self.volumes[key]

    def write(self, plan: ArrayPlan, part: UnitPart, block: PixelArray, done: PartRecord) -> None:
        """Write every level of a pass from the block that it starts from."""
        made = plan.passes[part.step]
        start = tuple(a for a, _ in part.region)
        for level in range(made.first, made.stop):
            factor = plan.levels[level].factor
            if level > 0:
                block = reduce_block(block, factor, plan.method)
                start = tuple(s // f for s, f in zip(start, factor, strict=True))
            self.put_level(plan, level, start, block)
        self.sample(plan, block, done)

    def put_level(
        self, plan: ArrayPlan, level: int, start: tuple[int, ...], block: PixelArray
    ) -> None:
        if plan.codec == AUTO:
            plan = self.decide(plan, level, block)
        write_block(plan.meta(level), start, block, self.put, self.pool.map)

    def put(self, key: str, data: list[bytes]) -> None:
        self.pool.check()
        self.writer.put(key, data)

    def decide(self, plan: ArrayPlan, level: int, block: PixelArray) -> ArrayPlan:
        """Choose the codec of an array on the first of its pixels that are not background."""
        if plan.codec_group not in self.choices:
            sample = sample_of(chunk for _, chunk in parts_of(block, plan.levels[level].chunk))
            if not sample:
                return plan  # nothing but background: nothing is written
            self.choices[plan.codec_group] = choose_codec(sample, plan.role, self.pool)
        return replace(plan, codec=self.choices[plan.codec_group].codec)

    def choose_missing(self, arrays: Iterable[int]) -> None:
        """Choose the codec of arrays that have nothing but background here."""
        for number in arrays:
            plan = self.job.arrays[number]
            if plan.codec == AUTO and plan.codec_group not in self.choices:
                self.choices[plan.codec_group] = choose_codec([], plan.role, self.pool)

    def sample(self, plan: ArrayPlan, block: PixelArray, done: PartRecord) -> None:
        """Sample the coarsest level of an image, for the windows of its channels."""
        if plan.role == "image" and plan.passes[done.step].stop == len(plan.levels):
            done.quantiles = quantiles(block, plan.axes)


@contextmanager
def _as_source_errors(name: str) -> Iterator[None]:
    """Raise errors of the operating system as errors of the source."""
    try:
        yield
    except OSError as error:
        if isinstance(error, NgffBioError):
            raise
        missing = isinstance(error, FileNotFoundError)
        kind = SourceNotFoundError if missing else SourceError
        raise kind(
            "a source file is missing" if missing else "the source cannot be read",
            file=error.filename,
            record=name,
            found=error.strerror or error,
            hint="fix it, then run the same command again to resume, or skip the image with "
            "--on-error skip",
        ) from error


def hidden_plan(plan: ArrayPlan, number: int) -> ArrayPlan:
    """A label image of hidden instances of another one, with the same layout."""
    return replace(plan, path=f"{plan.path}-hidden-{number}")
