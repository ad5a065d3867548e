"""Inputs of the write benchmarks, made once and the same every time.

    python data.py FOLDER [plane volume stack livecell platelet]

- ``plane/plane.tif``: 9122 x 9163 uint8, one page, not compressed (83.6 MB)
- ``volume/volume.tif``: 50 x 800 x 800 uint16 (64 MB)
- ``stack/stack.ome.tif``: 2 channels, 64 planes, 4096 x 4096 uint16, tiles of 512 (4.3 GB)
- ``livecell/``: LIVECell at its full size; ``platelet/``: platelet-em at its full size
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from makers import make_livecell, make_platelet_em


def ground(shape: tuple[int, int], read_block_shape: int, rng: np.random.Generator) -> NDArray[Any]:
    """A smooth field between 0 and 1: random points, joined by straight lines along both axes."""
    coarse = rng.random([-(-n // read_block_shape) + 2 for n in shape]).astype("f4")
    rows, columns = (np.arange(n) / read_block_shape for n in shape)
    top = coarse[rows.astype(int)]
    top += (coarse[rows.astype(int) + 1] - top) * (rows % 1).astype("f4")[:, None]
    left = top[:, columns.astype(int)]
    left += (top[:, columns.astype(int) + 1] - left) * (columns % 1).astype("f4")[None, :]
    return left


def plane(folder: Path) -> None:
    """A large plane of 8 bits: soft shapes, and noise of a camera."""
    rng = np.random.default_rng(7)
    img = 40 + 160 * ground((9122, 9163), 100, rng)
    img += rng.normal(0, 3, img.shape).astype("f4")
    tifffile.imwrite(folder / "plane.tif", img.clip(0, 255).astype("u1"))


def volume(folder: Path) -> None:
    """A volume of 16 bits over nearly the whole range."""
    rng = np.random.default_rng(8)
    planes = [40000 * ground((800, 800), 12, rng) for _ in range(6)]
    out = np.empty((50, 800, 800), "u2")
    for z in range(50):
        low, part = divmod(z / 10, 1)
        mixed = planes[int(low)] * (1 - part) + planes[int(low) + 1] * part
        out[z] = (mixed + 3000 + rng.normal(0, 600, mixed.shape)).clip(0, 65535)
    tifffile.imwrite(folder / "volume.tif", out)


def stack(folder: Path, channels: int = 2, planes: int = 64, side: int = 4096) -> None:
    """A two-channel stack as OME-TIFF, tiled: its noise grows with the signal."""
    rng = np.random.default_rng(9)
    fields = [[9000 * ground((side, side), g, rng) for g in (24, 60)] for _ in range(channels)]

    def tiles() -> Any:
        for fine, wide in fields:
            for z in range(planes):
                part = z / (planes - 1)
                img = np.roll(fine, 3 * z, 1) * (1 - part) + np.roll(wide, 5 * z, 0) * part + 400
                noise = rng.standard_normal(img.shape, "f4")
                img += noise * (20 + 0.004 * img)
                whole = img.clip(0, 65535).astype("u2")
                for y in range(0, side, 512):
                    for x in range(0, side, 512):
                        yield whole[y : y + 512, x : x + 512]

    metadata = {
        "axes": "CZYX",
        "PhysicalSizeX": 0.325,
        "PhysicalSizeY": 0.325,
        "PhysicalSizeZ": 1.0,
        "Channel": {"Name": ["DAPI", "GFP"]},
    }
    tifffile.imwrite(
        folder / "stack.ome.tif",
        tiles(),
        shape=(channels, planes, side, side),
        dtype="u2",
        tile=(512, 512),
        bigtiff=True,
        ome=True,
        photometric="minisblack",
        metadata=metadata,
    )


def livecell(folder: Path) -> None:
    """LIVECell at its full size: 5,239 images, 1.6 million polygons."""
    make_livecell(folder, size="full", processes=2)


def platelet(folder: Path) -> None:
    """platelet-em at its full size, both volumes with all labels."""
    make_platelet_em(folder, size="full")


MAKERS = {m.__name__: m for m in (plane, volume, stack, livecell, platelet)}


def make(root: Path, names: list[str]) -> None:
    """Make what is not there yet; what was made half is made again."""
    for name in names:
        folder = root / name
        if (folder / ".made").exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        MAKERS[name](folder)
        (folder / ".made").touch()


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2:] or list(MAKERS))
