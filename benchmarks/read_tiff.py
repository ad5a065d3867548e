"""How fast TIFF pixels come into memory, against copying as much memory.

    python benchmarks/read_tiff.py FOLDER      (makes its files there, 9 GB)

Figures of a 2-core machine, files in the page cache, GB/s of pixels:

=======================================  =====  ========
file                                     read   tifffile
=======================================  =====  ========
uint8, 9122 x 9163, one strip             27.2      13.5
uint8, 9122 x 9163, strips of 64 rows     28.9      13.5
OME, uint16, 4.3 GB in tiles of 512        9.3       2.2
uint8, LZW strips of 64 rows              0.44      0.42
copy of memory                            21.7
=======================================  =====  ========
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

from ngff_bio.formats.tiff.images import open_tiff
from ngff_bio.sources.files.ranges import LocalFile


def rate(nbytes: int, call: Callable[[], object]) -> float:
    """GB/s of the best of three runs."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return nbytes / min(times) / 1e9


def main(folder: Path) -> None:
    plane = np.random.default_rng(0).integers(0, 255, (9122, 9163), np.uint8)
    wide = np.random.default_rng(0).integers(0, 4000, (23_000, 23_360), np.uint16)
    made = {
        "page, uint8, one strip": (plane, {"rowsperstrip": 9122}),
        "page, uint8, strips of 64 rows": (plane, {"rowsperstrip": 64}),
        "OME, uint16, tiles of 512": (np.stack([wide] * 4), {"tile": (512, 512), "ome": True}),
        "page, uint8, LZW strips of 64 rows": (
            plane // 64,
            {"rowsperstrip": 64, "compression": "lzw"},
        ),
    }
    for number, (name, (pixels, given)) in enumerate(made.items()):
        path = folder / f"{number}.ome.tif"
        if not path.exists():
            tifffile.imwrite(path, pixels, bigtiff=True, photometric="minisblack", **given)
        (image,) = open_tiff(
            LocalFile(str(folder), path.name), axes="z" if pixels.ndim == 3 else None
        )
        rows = image.pixels.shape[-2]

        def read_all(image=image, rows=rows) -> None:
            outer = [(0, 1)] * (len(image.pixels.shape) - 2)
            for plane in range(image.pixels.shape[0] if outer else 1):
                if outer:
                    outer[0] = (plane, plane + 1)
                for first in range(0, rows, 1024):
                    region = (*outer, (first, min(first + 1024, rows)), (0, image.pixels.shape[-1]))
                    image.pixels.read(region)

        print(
            f"{name:40} {rate(pixels.nbytes, read_all):6.2f}"
            f" {rate(pixels.nbytes, lambda path=path: tifffile.imread(path)):6.2f}"
        )
    target = np.empty_like(plane)
    print(f"copy of memory {rate(plane.nbytes, lambda: np.copyto(target, plane)):.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
