"""OME-Zarr 0.4: keys at the top of the attributes, a version in each of them."""

from __future__ import annotations

from typing import Any

from ngff_bio.ngff import parts
from ngff_bio.ngff.metadata import GroupMeta

VERSION = "0.4"


def encode(meta: GroupMeta) -> dict[str, Any]:
    """Group attributes of a neutral description."""
    content: dict[str, Any] = {}
    kinds: list[str] = []
    if meta.multiscales:
        content["multiscales"] = [
            {**parts.multiscale(m), "version": VERSION} for m in meta.multiscales
        ]
        kinds.append("image.ImageAttrs" if meta.label is None else "image_label.ImageLabelAttrs")
    if meta.channels:
        content["omero"] = {**parts.omero(meta.channels), "version": VERSION}
    if meta.label is not None:
        content["image-label"] = {**parts.image_label(meta.label), "version": VERSION}
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
        parts.check(f"v04.{kind}", content)
    return content


def decode(attributes: dict[str, Any]) -> GroupMeta:
    """Neutral description of group attributes; what is not OME-Zarr is passed over."""
    return parts.decode(attributes, VERSION)
