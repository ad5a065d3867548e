"""Drawing the instances of some frames: label pixels, hidden label images, and rows of the table."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.engine.plan.layout import ArrayPlan
from ngff_bio.engine.plan.plan import UnitPart
from ngff_bio.engine.write.checksums import ChecksummingWriter
from ngff_bio.engine.write.tables import FILE, instance_table, to_parquet
from ngff_bio.errors import SourceError
from ngff_bio.model import (
    MAX_HIDDEN,
    Box,
    Instance,
    InstanceLayer,
    Notice,
    OnError,
    PixelArray,
    Region,
    gathered,
)
from ngff_bio.raster.geometries import rasterize_geometries, reaches_beyond
from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.limits import Amount
from ngff_bio.raster.overlap import IN_TABLE, Painted, paint_instances
from ngff_bio.zarrio.journal import ROWS

#: What a notice of annotations that are cut says.
BEYOND = "annotations reach beyond their image: drawn inside only, their records are whole"
#: What a warning of a frame says whose boxes seem to be misread (as those of MIDOG 2021 are).
CORNERS = (
    "most boxes reach beyond their image, and none would if their numbers were two corners: if they "
    "are, write them as x, y, width, height"
)


@dataclass(slots=True)
class Drawn:
    """Some frames of a layer, drawn.

    ``labels`` has the label image's axes over the region. ``whole_in`` is for each instance the number
    of the label image in which it is whole (0 is the visible one, ``IN_TABLE`` none), ``pixels`` how
    many it covers.
    ``hidden`` are the blocks of hidden label images, by their number.
    """

    layer: str
    labels: PixelArray
    instances: list[Instance] = field(default_factory=list)
    whole_in: list[int] = field(default_factory=list)
    pixels: list[int] = field(default_factory=list)
    hidden: dict[int, PixelArray] = field(default_factory=dict)
    notices: list[dict[str, Any]] = field(default_factory=list)

    def save_rows(self, plan: ArrayPlan, part: UnitPart, writer: ChecksummingWriter) -> str:
        """Write the rows: to their table if these are all frames, else beside the data."""
        names = [self._label_image(k) for k in self.whole_in]
        data = to_parquet(instance_table(self.instances, names, self.pixels))
        if all(r == (0, n) for r, n in zip(part.region, plan.shape, strict=True)):
            image = plan.path.rpartition("labels/")[0]
            key = f"{image}tables/{self.layer}/{FILE}"
            writer.put(key, data)
        else:
            first = "-".join(str(a) for a, _ in part.region)
            key = f"{ROWS}/{part.array:06d}-{first}.parquet"
            writer.storage.put(key, data)
        return key

    def _label_image(self, number: int) -> str | None:
        if number == IN_TABLE:
            return None
        return self.layer if number == 0 else f"{self.layer}-hidden-{number}"


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
    masks = rasterize_geometries(instances, size, _noted if on_error == "skip" else _raise)
    areas = masks.areas()
    whole_in = np.zeros(len(instances), np.int64)
    if frame.ndim == 2:
        painted = _paint(masks, instances, frame)
        whole_in[:] = painted.layer
        _keep_hidden(drawn, painted, at)
    else:
        depth = frame.shape[0]
        planes = np.array([1 if i.z is not None else depth for i in instances], np.int64)
        drawn_runs = int((np.maximum(masks.counts, 1) * planes).sum())
        Amount(frame.shape).add(drawn_runs, int((areas * planes).sum()))
        if 1 < depth == max(planes, default=1) and min(planes) == 1:
            # An instance on every plane is whole in one label image, though others are on some planes.
            painted = _paint(_in_volume(masks, instances, depth), instances, frame, planes)
            whole_in[:] = painted.layer
            _keep_hidden(drawn, painted, at)
        else:
            for z, rows in _planes(instances, depth).items():
                chosen = [instances[i] for i in rows]
                painted = _paint(masks.select(rows), chosen, frame[z])
                whole_in[rows] = painted.layer  # on every plane the same, if it is on all
                _keep_hidden(drawn, painted, (*at, z))
        areas = areas * planes
    _note(drawn, instances, areas, whole_in, size)
    drawn.instances += instances
    drawn.whole_in += whole_in.tolist()
    drawn.pixels += areas.tolist()


def _raise(instance: Instance, error: SourceError) -> None:
    file, record = instance.place
    raise SourceError(
        error.what,
        file=file or error.file,
        record=record,
        expected=error.expected,
        found=error.found,
        hint=error.hint or "fix the record, or skip it with --on-error skip",
    ) from error


def _noted(instance: Instance, error: SourceError) -> None:
    file, record = instance.place
    instance.notice = Notice("skipped", error.what, file, record)


def _note(
    drawn: Drawn,
    instances: list[Instance],
    areas: NDArray[np.int64],
    whole_in: NDArray[np.int64],
    size: tuple[int, int],
) -> None:
    """Report the instances of which nothing, or not all, can be seen."""
    for instance, area in zip(instances, areas.tolist(), strict=True):
        if instance.notice is not None:
            drawn.notices.append(asdict(instance.notice))
        inner = size if instance.window is None else instance.window[2:]
        if area and reaches_beyond(instance.geometry, inner):
            # Without its file: a dataset can have a file for each image.
            drawn.notices.append(asdict(Notice("note", BEYOND, None, instance.place[1])))
    boxes = [i.geometry for i in instances if isinstance(i.geometry, Box)]
    if 2 * sum(reaches_beyond(b, size) for b in boxes) > len(boxes) > 1 and all(
        b.x0 < b.xywh[2] <= size[1] and b.y0 < b.xywh[3] <= size[0] for b in boxes
    ):
        drawn.notices.append(asdict(Notice("warning", CORNERS, *instances[0].place)))
    for i in np.flatnonzero(areas == 0).tolist():
        if instances[i].notice is None and instances[i].geometry is not None:
            file, record = instances[i].place
            what = "an outline covers no pixel of its image; its row is kept"
            drawn.notices.append(asdict(Notice("warning", what, file, record)))
    for i in np.flatnonzero(whole_in == IN_TABLE).tolist():
        file, record = instances[i].place
        what = (
            f"an instance would need more than {MAX_HIDDEN} hidden label images: "
            "it is complete in the table only"
        )
        drawn.notices.append(asdict(Notice("warning", what, file, record)))


def _planes(instances: list[Instance], depth: int) -> dict[int, list[int]]:
    """Indices of the instances on each plane that has any."""
    found: dict[int, list[int]] = {}
    for i, instance in enumerate(instances):
        for z in range(depth) if instance.z is None else [instance.z]:
            if 0 <= z < depth:
                found.setdefault(z, []).append(i)
    return found


def _in_volume(masks: InstanceRuns, instances: list[Instance], depth: int) -> InstanceRuns:
    """Masks on the planes of their instances, in a stack of planes."""
    runs = masks.row_major()
    first = np.array([i.z or 0 for i in instances], np.int64)
    count = np.array([depth if i.z is None else int(0 <= i.z < depth) for i in instances], np.int64)
    repeated = count[runs.owners]
    row = np.repeat(np.arange(len(repeated)), repeated)
    z = np.arange(len(row)) - np.repeat(np.cumsum(repeated) - repeated, repeated)
    owners = runs.owners[row]
    starts = runs.starts[row] + (z + first[owners]) * math.prod(masks.shape)
    shape = (depth, *masks.shape)
    return InstanceRuns.from_owners(shape, len(masks), owners, starts, runs.lengths[row])


def _paint(
    masks: InstanceRuns,
    instances: list[Instance],
    out: PixelArray,
    planes: NDArray[np.int64] | None = None,
) -> Painted:
    """Paint by the overlap rule; an instance on several ``planes`` is as large as on one of them."""
    values = np.array([i.value for i in instances], np.int64)
    sizes = None if planes is None else masks.areas() // planes
    if len(np.unique(values)) == len(values):
        return paint_instances(masks, values, out, sizes)
    # An object with two outlines on a frame: both are one mask, and each has a row.
    unique, owner = np.unique(values, return_inverse=True)
    order = np.argsort(owner, kind="stable")
    ordered = masks.row_major().select(order)
    joined = InstanceRuns.from_owners(
        masks.shape, len(unique), owner[order][ordered.owners], ordered.starts, ordered.lengths
    ).row_major()
    if planes is not None:
        sizes = joined.areas() // planes[order[np.searchsorted(owner[order], range(len(unique)))]]
    painted = paint_instances(joined, unique, out, sizes)
    return Painted(painted.hidden, painted.layer[owner], painted.areas[owner])


def _keep_hidden(drawn: Drawn, painted: Painted, at: tuple[int, ...]) -> None:
    for number, layer in enumerate(painted.hidden, 1):
        if number not in drawn.hidden:
            drawn.hidden[number] = np.zeros_like(drawn.labels)
        layer.paint(drawn.hidden[number][at])
