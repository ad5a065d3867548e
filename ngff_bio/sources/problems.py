"""What is done about a wrong record: end with one error, or go on without it and say so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ngff_bio.errors import ArgumentError, NgffBioError
from ngff_bio.model import Notice


class Problems:
    """Collects what the user should know of a source while it is read.

    Parameters
    ----------
    on_error
        ``stop`` or ``skip``.
    """

    def __init__(self, on_error: str = "stop") -> None:
        if on_error not in ("stop", "skip"):
            raise ArgumentError(
                "this way of handling errors is not known",
                expected="--on-error stop or --on-error skip",
                found=on_error,
            )
        self.on_error = on_error
        self.notices: list[Notice] = []

    def wrong(self, error: NgffBioError) -> None:
        """Raise what is wrong, or note that the record is left out."""
        if self.on_error == "stop":
            raise error
        details = [
            f"{title} {text}"
            for title, text in (("found", error.found), ("expected", error.expected))
            if text is not None
        ]
        what = f"{error.what} ({'; '.join(details)})" if details else error.what
        self.notices.append(Notice("skipped", what, file=error.file, record=error.record))

    @contextmanager
    def caught(self) -> Iterator[None]:
        """A block of which the error is handled by `wrong`."""
        try:
            yield
        except NgffBioError as error:
            self.wrong(error)

    def skipped(self, what: str, file: str | None = None, record: str | None = None) -> None:
        """Note something that is not in the store, and could not be."""
        self.notices.append(Notice("skipped", what, file=file, record=record))

    def warn(self, what: str, file: str | None = None, record: str | None = None) -> None:
        """Note a doubt about something in the store."""
        self.notices.append(Notice("warning", what, file=file, record=record))

    def note(self, what: str, file: str | None = None, count: int = 1) -> None:
        """Note something else."""
        self.notices.append(Notice("note", what, file=file, count=count))
