"""Makes LIVECell's nuclear count benchmark: phase images, nuclear stains, counts."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from makers.archives import add_member
from makers.textures import clouds, noise

_IMAGES = 6


@dataclass(frozen=True)
class CountTruth:
    """One set of the benchmark.

    Attributes
    ----------
    counts
        Number of nuclei by file name.
    phase, fluorescent
        Pixels (rows, columns) uint8 by file name: the same names in both archives.
    written
        The content of the JSON file: counts as they are spelled there.
    """

    counts: dict[str, int]
    phase: dict[str, NDArray[np.uint8]]
    fluorescent: dict[str, NDArray[np.uint8]]
    written: dict[str, int | float | str]


def write_count_benchmark(
    folder: Path, name: str, crop: tuple[int, int], seed: int, counts_as: str
) -> CountTruth:
    """Write ``<name>.zip``, ``<name>_fluorescent_images.zip``, ``<name>_counts.json``.

    `counts_as` is ``int``, ``float``, ``str``, or ``mixed``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng((seed, 5, zlib.crc32(name.encode())))
    counts: dict[str, int] = {}
    phase: dict[str, NDArray[np.uint8]] = {}
    fluorescent: dict[str, NDArray[np.uint8]] = {}
    for index in range(_IMAGES):
        file_name = f"{name}_Phase_B{2 + index}_1_{index:02d}d00h00m_{1 + index % 4}.tif"
        dark = np.float32(12) + clouds(rng, crop, crop[1] / 2) * np.float32(4)
        grey = np.float32(126) + clouds(rng, crop, crop[1] / 2) * np.float32(12)
        radius = max(crop[0] / 26, 2.0)
        number = 0 if index == _IMAGES - 1 else int(rng.integers(3, 12))
        y, x = np.mgrid[: crop[0], : crop[1]].astype(np.float32)
        # Nuclei lie on a coarse grid, so that none hides another.
        for spot in rng.permutation(20)[:number].tolist():
            centre_y = (spot // 5 + rng.uniform(0.35, 0.65)) * crop[0] / 4
            centre_x = (spot % 5 + rng.uniform(0.35, 0.65)) * crop[1] / 5
            inside = 1 - ((y - centre_y) ** 2 + (x - centre_x) ** 2) / np.float32(radius**2)
            dark += np.float32(170) * inside.clip(0, 1)
            grey -= np.float32(40) * (inside + 1.5).clip(0, 1)
        counts[file_name] = number
        fluorescent[file_name] = (dark + noise(rng, crop, 2)).clip(0, 255).astype(np.uint8)
        phase[file_name] = (grey + noise(rng, crop, 2)).clip(0, 255).astype(np.uint8)
    _write_archive(folder / f"{name}.zip", phase)
    _write_archive(folder / f"{name}_fluorescent_images.zip", fluorescent)
    written = {
        file_name: _spelled(count, counts_as, index)
        for index, (file_name, count) in enumerate(counts.items())
    }
    (folder / f"{name}_counts.json").write_text(json.dumps(written))
    return CountTruth(counts, phase, fluorescent, written)


def _spelled(count: int, counts_as: str, index: int) -> int | float | str:
    if counts_as == "mixed":
        counts_as = ("int", "float", "str")[index % 3]
    if counts_as == "int":
        return count
    return float(count) if counts_as == "float" else str(count)


def _write_archive(path: Path, images: dict[str, NDArray[np.uint8]]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, pixels in images.items():
            target = io.BytesIO()
            tifffile.imwrite(
                target, pixels, photometric="minisblack", compression="lzw", metadata=None
            )
            add_member(archive, name, target.getvalue())
