"""Decoding an image file as a whole, by the fastest library that is known to be correct.

Measured by ``benchmarks/decode.py``. JPEG: imagecodecs' libjpeg-turbo takes half the time of Pillow
and gives the same pixels. PNG: libpng through imagecodecs. TIFF: libtiff through imagecodecs is
twice as fast as tifffile on files of many small strips; what the two handle differently is left to
tifffile.
"""

from __future__ import annotations

import io
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from ngff_bio.formats.problems import damage_named
from ngff_bio.formats.tiff.tiff import palette_of
from ngff_bio.model import SourceFile

#: Compressions that libtiff and tifffile decode to the same pixels: none, LZW, deflate (both codes).
_PLAIN = {1, 5, 8, 32946}


def decode_image(file: SourceFile, *, indices: bool = False) -> NDArray[Any]:
    """All pixels of an image file of one plane: (y, x) or (y, x, sample), native byte order.

    Parameters
    ----------
    file
        A JPEG, PNG, BMP or TIFF.
    indices
        Of an image with a color table, return the indices instead of the colors. Label images are
        often stored so.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged or truncated.
    """
    with damage_named(file.name, "the image file cannot be decoded"):
        return _decode(file.read(), indices)


def _decode(data: bytes, indices: bool) -> NDArray[Any]:
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG"):
        return _pillow(data, colors=False) if indices and data[25] == 3 else _png(data)
    if data.startswith(b"BM"):
        return _pillow(data, colors=not indices)
    return _tiff(data, indices)


def _jpeg(data: bytes) -> NDArray[Any]:
    # libjpeg fills missing data with gray. After the start of the first scan, the end marker cannot
    # be part of the data; a file without it is truncated.
    if data.find(b"\xff\xd9", max(data.find(b"\xff\xda"), 0)) < 0:
        raise ValueError("the end of the JPEG is missing")
    pixels: NDArray[Any] = imagecodecs.jpeg_decode(data)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return _pillow(data, colors=True)
    return pixels


def _png(data: bytes) -> NDArray[Any]:
    pixels: NDArray[Any] = imagecodecs.png_decode(data)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _pillow(data: bytes, *, colors: bool) -> NDArray[Any]:
    from PIL import Image  # takes longer to load than most images to decode, and few need it

    with Image.open(io.BytesIO(data)) as image:
        colored = colors and image.mode in ("P", "CMYK")
        pixels = np.array(image.convert("RGB") if colored else image)
    return pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels


def _tiff(data: bytes, indices: bool) -> NDArray[Any]:
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
        if palette and not indices:
            colors: NDArray[Any] = palette_of(page)[page.asarray()]
            return colors
        if (
            int(page.compression) in _PLAIN
            and not page.is_tiled
            and page.samplesperpixel in (1, 3, 4)
            and (page.samplesperpixel == 1 or page.planarconfig == 1)
            and page.bitspersample in (8, 16, 32)
            and page.imagedepth == 1
            and page.predictor in (1, 2)
            and page.fillorder == 1
            and len(page.dataoffsets) > 1
        ):
            pixels: NDArray[Any] = imagecodecs.tiff_decode(data)
            if pixels.shape == page.shape and pixels.dtype == page.dtype:
                return pixels
        pixels = page.asarray()
        if page.samplesperpixel > 1 and page.planarconfig == 2:
            pixels = np.moveaxis(pixels, 0, -1)
        plain = np.dtype(np.uint8) if pixels.dtype == bool else pixels.dtype.newbyteorder("=")
        return pixels.astype(plain, copy=False)
