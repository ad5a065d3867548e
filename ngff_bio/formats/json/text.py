"""JSON files that fit into memory, with one clear error for each way in which they can be broken."""

from __future__ import annotations

import codecs
import re
from typing import Any

import msgspec

from ngff_bio.errors import SourceError
from ngff_bio.model import SourceFile

_MEND = "download or copy the file again"


def parse_json(data: bytes, name: str, kind: Any = Any) -> Any:
    """The value of a JSON text; a byte order mark at its start is passed over.

    Parameters
    ----------
    data
        The text, in UTF-8.
    name
        File name for error messages.
    kind
        Type that msgspec decodes to, for the outermost object alone: ``dict[str, msgspec.Raw]``.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is empty, cut off, not UTF-8, nested too deep, has comments, or is no JSON otherwise.
    """
    if data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise SourceError(
            "the file holds something else",
            file=name,
            expected="a JSON object",
            found=_start(data),
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SourceError(
            "the file is not whole JSON",
            file=name,
            expected="JSON in UTF-8",
            found=f"{_why(data, error)}",
            hint=_mend(data),
        ) from error
    except RecursionError as error:
        raise SourceError(
            "the JSON is nested too deep",
            file=name,
            expected="at most some hundred brackets inside each other",
            found="more",
            hint="this is no annotation file: take it away",
        ) from error


def read_json(file: SourceFile, kind: Any = Any) -> Any:
    """The value of a JSON file; see `parse_json`."""
    return parse_json(file.read(), file.name, kind)


def _start(data: bytes) -> str:
    return repr(data[:40].decode("utf-8", "replace"))


def _why(data: bytes, error: Exception) -> str:
    if not data.strip():
        return "an empty file"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return f"byte {wrong.start} is not UTF-8"
    return str(error)


def _mend(data: bytes) -> str:
    if re.search(rb'(?:^|[\s,\[{])//[^"\n]*$', data[: 1 << 18], re.MULTILINE):
        return "JSON has no // comments: take them out"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "save the file in UTF-8"
    return _MEND
