"""Outlines as OpenCV fills them (``fillPoly``): vertices are pixels, and sides are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.limits import Amount
from ngff_bio.raster.polygons import rasterize_centers
from ngff_bio.raster.runs import run_pixels, union_runs

IntArray = NDArray[np.int64]


def rasterize_filled(
    segmentations: Sequence[Sequence[Sequence[float]]], shape: tuple[int, int]
) -> InstanceRuns:
    """Pixels whose center is inside an outline, and those of its sides.

    Coordinates are rounded to pixels, 0, 0 the first one. A side is drawn from left to right, a pixel
    for each step along its longer direction (Bresenham). Parameters and errors are those of
    `rasterize_centers`.
    """
    height, width = shape
    parts = [[np.rint(np.asarray(p, np.float64)) for p in one] for one in segmentations]
    inside = rasterize_centers([[(p + 0.5).tolist() for p in one] for one in parts], shape)
    y, x = np.divmod(inside.starts, width)
    begins = [(inside.owners * height + y) * (width + 1) + x]
    lengths = [inside.lengths]
    amount = Amount(shape)
    for owner, one in enumerate(parts):
        for part in one:
            y, x = _sides(part.reshape(-1, 2).astype(np.int64), shape, amount)
            begins.append((owner * height + y) * (width + 1) + x)
            lengths.append(np.ones_like(x))
    begin, length = np.concatenate(begins), np.concatenate(lengths)
    order = np.argsort(begin, kind="stable")
    begin, length = union_runs(begin[order], (begin + length)[order])
    line, x = np.divmod(begin, width + 1)
    owner_of, y = np.divmod(line, height)
    return InstanceRuns.from_owners(shape, len(segmentations), owner_of, y * width + x, length)


def _sides(xy: IntArray, shape: tuple[int, int], amount: Amount) -> tuple[IntArray, IntArray]:
    """Rows and columns of the pixels of the sides of a part that are on the plane."""
    ends = np.roll(xy, -1, axis=0)
    turned = (xy[:, 0] > ends[:, 0])[:, None]
    (x0, y0), (x1, y1) = np.where(turned, ends, xy).T, np.where(turned, xy, ends).T
    across, down = x1 - x0, np.abs(y1 - y0)
    flat, sign = across >= down, np.where(y1 < y0, -1, 1)
    longer, shorter = np.maximum(across, down), np.minimum(across, down)
    # Only steps whose longer coordinate is on the plane: sides may be very long.
    start = np.where(flat, x0, sign * y0)
    low = np.where(flat | (sign > 0), 0, 1 - shape[0])
    high = np.where(flat, shape[1] - 1, np.where(sign > 0, shape[0] - 1, 0))
    first = np.maximum(low - start, 0)
    count = np.maximum(np.minimum(high - start, longer) - first + 1, 0)
    amount.add(int(count.sum()))
    step, at = run_pixels(first, count), np.repeat(np.arange(len(xy)), count)
    twice = np.maximum(2 * longer[at], 1)
    aside = -((longer[at] - 2 * shorter[at] * step) // twice)
    x = x0[at] + np.where(flat[at], step, aside)
    y = y0[at] + sign[at] * np.where(flat[at], aside, step)
    kept = (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])
    return y[kept], x[kept]
