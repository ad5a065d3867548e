"""Drawing the instances of some frames: label pixels, hidden label images, and rows of the table."""

from __future__ import annotations

import base64
import io
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.engine.plan.layout import ArrayPlan
from ngff_bio.engine.plan.plan import UnitPart
from ngff_bio.engine.write.checksums import ChecksummingWriter
from ngff_bio.engine.write.records import STATE
from ngff_bio.engine.write.tables import FILE, instance_table, to_parquet
from ngff_bio.errors import SourceError
from ngff_bio.model import (
    Box,
    Instance,
    InstanceLayer,
    Notice,
    OnError,
    Polygons,
    Region,
    Rle,
    Shape,
    gathered,
)
from ngff_bio.raster.boxes import coco_boxes, fill_boxes
from ngff_bio.raster.coco_rle import rasterize_segmentations
from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.overlap import Painted, paint_instances
from ngff_bio.raster.runs import run_pixels
from ngff_bio.raster.shapes import rasterize_shapes


@dataclass(slots=True)
class Drawn:
    """Some frames of a layer, drawn.

    ``labels`` has the label image's axes over the region. ``whole_in`` is for each instance the number
    of the label image in which it is whole (0 is the visible one), ``pixels`` how many it covers.
    ``hidden`` are the blocks of hidden label images, by their number.
    """

    layer: str
    labels: NDArray[Any]
    instances: list[Instance] = field(default_factory=list)
    whole_in: list[int] = field(default_factory=list)
    pixels: list[int] = field(default_factory=list)
    hidden: dict[int, NDArray[Any]] = field(default_factory=dict)
    notices: list[dict[str, Any]] = field(default_factory=list)

    def save_rows(self, plan: ArrayPlan, part: UnitPart, writer: ChecksummingWriter) -> str:
        """Write the rows: to their table if these are all frames, else beside the data."""
        names = [self.layer if k == 0 else f"{self.layer}-hidden-{k}" for k in self.whole_in]
        data = to_parquet(instance_table(self.instances, names, self.pixels))
        if all(r == (0, n) for r, n in zip(part.region, plan.shape, strict=True)):
            image = plan.path.rpartition("labels/")[0]
            key = f"{image}tables/{self.layer}/{FILE}"
            writer.put(key, data)
        else:
            first = "-".join(str(a) for a, _ in part.region)
            key = f"{STATE}/rows/{part.array:06d}-{first}.parquet"
            writer.storage.put(key, data)
        return key


def draw_instances(plan: ArrayPlan, region: Region, layer: InstanceLayer) -> Drawn:
    """Draw the instances of a layer on the frames of a region.

    Each frame is drawn as a whole, by the overlap rule. In a stack of planes an instance is drawn on
    its own plane, or on every plane if it has none.

    Raises
    ------
    ngff_bio.errors.SourceError
        If an outline cannot be drawn.
    """
    shape = tuple(b - a for a, b in region)
    drawn = Drawn(layer.name, np.zeros(shape, np.dtype(plan.dtype)))
    spans = dict(zip(plan.axes, region, strict=True))
    first, stop = spans.get("t", (0, 1))
    for t in range(first, stop):
        at = (t - first,) if "t" in plan.axes else ()
        _draw_frame(drawn, layer.instances.read(t), at, layer.on_error)
    drawn.notices = [asdict(n) for n in gathered(Notice(**n) for n in drawn.notices)]
    return drawn


def _draw_frame(
    drawn: Drawn, instances: list[Instance], at: tuple[int, ...], on_error: OnError
) -> None:
    frame = drawn.labels[at]
    size = (frame.shape[-2], frame.shape[-1])
    masks = _masks(instances, size, on_error)
    areas = masks.areas()
    _note(drawn, instances, areas)
    whole_in = np.zeros(len(instances), np.int64)
    if frame.ndim == 2:
        painted = _paint(masks, instances, frame)
        whole_in[:] = painted.layer
        _keep_hidden(drawn, painted, at)
    else:
        depth = frame.shape[0]
        for z, rows in _planes(instances, depth).items():
            chosen = [instances[i] for i in rows]
            painted = _paint(masks.select(rows), chosen, frame[z])
            # An instance on every plane is whole only if it is on each.
            whole_in[rows] = np.maximum(whole_in[rows], painted.layer)
            _keep_hidden(drawn, painted, (*at, z))
        areas = areas * np.array([1 if i.z is not None else depth for i in instances], np.int64)
    drawn.instances += instances
    drawn.whole_in += whole_in.tolist()
    drawn.pixels += areas.tolist()


def _note(drawn: Drawn, instances: list[Instance], areas: NDArray[np.int64]) -> None:
    """ConversionReport the instances of which nothing can be seen."""
    for instance in instances:
        if instance.notice is not None:
            drawn.notices.append(asdict(instance.notice))
    for i in np.flatnonzero(areas == 0).tolist():
        if instances[i].notice is None and instances[i].geometry is not None:
            file, record = instances[i].place
            what = "an outline covers no pixel of its image; its row is kept"
            drawn.notices.append(asdict(Notice("warning", what, file, record)))


def _planes(instances: list[Instance], depth: int) -> dict[int, list[int]]:
    """Indices of the instances on each plane that has any."""
    found: dict[int, list[int]] = {}
    for i, instance in enumerate(instances):
        for z in range(depth) if instance.z is None else [instance.z]:
            if 0 <= z < depth:
                found.setdefault(z, []).append(i)
    return found


def _paint(masks: InstanceRuns, instances: list[Instance], out: NDArray[Any]) -> Painted:
    values = np.array([i.value for i in instances], np.int64)
    if len(np.unique(values)) == len(values):
        return paint_instances(masks, values, out)
    # An object with two outlines on a frame: both are one mask, and each has a row.
    unique, owner = np.unique(values, return_inverse=True)
    order = np.argsort(owner, kind="stable")
    ordered = masks.row_major().select(order)
    joined = InstanceRuns.from_owners(
        masks.shape, len(unique), owner[order][ordered.owners], ordered.starts, ordered.lengths
    ).row_major()
    painted = paint_instances(joined, unique, out)
    return Painted(painted.hidden, painted.layer[owner], painted.areas[owner])


def _keep_hidden(drawn: Drawn, painted: Painted, at: tuple[int, ...]) -> None:
    for number, layer in enumerate(painted.hidden, 1):
        if number not in drawn.hidden:
            drawn.hidden[number] = np.zeros_like(drawn.labels)
        layer.paint(drawn.hidden[number][at])


def _masks(
    instances: list[Instance], size: tuple[int, int], on_error: OnError = "stop"
) -> InstanceRuns:
    """Pixels of each instance on one plane, in order.

    An instance that cannot be drawn ends the conversion, or gets a notice and no pixel.
    """
    kinds: dict[tuple[str, Window | None], list[int]] = {}
    for i, instance in enumerate(instances):
        kinds.setdefault((_kind(instance), instance.window), []).append(i)
    if not instances:
        return InstanceRuns.empty(size, 0)
    tables, order = [], []
    for (kind, window), rows in kinds.items():
        tables.append(_draw_kind(kind, [instances[i] for i in rows], window, size, on_error))
        order += rows
    if len(tables) == 1:
        return tables[0]
    return InstanceRuns.concatenate(tables).select(np.argsort(order))


Window = tuple[int, int, int, int]


def _draw_kind(
    kind: str,
    instances: list[Instance],
    window: Window | None,
    size: tuple[int, int],
    on_error: OnError,
) -> InstanceRuns:
    """Instances of one kind of geometry in one window of the frame."""
    inner = size if window is None else window[2:]
    try:
        found = _rasterize(kind, instances, inner)
    except SourceError as error:
        tables = [_one(kind, instance, inner, on_error) for instance in instances]
        if all(instance.notice is None for instance in instances):
            raise error
        found = InstanceRuns.concatenate(tables)
    return found if window is None else _moved(found, window, size)


def _one(kind: str, instance: Instance, size: tuple[int, int], on_error: OnError) -> InstanceRuns:
    """One instance of several, of which one cannot be drawn."""
    try:
        return _rasterize(kind, [instance], size)
    except SourceError as error:
        file, record = instance.place
        if on_error == "stop":
            raise SourceError(
                error.what,
                file=file or error.file,
                record=record,
                expected=error.expected,
                found=error.found,
                hint=error.hint or "fix the record, or skip it with --on-error skip",
            ) from error
        instance.notice = Notice("skipped", error.what, file, record)
        return _rasterize("none", [instance], size)


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
    if isinstance(instance.geometry, Polygons | Rle):
        return "coco"
    if isinstance(instance.geometry, Box):
        return "box"
    return "shape" if isinstance(instance.geometry, Shape) else "none"


def _rasterize(kind: str, instances: list[Instance], size: tuple[int, int]) -> InstanceRuns:
    if kind == "coco":
        return rasterize_segmentations([_coco(i) for i in instances], size)
    if kind == "box":
        # Whole numbers are half-open ranges of pixels; for fractions pycocotools has the rule.
        boxes = [
            (g.x0, g.y0, g.x1 - g.x0, g.y1 - g.y0)
            for i in instances
            if isinstance(g := i.geometry, Box)
        ]
        return fill_boxes(coco_boxes(boxes, size), size)
    if kind == "shape":
        return rasterize_shapes([_labelme(i) for i in instances], size)
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


def _decoded_mask(text: str, instance: Instance) -> NDArray[Any]:
    """Pixels of a mask shape: a PNG in base64 (labelme 5.3 and later)."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(base64.b64decode(text))) as image:
            return np.asarray(image).astype(bool)
    except (ValueError, OSError, UnidentifiedImageError) as error:
        raise SourceError(
            "the mask of a shape is not an image file",
            record=f"shape with label {instance.category!r}",
            expected="a PNG in base64",
            found=error,
        ) from error
