"""TIFF, OME-TIFF and ImageJ files as pixels; any part is read without the rest of its plane."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import NgffBioError, SourceError
from ngff_bio.formats.tiff.files import DAMAGE, OpenTiff, opened_tiff
from ngff_bio.formats.tiff.planes import raw_layout, read_plane, read_rows
from ngff_bio.model import Region, SourceFile

__all__ = ["TiffPixels", "TiffStack", "damage_named", "open_tiff_stack", "palette_of"]


@contextmanager
def damage_named(file: str, record: str | None = None, what: str = "") -> Iterator[None]:
    """Turn whatever a damaged TIFF makes tifffile raise into one error that names the file."""
    try:
        yield
    except NgffBioError as error:
        error.file = error.file or file
        raise
    except DAMAGE as error:
        raise SourceError(
            what or "the TIFF cannot be read",
            file=file,
            record=record,
            found=f"{type(error).__name__}: {error}",
            hint="the file is probably damaged or cut off: download or copy it again",
        ) from error


@dataclass(frozen=True, slots=True)
class TiffPixels:
    """One series of a TIFF.

    Parameters
    ----------
    file
        The TIFF.
    series
        Number of the series.
    axes, shape
        Letters in the order of OME-Zarr and the size along each; samples of a pixel are ``c``.
    dtype
        Type of a sample, in native byte order.
    outer
        Letters of the axes that pages run along, in the order of the file. One of them may be ``c``
        although pixels have samples too: then ``c`` counts the samples of each page in turn.
    samples
        Samples of a pixel; 0 where there is one.
    read_block_shape
        Rows of a strip, or a tile; one row of an uncompressed plane.
    palette
        Whether pixels are indices that are looked up in the file's table of colours.
    """

    file: SourceFile
    series: int
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    outer: str
    samples: int
    read_block_shape: tuple[int, ...]
    palette: bool = False

    def read(self, region: Region) -> NDArray[Any]:
        """The block of a region, C-contiguous."""
        out = np.zeros([b - a for a, b in region], self.dtype)
        spans = dict(zip(self.axes, region, strict=True))
        sizes = dict(zip(self.axes, self.shape, strict=True))
        each = max(self.samples, 1)
        if self.samples and "c" in self.outer:
            sizes["c"] //= each
        ranges = []
        for letter in self.outer:
            first, stop = spans[letter]
            if letter == "c" and self.samples:
                first, stop = first // each, -(-stop // each)
            ranges.append(range(first, stop))
        with damage_named(self.file.name):
            opened = opened_tiff(self.file)
            for place in product(*ranges):
                number = 0
                for letter, at in zip(self.outer, place, strict=True):
                    number = number * sizes[letter] + at
                at_letter = dict(zip(self.outer, place, strict=True))
                target, channels = self._target(out, spans, at_letter)
                with damage_named(self.file.name, f"plane {number}"):
                    opened = self._read_plane(
                        opened, number, spans["y"], spans["x"], channels, target
                    )
        return out

    def _target(
        self, out: NDArray[Any], spans: dict[str, tuple[int, int]], at: dict[str, int]
    ) -> tuple[NDArray[Any], tuple[int, int]]:
        """Where a page goes, as (y, x, sample), and which of its samples are wanted."""
        index: list[Any] = []
        channels = (0, 1)
        for letter in self.axes:
            if letter == "c" and self.samples:
                first, stop = spans["c"]
                base = at.get("c", 0) * self.samples
                channels = (max(first - base, 0), min(stop - base, self.samples))
                index.append(slice(base + channels[0] - first, base + channels[1] - first))
            elif letter in at:
                index.append(at[letter] - spans[letter][0])
            else:
                index.append(slice(None))
        target = out[tuple(index)]
        return (np.moveaxis(target, 0, -1) if self.samples else target[..., None]), channels

    def _read_plane(
        self,
        opened: OpenTiff,
        number: int,
        rows: tuple[int, int],
        columns: tuple[int, int],
        channels: tuple[int, int],
        out: NDArray[Any],
    ) -> OpenTiff:
        while True:
            with opened.lock:
                if not opened.closed:
                    series = opened.tiff.series[self.series]
                    page = _plane_of(series, number)
                    break
            opened = opened_tiff(self.file)
        if self.palette:
            key = series.keyframe
            plane = np.zeros((rows[1] - rows[0], columns[1] - columns[0], 1), key.dtype)
            self._read_part(opened, series, page, number, rows, columns, (0, 1), plane)
            colors = palette_of(key)
            out[...] = colors[plane[..., 0]][..., channels[0] : channels[1]]
        else:
            self._read_part(opened, series, page, number, rows, columns, channels, out)
        return opened

    def _read_part(
        self,
        opened: OpenTiff,
        series: Any,
        page: Any,
        number: int,
        rows: tuple[int, int],
        columns: tuple[int, int],
        channels: tuple[int, int],
        out: NDArray[Any],
    ) -> None:
        key = series.keyframe
        if page is None:  # a plane that the metadata names and that was never written
            return
        if page is _FROM_OFFSET:
            planar, _, length, width, contig = key.shaped
            dtype = np.dtype(key.dtype).newbyteorder(key.parent.byteorder)
            plane = planar * length * width * contig * dtype.itemsize
            read_rows(
                opened.bytes,
                series.dataoffset + number * plane,
                (planar, length, width, contig),
                dtype,
                rows,
                columns,
                channels,
                out,
                self.file.name,
            )
            return
        if page.parent is not opened.tiff:  # of another file of a set
            with opened.lock:
                handle = page.parent.filehandle
                handle.open()  # tifffile closes the other files of a set once it has listed them
                try:
                    pixels = page.asarray()
                finally:
                    handle.close()
            pixels = pixels[..., None] if not self.samples else pixels
            out[...] = pixels[slice(*rows), slice(*columns), slice(*channels)]
            return
        read_plane(opened.bytes, page, rows, columns, channels, out, self.file.name)


_FROM_OFFSET: Any = object()


def _plane_of(series: Any, number: int) -> Any:
    """A page of a series; where planes lie one behind the other, they need no pages."""
    if series.dataoffset is not None and not series.is_multifile:
        return _FROM_OFFSET
    return series[number]


def palette_of(page: Any) -> NDArray[Any]:
    """The table of colours of a TIFF page: (index, red-green-blue).

    8 bits where nothing is lost by it: entries of 16 bits are 8-bit ones times 256 or times 257.
    """
    table: NDArray[Any] = np.moveaxis(np.asarray(page.colormap, np.uint16), 0, -1)
    high, low = table >> 8, table & 255
    narrow = bool((low == 0).all() or (low == high).all())
    return np.ascontiguousarray(high.astype(np.uint8) if narrow else table)


def plane_grain(page: Any) -> tuple[int, int]:
    """Rows and columns of the smallest part of a page that is read without reading any other."""
    key = page.keyframe
    layout = raw_layout(page)
    _, _, length, width, _ = key.shaped
    if layout == "rows" or (layout == "segments" and not key.is_tiled):
        return 1, width
    if layout == "segments":
        return 1, 1
    if key.is_tiled:
        return min(key.tilelength, length), min(key.tilewidth, width)
    return min(key.rowsperstrip, length), width


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
    rows
        Rows of the smallest part that is read by itself.
    """

    file: SourceFile
    shape: tuple[int, ...]
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype("u1"))
    rows: int = 0

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        """A strip of one page, or the page."""
        return (1, self.rows or self.shape[1], *self.shape[2:])

    def read(self, region: Region) -> NDArray[Any]:
        """The block of a region, C-contiguous."""
        (first, stop), rows, columns, *rest = region
        samples = rest[0] if rest else (0, 1)
        out = np.zeros([b - a for a, b in region], self.dtype)
        for number in range(first, stop):
            target = out[number - first]
            what = "a page of the TIFF cannot be read"
            with damage_named(self.file.name, f"page {number}", what):
                opened, page = self._page(number)
                read_plane(
                    opened.bytes,
                    page,
                    rows,
                    columns,
                    samples,
                    target if rest else target[..., None],
                    self.file.name,
                )
        return out

    def _page(self, number: int) -> tuple[OpenTiff, Any]:
        while True:
            opened = opened_tiff(self.file)
            with opened.lock:
                if not opened.closed:
                    page = opened.tiff.pages[number]
                    break
        found = _page_shape(page)
        if found != self.shape[1:]:
            raise SourceError(
                "a page of the TIFF has another size than the first",
                file=self.file.name,
                record=f"page {number}",
                expected=self.shape[1:],
                found=found,
            )
        return opened, page


def _page_shape(page: Any) -> tuple[int, ...]:
    """Rows, columns, and samples where there are several, however the file keeps them."""
    planar, depth, length, width, contig = page.keyframe.shaped
    if depth > 1:
        raise SourceError("a page of the TIFF is a volume", found=page.shape)
    samples = planar * contig
    return (length, width) if samples == 1 else (length, width, samples)


def open_tiff_stack(file: SourceFile) -> TiffStack:
    """A TIFF whose pages are planes; only its directory is read.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is not a TIFF, or cut off.
    """
    with damage_named(file.name):
        opened = opened_tiff(file)
        with opened.lock:
            page = opened.tiff.pages.first
            shape = (len(opened.tiff.pages), *_page_shape(page))
            dtype = np.dtype(page.dtype)
            check_pages(opened.tiff)
            check_end(file, opened.tiff.pages[-1])
            rows = plane_grain(page)[0]
    return TiffStack(file, tuple(int(n) for n in shape), dtype, rows)


def check_end(file: SourceFile, page: Any, nbytes: int | None = None) -> None:
    """Refuse a file that ends before the pixels of a page do (or `nbytes` after its first)."""
    end = max(
        (o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)), default=0
    )
    if nbytes is not None and page.dataoffsets:
        end = page.dataoffsets[0] + nbytes
    if end > file.size:
        raise SourceError(
            "the TIFF is cut off",
            file=file.name,
            expected=f"{end} bytes",
            found=f"{file.size} bytes",
            hint="download or copy the file again",
        )


def check_pages(tiff: Any) -> None:
    """Refuse a file whose chain of pages leads out of it: tifffile only logs that, and stops."""
    last = tiff.pages[-1]
    if not last.offset:
        return
    form, handle = tiff.tiff, tiff.filehandle
    handle.seek(last.offset)
    (count,) = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))
    handle.seek(last.offset + form.tagnosize + count * form.tagsize)
    pointer = handle.read(form.offsetsize)
    whole = len(pointer) == form.offsetsize
    following = struct.unpack(form.offsetformat, pointer)[0] if whole else None
    if following != 0:
        raise SourceError(
            "the TIFF is cut off: a page that it names is not in it",
            record=f"page {len(tiff.pages)}",
            expected="a page" + ("" if following is None else f" at byte {following}"),
            found=f"{handle.size} bytes in all",
            hint="download or copy the file again",
        )


def total_bytes(series: Any) -> int:
    """Bytes of the pixels of a series."""
    return int(math.prod(series.get_shape(False)) * series.dtype.itemsize)
