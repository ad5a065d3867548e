"""OME-Zarr 0.5: everything below the attribute ``ome``, which carries the version."""

from __future__ import annotations

from typing import Any, cast

from ngff_bio.ngff import parts
from ngff_bio.ngff.metadata import GroupMeta

VERSION = "0.5"


def encode(meta: GroupMeta) -> dict[str, Any]:
    """Group attributes of a neutral description."""
    content: dict[str, Any] = {"version": VERSION}
    kinds: list[str] = []
    if meta.multiscales:
        content["multiscales"] = [parts.multiscale(m) for m in meta.multiscales]
        kinds.append("image.ImageAttrs" if meta.label is None else "image_label.ImageLabelAttrs")
    if meta.channels:
        content["omero"] = parts.omero(meta.channels)
    if meta.label is not None:
        content["image-label"] = parts.image_label(meta.label)
    if meta.labels is not None:
        content["labels"] = list(meta.labels)
        kinds.append("labels.LabelsAttrs")
    if meta.plate is not None:
        content["plate"] = {**parts.plate(meta.plate), "version": VERSION}
        kinds.append("hcs.HCSAttrs")
    if meta.well is not None:
        content["well"] = {**parts.well(meta.well), "version": VERSION}
        kinds.append("well.WellAttrs")
    if meta.collection:
        content["bioformats2raw.layout"] = 3
        kinds.append("bioformats2raw.BioFormats2RawAttrs")
    if meta.series is not None:
        content["series"] = list(meta.series)
    for kind in kinds:
        parts.check(f"v05.{kind}", content)
    return {"ome": content}


def decode(attributes: dict[str, Any]) -> GroupMeta:
    """Neutral description of group attributes; what is not OME-Zarr is passed over."""
    content = cast("dict[str, Any]", attributes.get("ome", {}))
    return parts.decode(content, str(content.get("version", VERSION)))
