"""Decoding an image file as a whole, by the fastest library that is known to be correct.

Measured by ``benchmarks/decode.py``. JPEG: libjpeg-turbo through simplejpeg takes half the time of
Pillow and gives the same pixels. PNG: libpng through imagecodecs. TIFF: libtiff through imagecodecs is
twice as fast as tifffile on files of many small strips; what the two handle differently is left to
tifffile.
"""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass

import imagecodecs
import numpy as np
import simplejpeg
import tifffile

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.coded import check_scans
from ngff_bio.formats.problems import damage_named
from ngff_bio.formats.tiff.planes import check_segment
from ngff_bio.formats.tiff.tiff import palette_of
from ngff_bio.model import PixelArray, Region, SampleType, SourceFile, SourceParts

#: Compressions that libtiff and tifffile decode to the same pixels: none, LZW, deflate (both codes).
_PLAIN = {1, 5, 8, 32946}


#: By value of the EXIF orientation (Exif 2.32, tag 0x0112): whether rows are reversed, columns are
#: reversed, and the two swapped afterwards.
ORIENTATIONS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (True, True, False),
    4: (True, False, False),
    5: (False, False, True),
    6: (True, False, True),
    7: (True, True, True),
    8: (False, True, True),
}


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A JPEG, PNG, BMP or TIFF of one plane, which is decoded as a whole.

    Parameters
    ----------
    file
        The file.
    axes, shape
        yx, or cyx with colors along ``c``, and the size along each (after `orientation`).
    dtype
        Type of a sample.
    indices
        Read the indices into a color table instead of the colors (label images).
    orientation
        EXIF's value for how the image is to be rotated or mirrored; 1 for not at all. Most
        libraries ignore it, labelme follows it.
    opaque
        Whether the last sample is an alpha that is opaque everywhere, and is not read.
    """

    file: SourceFile
    axes: str
    shape: tuple[int, ...]
    dtype: SampleType
    indices: bool = False
    orientation: int = 1
    opaque: bool = False

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """The whole image."""
        return self.shape

    def source_parts(self) -> SourceParts:
        """The file."""
        return (self.file,)

    def read(self, region: Region) -> PixelArray:
        """The block of a region, C-contiguous."""
        cut = self._cut(region)
        if cut.ndim == 2:
            return np.ascontiguousarray(cut)
        out = np.empty([b - a for a, b in region], self.dtype)
        _split_colors(cut, region, out)
        return out

    def read_into(self, region: Region, out: PixelArray) -> None:
        """Read the block of a region into an array of its shape, without a copy of it."""
        cut = self._cut(region)
        if cut.ndim == 2:
            out[...] = cut
        else:
            _split_colors(cut, region, out)

    def _cut(self, region: Region) -> PixelArray:
        """The rows and columns of a region: (y, x) or (y, x, sample)."""
        frame = decode_image(self.file, indices=self.indices)
        if self.opaque and is_opaque(frame):
            frame = frame[..., 0] if frame.shape[-1] == 2 else frame[..., :-1]
        if self.orientation != 1:
            rows, columns, swap = ORIENTATIONS[self.orientation]
            frame = frame[:: -1 if rows else 1, :: -1 if columns else 1]
            frame = frame.swapaxes(0, 1) if swap else frame
        expected = (*self.shape[-2:], *self.shape[:-2])
        if frame.shape != expected or frame.dtype != self.dtype:
            raise SourceError(
                "the image file does not match its header",
                file=self.file.name,
                expected=f"{expected} of {self.dtype}",
                found=f"{frame.shape} of {frame.dtype}",
                hint="if it was changed during the conversion, run the command again",
            )
        return frame[slice(*region[-2]), slice(*region[-1])]


def _split_colors(cut: PixelArray, region: Region, out: PixelArray) -> None:
    # One color at a time: a strided copy of each is twice as fast as a transposed one.
    for i, c in enumerate(range(*region[0])):
        out[i] = cut[..., c]


def is_opaque(frame: PixelArray) -> bool:
    """Whether the last sample of an image (y, x, sample) of integers is an opaque alpha."""
    alpha = frame[..., -1]
    return frame.ndim == 3 and bool((alpha == np.iinfo(frame.dtype).max).all())


def decode_image(file: SourceFile, *, indices: bool = False) -> PixelArray:
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


def _decode(data: bytes, indices: bool) -> PixelArray:
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG"):
        return _pillow(data, colors=False) if indices and data[25] == 3 else _png(data)
    if data.startswith(b"BM"):
        return _pillow(data, colors=not indices)
    return _tiff(data, indices)


def _jpeg(data: bytes) -> PixelArray:
    # After the start of the first scan, the end marker cannot be part of the data; a file without it
    # is truncated.
    if data.find(b"\xff\xd9", _first_scan(data)) < 0:
        raise ValueError("the end of the JPEG is missing")
    check_scans(data)
    space = ""
    with suppress(ValueError):  # 12 bits, lossless: imagecodecs has decoders for them
        space = simplejpeg.decode_jpeg_header(data)[2]
    if space in ("Gray", "YCbCr", "RGB"):
        colors = "GRAY" if space == "Gray" else "RGB"
        try:
            # libjpeg fills what is missing or damaged with gray, and warns: strict makes it an error.
            pixels: PixelArray = simplejpeg.decode_jpeg(data, colors, strict=True)
        except ValueError as warning:
            if "extraneous bytes" not in str(warning):
                raise
            pixels = simplejpeg.decode_jpeg(data, colors, strict=False)
        return pixels[..., 0] if space == "Gray" else pixels
    pixels = imagecodecs.jpeg_decode(data)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return _pillow(data, colors=True)
    return pixels


def _first_scan(data: bytes) -> int:
    """Position of the first scan: behind all segments, of which some embed a small JPEG (EXIF)."""
    at = 2
    while data[at] == 0xFF:
        code = data[at + 1]
        if code == 0xDA:
            return at
        at += 1 if code == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise ValueError("the JPEG has no scan")


def _png(data: bytes) -> PixelArray:
    pixels: PixelArray = imagecodecs.png_decode(data)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _pillow(data: bytes, *, colors: bool) -> PixelArray:
    from PIL import Image  # takes longer to load than most images to decode, and few need it

    with Image.open(io.BytesIO(data)) as image:
        colored = colors and image.mode in ("P", "CMYK")
        pixels = np.array(image.convert("RGB") if colored else image)
    return pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels


def _tiff(data: bytes, indices: bool) -> PixelArray:
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            if count:
                check_segment(page, data[offset : offset + count])
        palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
        if palette and not indices:
            colors: PixelArray = palette_of(page)[page.asarray()]
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
            pixels: PixelArray = imagecodecs.tiff_decode(data)
            if pixels.shape == page.shape and pixels.dtype == page.dtype:
                return pixels
        pixels = page.asarray()
        if page.samplesperpixel > 1 and page.planarconfig == 2:
            pixels = np.moveaxis(pixels, 0, -1)
        plain = np.dtype(np.uint8) if pixels.dtype == bool else pixels.dtype.newbyteorder("=")
        return pixels.astype(plain, copy=False)
