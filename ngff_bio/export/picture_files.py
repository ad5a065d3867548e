"""Planes of an image as picture files: lossless where the name does not ask for JPEG."""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from ngff_bio.errors import ArgumentError
from ngff_bio.export.output import place_below
from ngff_bio.export.report import Report
from ngff_bio.export.selection import Plane

_JPEG = {".jpg", ".jpeg"}
_PIL = {".png", ".bmp", *_JPEG}
_KNOWN = {*_PIL, ".tif", ".tiff"}


def lossless_name(plane: Plane) -> str:
    """Name of a plane with an ending that holds its pixels as they are."""
    stored = plane.picture.stored
    dtype, channels = stored.dtype(None), stored.size("c")
    png = (dtype == np.uint8 and channels in (1, 3)) or (dtype == np.uint16 and channels == 1)
    stem = plane.name
    while PurePosixPath(stem).suffix.lower() in _KNOWN and PurePosixPath(stem).stem:
        stem = str(PurePosixPath(stem).with_suffix(""))
    return f"{stem}.png" if png else f"{stem}.tif"


def source_name(plane: Plane) -> str:
    """The source's own name of a plane, or a lossless one where it has no picture file."""
    stored = plane.picture.stored
    single = stored.size("z") == 1 or (plane.t, plane.z) in plane.picture.slices
    known = PurePosixPath(plane.name).suffix.lower() in _KNOWN
    return plane.name if known and single and plane.frame else lossless_name(plane)


def png_bytes(pixels: NDArray[Any]) -> bytes | None:
    """Pixels (y, x) or (y, x, c) as PNG; ``None`` where PNG does not hold them."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    grey = pixels.ndim == 2 and pixels.dtype in (np.uint8, np.uint16)
    if not grey and not (pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8):
        return None
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG")
    return out.getvalue()


def write_picture(plane: Plane, root: Path, name: str, report: Report) -> Path:
    """Write the pixels of a plane below `root`, in the format that the name's ending says."""
    place = place_below(root, name)
    pixels = plane.pixels()
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    suffix = place.suffix.lower()
    if suffix not in _PIL:
        colour = pixels.ndim == 3 and pixels.shape[2] in (3, 4)
        if pixels.ndim == 3 and not colour:
            pixels = pixels.transpose(2, 0, 1)
        tifffile.imwrite(
            place,
            np.ascontiguousarray(pixels),
            photometric="rgb" if colour else "minisblack",
            compression="zlib",
            metadata=None,
        )
        return place
    if pixels.dtype != np.uint8 and not (suffix == ".png" and pixels.dtype == np.uint16):
        raise ArgumentError(
            "this kind of picture file cannot hold the pixels",
            file=name,
            expected="8-bit pixels",
            found=str(pixels.dtype),
            hint="export to ome-tiff",
        )
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if suffix in _JPEG:
        picture.save(place, quality=100, subsampling=0)
        report.warn("JPEG files hold the pixels nearly: the bytes of a JPEG cannot be made again")
    else:
        picture.save(place)
    return place
