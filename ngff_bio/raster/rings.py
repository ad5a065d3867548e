"""Outlines of masks: closed rings along pixel edges that cover a mask exactly, and edge pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ngff_bio.model import PixelArray
from ngff_bio.raster.runs import BoolArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Ring:
    """One closed outline: ``points`` are int64 (n, 2) corners (x, y), the first not repeated.

    Coordinates are those of pixel edges: pixel (x, y) covers [x, x + 1) x [y, y + 1). Outer rings and
    holes both run clockwise as an image is shown (y down).
    """

    points: IntArray
    hole: bool

    @property
    def area(self) -> int:
        """Number of pixels inside, holes included."""
        x, y = self.points[:, 0], self.points[:, 1]
        return abs(int(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))) // 2


def rings_of_mask(mask: npt.NDArray[np.bool_], origin: tuple[int, int] = (0, 0)) -> list[Ring]:
    """Rings of a mask (y, x); pixels that touch only at a corner are in rings of their own.

    Parameters
    ----------
    origin
        x, y of the mask's first pixel.

    Returns
    -------
    list of Ring
        From top to bottom by their first corner. The outer rings without the holes are the mask.
    """
    padded = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), np.bool_)
    padded[1:-1, 1:-1] = mask
    above_left, above_right = padded[:-1, :-1], padded[:-1, 1:]
    below_left, below_right = padded[1:, :-1], padded[1:, 1:]
    count = above_left.astype(np.uint8) + above_right + below_left + below_right
    crossing = (count == 2) & (above_left == below_right)  # two pixels that share a corner only
    rows, columns = np.nonzero((count % 2 == 1) | crossing)
    if not rows.size:
        return []
    # Each corner once, a crossing twice: first as the end of the edge from the left.
    twice = crossing[rows, columns]
    at = np.repeat(np.arange(rows.size), 1 + twice)
    second = np.concatenate(([False], at[1:] == at[:-1]))
    rows, columns, twice = rows[at], columns[at], twice[at]
    # At a crossing the edge from the left continues up if the upper left pixel is set, else down.
    falling = above_left[rows, columns]
    low_first = np.where(twice, np.where(falling, second, ~second), False)
    across = _partners(np.lexsort((second, columns, rows)))
    down = _partners(np.lexsort((low_first, rows, columns)))
    return _followed(rows, columns, across, down, padded, origin)


def _partners(order: IntArray) -> IntArray:
    """The other end of the edge that each corner is on: along a line corners come in pairs."""
    partner = np.empty(order.size, np.int64)
    partner[order[0::2]] = order[1::2]
    partner[order[1::2]] = order[0::2]
    return partner


def _followed(
    rows: IntArray,
    columns: IntArray,
    across: IntArray,
    down: IntArray,
    padded: npt.NDArray[np.bool_],
    origin: tuple[int, int],
) -> list[Ring]:
    next_across, next_down = across.tolist(), down.tolist()
    seen = bytearray(rows.size)
    rings = []
    for start in range(rows.size):
        if seen[start]:
            continue
        # The first corner of a ring in this order is its upper left one: go right, then down.
        ring, at = [], start
        while not seen[at]:
            other = next_across[at]
            ring += [at, other]
            seen[at] = seen[other] = 1
            at = next_down[other]
        points = np.stack([columns[ring] + origin[0], rows[ring] + origin[1]], axis=1)
        inside = bool(padded[rows[start] + 1, columns[start] + 1])
        rings.append(Ring(points.astype(np.int64), hole=not inside))
    return rings


def polygons_of_rings(rings: Sequence[Ring]) -> list[list[Ring]]:
    """Rings as polygons: each an outer ring followed by its holes."""
    outers = [r for r in rings if not r.hole]
    polygons = [[r] for r in outers]
    for hole in rings:
        if hole.hole:
            x, y = hole.points[0] + 0.5  # centre of the hole's upper left pixel
            around = [i for i, r in enumerate(outers) if _holds(r, float(x), float(y))]
            polygons[min(around, key=lambda i: outers[i].area)].append(hole)
    return polygons


def _holds(ring: Ring, x: float, y: float) -> bool:
    """Whether a point that is not on an edge is inside: the number of edges above it is odd."""
    one, two = ring.points, np.roll(ring.points, -1, axis=0)
    level = one[:, 1] == two[:, 1]
    low = np.minimum(one[:, 0], two[:, 0])
    high = np.maximum(one[:, 0], two[:, 0])
    return bool(np.count_nonzero(level & (low < x) & (x < high) & (one[:, 1] < y)) % 2)


def joined_ring(rings: Sequence[Ring]) -> IntArray:
    """All rings as one, joined by bridges without area: (n, 2), for formats of one ring per object.

    Filled by the even-odd rule it covers what the rings cover.
    """
    first = rings[0].points
    pieces = [first]
    for ring in rings[1:]:
        pieces += [first[:1], ring.points, ring.points[:1]]
    return np.concatenate([*pieces, first[:1]] if len(rings) > 1 else pieces)


def outlines(labels: PixelArray) -> BoolArray:
    """Inner boundary pixels of a label plane (height, width).

    True where a label that is not 0 has a 4-neighbour of another value. A label that is cut by the
    border of the image has no outline there.
    """
    edge = np.zeros(labels.shape, np.bool_)
    across = labels[1:] != labels[:-1]
    edge[1:] |= across
    edge[:-1] |= across
    along = labels[:, 1:] != labels[:, :-1]
    edge[:, 1:] |= along
    edge[:, :-1] |= along
    edge &= labels != 0
    return edge
