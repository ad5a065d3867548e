"""Makes a folder of TIFFs of every layout that microscopes and programs write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from makers.generic_scenes import SHAPES, as_integers, as_rgb, draw_blobs
from makers.truth import Truth, preset, written_below
from ngff_bio.errors import ArgumentError

_BLOBS = 6
_UUID = "9f2b0d6e-0000-4000-8000-000000000001"  # fixed, so that the bytes are


@dataclass(frozen=True)
class TiffImage:
    """One image, in one file or in a series of them.

    Attributes
    ----------
    kind
        Which of `TIFF_KINDS`.
    paths
        Its file, or the files of a series in their order.
    pixels
        What is stored; for a palette the indices, for a series all files stacked.
    axes
        A letter for each axis of `pixels`, out of T, C, Z, Y, X; S for the samples of a pixel;
        Q where the file does not say.
    spacing
        What the file says of the distance of pixels: axis to (number, unit).
    palette
        (256, 3) uint16 for a palette image.
    label_path, labels
        A label image beside it, if there is one: (rows, columns) uint16.
    """

    kind: str
    paths: tuple[Path, ...]
    pixels: NDArray[np.generic]
    axes: str
    spacing: dict[str, tuple[float, str]]
    palette: NDArray[np.uint16] | None = None
    label_path: Path | None = None
    labels: NDArray[np.uint16] | None = None


@dataclass(frozen=True)
class TiffFolderTruth(Truth):
    """What went into the folder: its images by kind."""

    images: dict[str, TiffImage]


Scene = Callable[[int], NDArray[np.float32]]


@dataclass(frozen=True)
class _Kind:
    """How a kind is written: leading axes, data type, and what tifffile is given."""

    axes: str
    lengths: tuple[int, ...]
    dtype: type[np.generic]
    given: dict[str, Any]
    spacing: dict[str, tuple[float, str]]
    suffix: str = ".tif"


_UM = {"Z": (1.5, "µm"), "Y": (0.25, "µm"), "X": (0.25, "µm")}
_OME_UM = {
    "PhysicalSizeX": 0.25,
    "PhysicalSizeXUnit": "µm",
    "PhysicalSizeY": 0.25,
    "PhysicalSizeYUnit": "µm",
    "PhysicalSizeZ": 1.5,
    "PhysicalSizeZUnit": "µm",
}
_GREY = {"photometric": "minisblack"}

_KINDS: dict[str, _Kind] = {
    "plain": _Kind("", (), np.uint8, {**_GREY, "metadata": None}, {}),
    "uint16_stack": _Kind("Q", (5,), np.uint16, {**_GREY, "metadata": None}, {}),
    "float32": _Kind("", (), np.float32, {**_GREY, "metadata": None}, {}),
    "lzw_predictor": _Kind(
        "",
        (),
        np.uint16,
        {**_GREY, "metadata": None, "compression": "lzw", "predictor": True, "rowsperstrip": 11},
        {},
    ),
    "deflate_tiled": _Kind(
        "",
        (),
        np.uint16,
        {**_GREY, "metadata": None, "compression": "zlib", "tile": (16, 32)},
        {},
    ),
    "big_endian": _Kind("", (), np.uint16, {**_GREY, "metadata": None, "byteorder": ">"}, {}),
    "bigtiff": _Kind("", (), np.uint8, {**_GREY, "metadata": None, "bigtiff": True}, {}),
    "minis_white": _Kind("", (), np.uint8, {"photometric": "miniswhite", "metadata": None}, {}),
    "rgb": _Kind("S", (), np.uint8, {"photometric": "rgb", "metadata": None}, {}),
    "rgb_planar": _Kind(
        "s",
        (),
        np.uint8,
        {"photometric": "rgb", "planarconfig": "separate", "metadata": None},
        {},
    ),
    "palette": _Kind("", (), np.uint8, {"photometric": "palette", "metadata": None}, {}),
    "imagej": _Kind(
        "TZC",
        (2, 3, 2),
        np.uint16,
        {
            "imagej": True,
            "byteorder": ">",  # as ImageJ itself writes
            "resolution": (4.0, 4.0),
            "metadata": {"axes": "TZCYX", "unit": "um", "spacing": 1.5, "finterval": 2.0},
        },
        {**_UM, "T": (2.0, "s")},
    ),
    "ome": _Kind(
        "TCZ",
        (2, 2, 3),
        np.uint16,
        {
            "ome": True,
            **_GREY,
            "metadata": {
                "axes": "TCZYX",
                "UUID": _UUID,
                **_OME_UM,
                "TimeIncrement": 2.0,
                "TimeIncrementUnit": "s",
                "Channel": {"Name": ["DAPI", "GFP"]},
            },
        },
        {**_UM, "T": (2.0, "s")},
        ".ome.tif",
    ),
    "ome_rgb": _Kind(
        "S",
        (),
        np.uint8,
        {"ome": True, "photometric": "rgb", "metadata": {"axes": "YXS", "UUID": _UUID}},
        {},
        ".ome.tif",
    ),
    "resolution": _Kind(
        "",
        (),
        np.uint8,
        {
            **_GREY,
            "metadata": None,
            "resolution": (40000.0, 40000.0),
            "resolutionunit": "CENTIMETER",
        },
        {"Y": (0.25, "µm"), "X": (0.25, "µm")},
    ),
}
#: Every kind; ``series`` is one file a time point and channel, numbered without padding.
TIFF_KINDS = (*_KINDS, "series")


def make_tiff_folder(
    folder: Path,
    *,
    size: str | tuple[int, int] = "tiny",
    seed: int = 0,
    kinds: Sequence[str] = TIFF_KINDS,
    labels: bool = False,
) -> TiffFolderTruth:
    """Write ``tiff/<kind>.tif`` below `folder`, one image of each kind.

    Parameters
    ----------
    folder
        Where ``tiff`` is made.
    size
        ``tiny`` (48x64), ``small``, ``full`` (2048x2560), or rows and columns of a plane.
    seed
        Same seed, same bytes.
    kinds
        Which of `TIFF_KINDS`: ``plain``; ``uint16_stack`` of pages that nothing describes;
        ``float32``; ``lzw_predictor``; ``deflate_tiled``; ``big_endian``; ``bigtiff``;
        ``minis_white``; ``rgb``; ``rgb_planar``; ``palette``; ``imagej`` and ``ome`` hyperstacks
        with calibration; ``ome_rgb``; ``resolution`` in the TIFF tags; ``series``: files
        ``series_t<t>_c<c>.tif`` with t from 1 to 12, so that names must be sorted as numbers.
    labels
        Whether images move to ``tiff/images`` and each flat one has a label image of its name in
        ``tiff/masks``: uint16, 0 is background.
    """
    shape = preset(size, SHAPES) if isinstance(size, str) else size
    unknown = [kind for kind in kinds if kind not in TIFF_KINDS]
    if unknown:
        raise ArgumentError("no such kind of TIFF", found=unknown, expected=TIFF_KINDS)
    root = Path(folder) / "tiff"
    place = root / "images" if labels else root
    place.mkdir(parents=True, exist_ok=True)
    made: dict[str, TiffImage] = {}
    for kind in kinds:
        number = TIFF_KINDS.index(kind)

        def scene(plane: int, number: int = number) -> NDArray[np.float32]:
            return draw_blobs(np.random.default_rng((seed, 17, number, plane)), shape, _BLOBS)[0]

        if kind == "series":
            image = _series(place, scene)
        else:
            image = _single(place, kind, _KINDS[kind], scene)
        if labels and (kind == "series" or not set(image.axes) & set("TZQ")):
            image = _with_labels(image, root / "masks", scene(0))
        made[kind] = image
    return TiffFolderTruth(root=root, files=written_below(root), images=made)


def _single(place: Path, name: str, kind: _Kind, scene: Scene) -> TiffImage:
    path = place / f"{name}{kind.suffix}"
    given = dict(kind.given)
    palette = None
    pixels: NDArray[np.generic]
    if kind.axes in ("S", "s"):
        pixels = as_rgb(scene(0))
        axes = "YXS"
        if kind.axes == "s":
            pixels, axes = np.ascontiguousarray(np.moveaxis(pixels, 2, 0)), "SYX"
    else:
        count = int(np.prod(kind.lengths, dtype=int))
        planes = [_converted(scene(plane), kind.dtype) for plane in range(count)]
        pixels = np.stack(planes).reshape(*kind.lengths, *planes[0].shape)
        axes = kind.axes + "YX"
    if given.get("photometric") == "palette":
        ramp = np.arange(256, dtype=np.uint16) * 257
        palette = np.stack([ramp, ramp[::-1], np.full(256, 9000, np.uint16)], axis=1)
        given["colormap"] = palette.T
    tifffile.imwrite(path, pixels, **given)
    return TiffImage(name, (path,), pixels, axes, kind.spacing, palette)


def _converted(grey: NDArray[np.float32], dtype: type[np.generic]) -> NDArray[np.generic]:
    if issubclass(dtype, np.unsignedinteger):
        return as_integers(grey, dtype)
    return (grey * 3 - 1).astype(dtype)  # negative too, as measured values are


def _series(place: Path, scene: Scene) -> TiffImage:
    """12 time points of 2 channels, a file each; ``t2`` sorts after ``t12`` by its letters."""
    times, channels = 12, 2
    paths, planes = [], []
    for time in range(1, times + 1):
        for channel in range(1, channels + 1):
            path = place / f"series_t{time}_c{channel}.tif"
            plane = as_integers(scene(time * channels + channel), np.uint8)
            tifffile.imwrite(path, plane, photometric="minisblack", metadata=None)
            paths.append(path)
            planes.append(plane)
    pixels = np.stack(planes).reshape(times, channels, *planes[0].shape)
    return TiffImage("series", tuple(paths), pixels, "TCYX", {})


def _with_labels(image: TiffImage, folder: Path, grey: NDArray[np.float32]) -> TiffImage:
    """`image` with a label image in `folder`: what is bright in its first plane, by quarter."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = grey.shape
    quarter = (np.arange(rows) * 2 // rows)[:, None] * 2 + np.arange(columns) * 2 // columns
    # Not 1, 2, 3, 4: values with gaps and beyond 255.
    labels = np.where(grey > 0.5, np.array([1, 2, 40, 300], np.uint16)[quarter], 0)
    labels = labels.astype(np.uint16)
    path = folder / image.paths[0].name
    tifffile.imwrite(path, labels, photometric="minisblack", metadata=None)
    return TiffImage(
        image.kind,
        image.paths,
        image.pixels,
        image.axes,
        image.spacing,
        image.palette,
        path,
        labels,
    )
