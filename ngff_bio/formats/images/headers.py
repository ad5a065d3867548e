"""The header of an image file: size, type, channels. No pixel is decoded."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
import tifffile

from ngff_bio.errors import SourceError
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.formats.problems import damage_named
from ngff_bio.formats.tiff.tiff import check_pages, check_segments, palette_of, sample_type
from ngff_bio.model import Channel, SampleType, SourceFile

#: File name extensions of image files, in lower case.
EXTENSIONS = (".tif", ".tiff", ".jpg", ".jpeg", ".png", ".bmp")

_RED, _GREEN, _BLUE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)
_ALPHA = Channel("alpha", (255, 255, 255, 255), active=False)
_COLORS = (Channel("red", _RED), Channel("green", _GREEN), Channel("blue", _BLUE))

#: Channels by the number of samples of a pixel, for formats that define their meaning.
CHANNELS: dict[int, tuple[Channel, ...]] = {
    2: (Channel("grey"), _ALPHA),
    3: _COLORS,
    4: (*_COLORS, _ALPHA),
}


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Size, type and channels of an image file.

    Parameters
    ----------
    format
        ``jpeg``, ``png``, ``bmp`` or ``tiff``.
    axes
        Letters in the order of OME-Zarr; colors are ``c``. A TIFF of several pages has the letters
        of its first series.
    shape
        Size along each of ``axes``.
    dtype
        Type of a sample, in native byte order.
    series
        Images of different shape or meaning in a TIFF; 1 for the others.
    palette
        Whether pixels are indices into a color table (and are read as colors).
    samples
        Samples of a pixel: 1, 2 (with alpha), 3 (RGB) or 4 (RGBA).
    opaque
        Whether the file has one more sample, an alpha that is opaque everywhere and is not read.
    alpha
        Whether the last sample of a TIFF of one plane can be an alpha.
    """

    format: str
    axes: str
    shape: tuple[int, ...]
    dtype: SampleType
    series: int = 1
    palette: bool = False
    samples: int = 1
    opaque: bool = False
    alpha: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.shape[-2], self.shape[-1]

    @property
    def single(self) -> bool:
        """Whether it is one plane (of one or several channels)."""
        return self.axes in ("yx", "cyx") and self.series == 1

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Channels that the format defines; empty for one sample."""
        return CHANNELS.get(self.samples, ())

    def check_size(self, limits: Limits, file: str, *, whole: bool) -> None:
        """Refuse an image that is too large; see `Limits.check_plane`."""
        pixel = math.prod(self.shape[:-2]) * self.dtype.itemsize
        limits.check_plane(*self.size, file, whole=whole, pixel_bytes=pixel)

    def of_indices(self) -> ImageHeader:
        """The header of an image with a color table whose indices are read."""
        dtype = np.dtype(np.uint8)
        return replace(
            self, axes="yx", shape=self.size, dtype=dtype, palette=False, samples=1, opaque=False
        )

    def without_alpha(self) -> ImageHeader:
        """The header of an image whose last sample is opaque everywhere, and is not read."""
        axes, shape = ("yx", self.size) if self.samples == 2 else (self.axes, (3, *self.size))
        return replace(self, axes=axes, shape=shape, samples=self.samples - 1, opaque=True)


def probe_image(file: SourceFile, limits: Limits = DEFAULT_LIMITS) -> ImageHeader:
    """The header of a JPEG, PNG, BMP or TIFF, recognized by its first bytes, not by its name.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is none of these, damaged, or has more pixels than `limits` allow.
    """
    with (
        damage_named(file.name, "the header of the image file cannot be read"),
        file.open() as stream,
    ):
        head = stream.read(8)
        parse = next((p for magic, p in _FORMATS if head.startswith(magic)), None)
        if parse is None:
            raise SourceError(
                "the file is not an image file of a known format",
                expected="JPEG, PNG, BMP or TIFF",
                found=f"{head!r} at its start" if head else "an empty file",
                hint="download or copy the file again, or leave it out with --exclude GLOB",
            )
        header = parse(stream)
        _check_end(stream, header.format)
        if min(header.shape) < 1:
            raise SourceError("the image file has no pixels", found=header.shape)
        header.check_size(limits, file.name, whole=header.format != "tiff")
        if limits.max_pixels is None:
            _check_content(header, file.size)
    return header


#: Most pixels that a byte of a JPEG can encode: a bit for a block of 8 x 8.
_JPEG_PIXELS = 512

#: Most bytes that a byte of deflate can encode.
_DEFLATE_BYTES = 1032


def _check_content(header: ImageHeader, size: int) -> None:
    """Refuse a JPEG or PNG whose header gives more pixels than its bytes can encode."""
    rows, columns = header.size
    least = {
        "jpeg": rows * columns // _JPEG_PIXELS,
        "png": rows * columns // 8 // _DEFLATE_BYTES,  # a pixel has one bit or more
    }.get(header.format, 0)
    if least > size:
        raise SourceError(
            "the file is too small for the pixels that its header gives",
            expected=f"{least:,} bytes or more for {rows:,} x {columns:,} pixels",
            found=f"{size:,} bytes",
            hint="the file is damaged or truncated: download or copy it again",
        )


def _jpeg(stream: BinaryIO) -> ImageHeader:
    """ITU T.81, annex B: segments up to the frame header (SOF)."""
    stream.seek(2)
    while True:
        mark = stream.read(1)
        if mark != b"\xff":
            raise ValueError("a marker is missing" if mark else "no frame header")
        while mark == b"\xff":
            mark = stream.read(1)
        code = mark[0]
        if code in _STANDALONE:
            continue
        (length,) = struct.unpack(">H", stream.read(2))
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            break
        stream.seek(length - 2, 1)
    precision, rows, columns, samples = struct.unpack(">BHHB", stream.read(6))
    dtype = np.dtype(np.uint8 if precision <= 8 else np.uint16)
    # Four samples are inks (CMYK), which are read as red, green and blue.
    return _header("jpeg", rows, columns, 3 if samples == 4 else samples, dtype)


#: Last bytes of a complete file, and how many others may follow them.
_ENDS = {"jpeg": b"\xff\xd9", "png": b"IEND\xaeB`\x82"}
_TAIL = 4096


def _check_end(stream: BinaryIO, name: str) -> None:
    """Refuse a truncated JPEG or PNG before it is decoded."""
    mark = _ENDS.get(name)
    if mark is None:
        return
    size = stream.seek(0, 2)
    stream.seek(max(size - _TAIL, 0))
    if mark not in stream.read():
        stream.seek(0)
        if mark not in stream.read():
            raise ValueError("the end of the image is missing")


_STANDALONE = {0x01, *range(0xD0, 0xD9)}


def _png(stream: BinaryIO) -> ImageHeader:
    """PNG specification, chunks IHDR and tRNS (which adds an alpha channel)."""
    stream.seek(8)
    length, kind = struct.unpack(">I4s", stream.read(8))
    if kind != b"IHDR":
        raise ValueError("no IHDR at the start")
    columns, rows, depth, color = struct.unpack(">IIBB", stream.read(10))
    samples = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}[color]
    stream.seek(8 + 8 + length + 4)
    while color in (0, 2, 3):
        length, kind = struct.unpack(">I4s", stream.read(8))
        if kind == b"tRNS":
            samples += 1
        if kind in (b"tRNS", b"IDAT", b"IEND"):
            break
        stream.seek(length + 4, 1)
    dtype = np.dtype(np.uint16 if depth == 16 else np.uint8)
    return _header("png", rows, columns, samples, dtype, palette=color == 3)


def _bmp(stream: BinaryIO) -> ImageHeader:
    """BITMAPINFOHEADER and its older and newer variants; a color table may be gray."""
    stream.seek(0)
    head = stream.read(54)
    (size,) = struct.unpack_from("<I", head, 14)
    if size == 12:
        columns, rows, _, bits = struct.unpack_from("<HHHH", head, 18)
    else:
        columns, rows, _, bits = struct.unpack_from("<iiHH", head, 18)
    from PIL import Image

    stream.seek(0)
    # Pillow knows the many layouts of bitmaps; the size is checked against our own limits.
    if abs(columns * rows) <= _PILLOW_QUIET:
        with Image.open(stream) as image:
            samples, palette = _MODES[image.mode], image.mode == "P"
    else:
        samples, palette = (3 if bits >= 16 else 1), False
    return _header("bmp", abs(rows), columns, samples, np.dtype(np.uint8), palette=palette)


#: Pixels up to which Pillow opens an image without a warning.
_PILLOW_QUIET = 89_000_000

_MODES = {"1": 1, "L": 1, "LA": 2, "P": 3, "RGB": 3, "RGBA": 4, "CMYK": 3}


def _header(
    name: str,
    rows: int,
    columns: int,
    samples: int,
    dtype: SampleType,
    *,
    palette: bool = False,
) -> ImageHeader:
    if samples == 1:
        return ImageHeader(name, "yx", (int(rows), int(columns)), dtype)
    return ImageHeader(
        name, "cyx", (samples, int(rows), int(columns)), dtype, palette=palette, samples=samples
    )


def _tiff(stream: BinaryIO) -> ImageHeader:
    stream.seek(0)
    with tifffile.TiffFile(stream) as tiff:
        page = tiff.pages.first
        count = len(tiff.pages)
        check_pages(tiff)
        samples, dtype = page.samplesperpixel, sample_type(page)
        size = (page.imagelength, page.imagewidth)
        alone = count == 1 and not tiff.is_imagej
        if alone:
            check_segments(page, stream.seek(0, 2))
        if alone and page.photometric == tifffile.PHOTOMETRIC.PALETTE and samples == 1:
            return _header("tiff", *size, 3, palette_of(page).dtype, palette=True)
        rgb = page.photometric == tifffile.PHOTOMETRIC.RGB and page.planarconfig == 1
        alpha = count == 1 and rgb and samples == 4 and dtype.kind == "u"
        if alone and page.imagedepth == 1 and not (tiff.is_ome or tiff.is_shaped):
            return replace(_header("tiff", *size, samples, dtype), alpha=alpha)
        series = tiff.series
        axes, shape = _ngff_order(series[0].axes, series[0].shape)
        if "S" not in series[0].axes:
            samples = 1
        alpha = alpha and axes == "cyx" and len(series) == 1
        return ImageHeader("tiff", axes, shape, dtype, len(series), samples=samples, alpha=alpha)


def _ngff_order(axes: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    named = {("c" if a == "S" else a.lower()): int(n) for a, n in zip(axes, shape, strict=True)}
    order = sorted(named, key=lambda a: ("tczyx".find(a), a))
    return "".join(order), tuple(named[a] for a in order)


#: EXIF tag of the orientation.
_ORIENTATION = 0x0112


def exif_orientation(file: SourceFile, header: ImageHeader) -> int:
    """How a JPEG is to be rotated or mirrored, 1 to 8; 1 is not at all."""
    if header.format != "jpeg" or header.size[0] * header.size[1] > _PILLOW_QUIET:
        return 1
    from PIL import Image, UnidentifiedImageError

    try:
        with file.open() as stream, Image.open(stream) as image:
            value = image.getexif().get(_ORIENTATION, 1)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return 1
    return value if value in range(1, 9) else 1


_FORMATS: tuple[tuple[bytes, Callable[[BinaryIO], ImageHeader]], ...] = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"BM", _bmp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"II+\0", _tiff),
    (b"MM\0+", _tiff),
)
