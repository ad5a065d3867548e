"""TIFF, OME-TIFF and ImageJ files as pixels; any part is read without the rest of its plane."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import tifffile

from ngff_bio.errors import SourceError
from ngff_bio.formats.problems import damage_named
from ngff_bio.formats.tiff.files import OpenTiff, locked_tiff
from ngff_bio.formats.tiff.planes import (
    Page,
    PlanePart,
    keyframe_of,
    raw_layout,
    read_plane,
    read_rows,
    segment_size,
)
from ngff_bio.model import Notice, PixelArray, Region, SampleType, SourceFile, SourceParts
from ngff_bio.model.pixels import flat_index

#: Error for a TIFF that cannot be read.
UNREADABLE = "the TIFF cannot be read"


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
        Letters in the order of OME-Zarr and the size along each.
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
        Whether pixels are indices into the file's color table.
    samples_axis
        Letter of the axis that the samples of a pixel are: ``c``, unless the file states that the
        samples are its last outer axis (tifffile writes 3 planes of a stack as one page).
    """

    file: SourceFile
    series: int
    axes: str
    shape: tuple[int, ...]
    dtype: SampleType
    outer: str
    samples: int
    read_block_shape: tuple[int, ...]
    palette: bool = False
    samples_axis: str = "c"

    def read(self, region: Region) -> PixelArray:
        """The block of a region, C-contiguous."""
        out = np.zeros([b - a for a, b in region], self.dtype)
        spans = dict(zip(self.axes, region, strict=True))
        sizes = dict(zip(self.axes, self.shape, strict=True))
        each = max(self.samples, 1)
        if self.samples and self.samples_axis in self.outer:
            sizes[self.samples_axis] //= each
        counts = [sizes[letter] for letter in self.outer]
        ranges = []
        for letter in self.outer:
            first, stop = spans[letter]
            if letter == self.samples_axis:
                first, stop = first // each, -(-stop // each)
            ranges.append(range(first, stop))
        for place in product(*ranges):
            number = flat_index(place, counts)
            target, channels = self._target(out, spans, dict(zip(self.outer, place, strict=True)))
            with damage_named(self.file.name, UNREADABLE, f"plane {number}"):
                self._read_plane(number, PlanePart(spans["y"], spans["x"], channels), target)
        return out

    def source_parts(self) -> SourceParts:
        """The TIFF."""
        return (self.file,)

    def _target(
        self, out: PixelArray, spans: dict[str, tuple[int, int]], at: dict[str, int]
    ) -> tuple[PixelArray, tuple[int, int]]:
        """Where a page goes, as (y, x, sample), and which of its samples are wanted."""
        index: list[Any] = []
        channels = (0, 1)
        for letter in self.axes:
            if letter == self.samples_axis and self.samples:
                first, stop = spans[letter]
                base = at.get(letter, 0) * self.samples
                channels = (max(first - base, 0), min(stop - base, self.samples))
                index.append(slice(base + channels[0] - first, base + channels[1] - first))
            elif letter in at:
                index.append(at[letter] - spans[letter][0])
            else:
                index.append(slice(None))
        target = out[tuple(index)]
        return (np.moveaxis(target, 0, -1) if self.samples else target[..., None]), channels

    def _read_plane(self, number: int, part: PlanePart, out: PixelArray) -> None:
        with locked_tiff(self.file) as opened:
            series = opened.tiff.series[self.series]
            # Planes that follow each other without gaps need no pages of their own.
            gapless = series.dataoffset is not None and not series.is_multifile
            page = None if gapless else series[number]
        if not gapless and page is None:  # a plane that the metadata names and that was not written
            return
        if not self.palette:
            self._read_part(opened, series, page, number, part, out)
            return
        key = series.keyframe
        rows, columns, channels = part
        plane = np.zeros((rows[1] - rows[0], columns[1] - columns[0], 1), key.dtype)
        self._read_part(opened, series, page, number, PlanePart(rows, columns, (0, 1)), plane)
        out[...] = palette_of(key)[plane[..., 0]][..., slice(*channels)]

    def _read_part(
        self,
        opened: OpenTiff,
        series: tifffile.TiffPageSeries,
        page: Page | None,
        number: int,
        part: PlanePart,
        out: PixelArray,
    ) -> None:
        if page is None:
            key = series.keyframe
            planar, _, length, width, contig = key.shaped
            dtype = np.dtype(key.dtype).newbyteorder(key.parent.byteorder)
            shape = (planar, length, width, contig)
            offset = (series.dataoffset or 0) + number * math.prod(shape) * dtype.itemsize
            read_rows(opened.bytes, offset, shape, dtype, part, out, self.file.name)
        elif page.parent is not opened.tiff:  # of another file of a set
            with opened.lock:
                handle = page.parent.filehandle
                handle.open()  # tifffile closes the other files of a set once it has listed them
                try:
                    pixels = page.asarray()
                finally:
                    handle.close()
            pixels = pixels if self.samples else pixels[..., None]
            out[...] = pixels[tuple(slice(*span) for span in part)]
        else:
            read_plane(opened.bytes, page, part, out, self.file.name)


def palette_of(page: tifffile.TiffPage) -> PixelArray:
    """The color table of a TIFF page: (index, red-green-blue).

    8 bits where nothing is lost by it: entries of 16 bits are 8-bit ones times 256 or times 257.
    """
    table: PixelArray = np.moveaxis(np.asarray(page.colormap, np.uint16), 0, -1)
    high, low = table >> 8, table & 255
    narrow = bool((low == 0).all() or (low == high).all())
    return np.ascontiguousarray(high.astype(np.uint8) if narrow else table)


def sample_type(page: tifffile.TiffPage) -> SampleType:
    """Type of a sample of a page, in native byte order; bits are read as bytes.

    Raises
    ------
    ngff_bio.errors.SourceError
        If OME-Zarr does not have the type.
    """
    dtype = None if page.dtype is None else np.dtype(page.dtype).newbyteorder("=")
    if dtype is None or dtype.kind not in "uifb":
        raise SourceError(
            "the pixels have a type that OME-Zarr does not support",
            expected="integers or floats",
            found=f"{page.bitspersample} bits for each sample" if dtype is None else dtype,
        )
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype


def block_size(page: Page) -> tuple[int, int]:
    """Rows and columns of the smallest part of a page that is read without reading any other."""
    key = keyframe_of(page)
    layout = raw_layout(page)
    _, _, length, width, _ = key.shaped
    if layout == "rows" or (layout == "segments" and not key.is_tiled):
        return 1, width
    if layout == "segments":
        return 1, 1
    rows, columns = segment_size(key)
    return min(rows, length), min(columns, width)


def check_end(file: SourceFile, series: tifffile.TiffPageSeries) -> None:
    """Refuse a file that ends before the pixels of a series do."""
    if series.is_multifile:
        return
    page = series[-1] if series.dataoffset is None else series[0]
    if page is None:
        return
    if series.dataoffset is None:
        check_segments(page, file.size)
        return
    size = math.prod(series.get_shape(False)) * series.dtype.itemsize
    end = page.dataoffsets[0] + size if page.dataoffsets else 0
    if end > file.size:
        raise SourceError(
            "the TIFF is truncated",
            file=file.name,
            expected=f"{end} bytes",
            found=f"{file.size} bytes",
            hint="download or copy the file again",
        )


def check_segments(page: tifffile.TiffPage | tifffile.TiffFrame, size: int) -> None:
    """Refuse a page without all of its strips or tiles, or that a file of `size` bytes ends before."""
    key = keyframe_of(page)
    if page.dataoffsets and raw_layout(page) != "rows":
        rows, columns = segment_size(key)
        planar, _, length, width, _ = key.shaped
        needed = planar * -(-length // rows) * -(-width // columns)
        if needed > len(page.dataoffsets):
            raise SourceError(
                "the TIFF lists fewer strips or tiles than its pixels need",
                expected=f"{needed:,} of {rows} x {columns} pixels",
                found=f"{len(page.dataoffsets):,}",
                hint="the file is damaged: download or copy it again",
            )
    ends = (o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True) if n)
    end = max(ends, default=0)
    if page.compression == 1 and 0 not in page.databytecounts:
        end = max(end, key.size * key.bitspersample // 8)
    if end > size:
        raise SourceError(
            "the TIFF is truncated",
            expected=f"{end} bytes",
            found=f"{size} bytes",
            hint="download or copy the file again",
        )


#: Sizes in OME-XML along the axes of planes, and how many planes a file may list. tifffile makes a
#: list of all of them, whatever the file contains.
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b([^<]*)")
_SIZES = re.compile(r"\bSize[TCZ]\s*=\s*[\"']([^\"']*)")
_PLANES = 1_000_000


def _missing_planes(tiff: tifffile.TiffFile) -> int:
    """Planes that ImageJ states in a file which has only its first page; 0 if there are all.

    tifffile logs it, and reads the page.
    """
    if not tiff.is_imagej or len(tiff.pages) > 1 or tiff.series[0].kind == "imagej":
        return 0
    given = tiff.imagej_metadata or {}
    planes = math.prod(int(given.get(name, 1)) for name in ("channels", "slices", "frames"))
    planes = max(planes, int(given.get("images", 1)))
    return planes if planes > 1 else 0


def plane_notices(tiff: tifffile.TiffFile, file: str) -> list[Notice]:
    """A warning of such planes, if the file does not end within them."""
    planes = _missing_planes(tiff)
    what = f"ImageJ states {planes} planes in a TIFF that has one: the others may be missing"
    return [Notice("warning", what, file=file)] if planes else []


def check_pages(tiff: tifffile.TiffFile) -> None:
    """Refuse metadata of very many planes, and a file that ends before all of its pages.

    tifffile only logs the latter, and stops.
    """
    for sizes in _PIXELS.findall(tiff.ome_metadata or "") if tiff.is_ome else ():
        planes = math.prod(int(size) for size in _SIZES.findall(sizes))
        if planes > _PLANES:
            raise SourceError(
                "the metadata of the file gives more planes than allowed",
                expected=f"at most {_PLANES:,} planes",
                found=f"{planes:,} planes",
                hint="correct the sizes in its OME-XML, or split the file",
            )
    if planes := _missing_planes(tiff):
        page, size = tiff.pages.first, tiff.filehandle.size
        if size >= page.dataoffsets[0] + 2 * page.nbytes:
            raise SourceError(
                "the TIFF is truncated: it has fewer planes than ImageJ states in it",
                expected=f"{planes} planes",
                found=f"{(size - page.dataoffsets[0]) // page.nbytes} in {size:,} bytes",
                hint="download or copy the file again",
            )
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
            "the TIFF is truncated: a page that it lists is missing",
            record=f"page {len(tiff.pages)}",
            expected="a page" + ("" if following is None else f" at byte {following}"),
            found=f"{handle.size} bytes in all",
            hint="download or copy the file again",
        )
