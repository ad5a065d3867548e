"""COCO segmentations as they come, polygons and RLEs mixed, of one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ngff_bio.raster.coco_rle import rasterize_rles
from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.polygons import rasterize_polygons


def rasterize_segmentations(segmentations: Sequence[Any], shape: tuple[int, int]) -> InstanceRuns:
    """Pixels of the ``segmentation`` of every annotation of one image, in their order.

    Parameters
    ----------
    segmentations
        Each a list of polygon parts, or an RLE (a mapping); see `rasterize_polygons` and
        `rasterize_rles` for both, and for the errors.
    shape
        Height and width of the image.
    """
    is_rle = np.array([isinstance(one, Mapping) for one in segmentations], np.bool_)
    if not is_rle.any():
        return rasterize_polygons(segmentations, shape)
    polygons = np.flatnonzero(~is_rle).tolist()
    rles = np.flatnonzero(is_rle).tolist()
    both = InstanceRuns.concatenate(
        [
            rasterize_polygons([segmentations[index] for index in polygons], shape),
            rasterize_rles([segmentations[index] for index in rles], shape),
        ]
    )
    return both.select(np.argsort(polygons + rles))
