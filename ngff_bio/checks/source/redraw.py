"""The pixels of instances, drawn a second time, by other code than that which drew the store.

COCO outlines and boxes go through pycocotools, labelme's shapes are drawn with Pillow on the whole
frame, as labelme does it, and centers of pixels are counted by the sides of outlines to their left.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from ngff_bio.errors import SourceError
from ngff_bio.model import Box, Instance, Polygons, Rle, Shape
from ngff_bio.raster.boxes import coco_boxes, fill_boxes
from ngff_bio.raster.coco_rle import decode_counts
from ngff_bio.raster.filled import rasterize_filled
from ngff_bio.raster.polygons import FARTHEST, rasterize_polygons
from ngff_bio.raster.runs import run_pixels
from ngff_bio.raster.shapes import MAX_RADIUS

Flat = NDArray[np.int64]

#: labelme's defaults, pixels.
_LINE_WIDTH, _POINT_SIZE = 10, 5

#: Pixels along an outline up to which pycocotools draws it.
_LONGEST = 1 << 22

#: Pixels of an instance of which no offsets are kept: they take 8 bytes each.
_LARGE = 1 << 22

_NOTHING: Flat = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class LargeMask:
    """The pixels of a large instance on a frame: a bit for each pixel of the frame, row-major."""

    bits: NDArray[np.uint8]
    area: int
    size: tuple[int, int]

    def __len__(self) -> int:
        return self.area


Mask = Flat | LargeMask


def index_of(mask: Mask) -> NDArray[np.int64] | NDArray[np.bool_]:
    """What selects the pixels of a mask of a frame that is flat: offsets, or true and false."""
    if not isinstance(mask, LargeMask):
        return mask
    return np.unpackbits(mask.bits, count=mask.size[0] * mask.size[1]).view(np.bool_)


def offsets_of(mask: Mask) -> Flat:
    """Row-major offsets of the pixels of a mask."""
    return np.flatnonzero(index_of(mask)) if isinstance(mask, LargeMask) else mask


def redraw(instances: Sequence[Instance], size: tuple[int, int]) -> list[Mask]:
    """The pixels that each instance covers on a frame (height, width)."""
    drawn: list[Mask] = [_NOTHING] * len(instances)
    by_window: dict[Window | None, list[int]] = {}
    for i, instance in enumerate(instances):
        if instance.notice is None or instance.notice.kind != "skipped":
            by_window.setdefault(instance.window, []).append(i)
    for window, rows in by_window.items():
        inner = size if window is None else window[2:]
        for i, pixels in zip(rows, _redraw([instances[i] for i in rows], inner), strict=True):
            drawn[i] = pixels if window is None else _moved(offsets_of(pixels), window, size)
    return drawn


Window = tuple[int, int, int, int]


def _moved(pixels: Flat, window: Window, size: tuple[int, int]) -> Flat:
    """Pixels of a part of a frame, as pixels of the frame."""
    top, left, _, width = window
    y, x = np.divmod(pixels, width)
    return _offsets(y + top, x + left, size)


def _offsets(y: Flat, x: Flat, size: tuple[int, int]) -> Flat:
    """Row-major offsets of the pixels that are inside a frame."""
    kept = (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])
    return np.asarray(y[kept] * size[1] + x[kept])


def _redraw(instances: Sequence[Instance], size: tuple[int, int]) -> list[Mask]:
    drawn: list[Mask] = [_NOTHING] * len(instances)
    rles: dict[int, dict[str, object]] = {}
    for i, instance in enumerate(instances):
        geometry = instance.geometry
        if isinstance(geometry, Polygons) and geometry.rule == "opencv":
            drawn[i] = _filled(geometry, size)
        elif isinstance(geometry, Polygons) and geometry.rule != "coco":
            drawn[i] = _from_centers(geometry, size)
        elif isinstance(geometry, Polygons | Box) and _is_far(geometry):
            drawn[i] = _far(geometry, size)
        elif isinstance(geometry, Polygons):
            packed = _from_polygons(geometry, size)
            if packed is not None:
                rles[i] = packed
        elif isinstance(geometry, Rle):
            rles[i] = _packed(geometry, size)
        elif isinstance(geometry, Box):
            rles[i] = _from_box(geometry, size)
        elif isinstance(geometry, Shape):
            drawn[i] = _shape(geometry, size)
    for i, pixels in zip(rles, _unpack(list(rles.values()), size), strict=True):
        drawn[i] = pixels
    return drawn


def _is_far(geometry: Polygons | Box) -> bool:
    """Whether an outline is too long for pycocotools, which takes memory for each pixel along it.

    It ends the process if there is not enough, or if a coordinate does not fit 32 bits.
    """
    if isinstance(geometry, Box):
        x0, y0, x1, y1 = geometry.x0, geometry.y0, geometry.x1, geometry.y1
        parts: Sequence[Sequence[float]] = [[x0, y0, x1, y0, x1, y1, x0, y1]]
    else:
        parts = geometry.parts
    length = 0.0
    for part in parts:
        xy = np.asarray(part[: len(part) // 2 * 2], np.float64).reshape(-1, 2)
        if not (np.abs(xy) < FARTHEST).all():
            return True
        length += float(np.abs(np.diff(xy, axis=0, append=xy[:1])).sum())
    return length > _LONGEST


def _far(geometry: Polygons | Box, size: tuple[int, int]) -> Flat:
    """Pixels of such an outline: drawn by the same code as the store, for want of another.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a coordinate is out of range.
    """
    if isinstance(geometry, Polygons):
        runs = rasterize_polygons([geometry.parts], size)
    else:
        width, height = geometry.x1 - geometry.x0, geometry.y1 - geometry.y0
        runs = fill_boxes(coco_boxes([[geometry.x0, geometry.y0, width, height]], size), size)
    return np.sort(run_pixels(runs.starts, runs.lengths, runs.step))


def _from_polygons(polygons: Polygons, size: tuple[int, int]) -> dict[str, object] | None:
    """Union of the parts; those of fewer than three points cover nothing (pycocotools refuses)."""
    parts = [[float(v) for v in p[: len(p) // 2 * 2]] for p in polygons.parts]
    parts = [p for p in parts if len(p) >= 6]
    if not parts:
        return None
    rles = coco_mask.frPyObjects(parts, *size)
    found: dict[str, object] = rles[0] if len(rles) == 1 else coco_mask.merge(rles)
    return found


def _from_centers(polygons: Polygons, size: tuple[int, int]) -> Flat:
    """Union of the parts: pixels with an odd number of sides to the left of their center.

    Sides through a center are to the left of it; for ImageJ they are to its right.
    """
    found = [_NOTHING]
    for part in polygons.parts:
        xy = np.asarray(part[: len(part) // 2 * 2], np.float64).reshape(-1, 2)
        if not len(xy) or not (np.abs(xy) < FARTHEST).all():
            raise SourceError("a polygon has a coordinate out of range", found=list(part)[:4])
        low = np.clip(np.floor(xy.min(axis=0)), 0, size[::-1]).astype(int)
        high = np.clip(np.ceil(xy.max(axis=0)) + 1, 0, size[::-1]).astype(int)
        change = np.zeros((high[1] - low[1], high[0] - low[0] + 1), np.bool_)
        for one, other in zip(xy, np.roll(xy, -1, axis=0), strict=True):
            (x0, y0), (x1, y1) = sorted((one, other), key=lambda p: p[1])
            y = np.arange(*np.clip(np.ceil(np.array([y0, y1]) - 0.5), low[1], high[1]))
            if y.size:
                x = x0 + (y + 0.5 - y0) * (x1 - x0) / (y1 - y0) - 0.5
                x = np.floor(x + 1 + 1e-8) if polygons.rule == "imagej" else np.ceil(x)
                rows, columns = y - low[1], np.clip(x, low[0], high[0]) - low[0]
                change[rows.astype(int), columns.astype(int)] ^= True
        y, x = np.nonzero(np.logical_xor.accumulate(change, axis=1)[:, :-1])
        found.append((y + low[1]) * size[1] + x + low[0])
    return np.unique(np.concatenate(found))


def _filled(polygons: Polygons, size: tuple[int, int]) -> Flat:
    """What is inside of the parts, and their sides as OpenCV's ``LineIterator`` walks them."""
    whole = [[round(v) for v in part] for part in polygons.parts]
    inside = _from_centers(Polygons(tuple([v + 0.5 for v in p] for p in whole)), size)
    far = sum(abs(a - b) for p in whole for a, b in zip(p, p[2:], strict=False)) > _LONGEST
    if far:  # drawn by the same code as the store
        runs = rasterize_filled([polygons.parts], size)
        return np.sort(run_pixels(runs.starts, runs.lengths, runs.step))
    found = []
    for part in whole:
        points = list(zip(part[::2], part[1::2], strict=False))
        for one, other in zip(points, points[1:] + points[:1], strict=True):
            (x, y), (right, end) = sorted((one, other))
            steps, rise = right - x, abs(end - y)
            error = max(steps, rise) - 2 * min(steps, rise)
            for _ in range(max(steps, rise) + 1):
                found.append((y, x))
                aside = error < 0
                error += 2 * max(steps, rise) * aside - 2 * min(steps, rise)
                x += steps >= rise or aside
                y += (1 if end > y else -1) * (steps < rise or aside) if y != end else 0
    rows, columns = np.array(found, np.int64).reshape(-1, 2).T
    return np.union1d(inside, _offsets(rows, columns, size))


def _from_box(box: Box, size: tuple[int, int]) -> dict[str, object]:
    given = np.array([[box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0]], np.float64)
    found: dict[str, object] = coco_mask.frPyObjects(given, *size)[0]
    return found


def _packed(rle: Rle, size: tuple[int, int]) -> dict[str, Any]:
    counts: Any = rle.counts
    if isinstance(counts, str):
        counts = decode_counts([counts])[0]
    fits = all(c >= 0 for c in counts) and sum(int(c) for c in counts) == size[0] * size[1]
    if tuple(rle.size) != tuple(size) or not fits:
        raise SourceError(
            "the counts of an RLE do not add up to its size",
            expected=f"{size[0] * size[1]} pixels ({size[0]} x {size[1]})",
            found=f"size {list(rle.size)}",
        )
    plain = {"size": list(rle.size), "counts": rle.counts}
    if isinstance(rle.counts, str):
        return plain
    packed: dict[str, object] = coco_mask.frPyObjects(
        {**plain, "counts": [int(c) for c in rle.counts]}, *rle.size
    )
    return packed


def _unpack(rles: list[dict[str, Any]], size: tuple[int, int]) -> list[Mask]:
    counts, offsets = decode_counts([rle["counts"] for rle in rles])
    found: list[Mask] = []
    for i, rle in enumerate(rles):
        own = counts[offsets[i] : offsets[i + 1]]
        ends = np.cumsum(own)
        begin, length = (ends - own)[1::2], own[1::2]
        if int(length.sum()) > _LARGE:
            bits = np.packbits(coco_mask.decode(rle).ravel())
            found.append(LargeMask(bits, int(length.sum()), size))
            continue
        total = np.cumsum(length)
        inside = np.arange(int(length.sum())) - np.repeat(total - length, length)
        x, y = np.divmod(np.repeat(begin, length) + inside, int(rle["size"][0]))
        found.append(np.sort(_offsets(y, x, size)))
    return found


def _rectangle(xy: Sequence[tuple[float, float]], size: tuple[int, int]) -> Flat:
    """Both corners included, fractions dropped."""
    (x0, x1), (y0, y1) = (sorted(int(v) for v in pair) for pair in zip(*xy, strict=True))
    rows = np.arange(max(y0, 0), min(y1 + 1, size[0]))
    columns = np.arange(max(x0, 0), min(x1 + 1, size[1]))
    return np.asarray(rows[:, None] * size[1] + columns).ravel()


def _shape(shape: Shape, size: tuple[int, int]) -> Flat:
    """labelme's ``shape_to_mask``: what it draws, with its widths."""
    height, width = size
    xy = [(float(x), float(y)) for x, y in shape.points]
    if shape.type == "mask":
        return _mask(shape, size)
    if shape.type == "rectangle":
        return _rectangle(xy, size)
    canvas = Image.new("1", (width, height))
    draw = ImageDraw.Draw(canvas)
    if shape.type in ("circle", "point"):
        (x, y), radius = xy[0], float(_POINT_SIZE)
        if shape.type == "circle":
            radius = float(np.hypot(x - xy[1][0], y - xy[1][1]))
        if radius > MAX_RADIUS:
            raise SourceError("a circle is too large to be drawn", found=f"radius {radius}")
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=1, fill=1)
    elif shape.type in ("line", "linestrip"):
        draw.line(xy, fill=1, width=_LINE_WIDTH)
    else:
        draw.polygon(xy, outline=1, fill=1)
    return np.flatnonzero(np.asarray(canvas))


def _mask(shape: Shape, size: tuple[int, int]) -> Flat:
    if shape.mask is None:
        return _NOTHING
    with Image.open(io.BytesIO(base64.b64decode(shape.mask))) as stored:
        inside = np.asarray(stored).astype(bool)
    left, top = (int(v) for v in shape.points[0])
    y, x = np.nonzero(inside)
    return np.sort(_offsets(y + top, x + left, size))
