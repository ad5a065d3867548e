"""From a dataset to a store: plan, run the units that are not done yet, finish, report."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic

from ngff_bio import ngff
from ngff_bio.engine.plan.plan import Plan, Unit
from ngff_bio.engine.plan.planning import plan_dataset
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.engine.resume import redo, state
from ngff_bio.engine.resume.fingerprint import (
    SourceIdentities,
    conversion_of,
    digest_of,
    summarize,
    undeclared_images,
)
from ngff_bio.engine.resume.lease import Lease
from ngff_bio.engine.run.report import ConversionReport
from ngff_bio.engine.run.runners import Runner, ThreadRunner, Workers
from ngff_bio.engine.run.scheduler import Scheduler, check_memory, pilots
from ngff_bio.engine.run.work import DatasetWork, NewStore, P, Work
from ngff_bio.engine.write.manifest import SourceFiles, no_files
from ngff_bio.engine.write.records import UnitRecord, load_record, record_key
from ngff_bio.engine.write.transaction import State, settle
from ngff_bio.errors import ConversionCancelledError, StoreBusyError
from ngff_bio.model import Notice, OnError, SourceDataset
from ngff_bio.storage import Storage
from ngff_bio.zarrio.journal import JOURNAL, ROWS, Journal

if TYPE_CHECKING:
    from ngff_bio.engine.write.finish import Finished

#: Called with (raw bytes done, raw bytes in all) after every unit.
Progress = Callable[[int, int], None]

#: Objects whose names are held in memory until the manifest is written; those of more are read again.
_MAX_HELD = 20_000

_DONE = Notice(
    "note",
    "already converted: the store was made from this source with these settings; nothing was written",
)


def write_dataset(
    dataset: SourceDataset,
    storage: Storage,
    settings: Settings | None = None,
    *,
    runner: Runner | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
    append: bool = False,
    on_error: OnError = "stop",
    source_files: SourceFiles = no_files,
) -> ConversionReport:
    """Convert a dataset into a store.

    A second call with the same dataset and settings resumes an interrupted one, and ends with the same
    bytes. They do not depend on the runner either.

    Parameters
    ----------
    runner
        Where the units of work run; threads of this process if ``None``.
    progress
        Called with raw bytes done and in all after every unit.
    overwrite
        Whether a store at the destination is replaced when the new one is complete; an incomplete one
        is removed first.
    append
        Whether images, fields, plates and frames that the store does not contain are added to it.
    on_error
        ``skip`` skips images whose source is damaged or missing, and names them in the report.
    source_files
        Names the source's files with sizes and checksums, for the manifest.

    Raises
    ------
    ngff_bio.errors.StoreExistsError
        If the destination contains a store, an incomplete store that was begun with other settings, or
        anything that is not a store (that is never removed). When appending: if the store does not
        allow it.
    ngff_bio.errors.StoreBusyError
        If another conversion is writing into the destination.
    ngff_bio.errors.ConversionCancelledError
        If the user cancelled it (Ctrl-C).
    ngff_bio.errors.SourceError, ngff_bio.errors.StorageError
        If reading or writing fails. What is done is kept: the same call resumes.
    """
    settings = settings or Settings()
    settled = settle_interrupted(storage)
    given: dict[str, Any] = {
        "runner": runner,
        "progress": progress,
        "on_error": on_error,
        "source_files": source_files,
    }
    if append:
        from ngff_bio.engine.resume.append import Addition

        return run_work(Addition(dataset, storage, settings), storage, **given)
    work = _NewDataset(dataset, settings, overwrite, source_files, settled)
    return run_work(work, storage, **given)


def settle_interrupted(storage: Storage) -> Journal | None:
    """Finish a write that was interrupted when all was written; returns what was finished."""
    if storage.size(JOURNAL) is None:
        return None
    with Lease(storage, lambda: None):
        return settle(storage)


def run_work(
    work: Work[P],
    storage: Storage,
    *,
    runner: Runner | None = None,
    progress: Progress | None = None,
    on_error: OnError = "stop",
    source_files: SourceFiles = no_files,
) -> ConversionReport:
    """Write what is not written yet; parameters and errors are those of :func:`write_dataset`."""
    began = time.monotonic()
    work.decide_action(storage)  # what is refused is refused before anything is written
    run = _Run(work, storage, on_error, progress)
    runner = runner or ThreadRunner()
    with Lease(storage, run.lost.set), run.cancellable():
        action = work.decide_action(storage)  # another conversion may have ended in the meantime
        if action == "done":
            run.resumed = len(work.plan.units)
            run.notices.append(_DONE)
            report = run.report()
        else:
            action, run.storage = work.target(storage, action)
            if action not in ("resume", "restart") and (memory := getattr(runner, "memory", 0)):
                check_memory(work.plan, work.plan.units, memory)  # before anything is written
            if action in ("resume", "restart"):
                run.notices += redo.reread_notices(work.summary, run.storage)
            with runner.start(run.storage, on_error, work.plan) as workers:
                run.notices += work.begin(run.storage, action)
                if action == "resume":
                    run.resume(redo.resumed_records(run.storage))
                run.do_units(workers, pilots_here=not isinstance(runner, ThreadRunner))
            run.skip_failed()
            finished = work.finish(run.plan, run.records.values(), run.storage, source_files)
            run.count(finished.sizes)
            report = run.report()
            run.check_lease()
            work.publish(storage, finished.roots, run.kept())
    report.destination = storage.url
    report.seconds = time.monotonic() - began
    return report


class _NewDataset(DatasetWork, NewStore[Plan]):
    """A new store of a dataset."""

    def __init__(
        self,
        dataset: SourceDataset,
        settings: Settings,
        overwrite: bool,
        source_files: SourceFiles,
        settled: Journal | None,
    ) -> None:
        plan, self.files = plan_dataset(dataset, settings), SourceIdentities()
        summary = summarize(plan, self.files)
        conversion = conversion_of(summary, self.files)
        digest = "" if undeclared_images(summary) else digest_of(summary)
        super().__init__(plan, summary, conversion, digest, overwrite, source_files, settled)

    def begin(self, storage: Storage, action: state.Action) -> list[Notice]:
        if action == "resume":
            return redo.forget_changed(self.plan, self.summary, storage)
        return super().begin(storage, action)

    def finish(
        self, plan: Plan, records: Iterable[UnitRecord], storage: Storage, source_files: SourceFiles
    ) -> Finished:
        from ngff_bio.engine.write.finish import finish

        return finish(plan, records, storage, source_files, conversion=self.conversion)


class _Run(Generic[P]):
    """The units of one conversion and their outcome."""

    def __init__(
        self, work: Work[P], storage: Storage, on_error: OnError, progress: Progress | None
    ) -> None:
        self.work, self.plan = work, work.plan
        self.storage, self.on_error = storage, on_error
        self.records: dict[str, UnitRecord] = {}
        self.notices: list[Notice] = []
        self.lost = threading.Event()
        self.objects = self.bytes_stored = self.resumed = 0
        self._progress = progress
        self._room = _MAX_HELD
        self._total = sum(u.nbytes for u in work.plan.units)
        self._done = 0

    @contextmanager
    def cancellable(self) -> Iterator[None]:
        """Raise Ctrl-C as an error with a hint how to resume."""
        try:
            yield
        except KeyboardInterrupt:
            raise ConversionCancelledError(
                "the conversion was cancelled",
                file=self.storage.url,
                found=f"{len(self.records)} of {len(self.plan.units)} units of work are done",
                hint="run the same command again to resume",
            ) from None

    def resume(self, records: Iterable[UnitRecord]) -> None:
        """Take over units that were done before, if their records state all parts and codecs."""
        units = {u.id: u for u in self.plan.units}
        for record in records:
            unit = units.get(record.id)
            if unit is not None and _has_parts_of(unit, record):
                self._keep(unit, record)
        known = (r.choices.items() for r in self.records.values())
        self.plan = self.plan.with_choices({k: c.codec for items in known for k, c in items})
        for unit in pilots(self.plan, self.plan.units):
            if unit.id in self.records:  # it chose a codec, which its record does not state
                self._forget(unit)
        self.resumed = len(self.records)

    def do_units(self, workers: Workers, *, pilots_here: bool) -> None:
        """Do all units that are not done; the plan gains the codecs that were chosen.

        ``pilots_here``: those on whose pixels a codec is chosen in this process, while workers start.
        """
        loading = threading.Thread(target=_load_validators, daemon=True)
        loading.start()
        for phase in self.plan.phases():
            if pilots_here:
                self._do_pilots(phase)
            self._do(workers, phase)
        loading.join()  # two threads that import one package at once can see it incomplete

    def _do_pilots(self, phase: Sequence[Unit]) -> None:
        """Do those units on whose pixels a codec is chosen."""
        if first := pilots(self.plan, (u for u in phase if u.id not in self.records)):
            with ThreadRunner().start(self.storage, self.on_error) as workers:
                self._do(workers, first)

    def _do(self, workers: Workers, units: Iterable[Unit]) -> None:
        scheduler = Scheduler(self.plan, (u for u in units if u.id not in self.records))
        for unit, record in workers.run(scheduler):
            self._keep(unit, record)
            if self._progress is not None:
                self._progress(self._done, self._total)
            self.check_lease()
        self.plan = self.plan.with_choices(scheduler.plan.choices)

    def check_lease(self) -> None:
        """Stop if another process writes into the destination by now."""
        if self.lost.is_set():
            raise StoreBusyError(
                "another conversion has taken over the destination, because this one did not "
                "renew its lease in time",
                file=self.storage.url,
                hint="wait until the other one has finished",
            )

    def _keep(self, unit: Unit, record: UnitRecord) -> None:
        self.count([size for _, size in record.objects])
        if len(record.objects) > self._room:  # they are stored beside the data
            record.objects, record.checksums = [], {}
        self._room -= len(record.objects)
        self.records[unit.id] = record
        self._done += unit.nbytes

    def _forget(self, unit: Unit) -> None:
        """Have a unit that was taken over done again."""
        held = self.records.pop(unit.id)
        record = load_record(self.storage, unit.id) or held  # with the objects that were not held
        self.objects -= len(record.objects)
        self.bytes_stored -= sum(size for _, size in record.objects)
        self._done -= unit.nbytes
        self.storage.delete(record_key(unit.id))

    def skip_failed(self) -> None:
        """Remove images that could not be read from the plan and from the store."""
        self.plan, removed = self.work.skip_failed(self.plan, self.records, self.storage)
        self.objects -= len(removed)
        self.bytes_stored -= sum(removed)

    def kept(self) -> State:
        """What was kept while it ran."""
        rows = (p.rows for r in self.records.values() for p in r.parts if p.rows is not None)
        return State(len(self.records), frozenset(k for k in rows if k.startswith(f"{ROWS}/")))

    def count(self, sizes: Sequence[int]) -> None:
        """Count objects that were written, by their sizes in bytes."""
        self.objects += len(sizes)
        self.bytes_stored += sum(sizes)

    def report(self) -> ConversionReport:
        """The report of what was done."""
        return self.work.report(
            self.plan,
            self.records,
            self.notices,
            destination=self.storage.url,
            objects=self.objects,
            bytes_stored=self.bytes_stored,
            resumed=self.resumed,
        )


def _has_parts_of(unit: Unit, record: UnitRecord) -> bool:
    parts = [(p.array, p.step, tuple(p.region)) for p in record.parts]
    return parts == [(p.array, p.step, tuple(p.region)) for p in unit.parts]


def _load_validators() -> None:
    """Import what checks metadata while the units run: it takes longer than a small conversion."""
    for name in ("ngff_bio.engine.write.finish", "pyarrow.parquet"):
        import_module(name)
    ngff.encode(ngff.GroupMeta(labels=()), "0.5")
