"""A bar that shows how many bytes are done, how fast, and how long it will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


class ProgressBar:
    """A bar on the error output.

    Parameters
    ----------
    what
        What is being done: ``converting``.
    shown
        Whether it is shown at all.
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
        self._task = self._bar.add_task("looking", total=None)

    def __enter__(self) -> ProgressBar:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, total: int) -> None:
        """Bytes done and in all."""
        self._show(self._what, done, total)

    def reading(self, name: str, done: int, size: int) -> None:
        """Bytes read of a file, before the work begins."""
        self._show(f"reading {name}", done, size)

    def _show(self, what: str, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description=what, completed=done, total=total)
