"""Attributes of a dataset, an image, a label image, a plate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from ngff_bio import ngff
from ngff_bio._version import __version__
from ngff_bio.engine.plan.layout import ArrayPlan
from ngff_bio.engine.plan.plan import Plan
from ngff_bio.engine.write.display import channels_of
from ngff_bio.engine.write.records import PartRecord
from ngff_bio.model import (
    InstanceLayer,
    LabelLayer,
    Notice,
    SourceDataset,
    SourceImage,
    gathered,
)
from ngff_bio.ngff.attributes import (
    KEY,
    NOT_READ,
    SKIPPED,
    CategoryEntry,
    Converter,
    DatasetAttributes,
    FrameEntry,
    LabelAttributes,
    RootImageAttributes,
)

#: Maximum number of label values that attributes list; they are read whenever a store is opened.
MAX_PROPERTIES = 256

#: Maximum number of notices of what was skipped that attributes list.
_MAX_SKIPPED = 256

#: Description of each method of reduction.
_METHODS = {
    "mean": "mean of two pixels along each axis that is halved, rounded half up",
    "gaussian": "binomial kernel (1, 3, 3, 1) / 8 along each axis that is halved, rounded half up",
    "mode": "most frequent value of two pixels along each axis that is halved",
    "nearest": "first of two pixels along each axis that is halved",
}


def _with_mine(attributes: dict[str, Any], mine: Any) -> dict[str, Any]:
    return {**attributes, KEY: mine.to_json()}


def dataset_attributes(plan: Plan) -> dict[str, Any]:
    """Attributes of the root: collection or plates, and the origin of the data."""
    outer: dict[str, Any] = {}
    if plan.dataset.layout == "collection":
        outer = ngff.encode(ngff.GroupMeta(collection=True), plan.settings.version)
    return _with_mine(outer, _dataset(plan))


def _dataset(plan: Plan) -> DatasetAttributes:
    dataset = plan.dataset
    own = {NOT_READ: dataset.account.not_read(), SKIPPED: _skipped(dataset)}
    return DatasetAttributes(
        name=dataset.name,
        source=dataset.source,
        converter=Converter(name="ngff_bio", version=__version__),
        options={**plan.settings.changed(), **dataset.options},
        licence=dataset.licence,
        citation=dataset.citation,
        splits=dataset.splits or None,
        images=len(dataset.images),
        groups=tuple(p.path for p in dataset.plates if p.path) + dataset.collections or None,
        attributes={**dataset.attributes, **{k: v for k, v in own.items() if v}} or None,
    )


def _skipped(dataset: SourceDataset) -> list[dict[str, Any]]:
    """What was not converted, and why, without files that were not read."""
    unread = dataset.account.unread
    found = [
        n
        for n in gathered(dataset.notices)
        if n.kind == "skipped" and n.file not in unread and n.record not in unread
    ]
    listed, rest = found[:_MAX_SKIPPED], found[_MAX_SKIPPED:]
    if rest:
        listed.append(Notice("skipped", "others", count=sum(n.count for n in rest)))
    return [{k: v for k, v in asdict(n).items() if v is not None and k != "kind"} for n in listed]


def image_attributes(
    plan: Plan, image: SourceImage, array: ArrayPlan, parts: list[PartRecord]
) -> dict[str, Any]:
    """Attributes of an image's group."""
    meta = ngff.GroupMeta(
        multiscales=(_multiscale(image, array, image.name or image.path),),
        channels=channels_of(image, parts),
    )
    mine = RootImageAttributes(
        name=image.name,
        frames=tuple(
            FrameEntry(
                name=f.name,
                t=f.t,
                size=f.size,
                elapsed_hours=f.elapsed_hours,
                splits=f.splits or None,
                record=dict(f.record) or None,
            )
            for f in image.frames
        ),
        attributes=dict(image.attributes) or None,
        dataset=_dataset(plan) if plan.dataset.layout == "image" else None,
    )
    return _with_mine(ngff.encode(meta, plan.settings.version), mine)


def label_attributes(
    plan: Plan,
    image: SourceImage,
    layer: LabelLayer,
    array: ArrayPlan,
    number: int,
    hidden: int,
    table: bool,
) -> dict[str, Any]:
    """Attributes of a label image; ``number`` 0 is the visible one, others are hidden ones."""
    name = array.path.rpartition("/")[2]
    semantic = not isinstance(layer, InstanceLayer) and layer.kind == "semantic"
    meta = ngff.GroupMeta(
        multiscales=(_multiscale(image, array, name),),
        label=_label_meta(layer) if semantic else ngff.LabelMeta(),
    )
    mine = LabelAttributes(
        layer=layer.name,
        values="semantic" if semantic else "instance",
        categories=tuple(
            CategoryEntry(id=c.id, name=c.name, color=c.color, record=c.record or None)
            for c in layer.categories
        ),
        color_rule=None if semantic else "golden angle",
        table=f"../../tables/{layer.name}" if table else None,
        hidden=tuple(f"{layer.name}-hidden-{k}" for k in range(1, hidden + 1)) or None
        if number == 0
        else None,
        hides=layer.name if number else None,
        overlap="larger first, ties in source order" if isinstance(layer, InstanceLayer) else None,
        tracked=layer.tracked,
        tracks=_tracks(layer, table and number == 0),
        attributes=dict(layer.attributes) or None,
    )
    return _with_mine(ngff.encode(meta, plan.settings.version), mine)


def _tracks(layer: LabelLayer, table: bool) -> str | None:
    """Path of the graph of a tracked layer, relative to its label image."""
    return f"../../tracks/{layer.name}" if layer.tracked and table else None


def _label_meta(layer: LabelLayer) -> ngff.LabelMeta:
    """Class names and colors of a semantic label image: its values are the ids of categories.

    A class to which the source gives no color has one by the rule of `ngff.rule_color`.
    """
    known = [c for c in layer.categories if isinstance(c.id, int)][:MAX_PROPERTIES]
    colors = {int(c.id): c.color or (*ngff.rule_color(int(c.id)), 255) for c in known}
    properties = tuple({"label-value": int(c.id), "class": c.name} for c in known)
    return ngff.LabelMeta(colors=colors, properties=properties)


def _multiscale(image: SourceImage, array: ArrayPlan, name: str) -> ngff.MultiscaleMeta:
    axes = [a for a in image.axes if a.name in array.axes]
    offsets = dict(
        zip(image.axis_names, image.translation or (0.0,) * len(image.axes), strict=True)
    )
    levels, total = [], np.ones(len(axes))
    for level in array.levels:
        total = total * level.factor
        scale = [a.step * float(f) for a, f in zip(axes, total, strict=True)]
        # Half-pixel rule: the center of a pixel of n is (n - 1) / 2 pixels from the first one's.
        shift = [
            offsets[a.name] + a.step * (float(f) - 1) / 2 for a, f in zip(axes, total, strict=True)
        ]
        levels.append(ngff.LevelMeta(level.path, tuple(scale), tuple(shift)))
    return ngff.MultiscaleMeta(
        axes=tuple(ngff.AxisMeta(a.name, a.type, a.unit) for a in axes),
        levels=tuple(levels),
        name=name,
        method=array.method,
        metadata={
            "description": _METHODS[array.method],
            "program": "ngff_bio",
            "version": __version__,
        },
    )


def plate_groups(plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    """Plate and well groups, and the lists of series of collections."""
    version, dataset = plan.settings.version, plan.dataset
    for path in dataset.collections:
        below = tuple(
            i.path.removeprefix(f"{path}/") for i in dataset.images if i.path.startswith(f"{path}/")
        )
        yield path, ngff.encode(ngff.GroupMeta(collection=True), version)
        yield f"{path}/OME", ngff.encode(ngff.GroupMeta(series=below), version)
    if dataset.layout == "collection":
        paths = tuple(i.path for i in dataset.images)
        yield "OME", ngff.encode(ngff.GroupMeta(series=paths), version)
    for plate in dataset.plates:
        fields: dict[tuple[str, str], list[str]] = defaultdict(list)
        taken: dict[tuple[str, str], list[int | None]] = defaultdict(list)
        start = f"{plate.path}/" if plate.path else ""
        for image in dataset.images:
            if image.path.startswith(start):
                row, column, name = image.path[len(start) :].split("/")
                fields[row, column].append(name)
                taken[row, column].append(image.attributes.get("acquisition"))
        meta = ngff.PlateMeta(
            name=plate.name,
            rows=plate.rows,
            columns=plate.columns,
            wells=tuple(fields),
            field_count=max(map(len, fields.values()), default=1),
            acquisitions=plate.acquisitions,
        )
        yield plate.path, ngff.encode(ngff.GroupMeta(plate=meta), version)
        for (row, column), names in fields.items():
            acquisitions = tuple(taken[row, column]) if plate.acquisitions else ()
            well = ngff.WellMeta(tuple(names), acquisitions)
            yield f"{start}{row}/{column}", ngff.encode(ngff.GroupMeta(well=well), version)
