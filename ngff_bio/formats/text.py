"""Small text files: lists of images, names of classes, tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from string import hexdigits

from ngff_bio.errors import SourceError, plain_reason
from ngff_bio.model import Rgba, SourceFile

#: Bytes of a list: that of the largest published dataset has 10 MB.
_LARGEST = 64 << 20


def hex_color(text: str | None) -> Rgba | None:
    """The color of ``#rrggbb``; ``None`` of any other text."""
    digits = (text or "").removeprefix("#")
    if len(digits) != 6 or not set(digits) <= set(hexdigits):
        return None
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue, 255


def text_of(file: SourceFile, what: str) -> str:
    """A small text file in UTF-8.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is large, or not text.
    """
    if file.size > _LARGEST:
        raise SourceError(
            f"{what} is larger than allowed",
            file=file.name,
            expected=f"at most {_LARGEST:,} bytes",
            found=f"{file.size:,} bytes",
            hint="if it is another file than its name says, leave it out with --exclude GLOB",
        )
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{what} is not text in UTF-8",
            file=file.name,
            found=plain_reason(error),
            hint="save the file in UTF-8",
        ) from error
    if "\0" in text:
        raise SourceError(
            f"{what} is not text",
            file=file.name,
            found="zero bytes",
            hint="the file is probably damaged: download or copy it again",
        )
    return text


def csv_bytes(rows: Iterable[Sequence[object]]) -> bytes:
    """A table of comma-separated values."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()
