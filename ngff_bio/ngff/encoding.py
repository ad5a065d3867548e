"""Neutral metadata to group attributes of OME-Zarr 0.4, 0.5 and 0.6.

0.4 has its keys at the top of the attributes, each with a version. From 0.5 on they are below ``ome``,
which has one. 0.6 adds named coordinate systems, and transformations between them (RFC 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ngff_bio.errors import ArgumentError
from ngff_bio.ngff.metadata import (
    ChannelMeta,
    GroupMeta,
    LabelMeta,
    LevelMeta,
    MultiscaleMeta,
    PlateMeta,
    WellMeta,
)

#: Name of the intrinsic coordinate system that is written (0.6).
SYSTEM = "physical"

#: Keys whose objects have a version of their own.
VERSIONED: Mapping[str, frozenset[str]] = {
    "0.4": frozenset({"multiscales", "omero", "image-label", "plate", "well"}),
    "0.5": frozenset({"plate", "well"}),
    "0.6": frozenset(),
}


def encode(meta: GroupMeta, version: str) -> dict[str, object]:
    """Group attributes of a neutral description, in one version of the specification.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the version is not known.
    """
    if version not in VERSIONED:
        raise ArgumentError(
            "this version of OME-Zarr is not known",
            expected=", ".join(VERSIONED),
            found=version,
        )
    write = write_multiscale_06 if version == "0.6" else write_multiscale

    def marked(key: str, content: dict[str, object]) -> dict[str, object]:
        return {**content, "version": version} if key in VERSIONED[version] else content

    content: dict[str, object] = {}
    if meta.multiscales:
        content["multiscales"] = [marked("multiscales", write(m)) for m in meta.multiscales]
    if meta.channels:
        content["omero"] = marked("omero", {"channels": [_channel(c) for c in meta.channels]})
    if meta.label is not None:
        content["image-label"] = marked("image-label", _image_label(meta.label))
    if meta.labels is not None:
        content["labels"] = list(meta.labels)
    if meta.plate is not None:
        content["plate"] = marked("plate", _plate(meta.plate))
    if meta.well is not None:
        content["well"] = marked("well", _well(meta.well))
    if meta.collection:
        content["bioformats2raw.layout"] = 3
    if meta.series is not None:
        content["series"] = list(meta.series)
    return content if version == "0.4" else {"ome": {"version": version, **content}}


def write_multiscale(meta: MultiscaleMeta) -> dict[str, Any]:
    """``multiscales`` entry (0.4 and 0.5, section "multiscales")."""
    content: dict[str, object] = {} if meta.name is None else {"name": meta.name}
    content["axes"] = [_without_none(name=a.name, type=a.type, unit=a.unit) for a in meta.axes]
    content["datasets"] = [
        {"path": level.path, "coordinateTransformations": _transformations(level)}
        for level in meta.levels
    ]
    if meta.method is not None:
        content["type"] = meta.method
    if meta.metadata is not None:
        content["metadata"] = dict(meta.metadata)
    return content


def write_multiscale_06(meta: MultiscaleMeta) -> dict[str, Any]:
    """``multiscales`` entry (0.6, section "multiscales"): a level has one transformation."""
    earlier = write_multiscale(meta)
    system = {"name": SYSTEM, "axes": earlier.pop("axes")}
    datasets = []
    for level in meta.levels:
        ends = {"input": {"path": level.path}, "output": {"name": SYSTEM}}
        steps = _transformations(level)
        one = {"type": "sequence", **ends, "transformations": steps}
        if len(steps) == 1:
            one = {**steps[0], **ends}
        datasets.append({"path": level.path, "coordinateTransformations": [one]})
    return {**earlier, "coordinateSystems": [system], "datasets": datasets}


def _transformations(level: LevelMeta) -> list[dict[str, Any]]:
    """Scale and, where it is not zero, translation of a level."""
    steps: list[dict[str, object]] = [{"type": "scale", "scale": list(level.scale)}]
    if level.translation is not None and any(level.translation):
        steps.append({"type": "translation", "translation": list(level.translation)})
    return steps


def _channel(meta: ChannelMeta) -> dict[str, object]:
    """Rendering settings of a channel (section "omero")."""
    low, high = meta.minimum, meta.maximum
    return {
        **({"label": meta.label} if meta.label else {}),
        "color": meta.color,
        "active": meta.active,
        "window": {"min": low, "max": high, "start": meta.start, "end": meta.end},
    }


def _image_label(meta: LabelMeta) -> dict[str, object]:
    """``image-label`` (section "labels"); empty parts are left out."""
    content: dict[str, object] = {}
    if meta.colors:
        content["colors"] = [{"label-value": v, "rgba": list(c)} for v, c in meta.colors.items()]
    if meta.properties:
        content["properties"] = [dict(p) for p in meta.properties]
    if meta.source is not None:
        content["source"] = {"image": meta.source}
    return content


def _plate(meta: PlateMeta) -> dict[str, object]:
    """``plate`` (section "plate")."""
    rows = {name: i for i, name in enumerate(meta.rows)}
    columns = {name: i for i, name in enumerate(meta.columns)}
    content: dict[str, object] = {
        "name": meta.name,
        "rows": [{"name": r} for r in meta.rows],
        "columns": [{"name": c} for c in meta.columns],
        "wells": [
            {"path": f"{r}/{c}", "rowIndex": rows[r], "columnIndex": columns[c]}
            for r, c in meta.wells
        ],
        "field_count": meta.field_count,
    }
    if meta.acquisitions:
        content["acquisitions"] = [dict(a) for a in meta.acquisitions]
    return content


def _well(meta: WellMeta) -> dict[str, object]:
    """``well`` (section "well")."""
    acquisitions = meta.acquisitions or (None,) * len(meta.images)
    return {
        "images": [
            _without_none(path=path, acquisition=acquisition)
            for path, acquisition in zip(meta.images, acquisitions, strict=True)
        ]
    }


def _without_none(**values: object) -> dict[str, object]:
    return {k: v for k, v in values.items() if v is not None}
