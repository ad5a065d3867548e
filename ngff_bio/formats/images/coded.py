"""What coded pixels state about themselves: a few bytes can ask for gigabytes, or hours."""

from __future__ import annotations

import io
from contextlib import suppress

#: TIFF's codes of compressions whose strips and tiles are files of their own.
JPEG = {6, 7, 34892, 33007}
_JPEG_2000 = {33003, 33004, 33005, 34712}
_PNG_WEBP = {34933, 34927, 50001}

#: Scans of a JPEG. A progressive one has about ten, and each is decoded over the whole image.
_SCANS = 100

#: Pixels of a coded strip or tile beyond those of the page: blocks at the edges are filled up.
_FILLED = 1 << 20


def check_scans(data: bytes) -> None:
    """Refuse a JPEG of very many scans.

    Raises
    ------
    ValueError
        If it has more than a program writes.
    """
    # A start of scan, since a byte 0xff of the data is followed by 0.
    if (found := data.count(b"\xff\xda")) > _SCANS:
        raise ValueError(f"{found:,} scans, of at most {_SCANS} that are decoded")


def check_coded(compression: int, coded: bytes, pixels: int) -> None:
    """Refuse a coded strip or tile that would be decoded to more pixels than it has in the TIFF.

    Raises
    ------
    ValueError
        If it would, or is a JPEG that `check_scans` refuses.
    """
    size = None
    if compression in JPEG:
        check_scans(coded)
        size = _jpeg_size(coded)
    elif compression in _JPEG_2000:
        size = _jpeg_2000_size(coded)
    elif compression in _PNG_WEBP:
        from PIL import Image

        with suppress(OSError, SyntaxError), Image.open(io.BytesIO(coded)) as image:
            size = image.size
    if size is not None and size[0] * size[1] > 4 * pixels + _FILLED:
        raise ValueError(f"a strip or tile of {pixels:,} pixels that states {size[0]} x {size[1]}")


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Rows and columns in the frame header (ITU T.81, annex B); ``None`` if there is none."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        code = data[at + 1]
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            return _number(data, at + 5, 2), _number(data, at + 7, 2)
        at += 1 if code == 0xFF else 2 + _number(data, at + 2, 2)
    return None


def _jpeg_2000_size(data: bytes) -> tuple[int, int] | None:
    """Rows and columns in the SIZ marker of the codestream (ITU T.800, A.5.1)."""
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0:
        return None
    x, y, left, top = (_number(data, at + 8 + 4 * i, 4) for i in range(4))
    return max(y - top, 0), max(x - left, 0)


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
