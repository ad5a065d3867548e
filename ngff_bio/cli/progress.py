"""A bar that shows how many bytes are done."""

from __future__ import annotations

from typing import Any


class ProgressBar:
    """A bar on the error output; gives a function of bytes done and in all."""

    def __init__(self, what: str, *, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        self._what = what
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not shown,
            transient=True,
        )
        self._task = self._bar.add_task("looking", total=None)

    def __enter__(self) -> Any:
        self._bar.start()
        return self._update

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _update(self, done: int, total: int) -> None:
        self._bar.update(self._task, description=self._what, completed=done, total=total)
