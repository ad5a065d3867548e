"""An estimate of what a conversion writes, before anything is read or written."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ngff_bio.engine.plan.layout import ArrayPlan
from ngff_bio.engine.plan.plan import Plan, below
from ngff_bio.model import FileAccount, InstanceLayer, SourceImage, SourcePlate


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a conversion writes.

    ``instances`` counts outlines, runs and boxes in the annotations (objects of label volumes are
    found in their pixels; ``None``: those of a store are not counted); ``bytes_raw`` counts pixels of
    images and labels at level 0.

    ``objects`` is the maximum number of objects (those of nothing but background are not written),
    without the graphs of tracked layers. ``plates`` are the lines of the maps of plates: rows of
    wells, each with the number of its fields. Each hidden label image that overlapping instances of an
    image need has at most ``objects_hidden`` more; their number depends on the outlines.
    """

    name: str
    images: int
    frames: int
    instances: int | None
    labels: tuple[str, ...]
    bytes_raw: int
    units: int
    objects: int
    objects_hidden: int
    plates: tuple[str, ...] = ()
    account: FileAccount = field(default_factory=FileAccount)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found = asdict(replace(self, account=FileAccount()))
        del found["account"]
        return {**found, "files": self.account.to_json()}


def estimate_plan(plan: Plan) -> Estimate:
    """Count what a plan writes."""
    images = plan.dataset.images
    layers = [layer for image in images for layer in image.labels]
    drawn = [
        p.plan
        for p in plan.arrays
        if p.layer is not None and isinstance(images[p.image].labels[p.layer], InstanceLayer)
    ]
    return Estimate(
        name=plan.dataset.name,
        images=len(images),
        frames=plan.dataset.frame_count,
        instances=sum(layer.count for layer in layers if isinstance(layer, InstanceLayer)),
        labels=tuple(sorted({layer.name for layer in layers})),
        bytes_raw=plan.bytes_raw,
        units=len(plan.units),
        objects=_documents(plan) + plan.objects + 2,  # the manifest and its checksum
        objects_hidden=max((_of_label_image(array, plan) for array in drawn), default=0),
        plates=tuple(
            line for p in plan.dataset.plates for line in plate_map(p, plan.dataset.images)
        ),
        account=plan.dataset.account,
    )


def plate_map(plate: SourcePlate, images: Iterable[SourceImage]) -> list[str]:
    """A plate as lines of text: one per row, the number of fields of each well, ``.`` for none."""
    start = f"{plate.path}/" if plate.path else ""
    paths = (i.path.removeprefix(start).split("/") for i in images if i.path.startswith(start))
    counts = Counter((p[0], p[1]) for p in paths if len(p) == 3)
    rows = [["", *plate.columns]]
    rows += [[r, *(str(counts.get((r, c), ".")) for c in plate.columns)] for r in plate.rows]
    width = max(len(cell) for row in rows for cell in row)
    lines = [" ".join(cell.rjust(width) for cell in row) for row in rows]
    return [f"{plate.name}: {len(counts)} wells, {sum(counts.values())} fields", *lines]


def _documents(plan: Plan) -> int:
    """Metadata documents, OME-XML of collections, and tables."""
    dataset = plan.dataset
    groups = {"", *dataset.collections, *(f"{path}/OME" for path in dataset.collections)}
    groups |= {plate.path for plate in dataset.plates}
    if dataset.layout == "collection":
        groups.add("OME")
    plate_tables = [(p.path, t.name) for p in dataset.plates for t in p.tables]
    groups |= {f"{path}/tables/{name}".lstrip("/") for path, name in plate_tables}
    tables, arrays = len(plate_tables), 0
    for planned in plan.arrays:
        groups.add(planned.plan.path)
        arrays += len(planned.plan.levels)
        image = dataset.images[planned.image]
        layer = None if planned.layer is None else image.labels[planned.layer]
        if isinstance(layer, InstanceLayer) or (layer is not None and layer.kind == "instance"):
            groups.add(below(image, f"tables/{layer.name}"))
            tables += 1
    for path in list(groups):  # wells, rows and other groups in between
        while path := path.rpartition("/")[0]:
            groups.add(path)
    others = tables + sum(group == "OME" or group.endswith("/OME") for group in groups)
    if plan.settings.zarr_format == 3:
        return len(groups) + arrays + others
    # .zgroup and .zattrs of a group, .zarray and .zattrs of an array
    return 2 * (len(groups) + arrays) + others + int(plan.settings.consolidated)


def _of_label_image(array: ArrayPlan, plan: Plan) -> int:
    """Objects of one more label image with the layout of an array."""
    groups = 1 if plan.settings.zarr_format == 3 else 2
    return groups + sum(1 + math.prod(level.object_grid()) for level in array.levels)
