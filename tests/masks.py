"""Masks of instances and instances of masks, by the simplest means: for comparing with references."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.runs import run_pixels, runs_from_mask
from ngff_bio.raster.shapes import rasterize_shapes


def mask_of(table: InstanceRuns, index: int = 0) -> NDArray[np.bool_]:
    """Boolean mask of one instance, which covers no pixel twice."""
    rows = slice(int(table.offsets[index]), int(table.offsets[index + 1]))
    pixels = run_pixels(table.starts[rows], table.lengths[rows], table.step)
    assert len(set(pixels.tolist())) == len(pixels)
    flat = np.zeros(math.prod(table.shape), np.bool_)
    flat[pixels] = True
    return flat.reshape(table.shape)


def masks_of(table: InstanceRuns) -> list[NDArray[np.bool_]]:
    """Boolean mask of each instance."""
    return [mask_of(table, index) for index in range(len(table))]


def table_of(masks: Iterable[NDArray[Any]], shape: Sequence[int]) -> InstanceRuns:
    """Row-major instances of boolean masks of one shape."""
    return InstanceRuns.from_runs(shape, [runs_from_mask(mask) for mask in masks])


def drawn_shape(
    size: tuple[int, int], points: Any, shape_type: str | None = None, mask: Any = None
) -> NDArray[np.bool_]:
    """One labelme shape as a boolean mask."""
    record = {"points": points, "shape_type": shape_type, "mask": mask}
    return mask_of(rasterize_shapes([record], size))


def counts_from_mask(mask: np.ndarray) -> np.ndarray:
    """Plain counts of a mask (height, width): an RLE's uncompressed list as an int64 array."""
    flat = np.asarray(mask).ravel(order="F") != 0
    edges = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]))
    counts = np.diff(edges)
    return np.concatenate(([0], counts)) if flat.size and flat[0] else counts
