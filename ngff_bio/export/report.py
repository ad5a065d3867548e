"""What an export did: for the user to read, and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ngff_bio.model import Notice


@dataclass(slots=True)
class Report:
    """Outcome of an export.

    ``notices`` name what the format cannot hold (``skipped``) and what was written in another form
    than the store has it (``warning``).
    """

    store: str
    format: str
    destination: str
    images: int = 0
    instances: int = 0
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    notices: list[Notice] = field(default_factory=list)

    @property
    def skipped(self) -> list[Notice]:
        """What is not in the export, and why."""
        return [n for n in self.notices if n.kind == "skipped"]

    def skip(self, what: str, *, record: str | None = None, count: int = 1) -> None:
        """Name something that the format cannot hold; the same again adds to its count."""
        self._add(Notice("skipped", what, record=record, count=count))

    def warn(self, what: str, *, record: str | None = None, count: int = 1) -> None:
        """Name something that the format holds in another form."""
        self._add(Notice("warning", what, record=record, count=count))

    def note(self, what: str, *, record: str | None = None) -> None:
        """Tell something that is good to know."""
        self._add(Notice("note", what, record=record))

    def _add(self, notice: Notice) -> None:
        for i, known in enumerate(self.notices):
            if (known.kind, known.what) == (notice.kind, notice.what):
                record = known.record if known.record == notice.record else None
                self.notices[i] = Notice(
                    known.kind, known.what, record=record, count=known.count + notice.count
                )
                return
        self.notices.append(notice)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)
