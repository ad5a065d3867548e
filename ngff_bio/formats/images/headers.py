"""What a picture file says of itself in its header: size, type, channels. No pixel is decoded."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import tifffile

from ngff_bio.errors import SourceError
from ngff_bio.formats.limits import DEFAULT_LIMITS, Limits
from ngff_bio.formats.tiff.tiff import check_pages, palette_of
from ngff_bio.model import Channel, SourceFile

#: File name endings that are pictures, in lower case.
EXTENSIONS = (".tif", ".tiff", ".jpg", ".jpeg", ".png", ".bmp")

_RED, _GREEN, _BLUE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)
_COLORS = (Channel("red", _RED), Channel("green", _GREEN), Channel("blue", _BLUE))

#: Channels of a picture by the number of samples of a pixel, where the file itself fixes them.
CHANNELS: dict[int, tuple[Channel, ...]] = {
    2: (Channel("grey"), Channel("alpha")),
    3: _COLORS,
    4: (*_COLORS, Channel("alpha")),
}


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a header says.

    Parameters
    ----------
    format
        ``jpeg``, ``png``, ``bmp`` or ``tiff``.
    axes
        Letters in the order of OME-Zarr; colours are ``c``. A TIFF of several pages has the letters
        of its first series.
    shape
        Size along each of ``axes``.
    dtype
        Type of a sample, in native byte order.
    pages
        Pages of a TIFF; 1 for the others.
    series
        Images in a TIFF that are of different shape or meaning; 1 for the others.
    palette
        Whether pixels are indices into a table of colours (and are read as colours).
    samples
        Samples of a pixel: 1, 2 (with alpha), 3 (RGB) or 4 (RGBA).
    """

    format: str
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    pages: int = 1
    series: int = 1
    palette: bool = False
    samples: int = 1

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
        """Channels that the format fixes; none where there is one sample."""
        return CHANNELS.get(self.samples, ()) if self.samples > 1 else ()


def probe_image(file: SourceFile, limits: Limits = DEFAULT_LIMITS) -> ImageHeader:
    """The header of a JPEG, PNG, BMP or TIFF, known by its first bytes, not by its name.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is none of these, damaged, or claims more pixels than `limits` allow.
    """
    try:
        with file.open() as stream:
            head = stream.read(8)
            for magic, parse in _FORMATS:
                if head.startswith(magic):
                    header = parse(stream)
                    _check_end(stream, header.format)
                    break
            else:
                raise SourceError(
                    "the file is no picture of a known kind",
                    file=file.name,
                    expected="JPEG, PNG, BMP or TIFF",
                    found=f"{head!r} at its start" if head else "an empty file",
                    hint="download or copy the file again, or take it away",
                )
    except SourceError as error:
        error.file = error.file or file.name
        raise
    except DAMAGE as error:
        raise SourceError(
            "the header of the picture cannot be read",
            file=file.name,
            found=f"{type(error).__name__}: {error}",
            hint="the file is probably cut off: download or copy it again",
        ) from error
    if min(header.shape) < 1:
        raise SourceError("the picture has no pixels", file=file.name, found=header.shape)
    limits.check_plane(*header.size, file.name, whole=header.format != "tiff")
    return header


#: What libraries raise for a damaged file.
DAMAGE = (
    tifffile.TiffFileError,
    ValueError,
    struct.error,
    OSError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    RuntimeError,
    ArithmeticError,
    AttributeError,
)


def _jpeg(stream: BinaryIO) -> ImageHeader:
    """ITU T.81, annex B: segments up to the frame header (SOF)."""
    stream.seek(2)
    while True:
        mark = stream.read(1)
        if mark != b"\xff":
            raise ValueError("no marker where one is due" if mark else "no frame header")
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
    # Four inks are printed colours: they are read as red, green and blue.
    return _header("jpeg", rows, columns, 3 if samples == 4 else samples, dtype)


#: What stands at the end of a whole file, and how far from it something else may follow.
_ENDS = {"jpeg": b"\xff\xd9", "png": b"IEND\xaeB`\x82"}
_TAIL = 4096


def _check_end(stream: BinaryIO, name: str) -> None:
    """Refuse a JPEG or PNG that is cut off while it is only looked at, not when it is decoded."""
    mark = _ENDS.get(name)
    if mark is None:
        return
    size = stream.seek(0, 2)
    stream.seek(max(size - _TAIL, 0))
    if mark not in stream.read():
        stream.seek(0)
        if mark not in stream.read():
            raise ValueError("the end of the picture is missing")


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
    """BITMAPINFOHEADER and its older and newer kin; tables of colours are looked through for grey."""
    stream.seek(0)
    head = stream.read(54)
    (size,) = struct.unpack_from("<I", head, 14)
    if size == 12:
        columns, rows, _, bits = struct.unpack_from("<HHHH", head, 18)
    else:
        columns, rows, _, bits = struct.unpack_from("<iiHH", head, 18)
    from PIL import Image

    stream.seek(0)
    # Which of its many layouts a bitmap has is what Pillow knows; the size is checked by us.
    if abs(columns * rows) <= _PILLOW_QUIET:
        with Image.open(stream) as picture:
            samples, palette = _MODES[picture.mode], picture.mode == "P"
    else:
        samples, palette = (3 if bits >= 16 else 1), False
    return _header("bmp", abs(rows), columns, samples, np.dtype(np.uint8), palette=palette)


#: Pixels up to which Pillow opens a picture without a warning.
_PILLOW_QUIET = 89_000_000

_MODES = {"1": 1, "L": 1, "LA": 2, "P": 3, "RGB": 3, "RGBA": 4, "CMYK": 3}


def _header(
    name: str,
    rows: int,
    columns: int,
    samples: int,
    dtype: np.dtype[Any],
    *,
    palette: bool = False,
) -> ImageHeader:
    if samples == 1:
        return ImageHeader(name, "yx", (rows, columns), dtype)
    return ImageHeader(
        name, "cyx", (samples, rows, columns), dtype, palette=palette, samples=samples
    )


def _tiff(stream: BinaryIO) -> ImageHeader:
    stream.seek(0)
    with tifffile.TiffFile(stream) as tiff:
        page = tiff.pages.first
        count = len(tiff.pages)
        check_pages(tiff)
        dtype = page.dtype
        if dtype is None:
            raise ValueError(f"{page.bitspersample} bits of a sample are no known type")
        dtype = np.dtype(dtype).newbyteorder("=")
        if dtype.kind == "b":
            dtype = np.dtype(np.uint8)
        samples = page.samplesperpixel
        if count == 1 and not (tiff.is_ome or tiff.is_imagej or tiff.is_shaped):
            if page.photometric == tifffile.PHOTOMETRIC.PALETTE and samples == 1:
                colors = palette_of(page).dtype
                return _header("tiff", page.imagelength, page.imagewidth, 3, colors, palette=True)
            if page.imagedepth == 1:
                return _header("tiff", page.imagelength, page.imagewidth, samples, dtype)
        series = tiff.series
        axes, shape = _ngff_order(series[0].axes, series[0].shape)
        return ImageHeader(
            "tiff",
            axes,
            shape,
            dtype,
            pages=count,
            series=len(series),
            samples=samples if "S" in series[0].axes else 1,
        )


def _ngff_order(axes: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    named = {("c" if a == "S" else a.lower()): int(n) for a, n in zip(axes, shape, strict=True)}
    order = sorted(named, key=lambda a: ("tczyx".find(a), a))
    return "".join(order), tuple(named[a] for a in order)


_FORMATS: tuple[tuple[bytes, Callable[[BinaryIO], ImageHeader]], ...] = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"BM", _bmp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"II+\0", _tiff),
    (b"MM\0+", _tiff),
)
