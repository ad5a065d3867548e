"""Where instances of each class are, so that patches can be drawn from all classes alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.reader.access.image import ImageNode
from ngff_bio.reader.tables.rows import EVERY_ROW
from ngff_bio.reader.tables.tables import TablePart

#: Index of a frame, then the middle of an instance along each axis of a patch.
Places = NDArray[np.int64]


def places_by_class(
    images: Mapping[str, ImageNode],
    frames: Mapping[tuple[str, int, int], int],
    labels: Sequence[str],
    axes: Sequence[str],
    level: int,
) -> tuple[Places, ...]:
    """Places of the instances of each class, by the tables of their layers; classes by name.

    Parameters
    ----------
    frames
        Index of each frame by path, t and z; z is 0 where patches are volumes.
    axes
        Of a patch: y and x, or z, y and x.
    """
    found: dict[str, list[list[int]]] = defaultdict(list)
    for path, image in images.items():
        full, reduced = image.sizes, image.pixels.sizes(level)
        for name in (name for name in labels if name in image.tables):
            table = TablePart(image, name, EVERY_ROW, None, ()).read()
            if "category" not in table.schema.names:
                continue
            for row in table.to_pylist():
                middle: dict[str, int | None] = {a: _middle(row, a) for a in "zyx" if a in full}
                t, z = int(row.get("t") or 0), int(middle.get("z") or 0)
                at = frames.get((path, t, 0 if "z" in axes else z))
                where = [middle.get(a) for a in axes]
                if at is None or row["category"] is None or None in where:
                    continue
                scaled = [
                    int(m or 0) * reduced[a] // full[a] for m, a in zip(where, axes, strict=True)
                ]
                found[str(row["category"])].append([at, *scaled])
    return tuple(np.array(found[name], np.int64) for name in sorted(found))


def _middle(row: Mapping[str, Any], axis: str) -> int | None:
    """Middle of an instance along an axis, in pixels of level 0; ``None`` if it is not known."""
    side = {"x": "width", "y": "height"}.get(axis)
    if row.get(f"{axis}_start") is not None:
        return int(row[f"{axis}_start"] + row[f"{axis}_stop"]) // 2
    if side is not None and row.get(f"box_{axis}") is not None:
        return int(row[f"box_{axis}"] + row[f"box_{side}"] / 2 + (row.get(f"offset_{axis}") or 0))
    return None if row.get(axis) is None else int(row[axis])
