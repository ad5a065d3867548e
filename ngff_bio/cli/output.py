"""What the commands print: sizes, reports, notices and progress."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ngff_bio.errors import ArgumentError, NgffBioError, StorageError
from ngff_bio.printing import clean_json, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

    from ngff_bio.model import FileAccount, Notice

#: Notices that are printed; the JSON report has all of them.
_NOTICES = 20
_STYLES = {"skipped": "yellow", "warning": "yellow", "note": "dim"}


class _Report(Protocol):
    @property
    def notices(self) -> list[Notice]: ...


def console(**given: Any) -> Console:
    """A console that prints every string as :func:`ngff_bio.printing.printable` returns it.

    It prints lines whole, however wide the terminal is, if ``given`` does not say otherwise.
    """
    from rich.console import Console

    class Clean(Console):
        def render_str(self, text: str, **given: Any) -> Text:
            return super().render_str(printable(text), **given)

    return Clean(**{"highlight": False, "soft_wrap": True, **given})


def size(count: float) -> str:
    """Bytes with a unit: ``1.3 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def print_json(value: Any) -> None:
    """Print a value as JSON, in ASCII: a terminal obeys nothing of it."""
    print(json.dumps(clean_json(value), indent=2, default=str))


def write_report(report: Mapping[str, Any], file: Path | None) -> None:
    """Write a report to a file as JSON, if a file is given."""
    if file is not None:
        with writing(file):
            file.write_text(json.dumps(report, indent=2, default=str))


def print_account(out: Console, account: FileAccount) -> None:
    """Print how many files of a source were read, belong to these, were excluded, and were not read."""
    lists = account.to_json()
    titles = {"read": "read", "belongs": "documents", "excluded": "excluded", "unread": "not read"}
    count = {title: lists[name]["count"] for name, title in titles.items()}
    count["hidden"] = lists["belongs"]["kinds"].get("hidden file", 0)
    count["documents"] -= count["hidden"]
    counts = [f"{number} {title}" for title, number in count.items() if number]
    if counts:  # a store that is converted has no files to account for
        out.print(f"  files: {', '.join(counts)}", markup=False)


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Make the folder of a file that the block writes, and raise what fails as a StorageError."""
    if file.parts[0].endswith(":") and len(file.parts[0]) > 2:
        raise ArgumentError(
            "this file is written on this machine",
            expected="a path",
            found=file,
            hint="write it to a file here, then upload that",
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if isinstance(error, NgffBioError):
            raise
        raise StorageError(
            f"the file cannot be written: {error.strerror or error}", file=file
        ) from error


def print_notices(
    out: Console, report: _Report, titles: Mapping[str, str] | None = None, *, counts: bool = False
) -> None:
    """Print the first notices of a report.

    Parameters
    ----------
    titles
        The word before a notice, by its kind; the kind itself if not given.
    counts
        Whether to print how often a notice occurred.
    """
    for notice in report.notices[:_NOTICES]:
        times = f" ({notice.count} times)" if counts and notice.count > 1 else ""
        title = (titles or {}).get(notice.kind, notice.kind)
        out.print(f"  [{_STYLES[notice.kind]}]{title}:[/] ", end="")
        out.print(f"{notice.what}{notice.place}{times}", markup=False)
    if len(report.notices) > _NOTICES:
        out.print(f"  ... and {len(report.notices) - _NOTICES} more: see --report FILE")


class ProgressBar:
    """A progress bar of bytes on the error output.

    Parameters
    ----------
    what
        What is being done: ``converting``.
    shown
        Whether to show it.
    """

    def __init__(self, what: str, *, shown: bool) -> None:
        self._what = what
        self._bar: Progress | None = None
        if not shown:
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> ProgressBar:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, total: int) -> None:
        """Show bytes done of a total."""
        self._show(self._what, done, total)

    def reading(self, name: str, done: int, size: int) -> None:
        """Show bytes read of an annotation file, before the work begins."""
        self._show(f"reading {name}", done, size)

    def _show(self, what: str, done: int, total: int) -> None:
        if self._bar is not None:
            from rich.markup import escape

            shown = escape(printable(what))
            self._bar.update(self._task, description=shown, completed=done, total=total)
