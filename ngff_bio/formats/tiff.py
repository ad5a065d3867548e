"""TIFF files as pixels that are read page by page."""

from __future__ import annotations

import struct
import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.model import Region, SourceFile

#: What tifffile and its codecs raise for a damaged file.
_DAMAGE = (
    tifffile.TiffFileError,
    ValueError,
    struct.error,
    OSError,
    EOFError,
    zlib.error,
    IndexError,
    KeyError,
    TypeError,
    RuntimeError,
)

_OPEN_FILES = 8


class _OpenFiles(threading.local):
    """TIFF files that a thread has open: opening one anew for each block costs more than reading."""

    def __init__(self) -> None:
        self.files: OrderedDict[SourceFile, tifffile.TiffFile] = OrderedDict()

    def get(self, file: SourceFile) -> tifffile.TiffFile:
        if file in self.files:
            self.files.move_to_end(file)
            return self.files[file]
        while len(self.files) >= _OPEN_FILES:
            _, oldest = self.files.popitem(last=False)
            oldest.close()
        opened = self.files[file] = tifffile.TiffFile(file.path or file.open())
        return opened


_open_files = _OpenFiles()


@dataclass(frozen=True, slots=True)
class TiffStack:
    """A multi-page TIFF whose pages are planes: axes (page, y, x) or (page, y, x, sample).

    Parameters
    ----------
    file
        The TIFF.
    shape
        Pages, rows, columns, and samples of a pixel where there are several.
    dtype
        Type of a sample.
    """

    file: SourceFile
    shape: tuple[int, ...]
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype("u1"))

    @property
    def grain(self) -> tuple[int, ...]:
        """One page."""
        return (1, *self.shape[1:])

    def read(self, region: Region) -> NDArray[Any]:
        """The block of a region, C-contiguous."""
        (first, stop), *inner = region
        out = np.empty([b - a for a, b in region], self.dtype)
        cut = tuple(slice(*r) for r in inner)
        for number in range(first, stop):
            out[number - first] = self._page(number)[cut]
        return out

    def _page(self, number: int) -> NDArray[Any]:
        try:
            page: NDArray[Any] = _open_files.get(self.file).pages[number].asarray()
        except _DAMAGE as error:
            raise SourceError(
                "a page of the TIFF cannot be read",
                file=self.file.name,
                record=f"page {number}",
                expected=f"{self.shape[1:]} of {self.dtype}",
                found=f"{type(error).__name__}: {error}",
                mend="the file is probably cut off: download or copy it again",
            ) from error
        if page.shape != self.shape[1:]:
            raise SourceError(
                "a page of the TIFF has another size than the first",
                file=self.file.name,
                record=f"page {number}",
                expected=self.shape[1:],
                found=page.shape,
            )
        return page


def open_tiff_stack(file: SourceFile) -> TiffStack:
    """A TIFF whose pages are planes; only its directory is read.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is not a TIFF, or cut off.
    """
    try:
        with tifffile.TiffFile(file.path or file.open()) as tiff:
            page = tiff.pages.first
            shape = (len(tiff.pages), *page.shape)
            dtype = np.dtype(page.dtype)
            last = tiff.pages[-1]
            if (cut := _next_offset(tiff, last)) is not None:
                raise SourceError(
                    "the TIFF is cut off",
                    file=file.name,
                    record=f"page {len(tiff.pages)}",
                    expected=f"its directory at byte {cut}",
                    found=f"{file.size} bytes",
                    mend="download or copy the file again",
                )
            end = max(o + n for o, n in zip(last.dataoffsets, last.databytecounts, strict=True))
    except SourceError:
        raise
    except _DAMAGE as error:
        raise SourceError(
            "the TIFF cannot be read",
            file=file.name,
            expected="a TIFF",
            found=f"{type(error).__name__}: {error}",
            mend="download or copy the file again",
        ) from error
    if end > file.size:
        raise SourceError(
            "the TIFF is cut off",
            file=file.name,
            expected=f"{end} bytes",
            found=f"{file.size} bytes",
            mend="download or copy the file again",
        )
    return TiffStack(file, tuple(int(n) for n in shape), dtype)


def _next_offset(tiff: tifffile.TiffFile, last: Any) -> int | None:
    """Where a page after the last readable one should be; ``None`` if that is the last.

    tifffile ends the list of pages at an offset beyond the file without raising.
    """
    layout = tiff.tiff
    handle = tiff.filehandle
    handle.seek(last.offset)
    (tags,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
    handle.seek(last.offset + layout.tagnosize + tags * layout.tagsize)
    (offset,) = struct.unpack(layout.offsetformat, handle.read(layout.offsetsize))
    return int(offset) or None
