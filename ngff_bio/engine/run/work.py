"""What a conversion writes, how it begins and how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ngff_bio.engine.plan.plan import Plan, WorkPlan
from ngff_bio.engine.resume import redo, state
from ngff_bio.engine.resume.fingerprint import SourceIdentities
from ngff_bio.engine.run.failures import skip_failed_images
from ngff_bio.engine.run.report import ConversionReport, make_report
from ngff_bio.engine.write.manifest import SourceFiles
from ngff_bio.engine.write.records import UnitRecord
from ngff_bio.engine.write.transaction import State, publish_store, replace_store
from ngff_bio.errors import StoreExistsError
from ngff_bio.model import Notice
from ngff_bio.storage import Storage, StorageBelow
from ngff_bio.zarrio.journal import STAGED, Journal

if TYPE_CHECKING:
    from ngff_bio.engine.write.finish import Finished

P = TypeVar("P", bound=WorkPlan)


class Work(Protocol[P]):
    """What is to be written to a destination, and what its source is now."""

    plan: P
    summary: dict[str, Any]

    def decide_action(self, storage: Storage) -> state.Action:
        """What to do there; changes nothing."""
        ...

    def target(self, storage: Storage, action: state.Action) -> tuple[state.Action, Storage]:
        """Where units write, and what to do there."""
        ...

    def begin(self, storage: Storage, action: state.Action) -> list[Notice]:
        """Prepare the target and record the plan in it; what is done again, and why."""
        ...

    def skip_failed(
        self, plan: P, records: Mapping[str, UnitRecord], storage: Storage
    ) -> tuple[P, list[int]]:
        """The plan without images that could not be read, and the sizes of what was removed of them."""
        ...

    def finish(
        self, plan: P, records: Iterable[UnitRecord], storage: Storage, source_files: SourceFiles
    ) -> Finished:
        """Write tables, metadata and the manifest, all but the root."""
        ...

    def publish(self, storage: Storage, roots: Mapping[str, bytes], kept: State) -> None:
        """Write the root, and remove the state of the conversion."""
        ...

    def report(
        self,
        plan: P,
        records: Mapping[str, UnitRecord],
        notices: Iterable[Notice],
        *,
        destination: str,
        objects: int,
        bytes_stored: int,
        resumed: int,
    ) -> ConversionReport:
        """The report of what was done."""
        ...


class NewStore(Generic[P]):
    """A new store, alone at its destination or in the place of another one.

    Parameters
    ----------
    plan, summary
        What is to be written, and all that decides its bytes.
    conversion
        What the store records of that.
    digest
        Digest of the summary; ``""`` where the source may change without notice.
    """

    def __init__(
        self,
        plan: P,
        summary: dict[str, Any],
        conversion: dict[str, Any],
        digest: str,
        overwrite: bool,
        source_files: SourceFiles,
        settled: Journal | None,
    ) -> None:
        self.plan, self.summary, self.conversion = plan, summary, conversion
        self._digest, self._overwrite, self._source_files = digest, overwrite, source_files
        # All but the end was done before: by this very conversion.
        self._done = settled is not None and settled.plan == digest != ""
        self._replaces = False

    def decide_action(self, storage: Storage) -> state.Action:
        """What to do there; changes nothing."""
        try:
            if self._done and state.same_files(storage, self._source_files):
                return "done"
            return state.decide_action(self.summary, storage, self._overwrite)
        except StoreExistsError:
            if state.same_conversion(self.conversion, storage, self._source_files):
                return "done"
            raise

    def target(self, storage: Storage, action: state.Action) -> tuple[state.Action, Storage]:
        """Where units write, and what to do there."""
        self._replaces = action == "replace"
        if not self._replaces:
            return action, storage
        inside = StorageBelow(storage, STAGED)
        return state.action_of(state.read_plan(inside), self.summary) or "discard", inside

    def begin(self, storage: Storage, action: state.Action) -> list[Notice]:
        """Remove what is not resumed, and record the plan."""
        if action in ("discard", "restart"):
            redo.remove_incomplete(storage)
        if action != "resume":
            state.write_plan(storage, self.plan, self.summary, "new")
        return []

    def publish(self, storage: Storage, roots: Mapping[str, bytes], kept: State) -> None:
        """Write the root, and remove the state of the conversion."""
        (replace_store if self._replaces else publish_store)(storage, roots, self._digest, kept)


class DatasetWork:
    """What is common to a new store of a dataset and to what is appended to one."""

    files: SourceIdentities

    def skip_failed(
        self, plan: Plan, records: Mapping[str, UnitRecord], storage: Storage
    ) -> tuple[Plan, list[int]]:
        """Remove images that could not be read from the plan and from the store."""
        skipped = skip_failed_images(plan, records, storage)
        self.files.check(skipped.plan.dataset.images)
        return skipped.plan, skipped.removed

    report = staticmethod(make_report)
