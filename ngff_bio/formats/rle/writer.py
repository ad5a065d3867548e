"""Run-length JSON from label values, in the spelling of the file that they came from.

The usual spelling: ids in ascending order, each with as few runs as possible, ``.info`` at the end.
`spelling_of` returns how a file differs from it, small enough to be kept as an attribute, and
`RunLengthWriter` writes it so again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.formats.json.text import JsonObject
from ngff_bio.model import PixelArray
from ngff_bio.raster.runs import runs_of_labels

INFO = ".info"
_Runs = tuple[NDArray[np.int64], NDArray[np.int64]]


def spelling_of(
    content: Mapping[str, Any], keys: Sequence[str], runs: Sequence[_Runs], shape: tuple[int, ...]
) -> JsonObject:
    """How a file writes its label values.

    Parameters
    ----------
    content
        The JSON object.
    keys
        Its keys without ``.info``, in their order.
    runs
        0-based starts and lengths of each.
    shape
        Of the volume.

    Returns
    -------
    dict
        ``info`` verbatim; ``info_at`` its position among the keys, if it is not the last; ``keys``
        if they are not the ids in ascending order; ``split`` if runs end at every multiple of it;
        ``runs`` verbatim for other keys whose runs could be fewer.
    """
    spelling: JsonObject = {"info": content[INFO]}
    place = list(content).index(INFO)
    if place != len(keys):
        spelling["info_at"] = place
    usual = sorted({int(k) for k, (starts, _) in zip(keys, runs, strict=True) if starts.size})
    if list(keys) != [str(i) for i in usual]:
        spelling["keys"] = list(keys)
    texts = {k: content[k] for k in keys}
    joined = [_joined(*r) for r in runs]
    plain = [_is_plain(texts[k], *r) for k, r in zip(keys, runs, strict=True)]
    fewest = [_same(r, j) for r, j in zip(runs, joined, strict=True)]
    rest = [k for k, p, f in zip(keys, plain, fewest, strict=True) if not (p and f)]
    if not rest:
        return spelling
    for size in dict.fromkeys((shape[-1], int(np.prod(shape[-2:])))):
        if all(plain) and all(
            _same(r, _split(*j, size)) for r, j in zip(runs, joined, strict=True)
        ):
            spelling["split"] = size
            return spelling
    spelling["runs"] = {k: texts[k] for k in rest}
    return spelling


def _same(one: _Runs, other: _Runs) -> bool:
    return np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])


#: Powers of ten, to count digits.
_TENS = 10 ** np.arange(1, 19, dtype=np.int64)


def _is_plain(text: str, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> bool:
    """Whether a text of these runs is as `_text` writes it.

    It is if it is no longer than its digits and one space between two numbers; writing the text
    again to compare it would take longer than decoding the file.
    """
    numbers = 2 * starts.size
    if not numbers:
        return not text
    digits = sum(int(np.searchsorted(_TENS, n, side="right").sum()) for n in (starts + 1, lengths))
    return len(text) == digits + numbers + numbers - 1 and text.count(" ") == numbers - 1


def _joined(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> _Runs:
    """The same pixels in ascending runs that do not touch."""
    if not starts.size:
        return starts, lengths
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], (starts + lengths)[order]
    first = np.flatnonzero(np.concatenate(([True], starts[1:] > ends[:-1])))
    last = np.concatenate((first[1:] - 1, [starts.size - 1]))
    return starts[first], ends[last] - starts[first]


def _split(starts: NDArray[np.int64], lengths: NDArray[np.int64], size: int) -> _Runs:
    """Runs cut at every multiple of `size`."""
    pieces = (starts + lengths - 1) // size - starts // size + 1
    at = np.repeat(np.arange(starts.size), pieces)
    number = np.arange(at.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    edge = (starts[at] // size + number) * size
    begin = np.maximum(starts[at], edge)
    end = np.minimum((starts + lengths)[at], edge + size)
    return begin, end - begin


def _text(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> str:
    """Runs as the format writes them, with starts from 1."""
    return " ".join(map(str, np.stack([starts + 1, lengths], axis=1).ravel().tolist()))


class RunLengthWriter:
    """Collects the runs of a label volume, block by block.

    Parameters
    ----------
    shape
        Of the volume.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._values: list[NDArray[np.int64]] = []
        self._starts: list[NDArray[np.int64]] = []
        self._lengths: list[NDArray[np.int64]] = []

    def add(self, labels: PixelArray, offset: int) -> None:
        """Add a block that is contiguous in the volume, from its flat `offset` on."""
        values, starts, lengths = runs_of_labels(labels, offset)
        self._values.append(values.astype(np.int64))
        self._starts.append(starts)
        self._lengths.append(lengths)

    def finish(
        self,
        ids: Mapping[int, str] | None = None,
        spelling: Mapping[str, Any] | None = None,
        dtype: str = "int32",
    ) -> bytes:
        """The file.

        Parameters
        ----------
        ids
            The source's id of each label value where the two differ.
        spelling
            How the source's file was written, from `spelling_of`; ``None`` for the usual spelling.
        dtype
            Type for ``.info`` if there is no spelling.
        """
        spelling = spelling or {"info": {"shape": list(self.shape), "dtype": dtype}}
        ids = ids or {}
        runs = {str(int(ids.get(v, v))): r for v, r in self._by_value().items()}
        names = {int(k): k for k in spelling.get("keys", ())}
        keys = spelling.get("keys") or sorted(runs, key=int)
        verbatim = spelling.get("runs", {})
        content: JsonObject = {}
        for key in [*keys, *(k for k in runs if names and int(k) not in names)]:
            starts, lengths = runs.get(str(int(key)), _NONE)
            if spelling.get("split"):
                starts, lengths = _split(starts, lengths, spelling["split"])
            content[key] = verbatim.get(key, None) or _text(starts, lengths)
        items = list(content.items())
        items.insert(spelling.get("info_at", len(items)), (INFO, spelling["info"]))
        return json.dumps(dict(items), ensure_ascii=False).encode()

    @property
    def count(self) -> int:
        """Number of different label values so far."""
        return len(np.unique(np.concatenate(self._values))) if self._values else 0

    def _by_value(self) -> dict[int, _Runs]:
        if not self._values:
            return {}
        values = np.concatenate(self._values)
        starts, lengths = np.concatenate(self._starts), np.concatenate(self._lengths)
        order = np.lexsort((starts, values))
        values, starts, lengths = values[order], starts[order], lengths[order]
        if not values.size:
            return {}
        edges = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1], [True])))
        return {
            int(values[a]): _joined(starts[a:b], lengths[a:b]) for a, b in pairwise(edges.tolist())
        }


_NONE: _Runs = (np.zeros(0, np.int64), np.zeros(0, np.int64))
