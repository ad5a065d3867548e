"""Planes of an image as image files: lossless unless the name asks for JPEG."""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from ngff_bio.errors import ArgumentError
from ngff_bio.export.output import place_below
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import Plane
from ngff_bio.model import PixelArray, SampleType

_JPEG = {".jpg", ".jpeg"}
_PIL = {".png", ".bmp", *_JPEG}
_KNOWN = {*_PIL, ".tif", ".tiff"}


def plane_name(plane: Plane, *, lossless: bool) -> str:
    """Name of the image file of a plane.

    That of the source if it has one, and `lossless` is false; else one with the suffix of a lossless
    format for the pixels.
    """
    stored = plane.image.stored
    single = stored.size("z") == 1 or (plane.t, plane.z) in plane.image.slices
    known = PurePosixPath(plane.name).suffix.lower() in _KNOWN
    if known and single and plane.frame and not lossless:
        return plane.name
    stem = plane.name
    while PurePosixPath(stem).suffix.lower() in _KNOWN and PurePosixPath(stem).stem:
        stem = str(PurePosixPath(stem).with_suffix(""))
    return f"{stem}.png" if _fits_png(stored.dtype, stored.size("c")) else f"{stem}.tif"


def _fits_png(dtype: SampleType, channels: int) -> bool:
    return (dtype == np.uint8 and channels in (1, 3)) or (dtype == np.uint16 and channels == 1)


def png_bytes(pixels: PixelArray) -> bytes | None:
    """Pixels (y, x) or (y, x, c) as PNG; ``None`` if PNG cannot represent them."""
    pixels = _squeezed(pixels)
    if not _fits_png(pixels.dtype, pixels.shape[2] if pixels.ndim == 3 else 1):
        return None
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG")
    return out.getvalue()


def write_image(plane: Plane, root: Path, name: str, report: ExportReport) -> None:
    """Write the pixels of a plane to a file below `root`, in the format of the name's suffix.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the format cannot represent the pixels.
    """
    file = place_below(root, name)
    write_pixels(plane.pixels(), file)
    if file.suffix.lower() in _JPEG:
        report.warn("JPEG files are lossy: their pixels differ slightly from the store")


def write_pixels(pixels: PixelArray, file: Path) -> None:
    """Write pixels (y, x) or (y, x, c) to a file, in the format of its suffix.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the format cannot represent the pixels.
    """
    pixels = _squeezed(pixels)
    suffix = file.suffix.lower()
    if suffix not in _PIL:
        colour = pixels.ndim == 3 and pixels.shape[2] in (3, 4)
        if pixels.ndim == 3 and not colour:
            pixels = pixels.transpose(2, 0, 1)
        tifffile.imwrite(
            file,
            np.ascontiguousarray(pixels),
            photometric="rgb" if colour else "minisblack",
            compression="zlib",
            metadata=None,
        )
        return
    if pixels.dtype != np.uint8 and not (suffix == ".png" and pixels.dtype == np.uint16):
        raise ArgumentError(
            f"{suffix} files cannot represent the pixels",
            file=file.name,
            expected="8-bit pixels",
            found=str(pixels.dtype),
            hint="export to ome-tiff",
        )
    options: dict[str, Any] = {"quality": 100, "subsampling": 0} if suffix in _JPEG else {}
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, **options)


def _squeezed(pixels: PixelArray) -> PixelArray:
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
