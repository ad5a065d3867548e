"""Makes folders of images that are paired with label images or masks, in the layouts of their tools."""

from __future__ import annotations

import json
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


def labels_of(seed: int, count: int = 5) -> np.ndarray:
    """Label values 1 to `count`, apart from each other."""
    found = np.zeros(SIZE, np.uint16)
    for value in range(1, count + 1):
        found[disk(6 * value, 8 + (seed + 7 * value) % 34, 2) > 0] = value
    return found


def gray(seed: int, kind: type = np.uint16) -> np.ndarray:
    """Noise."""
    return np.random.default_rng(seed).integers(0, 255, SIZE).astype(kind)


def cellpose_seg(masks: np.ndarray, name: str, **more: object) -> dict[str, object]:
    """The dictionary that ``cellpose.io.masks_flows_to_seg`` saves."""
    return {
        "outlines": masks.astype(np.uint16),
        "colors": np.zeros((5, 3), np.uint8),
        "masks": masks,
        "chan_choose": [0, 0],
        "ismanual": np.zeros(5, bool),
        "filename": name,
        "flows": [np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.float32), [], np.zeros(3)],
        "diameter": np.float64(30.5),
        **more,
    }


def make_cellpose(folder: Path, *, size: str = "tiny", seed: int = 0) -> Truth:
    """What the command line (PNG, text) and the interface (NumPy) of Cellpose save."""
    for number, name in enumerate(("a", "b", "c d")):
        put(folder / f"{name}.tif", gray(seed + number))
    np.save(folder / "a_seg.npy", cellpose_seg(labels_of(1), "a.tif"), allow_pickle=True)
    put(folder / "b_cp_masks.png", labels_of(2))
    put(folder / "b_cp_output.png", gray(3, np.uint8))
    (folder / "b_cp_outlines.txt").write_text("1,1,9,1,9,9\n")
    (folder / "c d_cp_outlines.txt").write_text("2,3,12,3,12,10,2,10\n20,20,30,22,24,30\n")
    return Truth(folder, written_below(folder))


def make_ilastik(folder: Path, *, size: str = "tiny", seed: int = 0) -> Truth:
    """Exports of pixel and object classification as TIFF and HDF5 beside the images."""
    import h5py

    axes = [{"key": key, "typeFlags": 2, "resolution": 0} for key in "yxc"]
    for number, name in enumerate(("a", "b")):
        put(folder / f"{name}.png", gray(seed + number, np.uint8))
        objects = labels_of(number)
        put(folder / f"{name}_Simple Segmentation.tif", ((objects > 0) + 1).astype(np.uint8))
        put(folder / f"{name}_Object Predictions.tif", (objects % 3).astype(np.uint8))
        with h5py.File(folder / f"{name}_Object Identities.h5", "w") as file:
            data = file.create_dataset("exported_data", data=objects.astype("u4")[..., None])
            data.attrs["axistags"] = json.dumps({"axes": axes})
    with h5py.File(folder / "a_Probabilities.h5", "w") as file:
        shown = np.random.default_rng(seed).random((*SIZE, 2)).astype(np.float32)
        data = file.create_dataset("exported_data", data=shown, chunks=(8, 16, 2))
        data.attrs["axistags"] = json.dumps({"axes": axes})
    return Truth(folder, written_below(folder))


def make_nnunet(folder: Path, *, size: str = "tiny", seed: int = 0) -> Truth:
    """A dataset of nnU-Net with two channels, as NIfTI: two cases for training, one to test."""
    import nibabel

    about = {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": {"background": 0, "liver": 1, "tumor": 2, "both": [1, 2]},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    top = folder / "Dataset001_Liver"
    for part in ("imagesTr", "labelsTr", "imagesTs"):
        (top / part).mkdir(parents=True)
    (top / "dataset.json").write_text(json.dumps(about))
    noise = np.random.default_rng(seed)

    def save(array: np.ndarray, file: Path) -> None:
        image = nibabel.Nifti1Image(array, np.diag([0.5, 0.5, 2.0, 1.0]))
        image.header.set_xyzt_units("mm", "sec")
        nibabel.save(image, file)

    for part, case in (("Tr", "liver_001"), ("Tr", "liver_002"), ("Ts", "liver_003")):
        for channel in range(2):
            values = noise.integers(-1000, 1000, (12, 10, 4)).astype(np.int16)
            save(values, top / f"images{part}/{case}_{channel:04}.nii.gz")
        if part == "Tr":
            values = noise.integers(0, 3, (12, 10, 4)).astype(np.uint8)
            save(values, top / f"labels{part}/{case}.nii.gz")
    return Truth(folder, written_below(folder))


def make_well_table(folder: Path, *, size: str = "tiny", seed: int = 0) -> Truth:
    """Two fields of two channels in the layout of BBBC021, with label images of CellProfiler."""
    lines = [
        "TableNumber,ImageNumber,Image_FileName_DAPI,Image_PathName_DAPI,Image_FileName_Actin,"
        "Image_PathName_Actin,Image_Metadata_Plate_DAPI,Image_Metadata_Well_DAPI,Image_Metadata_Compound"
    ]
    for number, well in enumerate(("B02", "C03")):
        place = "Week1/Week1_22123"
        files = [f"Week1_150607_{well}_s1_w{channel}.tif" for channel in (1, 2)]
        for channel, file in enumerate(files):
            put(folder / place / file, gray(seed + 2 * number + channel))
        put(folder / place / files[0].replace(".tif", "_SegmentedNuclei.tif"), labels_of(number))
        lines.append(f"4,{number},{files[0]},{place},{files[1]},{place},Week1_22123,{well},taxol")
    (folder / "BBBC021_v1_image.csv").write_text("\n".join(lines) + "\n")
    return Truth(folder, written_below(folder))
