"""One plane of a TIFF, or a part of it: only the strips or tiles that it needs are read and decoded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.formats.tiff.files import TiffBytes

#: Neighbouring segments are read in one go up to this many bytes.
_TOGETHER = 4 << 20

_JPEG = {6, 7, 34892, 33007}

Span = tuple[int, int]


def raw_layout(page: Any) -> str:
    """How a page's pixels lie: ``rows`` (one block), ``segments`` (strips or tiles), ``coded``.

    The first two are as in memory (but for the byte order) and are read without a decoder.
    """
    key = page.keyframe
    if page.is_final:
        return "rows"
    plain = (
        key.compression == 1
        and key.predictor == 1
        and key.fillorder == 1
        and not key.is_subsampled
        and key.sampleformat != 5
        and key.bitspersample == 8 * key.dtype.itemsize
    )
    return "segments" if plain else "coded"


def read_plane(
    source: TiffBytes,
    page: Any,
    rows: Span,
    columns: Span,
    samples: Span,
    out: NDArray[Any],
    file: str,
) -> None:
    """Read a part of one page.

    Parameters
    ----------
    page
        tifffile's page or frame; of one plane in depth.
    rows, columns, samples
        Half-open ranges.
    out
        (rows, columns, samples), of any strides, in native byte order.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file ends before the pixels do.
    ValueError, RuntimeError and others of `DAMAGE`
        If a segment cannot be decoded.
    """
    layout = raw_layout(page)
    if layout == "coded":
        _read_coded(source, page, rows, columns, samples, out)
        return
    key = page.keyframe
    planar, _, length, width, contig = key.shaped
    dtype = np.dtype(key.dtype).newbyteorder(key.parent.byteorder)
    if layout == "rows":
        read_rows(
            source,
            page.dataoffsets[0],
            (planar, length, width, contig),
            dtype,
            rows,
            columns,
            samples,
            out,
            file,
        )
        return
    height = key.tilelength if key.is_tiled else key.rowsperstrip
    across = key.tilewidth if key.is_tiled else width
    for number, (s, y, x) in _segments(key, rows, columns, samples):
        offset = page.dataoffsets[number]
        part = (max(y, rows[0]), min(y + height, length, rows[1]))
        cut = (max(x, columns[0]), min(x + across, columns[1]))
        inner = samples if planar == 1 else (0, 1)
        target = out[
            part[0] - rows[0] : part[1] - rows[0], cut[0] - columns[0] : cut[1] - columns[0]
        ]
        if planar > 1:
            target = target[..., s - samples[0] : s - samples[0] + 1]
        if page.databytecounts[number] == 0:
            target[...] = key.nodata
            continue
        # The last strip may be shorter than the others; a tile never is.
        tall = height if key.is_tiled else min(height, length - y)
        read_rows(
            source,
            offset,
            (1, tall, across, contig),
            dtype,
            (part[0] - y, part[1] - y),
            (cut[0] - x, cut[1] - x),
            inner,
            target,
            file,
        )


def read_rows(
    source: TiffBytes,
    offset: int,
    shape: tuple[int, int, int, int],
    dtype: np.dtype[Any],
    rows: Span,
    columns: Span,
    samples: Span,
    out: NDArray[Any],
    file: str,
) -> None:
    """Read a part of an uncompressed block (planar sample, row, column, sample) at an offset.

    Whole rows go straight into `out` where it lies as the file does.
    """
    planar, length, width, contig = shape
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
        # A few rows at a time, so that what is read is still in the processor's cache when it is
        # copied into its place.
        step = max(1, (1 << 19) // max(row_bytes, 1))
        scratch = np.empty((step, width, contig), dtype)
        for first in range(0, rows[1] - rows[0], step):
            block = scratch[: min(step, rows[1] - rows[0] - first)]
            _fill(source, block, start + first * row_bytes, file)
            cut = block[:, columns[0] : columns[1]]
            cut = cut[..., 0] if planar > 1 else cut[..., samples[0] : samples[1]]
            target[first : first + len(block)] = cut


def _fill(source: TiffBytes, target: NDArray[Any], offset: int, file: str) -> None:
    if not target.size:
        return
    view = target.reshape(-1).view(np.uint8).data
    found = source.read_into(view, offset)
    if found != len(view):
        raise SourceError(
            "the TIFF is cut off",
            file=file,
            expected=f"{len(view):,} bytes of pixels at byte {offset:,}",
            found=f"{found:,} bytes",
            hint="download or copy the file again",
        )


def _segments(
    key: Any, rows: Span, columns: Span, samples: Span
) -> list[tuple[int, tuple[int, int, int]]]:
    """Number and position (planar sample, row, column) of the segments that a part needs."""
    planar, _, length, width, _ = key.shaped
    height = key.tilelength if key.is_tiled else key.rowsperstrip
    across = key.tilewidth if key.is_tiled else width
    down, wide = -(-length // height), -(-width // across)
    return [
        ((s * down + j) * wide + i, (s, j * height, i * across))
        for s in (range(*samples) if planar > 1 else (0,))
        for j in range(rows[0] // height, -(-rows[1] // height))
        for i in range(columns[0] // across, -(-columns[1] // across))
    ]


def _read_coded(
    source: TiffBytes,
    page: Any,
    rows: Span,
    columns: Span,
    samples: Span,
    out: NDArray[Any],
) -> None:
    key = page.keyframe
    planar = key.shaped[0]
    decode = key.decode
    options: dict[str, Any] = {}
    if key.compression in _JPEG:
        options = {"jpegtables": page.jpegtables, "jpegheader": key.jpegheader}
    wanted = _segments(key, rows, columns, samples)
    for group in _together(page, [number for number, _ in wanted]):
        first = page.dataoffsets[group[0]]
        last = group[-1]
        data = source.read(first, page.dataoffsets[last] + page.databytecounts[last] - first)
        for number in group:
            start = page.dataoffsets[number] - first
            size = page.databytecounts[number]
            coded = bytes(data[start : start + size]) if size else None
            pixels, (s, _, y, x, _), shape = decode(coded, number, **options)
            _place(pixels, key.nodata, (y, x), shape[1:3], rows, columns, out, s, planar, samples)


def _place(
    pixels: NDArray[Any] | None,
    nodata: Any,
    corner: tuple[int, int],
    size: tuple[int, int],
    rows: Span,
    columns: Span,
    out: NDArray[Any],
    sample: int,
    planar: int,
    samples: Span,
) -> None:
    """Put a decoded segment, (1, rows, columns, samples), into its place."""
    y, x = corner
    if pixels is not None:
        size = (pixels.shape[1], pixels.shape[2])
    top, bottom = max(y, rows[0]), min(y + size[0], rows[1])
    left, right = max(x, columns[0]), min(x + size[1], columns[1])
    target = out[top - rows[0] : bottom - rows[0], left - columns[0] : right - columns[0]]
    if planar > 1:
        target = target[..., sample - samples[0]]
    if pixels is None:
        target[...] = nodata
        return
    cut = pixels[0, top - y : bottom - y, left - x : right - x]
    target[...] = cut[..., 0] if planar > 1 else cut[..., samples[0] : samples[1]]


def _together(page: Any, numbers: list[int]) -> list[list[int]]:
    """Segments in the order of the file, those next to each other in one group."""
    offsets, counts = page.dataoffsets, page.databytecounts
    groups: list[list[int]] = []
    stop = start = -1
    for number in sorted(numbers, key=lambda n: (offsets[n], n)):
        if not groups or offsets[number] != stop or stop - start > _TOGETHER:
            groups.append([])
            start = offsets[number]
        groups[-1].append(number)
        stop = offsets[number] + counts[number]
    return groups
