"""JSON as the standard has it, of files small enough to parse whole."""

from __future__ import annotations

import json
from typing import Any

from ngff_bio.errors import SourceError
from ngff_bio.model import SourceFile


def read_json(file: SourceFile) -> Any:
    """What a JSON file says, keys in their order.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is not UTF-8, cut off, malformed (comments, ``NaN``), nested too deep, or has a key
        twice in one object.
    """
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            "the JSON file is not UTF-8",
            file=file.name,
            record=f"byte {error.start}",
            expected="UTF-8, as RFC 8259 has it",
            found=repr(error.object[error.start : error.start + 10]),
            mend="save it anew as UTF-8",
        ) from error
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _malformed(file, text, error) from error
    except RecursionError as error:
        raise SourceError(
            "the JSON file is nested too deep",
            file=file.name,
            expected="a few lists and objects in each other",
            mend="this is no annotation file: take it away",
        ) from error
    except SourceError as error:
        error.file = file.name
        raise


def parse_json(text: str) -> Any:
    """JSON of a field of a table, or ``None`` where it is none."""
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return None


def _malformed(file: SourceFile, text: str, error: json.JSONDecodeError) -> SourceError:
    record = f"line {error.lineno}, column {error.colno}"
    rest = text[error.pos :].lstrip(", \t\r\n")
    if rest.startswith(("//", "/*")):
        return SourceError(
            "the file has comments, and so is no JSON",
            file=file.name,
            record=record,
            expected="JSON as RFC 8259 has it",
            found=rest.partition("\n")[0][:80],
            mend="take the comments out",
        )
    if error.pos >= len(text.rstrip()):
        return SourceError(
            "the JSON file is cut off" if text.strip() else "the JSON file is empty",
            file=file.name,
            record=record,
            expected=error.msg,
            found="the end of the file",
            mend="download or copy the file again",
        )
    return SourceError(
        "the file is no valid JSON",
        file=file.name,
        record=record,
        expected=error.msg,
        found=repr(text[error.pos : error.pos + 30]),
        mend="correct it there, or download the file again",
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise SourceError(
            "a key is there twice in one object",
            record=repr(twice),
            expected="each key once: readers differ in which they take",
            mend="rename or remove one of the two",
        )
    return found


def _no_constant(text: str) -> Any:
    raise SourceError(
        "a number is not finite", expected="a number, as JSON has it", found=text, mend="correct it"
    )
