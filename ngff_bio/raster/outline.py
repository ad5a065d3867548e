"""Outlines of labels, for previews."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ngff_bio.raster.runs import BoolArray


def outlines(labels: npt.NDArray[Any]) -> BoolArray:
    """Inner boundary pixels of a label plane (height, width).

    True where a label that is not 0 has a 4-neighbour of another value. The border of the image is
    no neighbour: a label that is cut by it has no outline there.
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
