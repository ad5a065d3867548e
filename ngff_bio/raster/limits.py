"""How much the instances of a frame may draw: a small file can state outlines without end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ngff_bio.errors import SourceError
from ngff_bio.raster.runs import IntArray

#: Runs of one instance: they take a hundred bytes of memory each while they are computed.
_INSTANCE_RUNS = 1 << 23

#: Runs of all instances: as many on any frame, and one for so many pixels of a large one.
_RUNS, _PIXELS_PER_RUN = 1 << 24, 8

#: Pixels of all instances: as many on any frame, and so often each pixel of a large one. Label images
#: hold fewer instances of one pixel.
_PIXELS, _COVERAGE = 1 << 27, 20

#: Runs that are computed at once.
_BATCH = 1 << 21


@dataclass(slots=True)
class Amount:
    """Runs and pixels of the instances of one frame of `shape` so far."""

    shape: Sequence[int]
    runs: int = 0
    pixels: int = 0

    def add(self, runs: int, pixels: int = 0) -> None:
        """Count what is to be drawn.

        Raises
        ------
        ngff_bio.errors.SourceError
            If it would be more than is allowed on the frame; then it is not counted.
        """
        size = math.prod(self.shape)
        for what, found, most in (
            ("rows or columns", self.runs + runs, max(_RUNS, size // _PIXELS_PER_RUN)),
            ("pixels", self.pixels + pixels, max(_PIXELS, size * _COVERAGE)),
        ):
            if found > most:
                raise SourceError(
                    f"the instances of a frame cover more {what} than allowed",
                    expected=f"at most {most:,} on {' x '.join(map(str, self.shape))} pixels, each "
                    "counted for every instance that covers it",
                    found=f"{found:,}",
                    hint="remove instances that lie on top of each other, simplify outlines that cross "
                    "themselves, or leave them out with --on-error skip",
                )
        self.runs += runs
        self.pixels += pixels


def batches(runs: IntArray, shape: Sequence[int]) -> list[slice]:
    """Which instances are drawn at once, by the number of runs that each will have.

    Raises
    ------
    ngff_bio.errors.SourceError
        If one of them, or all together, have more than allowed.
    """
    if runs.size and int(runs.max()) > _INSTANCE_RUNS:
        raise SourceError(
            "an outline crosses more rows or columns than allowed",
            record=f"segmentation {int(runs.argmax())}",
            expected=f"at most {_INSTANCE_RUNS:,}",
            found=f"{int(runs.max()):,}",
            hint="simplify the outline, or leave it out with --on-error skip",
        )
    Amount(shape).add(int(runs.sum()))
    total = np.cumsum(runs)
    found, first = [], 0
    while first < runs.size:
        last = int(np.searchsorted(total, total[first] - runs[first] + _BATCH, "right"))
        found.append(slice(first, max(last, first + 1)))
        first = found[-1].stop
    return found
