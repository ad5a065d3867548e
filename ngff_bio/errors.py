"""Every error of this package: one root, and each also the builtin that it stands for.

A message has up to five parts, so that it can be acted on: what is wrong, in which file, in which
record, what was expected and what was found, and a hint that works when followed.
"""

from __future__ import annotations

from typing import Any


class NgffBioError(Exception):
    """The root of all errors that this package raises on purpose.

    Parameters
    ----------
    what
        One sentence: what is wrong.
    file
        The file, object or URL that it is wrong in.
    record
        The record inside the file (``annotations[17]``, ``id 4``).
    expected, found
        What should have been there, and what is.
    hint
        What the user can do about it.
    """

    #: Exit code of the command line: 2 is the user's mistake, 1 is ours.
    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        file: object = None,
        record: object = None,
        expected: object = None,
        found: object = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.file = None if file is None else str(file)
        self.record = None if record is None else str(record)
        self.expected = None if expected is None else str(expected)
        self.found = None if found is None else str(found)
        self.hint = hint
        super().__init__(what)

    def parts(self) -> dict[str, str]:
        """The parts of the message that are there, in reading order."""
        named = {
            "what": self.what,
            "file": self.file,
            "record": self.record,
            "expected": self.expected,
            "found": self.found,
            "hint": self.hint,
        }
        return {key: value for key, value in named.items() if value is not None}

    def __str__(self) -> str:
        lines = [self.what]
        for key, title in (
            ("file", "file"),
            ("record", "record"),
            ("expected", "expected"),
            ("found", "found"),
            ("hint", "hint"),
        ):
            value = getattr(self, key)
            if value is not None:
                lines.append(f"  {title}: {value}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.parts()))


def _rebuild(kind: type[NgffBioError], parts: dict[str, str]) -> NgffBioError:
    """Unpickle: errors cross process borders when a worker raises them."""
    rest: dict[str, Any] = dict(parts)
    return kind(rest.pop("what"), **rest)


class ArgumentError(NgffBioError, ValueError):
    """An argument or option is wrong."""


class SourceError(NgffBioError, ValueError):
    """The data in a source file is wrong."""


class SourceNotFoundError(NgffBioError, FileNotFoundError):
    """A source file or folder that is needed is not there, or none is of a known kind."""

    def __str__(self) -> str:
        return NgffBioError.__str__(self)


class StoreError(NgffBioError, ValueError):
    """The data in a store is wrong."""


class StoreNotFoundError(NgffBioError, FileNotFoundError):
    """There is no store at the place named."""

    def __str__(self) -> str:
        return NgffBioError.__str__(self)


class IncompleteStoreError(StoreError):
    """The store is half-made: a conversion into it has not ended."""


class StoreExistsError(NgffBioError, FileExistsError):
    """Something already lies at the destination."""

    def __str__(self) -> str:
        return NgffBioError.__str__(self)


class StoreBusyError(NgffBioError, BlockingIOError):
    """Another conversion is writing into the destination."""

    def __str__(self) -> str:
        return NgffBioError.__str__(self)


class StoppedError(NgffBioError, KeyboardInterrupt):
    """The user stopped a conversion; it can be gone on with."""

    exit_code = 130

    def __str__(self) -> str:
        return NgffBioError.__str__(self)


class NameNotFoundError(NgffBioError, KeyError):
    """An image, label or table of that name is not in the store."""

    def __str__(self) -> str:
        return NgffBioError.__str__(self)


class StorageError(NgffBioError, OSError):
    """Reading or writing bytes failed: disk full, no rights, no answer."""

    def __str__(self) -> str:
        return NgffBioError.__str__(self)


class WorkerError(NgffBioError, RuntimeError):
    """A worker process died, or none can be had."""


class DependencyError(NgffBioError, ImportError):
    """An optional package is needed and not installed."""

    def __str__(self) -> str:
        return NgffBioError.__str__(self)
