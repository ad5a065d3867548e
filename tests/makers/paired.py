"""Makes folders of images that are paired with label images or masks, in the layouts of their tools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from makers.truth import Truth, written_below

SIZE = (40, 50)


def disk(y: int, x: int, radius: int, value: int = 255) -> np.ndarray:
    """A disk on a plane of `SIZE`."""
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    return np.where((rows - y) ** 2 + (columns - x) ** 2 <= radius**2, value, 0).astype(np.uint8)


def rgba(seed: int) -> np.ndarray:
    """An opaque image in colors, with alpha, as the competition has them."""
    image = np.random.default_rng(seed).integers(0, 255, (*SIZE, 4), np.uint8)
    image[..., 3] = 255
    return image


def put(file: Path, array: np.ndarray) -> None:
    """Write a PNG or TIFF."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".tif":
        tifffile.imwrite(file, array, photometric="minisblack", metadata=None)
        return
    Image.fromarray(array).save(file)


def make_object_masks(folder: Path, *, size: str = "tiny", seed: int = 0) -> Truth:
    """The Data Science Bowl 2018, as its zip unpacks: masks overlap, one is at a corner."""
    disks = {"a1f0": [(10, 10, 6), (14, 12, 5), (38, 48, 4)], "b2e9": [(20, 20, 9)]}
    for name, listed in disks.items():
        put(folder / f"stage1_train/{name}/images/{name}.png", rgba(seed + len(listed)))
        for number, one in enumerate(listed):
            put(folder / f"stage1_train/{name}/masks/{name}0{number}c.png", disk(*one))
    put(folder / "stage1_test/c3d8/images/c3d8.png", rgba(seed + 7))
    return Truth(folder, written_below(folder))


#: Track 1 divides after frame 1 into 2 and 3; 7 is alone on frame 3. Label, first, last, parent.
TRACKS = [(1, 0, 1, 0), (2, 2, 3, 1), (3, 2, 2, 1), (7, 3, 3, 0)]


def _markers(t: int, radius: int) -> np.ndarray:
    labels = np.zeros(SIZE, np.uint16)
    for label, first, last, _ in TRACKS:
        if first <= t <= last:
            labels[disk(5 + 8 * (label % 4), 10 + 6 * t, radius) > 0] = label
    return labels


def make_cell_tracking(folder: Path, *, size: str = "tiny", seed: int = 0) -> Truth:
    """A 2-D movie of the Cell Tracking Challenge with all its folders, and a 3-D one of planes."""
    noise = np.random.default_rng(seed)
    flat, deep = folder / "PhC-C2DH-U373", folder / "Fluo-N3DH-CE"
    text = "".join(f"{' '.join(map(str, track))}\n" for track in TRACKS)
    for t in range(4):
        put(flat / f"01/t{t:03}.tif", noise.integers(0, 255, SIZE, np.uint8))
        put(flat / f"01_GT/TRA/man_track{t:03}.tif", _markers(t, 1))
        put(flat / f"01_ST/SEG/man_seg{t:03}.tif", _markers(t, 4))
        put(flat / f"01_ERR_SEG/mask{t:03}.tif", _markers(t, 2))
        put(flat / f"01_RES/mask{t:03}.tif", _markers(t, 3))
    for t in (1, 3):
        put(flat / f"01_GT/SEG/man_seg{t:03}.tif", _markers(t, 4))
    put(flat / "02/t000.tif", noise.integers(0, 255, SIZE, np.uint8))
    put(flat / "02/t001.tif", noise.integers(0, 255, SIZE, np.uint8))
    (flat / "01_GT/TRA/man_track.txt").write_text(text)
    (flat / "01_RES/res_track.txt").write_text(text)
    for t in range(4):
        put(deep / f"01/t{t:03}.tif", noise.integers(0, 65535, (3, *SIZE), np.uint16))
        markers = np.stack([_markers(t, 1 + z) for z in range(3)])
        put(deep / f"01_GT/TRA/man_track{t:03}.tif", markers)
    put(deep / "01_GT/SEG/man_seg_001_002.tif", _markers(1, 4))
    put(deep / "01_GT/SEG/man_seg_001_000.tif", _markers(1, 2))
    put(deep / "01_GT/SEG/man_seg003.tif", markers)
    (deep / "01_GT/TRA/man_track.txt").write_text(text)
    return Truth(folder, written_below(folder))
