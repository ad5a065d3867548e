"""OME-Zarr 0.6: as 0.5, with named coordinate systems and transformations between them (RFC 5).

The version stands in ``ome`` alone. A level has one transformation, from its array to the intrinsic
system; what leads from there to other systems says nothing of pixel sizes and is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from ngff_bio.ngff import parts
from ngff_bio.ngff.metadata import GroupMeta, LevelMeta, MultiscaleMeta

VERSION = "0.6"

#: Name of the intrinsic coordinate system that is written.
SYSTEM = "physical"


def encode(meta: GroupMeta) -> dict[str, Any]:
    """Group attributes of a neutral description."""
    content: dict[str, Any] = {"version": VERSION}
    if meta.multiscales:
        content["multiscales"] = [_multiscale(m) for m in meta.multiscales]
    if meta.channels:
        content["omero"] = parts.omero(meta.channels)
    if meta.label is not None:
        content["image-label"] = parts.image_label(meta.label)
    if meta.labels is not None:
        content["labels"] = list(meta.labels)
    if meta.plate is not None:
        content["plate"] = parts.plate(meta.plate)
    if meta.well is not None:
        content["well"] = parts.well(meta.well)
    if meta.collection:
        content["bioformats2raw.layout"] = 3
    if meta.series is not None:
        content["series"] = list(meta.series)
    return {"ome": content}


def decode(attributes: dict[str, Any]) -> GroupMeta:
    """Neutral description of group attributes; what is not OME-Zarr is passed over."""
    content = cast("dict[str, Any]", attributes.get("ome", {}))
    return parts.decode(content, str(content.get("version", VERSION)), _read_multiscale)


def _multiscale(meta: MultiscaleMeta) -> dict[str, Any]:
    """``multiscales`` entry (0.6, section "multiscales")."""
    earlier = parts.multiscale(meta)
    axes = earlier.pop("axes")
    datasets = [
        {"path": level.path, "coordinateTransformations": [_transformation(level)]}
        for level in meta.levels
    ]
    system = {"name": SYSTEM, "axes": axes}
    return {**earlier, "coordinateSystems": [system], "datasets": datasets}


def _transformation(level: LevelMeta) -> dict[str, Any]:
    """From an array to the intrinsic system: one scale, or a sequence of scale and translation."""
    ends = {"input": {"path": level.path}, "output": {"name": SYSTEM}}
    steps = parts.transformations(level)
    if len(steps) == 1:
        return {**steps[0], **ends}
    return {"type": "sequence", **ends, "transformations": steps}


def _read_multiscale(content: dict[str, Any]) -> MultiscaleMeta:
    systems = {s["name"]: s["axes"] for s in content["coordinateSystems"]}
    transformations = []
    for dataset in content["datasets"]:
        steps = dataset["coordinateTransformations"]
        if len(steps) != 1:
            raise ValueError(f"{len(steps)} transformations of level {dataset['path']!r}, not one")
        transformations.append(steps[0])
    names = {t["output"]["name"] for t in transformations}
    if len(names) != 1:
        raise ValueError(f"levels lead to {len(names)} coordinate systems, not to one")
    name = names.pop()
    if name not in systems:
        raise ValueError(f"no coordinate system {name!r}")
    axes = parts.read_axes(systems[name])
    levels = []
    for dataset, transformation in zip(content["datasets"], transformations, strict=True):
        scale, translation = parts.compose(_flat(transformation), len(axes))
        levels.append(LevelMeta(dataset["path"], scale, translation))
    return parts.made_multiscale(content, axes, levels)


def _flat(transformation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if transformation["type"] != "sequence":
        yield transformation
        return
    for step in transformation["transformations"]:
        yield from _flat(step)
