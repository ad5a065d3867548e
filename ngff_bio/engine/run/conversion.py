"""From a dataset to a store: plan, run the units that are not done yet, finish, report."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from ngff_bio import ngff
from ngff_bio.engine.plan.plan import Plan, Unit, plan_dataset
from ngff_bio.engine.plan.settings import Settings
from ngff_bio.engine.resume import state
from ngff_bio.engine.resume.fingerprint import (
    SourceIdentities,
    conversion_of,
    digest_of,
    summarize,
    undeclared_images,
)
from ngff_bio.engine.resume.lease import Lease
from ngff_bio.engine.run.failures import skip_failed_images
from ngff_bio.engine.run.report import ConversionReport, make_report
from ngff_bio.engine.run.runners import Runner, ThreadRunner, Workers
from ngff_bio.engine.run.scheduler import Scheduler, pilots
from ngff_bio.engine.write.manifest import SourceFiles, no_files
from ngff_bio.engine.write.records import UnitRecord
from ngff_bio.engine.write.transaction import publish_store, replace_store, settle
from ngff_bio.errors import ConversionCancelledError, StoreBusyError, StoreExistsError
from ngff_bio.model import Notice, OnError, SourceDataset
from ngff_bio.storage import Storage, StorageBelow
from ngff_bio.zarrio.journal import JOURNAL, STAGED, Journal

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
    began = time.monotonic()
    settings = settings or Settings()
    settled: Journal | None = None
    if storage.size(JOURNAL) is not None:  # a write was interrupted when all was written
        with Lease(storage, lambda: None):
            settled = settle(storage)
    work: Work
    if append:
        from ngff_bio.engine.resume.append import Addition

        work = Addition(dataset, storage, settings)
    else:
        work = _NewStore(dataset, settings, overwrite, source_files, settled)
    work.decide_action(storage)  # what is refused is refused before anything is written
    run = _Run(work.plan, storage, on_error, progress)
    with Lease(storage, run.lost.set), run.cancellable():
        action = work.decide_action(storage)  # another conversion may have ended in the meantime
        if action == "done":
            run.resumed = len(work.plan.units)
            run.notices.append(_DONE)
            report = run.report()
        else:
            action, run.storage = work.target(storage, action)
            if action in ("resume", "restart"):
                run.notices += state.reread_notices(work.summary, run.storage)
            if action == "resume":
                state.forget_changed(work.plan, work.summary, run.storage)
            work.begin(run.storage, action)
            if action == "resume":
                run.resume(state.resumed_records(run.storage))
            run.do_units(runner or ThreadRunner())
            run.skip_failed_images()
            work.files.check(run.plan.dataset.images)
            finished = work.finish(run.plan, run.records.values(), run.storage, source_files)
            run.count(finished.sizes)
            report = run.report()
            run.check_lease()
            work.publish(storage, finished.roots)
    report.destination = storage.url
    report.seconds = time.monotonic() - began
    return report


class Work(Protocol):
    """What is to be written to a destination, and what its source is now."""

    plan: Plan
    files: SourceIdentities
    summary: dict[str, Any]

    def decide_action(self, storage: Storage) -> state.Action:
        """What to do there; changes nothing."""
        ...

    def target(self, storage: Storage, action: state.Action) -> tuple[state.Action, Storage]:
        """Where units write, and what to do there."""
        ...

    def begin(self, storage: Storage, action: state.Action) -> None:
        """Prepare the target and record the plan in it."""
        ...

    def finish(
        self,
        plan: Plan,
        records: Iterable[UnitRecord],
        storage: Storage,
        source_files: SourceFiles,
    ) -> Finished:
        """Write tables, metadata and the manifest, all but the root."""
        ...

    def publish(self, storage: Storage, roots: Mapping[str, bytes]) -> None:
        """Write the root, and remove the state of the conversion."""
        ...


class _NewStore:
    """A new store, alone at its destination or in the place of another one."""

    def __init__(
        self,
        dataset: SourceDataset,
        settings: Settings,
        overwrite: bool,
        source_files: SourceFiles,
        settled: Journal | None,
    ) -> None:
        self.plan, self._overwrite = plan_dataset(dataset, settings), overwrite
        self.files, self._source_files = SourceIdentities(), source_files
        self.summary = summarize(self.plan, self.files)
        self._conversion = conversion_of(self.summary, self.files)
        self._digest = "" if undeclared_images(self.summary) else digest_of(self.summary)
        # All but the end was done before: by this very conversion.
        self._done = settled is not None and settled.plan == self._digest != ""
        self._replaces = False

    def decide_action(self, storage: Storage) -> state.Action:
        try:
            return "done" if self._done else self._action(storage)
        except StoreExistsError:
            if state.same_conversion(self._conversion, storage, self._source_files):
                return "done"
            raise

    def _action(self, storage: Storage) -> state.Action:
        return state.decide_action(self.summary, storage, self._overwrite)

    def target(self, storage: Storage, action: state.Action) -> tuple[state.Action, Storage]:
        self._replaces = action == "replace"
        if not self._replaces:
            return action, storage
        inside = StorageBelow(storage, STAGED)
        return state.action_of(state.read_plan(inside), self.summary) or "discard", inside

    def begin(self, storage: Storage, action: state.Action) -> None:
        if action in ("discard", "restart"):
            state.remove_incomplete(storage)
        if action != "resume":
            state.write_plan(storage, self.plan, self.summary, "new")

    def finish(
        self,
        plan: Plan,
        records: Iterable[UnitRecord],
        storage: Storage,
        source_files: SourceFiles,
    ) -> Finished:
        from ngff_bio.engine.write.finish import finish

        return finish(plan, records, storage, source_files, conversion=self._conversion)

    def publish(self, storage: Storage, roots: Mapping[str, bytes]) -> None:
        (replace_store if self._replaces else publish_store)(storage, roots, self._digest)


class _Run:
    """The units of one conversion and their outcome."""

    def __init__(
        self, plan: Plan, storage: Storage, on_error: OnError, progress: Progress | None
    ) -> None:
        self.plan, self.storage, self.on_error = plan, storage, on_error
        self.records: dict[str, UnitRecord] = {}
        self.notices: list[Notice] = []
        self.lost = threading.Event()
        self.objects = self.bytes_stored = self.resumed = 0
        self._progress = progress
        self._room = _MAX_HELD
        self._total = sum(u.nbytes for u in plan.units)
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
        """Take over units that were done before."""
        units = {u.id: u for u in self.plan.units}
        for record in records:
            if record.id in units:
                self._keep(units[record.id], record)
        self.resumed = len(self.records)

    def do_units(self, runner: Runner) -> None:
        """Do all units that are not done; the plan gains the codecs that were chosen."""
        loading = threading.Thread(target=_load_validators, args=(self.plan,), daemon=True)
        loading.start()
        known = (r.choices.items() for r in self.records.values())
        self.plan = self.plan.with_choices({k: c.codec for items in known for k, c in items})
        with runner.start(self.storage, self.on_error) as workers:
            for phase in self.plan.phases():
                if not isinstance(runner, ThreadRunner):
                    self._do_pilots(phase)
                self._do(workers, phase)
        loading.join()  # two threads that import one package at once can see it incomplete

    def _do_pilots(self, phase: Sequence[Unit]) -> None:
        """Do those units on whose pixels a codec is chosen; here, while other workers start up."""
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
        self.plan = scheduler.plan

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

    def skip_failed_images(self) -> None:
        """Remove images that could not be read from the plan and from the store."""
        skipped = skip_failed_images(self.plan, self.records, self.storage)
        self.plan = skipped.plan
        self.objects -= len(skipped.removed)
        self.bytes_stored -= sum(skipped.removed)

    def count(self, sizes: Sequence[int]) -> None:
        """Count objects that were written, by their sizes in bytes."""
        self.objects += len(sizes)
        self.bytes_stored += sum(sizes)

    def report(self) -> ConversionReport:
        """The report of what was done."""
        return make_report(
            self.plan,
            self.records,
            self.notices,
            destination=self.storage.url,
            objects=self.objects,
            bytes_stored=self.bytes_stored,
            resumed=self.resumed,
        )


def _load_validators(plan: Plan) -> None:
    """Import what checks metadata while the units run: it takes longer than a small conversion."""
    for name in ("ngff_bio.engine.write.finish", "pyarrow.parquet"):
        import_module(name)
    ngff.encode(ngff.GroupMeta(labels=()), plan.settings.version)
