"""What an export did, as an object and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

from ngff_bio.model import Notice
from ngff_bio.printing import clean_json


@dataclass(slots=True)
class ExportReport:
    """Result of an export.

    ``notices`` list what the format cannot represent (``skipped``) and what it represents in another
    form than the store (``warning``). ``bytes`` is the size of all files, ``seconds`` the duration.
    ``annotations`` are the records written, where they are more than the ``instances``: several files
    list one instance, or it has several outlines.
    """

    store: str
    format: str
    destination: str
    images: int = 0
    instances: int = 0
    annotations: int = 0
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    notices: list[Notice] = field(default_factory=list)

    @property
    def skipped(self) -> list[Notice]:
        """What is not in the export, and why."""
        return [n for n in self.notices if n.kind == "skipped"]

    def skip(self, what: str, *, record: str | None = None, count: int = 1) -> None:
        """Report something that the format cannot represent; counts occurrences."""
        self._add(Notice("skipped", what, record=record, count=count))

    def warn(self, what: str, *, record: str | None = None) -> None:
        """Report something that the format represents in another form."""
        self._add(Notice("warning", what, record=record))

    def note(self, what: str, *, record: str | None = None) -> None:
        """Report something worth knowing."""
        self._add(Notice("note", what, record=record))

    def _add(self, notice: Notice) -> None:
        for i, known in enumerate(self.notices):
            if (known.kind, known.what) == (notice.kind, notice.what):
                record = known.record if known.record == notice.record else None
                count = known.count + notice.count
                self.notices[i] = replace(known, record=record, count=count)
                return
        self.notices.append(notice)

    def to_json(self) -> dict[str, object]:
        """The report as JSON values."""
        return {key: clean_json(value) for key, value in asdict(self).items()}
