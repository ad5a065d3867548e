"""Errors of files and records: raised, or collected for the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ngff_bio.errors import NgffBioError, SourceError, SourceNotFoundError, plain_reason
from ngff_bio.model import Notice, OnError, gathered


@contextmanager
def damage_named(file: str, what: str, record: str | None = None) -> Iterator[None]:
    """Turn whatever a library raises for a damaged file into one error that names the file.

    Image libraries raise nearly every built-in exception for one damaged byte or another, also
    `MemoryError`, and `ImportError` for a codec that is missing.

    Parameters
    ----------
    what
        The error's sentence.
    record
        The part of the file that is read.

    Raises
    ------
    ngff_bio.errors.SourceError
        In place of what was raised.
    """
    try:
        yield
    except NgffBioError as error:
        error.file = error.file or file
        raise
    except Exception as error:
        hint = "the file is probably damaged or truncated: download or copy it again"
        if isinstance(error, MemoryError):
            hint = "the file asks for more memory than there is: it is damaged, or too large"
        elif isinstance(error, FileNotFoundError | PermissionError):
            hint = "put the file back, or allow reading it, then run the same command again"
        raise SourceError(
            what, file=file, record=record, found=plain_reason(error), hint=hint
        ) from error


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record of a source file, as its errors name it.

    Parameters
    ----------
    file
        Name of the file.
    name
        The record inside the file: ``annotations[17]``; empty for the file as a whole.
    hint
        How to fix what is wrong in it, for errors that have no hint of their own.
    """

    file: str
    name: str = ""
    hint: str = "correct the file, or skip such records with --on-error skip"

    def member(self, path: str) -> SourceRecord:
        """A part of the record: ``.points``, ``[3]``."""
        return replace(self, name=(self.name + path).lstrip("."))

    def error(
        self, what: str, *, expected: object = None, found: object = None, hint: str | None = None
    ) -> SourceError:
        """The error for what is wrong in the record."""
        return SourceError(
            what,
            file=self.file,
            record=self.name or None,
            expected=expected,
            found=found,
            hint=hint or self.hint,
        )


@dataclass(slots=True)
class Problems:
    """Receives errors and notices while files are read.

    Parameters
    ----------
    on_error
        ``stop``: the first error is raised. ``skip``: it becomes a notice, and the caller continues
        without the record.
    notices
        All notices so far.
    progress
        Called while large annotation files are read: with the name of the file, the bytes read of it,
        and its size.
    """

    on_error: OnError = "stop"
    notices: list[Notice] = field(default_factory=list)
    progress: Callable[[str, int, int], None] | None = None

    def fail(self, error: NgffBioError, count: int = 1) -> None:
        """Report a wrong record, or `count` records that are wrong in the same way.

        Raises
        ------
        ngff_bio.errors.NgffBioError
            The error, unless errors are skipped.
        """
        if self.on_error == "stop":
            raise error
        self.notices.append(skipped_notice(error, count))

    @contextmanager
    def caught(self) -> Iterator[None]:
        """A block whose error is reported by `fail`."""
        try:
            yield
        except NgffBioError as error:
            self.fail(error)

    def warn(self, what: str, file: str | None = None, record: str | None = None) -> None:
        """Report something that is converted, but may be wrong."""
        self.notices.append(Notice("warning", what, file, record))

    def skip(self, what: str, file: str | None = None, record: str | None = None) -> None:
        """Report something that is not converted and is not an error."""
        self.notices.append(Notice("skipped", what, file, record))

    def note(self, what: str, file: str | None = None, record: str | None = None) -> None:
        """Report something that is correct and worth knowing."""
        self.notices.append(Notice("note", what, file, record))

    def nothing(self, what: str, file: str) -> SourceNotFoundError:
        """The error for a source of which no image is left, with the first reasons."""
        return SourceNotFoundError(
            what,
            file=file,
            found="; ".join(dict.fromkeys(n.what for n in self.notices[:3])) or None,
            hint="correct or add the image files, or name the folder that holds them",
        )

    def gathered(self) -> tuple[Notice, ...]:
        """All notices, equal ones combined."""
        return tuple(gathered(self.notices))


def skipped_notice(error: NgffBioError, count: int = 1) -> Notice:
    """An error as a notice of the report."""
    return Notice("skipped", error.what, error.file, error.record, count)
