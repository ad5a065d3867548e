"""The geometries of instances as runs: outlines, run lengths, boxes and shapes, in one table."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ngff_bio.errors import SourceError
from ngff_bio.model import Box, Geometry, Instance, PixelArray, Polygons, Rle, Shape
from ngff_bio.raster.boxes import coco_boxes, fill_boxes
from ngff_bio.raster.coco_rle import rasterize_segmentations
from ngff_bio.raster.filled import rasterize_filled
from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.limits import Amount
from ngff_bio.raster.polygons import rasterize_centers
from ngff_bio.raster.runs import run_pixels
from ngff_bio.raster.shapes import rasterize_shapes

Window = tuple[int, int, int, int]


def rasterize_geometries(
    instances: Sequence[Instance],
    size: tuple[int, int],
    on_wrong: Callable[[Instance, SourceError], None] | None = None,
) -> InstanceRuns:
    """Pixels of each instance on one plane, in order.

    An instance without a geometry, or with a notice that it was skipped, covers no pixel.

    Parameters
    ----------
    on_wrong
        Called with an instance that cannot be drawn, which then covers no pixel.

    Raises
    ------
    ngff_bio.errors.SourceError
        If one cannot be drawn, and there is no `on_wrong`.
    """
    amount = Amount(size)
    kinds: dict[tuple[str, Window | None], list[int]] = {}
    for i, instance in enumerate(instances):
        kinds.setdefault((_kind(instance), instance.window), []).append(i)
    if not instances:
        return InstanceRuns.empty(size, 0)
    tables, order = [], []
    for (kind, window), rows in kinds.items():
        tables.append(_draw_kind(kind, [instances[i] for i in rows], window, amount, on_wrong))
        order += rows
    if len(tables) == 1:
        return tables[0]
    return InstanceRuns.concatenate(tables).select(np.argsort(order))


def reaches_beyond(geometry: Geometry | None, size: tuple[int, int]) -> bool:
    """Whether a geometry reaches beyond a plane of `size` (height, width).

    Half a pixel is not beyond: it covers no pixel, and coordinates of tools are rounded.
    """
    if isinstance(geometry, Rle):
        return geometry.cut
    if isinstance(geometry, Box):
        corners = [geometry.x0, geometry.y0, geometry.x1, geometry.y1]
    elif isinstance(geometry, Shape):
        corners = [v for point in geometry.points for v in point]
        if geometry.type == "circle" and len(corners) == 4:
            x, y, *edge = corners
            r = math.dist((x, y), edge)
            corners = [x - r, y - r, x + r, y + r]
    elif isinstance(geometry, Polygons):
        return any(_beyond(part, size) for part in geometry.parts)
    else:
        return False
    return _beyond(corners, size)


def _beyond(flat: Sequence[float], size: tuple[int, int]) -> bool:
    values = np.asarray(flat, np.float64)
    if not values.size or (values.min() >= -0.5 and values.max() <= min(size) + 0.5):
        return False
    x, y = values[0::2], values[1::2]
    return bool(
        values.min() < -0.5 or x.max() > size[1] + 0.5 or (y.size and y.max() > size[0] + 0.5)
    )


def _draw_kind(
    kind: str,
    instances: list[Instance],
    window: Window | None,
    amount: Amount,
    on_wrong: Callable[[Instance, SourceError], None] | None,
) -> InstanceRuns:
    """Instances of one kind of geometry in one window of the frame."""
    size = amount.shape[0], amount.shape[1]
    inner = size if window is None else window[2:]
    try:
        found = _rasterize(kind, instances, inner)
        amount.add(found.starts.size, int(found.lengths.sum()))
    except SourceError as error:
        if on_wrong is None:
            raise
        tables = [_one(kind, instance, inner, amount, on_wrong) for instance in instances]
        if None not in tables:
            raise error
        found = InstanceRuns.concatenate([t or InstanceRuns.empty(inner, 1) for t in tables])
    return found if window is None else _moved(found, window, size)


def _one(
    kind: str,
    instance: Instance,
    size: tuple[int, int],
    amount: Amount,
    on_wrong: Callable[[Instance, SourceError], None],
) -> InstanceRuns | None:
    """One instance of several; ``None`` if it is the one that cannot be drawn."""
    try:
        found = _rasterize(kind, [instance], size)
        amount.add(found.starts.size, int(found.lengths.sum()))
        return found
    except SourceError as error:
        on_wrong(instance, error)
        return None


def _moved(runs: InstanceRuns, window: Window, size: tuple[int, int]) -> InstanceRuns:
    """Instances drawn on a part of a frame, moved to its place in the frame.

    Outlines are not moved before they are drawn, since their coordinates would be rounded.
    """
    top, left, _, width = window
    if runs.step == 1:  # runs may continue in the next row: only columns can be moved
        pixels = run_pixels(runs.starts, runs.lengths)
        owners = np.repeat(runs.owners, runs.lengths)
    else:
        pixels, owners = runs.starts, runs.owners
    y, x = np.divmod(pixels, width)
    starts = (y + top) * size[1] + x + left
    lengths = np.ones_like(starts) if runs.step == 1 else runs.lengths
    return InstanceRuns.from_owners(size, len(runs), owners, starts, lengths, step=size[1])


def _kind(instance: Instance) -> str:
    if instance.notice is not None and instance.notice.kind == "skipped":
        return "none"
    if isinstance(instance.geometry, Polygons):
        return instance.geometry.rule
    if isinstance(instance.geometry, Rle):
        return "coco"
    if isinstance(instance.geometry, Box):
        return "box"
    return "shape" if isinstance(instance.geometry, Shape) else "none"


def _rasterize(kind: str, instances: list[Instance], size: tuple[int, int]) -> InstanceRuns:
    if kind == "coco":
        return rasterize_segmentations([_coco(i) for i in instances], size)
    if kind in ("center", "imagej"):
        return rasterize_centers([_coco(i) for i in instances], size, imagej=kind == "imagej")
    if kind == "opencv":
        return rasterize_filled([_coco(i) for i in instances], size)
    if kind == "box":
        # Whole numbers are half-open ranges of pixels; for fractions pycocotools has the rule.
        boxes = [g.xywh for i in instances if isinstance(g := i.geometry, Box)]
        return fill_boxes(coco_boxes(boxes, size), size)
    if kind == "shape":
        return rasterize_shapes(map(_labelme, instances), size)  # one decoded mask at a time
    return InstanceRuns.empty(size, len(instances))


def _coco(instance: Instance) -> Any:
    shape = instance.geometry
    if isinstance(shape, Rle):
        return {"size": list(shape.size), "counts": shape.counts}
    return list(shape.parts) if isinstance(shape, Polygons) else []


def _labelme(instance: Instance) -> dict[str, Any]:
    shape = instance.geometry
    if not isinstance(shape, Shape):
        raise TypeError(f"{type(shape).__name__} is not a labelme shape")
    record: dict[str, Any] = {"points": shape.points, "shape_type": shape.type}
    if shape.mask is not None:
        record["mask"] = _decoded_mask(shape.mask, instance)
    return record


#: Pixels of a mask, with which Pillow decodes it without a warning.
_MASK = 89_000_000


def _decoded_mask(text: str, instance: Instance) -> PixelArray:
    """Pixels of a mask shape: a PNG in base64 (labelme 5.3 and later)."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(base64.b64decode(text))) as image:
            if image.width * image.height > _MASK:
                raise ValueError(f"{image.width} x {image.height} pixels")
            return np.asarray(image).astype(bool)
    except (ValueError, OSError, UnidentifiedImageError) as error:
        raise SourceError(
            "the mask of a shape is not an image file",
            record=f"shape with label {instance.category!r}",
            expected="a PNG in base64",
            found=error,
        ) from error
