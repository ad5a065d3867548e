"""From a dataset to a store: plan, run what is not done yet, finish, report."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Protocol

from ngff_bio import ngff
from ngff_bio.engine.plan.plan import Plan, Unit, plan_dataset
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.engine.resume import state
from ngff_bio.engine.resume.lease import Lease
from ngff_bio.engine.resume.records import UnitRecord, load_records
from ngff_bio.engine.run.failures import skip_failed_images
from ngff_bio.engine.run.report import ConversionReport, Written, fill_report
from ngff_bio.engine.run.runners import Runner, ThreadRunner, Workers
from ngff_bio.engine.run.scheduler import Scheduler, pilots
from ngff_bio.engine.write.manifest import SourceFiles, no_files
from ngff_bio.engine.write.units import OnError
from ngff_bio.errors import ConversionCancelledError, StoreBusyError
from ngff_bio.model import SourceDataset
from ngff_bio.storage import Storage
from ngff_bio.zarrio.codecs import Codec

#: Called with (raw bytes done, raw bytes in all) after every unit.
Progress = Callable[[int, int], None]


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

    A second call with the same dataset and settings goes on where a stopped one was, and ends with
    the same bytes. What is made does not depend on the runner either.

    Parameters
    ----------
    runner
        Where the work runs; threads of this process if ``None``.
    overwrite
        Whether a store (or a half-made one) that lies at the destination is removed first.
    append
        Whether what the store does not hold yet is added to it: images, fields, plates, and frames
        behind the last one.
    on_error
        ``skip`` leaves out images whose source is damaged or gone, and says so in the report.
    source_files
        Names the source's files with sizes and checksums, for the manifest.

    Raises
    ------
    ngff_bio.errors.StoreExistsError
        If something lies at the destination: a whole store, one half-made with other settings, or
        anything that is no store (that is never removed). When appending: if what lies there does
        not allow it.
    ngff_bio.errors.StoreBusyError
        If another conversion is writing into the destination.
    ngff_bio.errors.ConversionCancelledError
        If the user stopped it (Ctrl-C).
    ngff_bio.errors.SourceError, ngff_bio.errors.StorageError
        If reading or writing fails. What is done is kept: the same call goes on.
    """
    began = time.monotonic()
    settings = settings or Settings()
    work: Work
    if append:
        from ngff_bio.engine.resume.append import Addition

        work = Addition(dataset, storage, settings)
    else:
        work = _New(plan_dataset(dataset, settings), overwrite)
    work.look(storage)  # what is refused is refused before anything is written
    report = ConversionReport(dataset.origin, dataset.source, storage.url)
    run = _Run(work.plan, storage, report, on_error, progress)
    with Lease(storage, run.lost.set), run.stoppable():
        action = work.look(storage)  # another conversion may have come and gone meanwhile
        if action != "cleanup":
            run.resume(work.begin(storage, action))
            plan = run.units(runner or ThreadRunner())
            plan = skip_failed_images(plan, run.records, storage, report)
            written = work.finish(plan, run.records.values(), storage, source_files)
            report.objects += written.objects
            report.bytes_stored += written.nbytes
            run.plan = plan
        else:
            report.resumed = len(work.plan.units)
        fill_report(report, run.plan, run.records)
        state.clear(storage)
    report.seconds = time.monotonic() - began
    return report


#: Objects whose names are held in memory until the manifest is written; those of more are read again.
_HELD = 20_000


class Work(Protocol):
    """What is to be made at a destination."""

    plan: Plan

    def look(self, storage: Storage) -> state.Action:
        """What is to be done there; changes nothing."""
        ...

    def begin(self, storage: Storage, action: state.Action) -> Iterable[UnitRecord]:
        """Do it; returns the records of units that are done already."""
        ...

    def finish(
        self,
        plan: Plan,
        records: Iterable[UnitRecord],
        storage: Storage,
        source_files: SourceFiles,
    ) -> Written:
        """Write tables, metadata and the manifest."""
        ...


class _New:
    """A store that is made new."""

    def __init__(self, plan: Plan, overwrite: bool) -> None:
        self.plan, self._overwrite = plan, overwrite

    def look(self, storage: Storage) -> state.Action:
        return state.look(self.plan, storage, self._overwrite)

    def begin(self, storage: Storage, action: state.Action) -> Iterable[UnitRecord]:
        if action == "resume":
            storage.remove_partial()
            return state.intact(load_records(storage), storage)
        if action == "replace":
            state.remove_store(storage)
        state.write_plan(storage, self.plan, "new")
        return []

    def finish(
        self,
        plan: Plan,
        records: Iterable[UnitRecord],
        storage: Storage,
        source_files: SourceFiles,
    ) -> Written:
        from ngff_bio.engine.write.finish import finish

        return finish(plan, records, storage, source_files)


class _Run:
    """The units of one conversion, and what became of them."""

    def __init__(
        self,
        plan: Plan,
        storage: Storage,
        report: ConversionReport,
        on_error: OnError,
        progress: Progress | None,
    ) -> None:
        self.plan, self.storage, self.report, self.on_error = plan, storage, report, on_error
        self.records: dict[str, UnitRecord] = {}
        self.lost = threading.Event()
        self._progress = progress
        self._room = _HELD
        self._total = sum(u.nbytes for u in plan.units)
        self._done = 0

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """Tell Ctrl-C as what it is: nothing is lost."""
        try:
            yield
        except KeyboardInterrupt:
            raise ConversionCancelledError(
                "stopped",
                file=self.storage.url,
                found=f"{len(self.records)} of {len(self.plan.units)} units of work are done",
                hint="run the same command again: it goes on where it stopped",
            ) from None

    def resume(self, records: Iterable[UnitRecord]) -> None:
        """Take over what was done before."""
        sizes = {u.id: u for u in self.plan.units}
        for record in records:
            self._keep(sizes[record.id], record)
        self.report.resumed = len(self.records)

    def units(self, runner: Runner) -> Plan:
        """Do all units that are not done; returns the plan with the codecs that were chosen."""
        loading = threading.Thread(target=_load_validators, args=(self.plan,), daemon=True)
        loading.start()
        plan = self.plan.with_choices(self._choices())
        with runner.start(self.storage, self.on_error) as workers:
            for phase in plan.phases():
                units = [u for u in phase if u.id not in self.records]
                if not isinstance(runner, ThreadRunner):
                    plan = self._pilots(plan, units)
                    units = [u for u in units if u.id not in self.records]
                plan = self._all(workers, Scheduler(plan, units))
        loading.join()  # two threads that import one package at once can see it half-made
        return plan

    def _pilots(self, plan: Plan, units: Sequence[Unit]) -> Plan:
        """Do those units on whose pixels a codec is chosen; here, while other workers start up."""
        first = pilots(plan, units)
        if not first:
            return plan
        with ThreadRunner().start(self.storage, self.on_error) as here:
            return self._all(here, Scheduler(plan, first))

    def _choices(self) -> dict[str, Codec]:
        return {k: c.codec for r in self.records.values() for k, c in r.choices.items()}

    def _all(self, workers: Workers, scheduler: Scheduler) -> Plan:
        """Do units; returns the plan with the codecs that were chosen."""
        for unit, record in workers.run(scheduler):
            self._keep(unit, record)
            if self._progress is not None:
                self._progress(self._done, self._total)
            self._still_ours()
        return scheduler.plan

    def _still_ours(self) -> None:
        if self.lost.is_set():
            raise StoreBusyError(
                "another conversion has taken over the destination: this one was silent too long",
                file=self.storage.url,
                hint="let the other one end",
            )

    def _keep(self, unit: Unit, record: UnitRecord) -> None:
        self.report.objects += len(record.objects)
        self.report.bytes_stored += sum(size for _, size in record.objects)
        if len(record.objects) > self._room:  # they lie beside the data; here they would grow
            record.objects, record.checksums = [], {}
        self._room -= len(record.objects)
        self.records[unit.id] = record
        self._done += unit.nbytes


def _load_validators(plan: Plan) -> None:
    """Import what checks metadata while the units run: it takes longer than a small conversion."""
    for name in ("ngff_bio.engine.write.finish", "pyarrow.parquet"):
        import_module(name)
    ngff.encode(ngff.GroupMeta(labels=()), plan.settings.version)
