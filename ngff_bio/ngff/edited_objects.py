"""Which objects of a label image were edited after the conversion, as its attributes list them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.ngff.attributes import edits_of, further_field

#: Key among the attributes of a label image: a list of [frame, first label value, last label value].
EDITED_OBJECTS = "edited_objects"

#: Entries of that list at most. Beyond that, values between two edited ones count as edited too.
_LISTED = 2000


@dataclass(frozen=True)
class EditedObjects:
    """Label values of edited objects, added and removed ones too: closed ranges by frame, sorted."""

    ranges: Mapping[int, NDArray[np.int64]]

    def has(self, t: int, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Which values on a frame are those of edited objects."""
        if t not in self.ranges:
            return np.zeros(values.shape, bool)
        first, last = self.ranges[t].T
        at = np.searchsorted(first, values, side="right") - 1
        return np.asarray((at >= 0) & (values <= last[at]))

    def to_json(self) -> list[list[int]]:
        """The list of the attributes."""
        return [[t, a, b] for t, ranges in self.ranges.items() for a, b in ranges.tolist()]


def edited_objects(own: Mapping[str, Any]) -> EditedObjects | None:
    """The objects of a label image that were edited; ``None`` if that is not known.

    Parameters
    ----------
    own
        Its attributes under the key ``ngff_bio``.
    """
    listed = further_field(own, EDITED_OBJECTS)
    if listed is None:
        return None if edits_of(own) else EditedObjects({})
    if not isinstance(listed, list) or not all(map(_is_range, listed)):
        return None
    return _by_frame(sorted(listed))


def _is_range(given: object) -> bool:
    return (
        isinstance(given, list)
        and len(given) == 3
        and all(type(n) is int and 0 <= n < 1 << 62 for n in given)
    )


def with_edits(known: EditedObjects, keys: Iterable[tuple[int, int]]) -> EditedObjects:
    """With further objects, given by frame and label value."""
    rows = sorted([*known.to_json(), *([t, value, value] for t, value in keys)])
    joined: list[list[int]] = []
    for t, first, last in rows:
        if joined and joined[-1][0] == t and first <= joined[-1][2] + 1:
            joined[-1][2] = max(joined[-1][2], last)
        else:
            joined.append([t, first, last])
    gaps = [(b[1] - a[2], i) for i, (a, b) in enumerate(pairwise(joined)) if a[0] == b[0]]
    for _, i in sorted(sorted(gaps)[: max(len(joined) - _LISTED, 0)], key=lambda g: -g[1]):
        joined[i][2] = joined[i + 1][2]
        del joined[i + 1]
    return _by_frame(joined)


def _by_frame(rows: Iterable[list[int]]) -> EditedObjects:
    ranges: dict[int, list[list[int]]] = defaultdict(list)
    for t, first, last in rows:
        ranges[t].append([first, last])
    return EditedObjects({t: np.array(r, np.int64) for t, r in ranges.items()})
