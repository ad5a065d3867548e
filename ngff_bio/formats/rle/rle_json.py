"""Run-length JSON of label volumes, as in the platelet-em collection.

One object: a key per label id, with the text ``"start length start length ..."`` as its value. Starts
count from 1, in C order over the whole flattened volume (COCO's runs are column-major and count from 0:
the two must never share a decoder). ``.info`` contains ``shape`` and ``dtype``. Source: the dataset's
page, whose example is a test.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.formats.json.text import checked, parse_json
from ngff_bio.formats.problems import SourceRecord
from ngff_bio.formats.rle.writer import INFO, spelling_of
from ngff_bio.model import RunVolume, SourceFile, label_dtype

_HINT = "correct or replace the file, then run the same command again"


class _Info(msgspec.Struct):
    shape: Annotated[list[Annotated[int, msgspec.Meta(gt=0)]], msgspec.Meta(min_length=1)]
    dtype: object = None


@dataclass(frozen=True, slots=True, eq=False)
class RunLengthLabels:
    """A decoded file.

    Parameters
    ----------
    volume
        The labels.
    ids
        Ids of the file, in its order.
    source_ids
        Id by label value; empty if the label values are the ids.
    spelling
        How the file writes its values, see `ngff_bio.formats.rle.writer.spelling_of`.
    """

    volume: RunVolume
    ids: tuple[int, ...]
    source_ids: dict[int, int]
    spelling: Mapping[str, object] = field(default_factory=dict)


def read_rle_json(file: SourceFile) -> RunLengthLabels:
    """Decode a file.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is not run-length JSON, or its runs do not fit its shape or each other.
    """
    content = parse_json(file.read(), file.name, unique_keys=True)
    if not isinstance(content, dict):
        raise SourceError(
            "the file is not run-length JSON",
            file=file.name,
            expected="a JSON object with a key per label id",
            found=type(content).__name__,
        )
    return decode_rle_json(content, file.name)


def decode_rle_json(
    content: Mapping[str, object], name: str = "run-length JSON"
) -> RunLengthLabels:
    """Decode a parsed file.

    Parameters
    ----------
    content
        The JSON object.
    name
        File name for error messages.
    """
    hint = f"{INFO} needs the shape of the image that the labels belong to"
    at = SourceRecord(name, INFO, hint)
    info = checked(content.get(INFO), _Info, at)
    _check_dtype(info.dtype, name)
    shape = tuple(info.shape)
    if math.prod(shape) >= 2**63:
        raise at.member(".shape").error("the volume is larger than any file", found=list(shape))
    keys = [k for k in content if k != INFO]
    ids = [_id(k, name) for k in keys]
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise SourceRecord(name, str(twice), _HINT).error("a label id occurs twice")
    fits = all(0 < i <= np.iinfo(np.uint32).max for i in ids)
    values = ids if fits else list(range(1, len(ids) + 1))
    runs = [_runs(content[k], k, shape, name) for k in keys]
    spelling = spelling_of(content, keys, runs, shape)
    starts = np.concatenate([r[0] for r in runs]) if runs else np.zeros(0, np.int64)
    lengths = np.concatenate([r[1] for r in runs]) if runs else np.zeros(0, np.int64)
    owner = np.repeat(np.asarray(values, np.int64), [len(r[0]) for r in runs])
    order = np.argsort(starts, kind="stable")
    starts, lengths, owner = starts[order], lengths[order], owner[order]
    over = np.flatnonzero(starts[1:] < starts[:-1] + lengths[:-1])
    if over.size:
        i = int(over[0])
        id_of = dict(zip(values, ids, strict=True))
        one, two = id_of[int(owner[i])], id_of[int(owner[i + 1])]
        raise SourceError(
            "two runs cover the same voxel",
            file=name,
            record=f"labels {one} and {two}" if one != two else f"label {one}",
            expected="each voxel in one run at most",
            found=f"{over.size} overlaps, the first at position {starts[i + 1] + 1}",
            hint=_HINT,
        )
    dtype = label_dtype(max(values, default=0))
    volume = RunVolume(shape, starts, lengths, owner, dtype)
    source_ids = {} if fits else dict(zip(values, ids, strict=True))
    return RunLengthLabels(volume, tuple(ids), source_ids, spelling)


def _check_dtype(text: object, name: str) -> None:
    """Refuse an unknown type; ``np.`` and ``numpy.`` in front of it and ``int`` alone are known."""
    if text is None:
        return
    name_of_type = str(text).removeprefix("numpy.").removeprefix("np.")
    try:  # NumPy also parses lists of types, with Python's own parser
        known = name_of_type.isalnum() and np.dtype(name_of_type).kind in "uib"
    except TypeError:
        known = False
    if not known:
        raise SourceError(
            "the type of the volume is unknown",
            file=name,
            record=f"{INFO}.dtype",
            expected='an integer type such as "int32" or "uint16"',
            found=text,
            hint="write the type of the label volume",
        )


def _id(key: str, name: str) -> int:
    try:
        return int(key)
    except ValueError as error:
        raise SourceError(
            "a key is not a label id",
            file=name,
            record=repr(key[:80]),
            expected=f"integers, and {INFO}",
            hint=_HINT,
        ) from error


def _runs(
    text: object, key: str, shape: tuple[int, ...], name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """0-based starts, and lengths."""

    def wrong(what: str, expected: str, found: object) -> SourceError:
        at = SourceRecord(name, f"label {key}", _HINT)
        return at.error(f"label {key} has {what}", expected=expected, found=found)

    if not isinstance(text, str):
        raise wrong("runs that are not text", '"start length ..."', type(text).__name__)
    if not text.strip():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # text that is not read to its end only causes a warning
        try:
            numbers = np.fromstring(text, np.int64, sep=" ")
        except (ValueError, DeprecationWarning):
            numbers = np.zeros(0, np.int64)
    if numbers.size != text.count(" ") + 1 and numbers.size != len(text.split()):
        odd = next((w for w in text.split() if not w.removeprefix("-").isdecimal()), text)
        raise wrong("an entry that is not an integer", "integers", repr(odd[:40]))
    if numbers.size % 2:
        raise wrong("an odd number of entries", "pairs of start and length", numbers.size)
    starts, lengths = numbers[0::2] - 1, numbers[1::2]
    size = math.prod(shape)
    for bad, what, expected in (
        (lengths <= 0, "a run without length", "a length of 1 or more"),
        (
            (starts < 0) | (starts > size) | (lengths > size - starts),
            "a run beyond the volume",
            f"starts from 1, and ends at most at {size}, for the shape {list(shape)}",
        ),
    ):
        if bad.any():
            i = int(np.argmax(bad))
            raise wrong(what, expected, f"start {starts[i] + 1}, length {lengths[i]}")
    return starts, lengths
