"""What the user should know of a conversion besides its result."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

#: What is done about a wrong record: end with one error, or go on without it and say so.
OnError = Literal["stop", "skip"]

#: How the end of a gathered list of records looks.
_MORE = re.compile(r" and \d+ more$")

#: So many records of one kind are named; of the rest the number is told.
NAMED = 5


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the user should know of the conversion.

    ``kind`` is ``skipped`` (not in the store), ``warning`` (in the store, with a doubt) or
    ``note``. ``what`` says it in one line; ``file`` and ``record`` say where.
    """

    kind: Literal["skipped", "warning", "note"]
    what: str
    file: str | None = None
    record: str | None = None
    count: int = 1


def gathered(notices: Iterable[Notice]) -> list[Notice]:
    """One notice for each kind, text and file: counts are added, the first records named.

    A million annotations of one missing image are one line of a report.
    """
    found: dict[tuple[str, str, str | None], Notice] = {}
    records: dict[tuple[str, str, str | None], list[str]] = {}
    for notice in notices:
        key = (notice.kind, notice.what, notice.file)
        first = found.get(key)
        found[key] = notice if first is None else replace(first, count=first.count + notice.count)
        named = records.setdefault(key, [])
        for record in _MORE.sub("", notice.record or "").split(", "):
            if record and len(named) < NAMED and record not in named:
                named.append(record)
    return [
        replace(notice, record=_listed(records[key], notice.count)) for key, notice in found.items()
    ]


def _listed(records: list[str], count: int) -> str | None:
    if not records:
        return None
    more = count - len(records)
    return ", ".join(records) + (f" and {more} more" if more > 0 else "")
