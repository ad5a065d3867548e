"""The exceptions of this package: one root, and each is also the builtin that it corresponds to.

A message states what is wrong, in which file and record, what was expected and found, and gives a hint.
Its parts hold no secret of a URL, and it is printed without what a terminal would obey.
The root comes before the builtin in each class's order of bases: its ``__str__`` prints all parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from ngff_bio.printing import printable, without_secrets


class NgffBioError(Exception):
    """Base class of all exceptions that this package raises on purpose.

    Parameters
    ----------
    what
        What is wrong, in one sentence.
    file
        The file, object or URL that has the error.
    record
        The record inside the file (``annotations[17]``, ``id 4``).
    expected, found
        The expected and the actual value.
    hint
        How to fix it.
    """

    #: Exit code of the command line: 2 for an error of the user, 1 for a bug.
    exit_code = 2

    #: What became of each file of the source until then, for the report of a conversion: JSON values.
    files: dict[str, Any] | None = None

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
        self.what = without_secrets(what)
        self.file = None if file is None else without_secrets(str(file))
        self.record = None if record is None else without_secrets(str(record))
        self.expected = None if expected is None else without_secrets(str(expected))
        self.found = None if found is None else without_secrets(str(found))
        self.hint = None if hint is None else without_secrets(hint)
        super().__init__(self.what)

    def parts(self) -> dict[str, str]:
        """The parts of the message that are given, in reading order."""
        names = ("what", "file", "record", "expected", "found", "hint")
        return {n: value for n in names if (value := getattr(self, n)) is not None}

    def __str__(self) -> str:
        what, *rest = self.parts().items()
        lines = [what[1], *(f"  {name}: {value}" for name, value in rest)]
        return "\n".join(map(printable, lines))

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.parts()))


def _rebuild(kind: type[NgffBioError], parts: dict[str, str]) -> NgffBioError:
    """Unpickle an error that a worker process raised."""
    rest: dict[str, Any] = dict(parts)
    return kind(rest.pop("what"), **rest)


class ArgumentError(NgffBioError, ValueError):
    """An argument or option is wrong."""


class SourceError(NgffBioError, ValueError):
    """The data in a source file is wrong."""


class SourceNotFoundError(NgffBioError, FileNotFoundError):
    """A required source file or folder does not exist, or none has a known format."""


class StoreError(NgffBioError, ValueError):
    """The data in a store is wrong."""


class StoreNotFoundError(NgffBioError, FileNotFoundError):
    """There is no store at this path or URL."""


class IncompleteStoreError(StoreError):
    """The store is incomplete: a conversion into it has not finished."""


class StoreExistsError(NgffBioError, FileExistsError):
    """The destination is not empty."""


class StoreBusyError(NgffBioError, BlockingIOError):
    """Another conversion is writing into the destination."""


class ConversionCancelledError(NgffBioError, KeyboardInterrupt):
    """The user cancelled a conversion; it can be resumed."""

    exit_code = 130


#: The name until version 0.1.
StoppedError = ConversionCancelledError


class NameNotFoundError(NgffBioError, KeyError):
    """The store has no image, label image or table of this name."""


class StorageError(NgffBioError, OSError):
    """Reading or writing failed: disk full, no permission, no response."""


class WorkerError(NgffBioError, RuntimeError):
    """A worker process died or could not be started."""


class FunctionError(NgffBioError, RuntimeError):
    """A function that the user gave failed."""


class DependencyError(NgffBioError, ImportError):
    """A required optional package is not installed."""


def closest_names(name: str, names: Iterable[str]) -> str:
    """The names most similar to one that does not exist, or else the first few, for a message."""
    import difflib

    known = list(names)
    return ", ".join(difflib.get_close_matches(name, known, 3) or known[:5])


def import_optional(module: str, install: str) -> Any:
    """An optional module; ``install`` is what pip installs it with.

    Raises
    ------
    DependencyError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"{module} is not installed",
            expected=module,
            found=error,
            hint=f"pip install '{install}'",
        ) from error


#: What parsers of Python say, and what a message says instead.
_PHRASES = (
    (r" \(char \d+\)", ""),
    (r"^Expecting ',' delimiter: ", "no comma or closing bracket at "),
    (r"^Expecting ':' delimiter: ", "no colon at "),
    (r"^Expecting property name enclosed in double quotes: ", "no key in double quotes at "),
    (r"^Expecting value: ", "no value at "),
    (r"^Extra data: ", "more text after the end of the value, at "),
    (r"^Invalid control character at: ", "a control character inside of a text at "),
    (r"^Invalid (\\.*escape).*: ", r"an invalid \1 at "),
    (r"^Unterminated string starting at: ", "no closing quote of the text at "),
    (r"^JSON is malformed: (.*) \((byte \d+)\)$", r"\1 at \2"),
    (r"^Object missing required field `(\w+)`", r"no key '\1'"),
    (r" - at `\$\.?(.*)`$", r" at \1"),
    (r".*LIBDEFLATE_BAD_DATA$|^Error -?\d+ while decompressing.*", "damaged compressed data"),
    (r"^unpack requires a buffer.*", "too few bytes"),
    (r"^Input data was truncated$", "the end of the file inside of a value"),
    (r"^invalid literal for int\(\) with base \d+: (.*)", r"\1, which is not an integer"),
    (r"^could not convert string to float: (.*)", r"\1, which is not a number"),
    (r"^(?:not enough|too many) values to unpack.*", "too few or too many values"),
    (r"^(?:list|tuple|string|index).* out of range$", "too few values"),
    (r"^zip\(\) argument .*", "lists of different lengths"),
)

#: Words of the language, by which a message is about the program and not about the file.
_PROGRAM = (
    r"'\w+' (and|object)|instances? of|argument|must be \w+, not|\w+ indices|has no attribute"
    r"|operand|division|iterable|unhashable|unpack|NoneType|positional|keyframe"
)


#: Types of msgspec in words.
_TYPES = {"int": "an integer", "float": "a number", "str": "a text", "bool": "true or false"}
_TYPES |= {"array": "a list", "object": "an object", "|": "or"}


def plain_type(text: str) -> str:
    """A type as msgspec writes it (``int | null``) in words."""
    return re.sub(r"\w+|\|", lambda word: _TYPES.get(word[0], word[0]), text)


def plain_reason(error: BaseException) -> str:
    """What an exception of Python or of a library says of a file, in words for its author."""
    text = str(error)
    if isinstance(error, KeyError):
        return f"no key {error.args[0]!r}" if error.args else "a missing key"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start:,} (0x{error.object[error.start]:02x}), which is not UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return "an escape such as \\ud800 that is half a character"
    if isinstance(error, RecursionError):
        return "brackets nested too deeply"
    if wrong := re.match(r"Expected `(.*)`, got `(.*?)`(?: - at `\$\.?(.*)`)?$", text):
        expected, found = map(plain_type, wrong.groups()[:2])
        return f"{found} instead of {expected}" + (f" at {wrong[3]}" if wrong[3] else "")
    for pattern, said in _PHRASES:
        text = re.sub(pattern, said, text)
    if not re.search(_PROGRAM, text):
        return text or type(error).__name__
    return f"a value that its format does not allow ({type(error).__name__})"
