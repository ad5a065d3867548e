"""Files of microscopes: CZI files as Zeiss's own library writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pylibCZIrw import czi

from makers.truth import Truth, written_below


def write_czi(
    path: Path, pixels: NDArray[Any], *, scenes: int = 1, **metadata: dict[int, str] | float
) -> None:
    """Write planes of (t, c, z, y, x, samples); scene n is n brighter than the first.

    ``metadata`` are ``channel_names`` and ``scale_x``, ``scale_y``, ``scale_z`` in meters.
    """
    with czi.create_czi(str(path)) as file:
        for scene in range(scenes):
            for t, c, z in np.ndindex(pixels.shape[:3]):
                place = {"scene": scene, "location": (scene * 200, 0)} if scenes > 1 else {}
                plane = (pixels[t, c, z] + scene).astype(pixels.dtype)
                file.write(plane, plane={"T": t, "C": c, "Z": z}, **place)
        if metadata:
            file.write_metadata("document", **metadata)


def make_microscope(folder: str | Path) -> Truth:
    """A CZI file of one image with all axes, and one of two scenes in a folder."""
    root = Path(folder) / "microscope"
    (root / "day 1").mkdir(parents=True)
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 60000, (2, 2, 3, 48, 60, 1)).astype(np.uint16)
    write_czi(root / "a.czi", pixels)
    write_czi(root / "day 1" / "b.czi", pixels[:1, :1, :1], scenes=2)
    return Truth(root=root, files=written_below(root))
