"""Run-length JSON of label volumes, as the platelet-em collection has it.

One object: a key per label id, its value the text ``"start length start length ..."``. Starts count
from 1, in C order over the whole flattened volume (COCO's runs are column-major and count from 0: the
two must never share a decoder). ``.info`` holds ``shape`` and ``dtype``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.formats.rle.writer import INFO, RunLengthWriter, spelling_of
from ngff_bio.model import RunVolume, SourceFile, label_dtype

_MEND = "mend or replace the file, then run the same command again"


@dataclass(frozen=True, slots=True, eq=False)
class RunLengthLabels:
    """A decoded file: the volume, and what the file calls its values.

    ``source_ids`` is empty where the label values are the ids of the file. ``spelling`` is what the
    file says beyond its values, see :func:`ngff_bio.formats.rle.writer.spelling_of`.
    """

    volume: RunVolume
    ids: tuple[int, ...]
    source_ids: dict[int, int]
    info: Mapping[str, Any]
    spelling: Mapping[str, Any] = field(default_factory=dict)


def read_rle_json(file: SourceFile) -> RunLengthLabels:
    """Decode a file.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is not such a file, or its runs do not fit its shape or each other.
    """
    return decode_rle_json(_parse(file), file.name)


def _parse(file: SourceFile) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(file.read())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceError(
            "the file is not whole JSON",
            file=file.name,
            expected="a JSON object of label ids",
            found=error,
            hint="download or copy the file again",
        ) from error
    if not isinstance(content, dict):
        raise SourceError(
            "the file is no run-length JSON",
            file=file.name,
            expected="a JSON object with a key per label id",
            found=type(content).__name__,
        )
    return content


def decode_rle_json(content: Mapping[str, Any], name: str = "run-length JSON") -> RunLengthLabels:
    """Decode a parsed file.

    Parameters
    ----------
    content
        The JSON object.
    name
        File name for error messages.
    """
    info, shape = _info(content, name)
    keys = [k for k in content if k != INFO]
    ids = [_id(k, name) for k in keys]
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise SourceError("a label id is there twice", file=name, record=twice, hint=_MEND)
    fits = all(0 < i <= np.iinfo(np.uint32).max for i in ids)
    values = ids if fits else list(range(1, len(ids) + 1))
    runs = [_runs(content[k], k, shape, name) for k in keys]
    spelling = spelling_of(content, keys, runs, shape)
    starts = np.concatenate([r[0] for r in runs]) if runs else np.zeros(0, np.int64)
    lengths = np.concatenate([r[1] for r in runs]) if runs else np.zeros(0, np.int64)
    owner = np.repeat(np.asarray(values, np.int64), [len(r[0]) for r in runs])
    order = np.argsort(starts, kind="stable")
    starts, lengths, owner = starts[order], lengths[order], owner[order]
    source_ids = {} if fits else dict(zip(values, ids, strict=True))
    _no_overlap(starts, lengths, owner, source_ids, name)
    dtype = label_dtype(max(values, default=0))
    return RunLengthLabels(
        RunVolume(shape, starts, lengths, owner, dtype), tuple(ids), source_ids, info, spelling
    )


def _info(content: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], tuple[int, ...]]:
    info = content.get(INFO)
    if not isinstance(info, Mapping):
        raise SourceError(
            "the shape of the volume is not given",
            file=name,
            record=INFO,
            expected='an object like {"shape": [50, 800, 800], "dtype": "int32"}',
            found="nothing" if info is None else type(info).__name__,
            hint="add it with the shape of the image that the labels belong to",
        )
    shape = info.get("shape")
    if (
        not isinstance(shape, Sequence)
        or isinstance(shape, str)
        or not shape
        or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape)
    ):
        raise SourceError(
            "the shape of the volume is not a shape",
            file=name,
            record=f"{INFO}.shape",
            expected="a list of sizes above 0",
            found=shape,
            hint="write the shape of the image that the labels belong to",
        )
    _dtype(info.get("dtype"), name)
    return info, tuple(shape)


def _dtype(text: object, name: str) -> np.dtype[Any] | None:
    """The named type; ``np.`` and ``numpy.`` in front of it and ``int`` alone are known."""
    if text is None:
        return None
    plain = str(text).removeprefix("numpy.").removeprefix("np.")
    try:
        dtype = np.dtype(plain)
    except TypeError:
        dtype = None
    if dtype is None or dtype.kind not in "uib":
        raise SourceError(
            "the type of the volume is not known",
            file=name,
            record=f"{INFO}.dtype",
            expected='an integer type such as "int32" or "uint16"',
            found=text,
            hint="write the type of the label volume",
        )
    return dtype


def _id(key: str, name: str) -> int:
    try:
        return int(key)
    except ValueError as error:
        raise SourceError(
            "a key is no label id",
            file=name,
            record=repr(key),
            expected=f"whole numbers, and {INFO}",
            found=key,
            hint=_MEND,
        ) from error


def _runs(
    text: object, key: str, shape: tuple[int, ...], name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    numbers = _numbers(text, key, name)
    if numbers.size % 2:
        raise _bad_run(
            "an odd number of entries", key, name, "pairs of start and length", numbers.size
        )
    starts, lengths = numbers[0::2] - 1, numbers[1::2]
    size = int(np.prod(shape))
    if (wrong := np.flatnonzero(lengths <= 0)).size:
        i = int(wrong[0])
        raise _bad_run(
            "a run without length",
            key,
            name,
            "a length of 1 or more",
            f"start {starts[i] + 1}, length {lengths[i]}",
        )
    if (wrong := np.flatnonzero((starts < 0) | (starts + lengths > size))).size:
        i = int(wrong[0])
        raise _bad_run(
            "a run beyond the volume",
            key,
            name,
            f"starts from 1, and ends at most at {size}, for the shape {list(shape)}",
            f"start {starts[i] + 1}, length {lengths[i]}",
        )
    return starts, lengths


def _numbers(text: object, key: str, name: str) -> NDArray[np.int64]:
    if not isinstance(text, str):
        raise _bad_run(
            "runs that are no text", key, name, '"start length ..."', type(text).__name__
        )
    if not text.strip():
        return np.zeros(0, np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what cannot be read to its end is only warned of
        try:
            numbers = np.fromstring(text, np.int64, sep=" ")
        except (ValueError, DeprecationWarning):
            numbers = None
    if numbers is None or (
        numbers.size != text.count(" ") + 1 and numbers.size != len(text.split())
    ):
        wrong = next((w for w in text.split() if not w.removeprefix("-").isdecimal()), text[:40])
        raise _bad_run("an entry that is no whole number", key, name, "whole numbers", repr(wrong))
    return numbers


def _bad_run(what: str, key: str, name: str, expected: str, found: object) -> SourceError:
    return SourceError(
        f"label {key} has {what}",
        file=name,
        record=f"label {key}",
        expected=expected,
        found=found,
        hint=_MEND,
    )


def _no_overlap(
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    owner: NDArray[np.int64],
    source_ids: dict[int, int],
    name: str,
) -> None:
    over = np.flatnonzero(starts[1:] < starts[:-1] + lengths[:-1])
    if over.size:
        i = int(over[0])
        one, two = (source_ids.get(int(v), int(v)) for v in (owner[i], owner[i + 1]))
        raise SourceError(
            "two runs cover one voxel",
            file=name,
            record=f"labels {one} and {two}" if one != two else f"label {one}",
            expected="each voxel in one run at most",
            found=f"{over.size} overlaps, the first at position {starts[i + 1] + 1}",
            hint=_MEND,
        )


def encode_rle_json(labels: NDArray[Any], dtype: str = "int32") -> dict[str, Any]:
    """A label volume as a JSON-ready object, ids in ascending order, ``.info`` last.

    Parameters
    ----------
    labels
        Integers of any shape; 0 is background.
    dtype
        What ``.info`` says of the type.
    """
    writer = RunLengthWriter(labels.shape)
    writer.add(labels, 0)
    content: dict[str, Any] = msgspec.json.decode(writer.finish(dtype=dtype))
    return content
