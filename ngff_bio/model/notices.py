"""Notices of a conversion besides its result."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

#: What to do about a wrong record: end with an error, or skip it and report it.
OnError = Literal["stop", "skip"]

#: End of a gathered list of records.
_MORE = re.compile(r" and \d+ more$")

#: Number of records of one kind that are named; the rest are counted.
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice to the user, of one line.

    ``kind`` is ``skipped`` (not in the store), ``warning`` (in the store, but questionable) or
    ``note``.
    """

    kind: Literal["skipped", "warning", "note"]
    what: str
    file: str | None = None
    record: str | None = None
    count: int = 1

    @property
    def place(self) -> str:
        """File and record in parentheses, where they are known."""
        where = " ".join(w for w in (self.file, self.record) if w)
        return f" ({where})" if where else ""


def gathered(notices: Iterable[Notice]) -> list[Notice]:
    """One notice for each kind, text and file: counts are added, and the first records are named."""
    found: dict[tuple[str, str, str | None], Notice] = {}
    records: dict[tuple[str, str, str | None], list[str]] = {}
    for notice in notices:
        key = (notice.kind, notice.what, notice.file)
        first = found.get(key)
        found[key] = notice if first is None else replace(first, count=first.count + notice.count)
        named = records.setdefault(key, [])
        for record in _MORE.sub("", notice.record or "").split(", "):
            if record and len(named) < _MAX_NAMED and record not in named:
                named.append(record)
    return [
        replace(notice, record=_listed(records[key], notice.count)) for key, notice in found.items()
    ]


def _listed(records: list[str], count: int) -> str | None:
    if not records:
        return None
    more = count - len(records)
    return ", ".join(records) + (f" and {more} more" if more > 0 else "")
