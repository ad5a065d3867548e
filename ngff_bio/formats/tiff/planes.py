"""Reading a plane of a TIFF, or a part of it: only the needed strips or tiles are read and decoded."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tifffile

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.coded import JPEG, check_coded
from ngff_bio.formats.tiff.files import TiffBytes
from ngff_bio.model import PixelArray, SampleType

#: Neighboring segments are read at once up to this many bytes.
_MAX_READ = 4 << 20

#: Bytes of an uncompressed block that are read at once before they are copied into their place:
#: few enough to stay in the processor's cache.
_MAX_COPY = 1 << 19

Page = tifffile.TiffPage | tifffile.TiffFrame

Span = tuple[int, int]


class PlanePart(NamedTuple):
    """A part of a plane, as half-open ranges."""

    rows: Span
    columns: Span
    samples: Span


def keyframe_of(page: Page) -> tifffile.TiffPage:
    """The page whose layout a page has."""
    if page.keyframe is None:
        raise ValueError("a page without a layout")
    return page.keyframe


def raw_layout(page: Page) -> str:
    """How a page stores its pixels: ``rows`` (one block), ``segments`` (strips or tiles), ``coded``.

    The first two are as in memory (except for the byte order) and are read without a decoder.
    """
    key = keyframe_of(page)
    if page.is_final:
        return "rows"
    plain = (
        key.compression == 1
        and key.predictor == 1
        and key.fillorder == 1
        and not key.is_subsampled
        and key.sampleformat != 5
        and key.bitspersample == 8 * np.dtype(key.dtype).itemsize
    )
    return "segments" if plain else "coded"


def read_plane(source: TiffBytes, page: Page, part: PlanePart, out: PixelArray, file: str) -> None:
    """Read a part of one page.

    Parameters
    ----------
    page
        tifffile's page or frame, with one plane in depth.
    out
        (rows, columns, samples), of any strides, in native byte order.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file ends before the pixels do.
    ValueError, RuntimeError and others
        If a segment cannot be decoded; see `ngff_bio.formats.problems.damage_named`.
    """
    layout = raw_layout(page)
    if layout == "coded":
        _read_coded(source, page, part, out)
        return
    key = keyframe_of(page)
    planar, _, length, width, contig = key.shaped
    dtype = np.dtype(key.dtype).newbyteorder(key.parent.byteorder)
    if layout == "rows":
        shape = (planar, length, width, contig)
        read_rows(source, page.dataoffsets[0], shape, dtype, part, out, file)
        return
    height, across = segment_size(key)
    for number, (s, y, x) in _segments(key, part):
        # The last strip may be shorter than the others; a tile never is.
        tall = height if key.is_tiled else min(height, length - y)
        inner, target = _overlap(out, part, (s, y, x), (tall, across), planar)
        if page.databytecounts[number] == 0:
            target[...] = key.nodata
            continue
        shape = (1, tall, across, contig)
        read_rows(source, page.dataoffsets[number], shape, dtype, inner, target, file)


def _overlap(
    out: PixelArray,
    part: PlanePart,
    corner: tuple[int, int, int],
    size: tuple[int, int],
    planar: int,
) -> tuple[PlanePart, PixelArray]:
    """The part of a segment that is wanted, counted from its corner, and where it goes."""
    s, y, x = corner
    rows, columns, samples = part
    top, bottom = max(y, rows[0]), min(y + size[0], rows[1])
    left, right = max(x, columns[0]), min(x + size[1], columns[1])
    target = out[top - rows[0] : bottom - rows[0], left - columns[0] : right - columns[0]]
    if planar > 1:
        target, samples = target[..., s - samples[0] : s - samples[0] + 1], (0, 1)
    return PlanePart((top - y, bottom - y), (left - x, right - x), samples), target


def read_rows(
    source: TiffBytes,
    offset: int,
    shape: tuple[int, int, int, int],
    dtype: SampleType,
    part: PlanePart,
    out: PixelArray,
    file: str,
) -> None:
    """Read a part of an uncompressed block at an offset.

    Whole rows are read straight into `out` if it has the layout of the file.

    Parameters
    ----------
    shape
        Of the block: planar samples, rows, columns, contiguous samples.
    dtype
        Type in the file.
    """
    planar, length, width, contig = shape
    rows, columns, samples = part
    row_bytes = width * contig * dtype.itemsize
    for s in range(*samples) if planar > 1 else (0,):
        start = offset + (s * length + rows[0]) * row_bytes
        target = out[..., s - samples[0]] if planar > 1 else out
        whole = columns == (0, width) and (planar > 1 or samples == (0, contig))
        if whole and target.flags.c_contiguous and target.dtype == dtype.newbyteorder("="):
            _fill(source, target, start, file)
            if not dtype.isnative:
                target.byteswap(inplace=True)
            continue
        step = max(1, _MAX_COPY // max(row_bytes, 1))
        scratch = np.empty((step, width, contig), dtype)
        for first in range(0, rows[1] - rows[0], step):
            block = scratch[: min(step, rows[1] - rows[0] - first)]
            _fill(source, block, start + first * row_bytes, file)
            cut = block[:, columns[0] : columns[1]]
            cut = cut[..., 0] if planar > 1 else cut[..., samples[0] : samples[1]]
            target[first : first + len(block)] = cut


def _fill(source: TiffBytes, target: PixelArray, offset: int, file: str) -> None:
    if not target.size:
        return
    view = target.reshape(-1).view(np.uint8).data
    found = source.read_into(view, offset)
    if found != len(view):
        raise SourceError(
            "the TIFF is truncated",
            file=file,
            expected=f"{len(view):,} bytes of pixels at byte {offset:,}",
            found=f"{found:,} bytes",
            hint="download or copy the file again",
        )


def segment_size(key: tifffile.TiffPage) -> tuple[int, int]:
    """Rows and columns of a tile or strip.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a tag gives no whole number of them.
    """
    found = (key.tilelength, key.tilewidth) if key.is_tiled else (key.rowsperstrip, key.shaped[3])
    if not all(isinstance(size, int) and size > 0 for size in found):
        raise SourceError(
            "the TIFF gives no size of its tiles or strips",
            expected="whole numbers of rows and columns",
            found=found,
        )
    return found


def _segments(key: tifffile.TiffPage, part: PlanePart) -> list[tuple[int, tuple[int, int, int]]]:
    """Number and position (planar sample, row, column) of the segments that a part needs."""
    planar, _, length, width, _ = key.shaped
    height, across = segment_size(key)
    down, wide = -(-length // height), -(-width // across)
    rows, columns, samples = part
    return [
        ((s * down + j) * wide + i, (s, j * height, i * across))
        for s in (range(*samples) if planar > 1 else (0,))
        for j in range(rows[0] // height, -(-rows[1] // height))
        for i in range(columns[0] // across, -(-columns[1] // across))
    ]


def _read_coded(source: TiffBytes, page: Page, part: PlanePart, out: PixelArray) -> None:
    key = keyframe_of(page)
    planar = key.shaped[0]
    options: dict[str, object] = {}
    if key.compression in JPEG:
        options = {"jpegtables": page.jpegtables, "jpegheader": key.jpegheader}
    for group in _together(page, [number for number, _ in _segments(key, part)]):
        first = page.dataoffsets[group[0]]
        last = group[-1]
        data = source.read(first, page.dataoffsets[last] + page.databytecounts[last] - first)
        for number in group:
            start = page.dataoffsets[number] - first
            count = page.databytecounts[number]
            coded = bytes(data[start : start + count]) if count else None
            if coded is not None and len(coded) < count:
                raise ValueError(f"strip or tile {number} is truncated")
            if coded is not None:
                check_segment(key, coded)
            pixels, (s, _, y, x, _), shape = key.decode(coded, number, **options)
            size = shape[1:3] if pixels is None else pixels.shape[1:3]
            inner, target = _overlap(out, part, (s, y, x), size, planar)
            if pixels is None:
                target[...] = key.nodata
            else:
                target[...] = pixels[0][tuple(slice(*span) for span in inner)]


def check_segment(key: tifffile.TiffPage, coded: bytes) -> None:
    """Refuse a strip or tile before it is decoded.

    Raises
    ------
    ValueError
        If it is a JPEG without its end, which libjpeg fills with gray, or would become larger than
        strips and tiles are.
    """
    if key.compression == 7 and b"\xff\xd9" not in coded:
        raise ValueError("the end of a JPEG is missing")
    rows, columns = segment_size(key)
    check_coded(int(key.compression), coded, min(rows, key.shaped[2]) * columns)


def _together(page: Page, numbers: list[int]) -> list[list[int]]:
    """Segments in the order of the file, those next to each other in one group."""
    offsets, counts = page.dataoffsets, page.databytecounts
    groups: list[list[int]] = []
    stop = start = -1
    for number in sorted(numbers, key=lambda n: (offsets[n], n)):
        if not groups or offsets[number] != stop or stop - start > _MAX_READ:
            groups.append([])
            start = offsets[number]
        groups[-1].append(number)
        stop = offsets[number] + counts[number]
    return groups
