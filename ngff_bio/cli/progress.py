"""A bar that shows how many bytes are done, how fast, and how long it will take."""

from __future__ import annotations


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

        self._what = what
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not shown,
            transient=True,
        )
        self._task = self._bar.add_task("looking", total=None)

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, done: int, total: int) -> None:
        """Bytes done and in all."""
        self._bar.update(self._task, description=self._what, completed=done, total=total)

    def reading(self, name: str, done: int, size: int) -> None:
        """Bytes read of a file, before the work begins."""
        self._bar.update(self._task, description=f"reading {name}", completed=done, total=size)
