"""Run-length text of the platelet-em collection: 1-based starts, C order, the whole volume."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def run_text(labels: NDArray[np.integer]) -> dict[int, str]:
    """``"start length start length …"`` of every non-zero value of `labels`, ascending.

    Starts are 1-based and count over the flattened array in C order; a run continues across the end
    of a row and of a slice (as the collection's own encoder has it). COCO's run lengths are
    another thing: column by column and 0-based.
    """
    flat = np.ascontiguousarray(labels).reshape(-1)
    if flat.size == 0:
        return {}
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths = np.diff(np.append(starts, flat.size))
    values = flat[starts]
    kept = values != 0
    starts, lengths, values = starts[kept] + 1, lengths[kept], values[kept]
    order = np.argsort(values, kind="stable")
    pairs = np.stack([starts[order], lengths[order]], axis=1)
    ids, first = np.unique(values[order], return_index=True)
    ends = np.append(first[1:], len(order))
    return {
        int(value): " ".join(map(str, pairs[a:b].ravel().tolist()))
        for value, a, b in zip(ids.tolist(), first.tolist(), ends.tolist(), strict=True)
    }
