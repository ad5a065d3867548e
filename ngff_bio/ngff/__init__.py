"""The OME-Zarr specification: neutral metadata to and from each of its versions."""

from __future__ import annotations

from ngff_bio.ngff.decoding import decode, version_of
from ngff_bio.ngff.encoding import encode
from ngff_bio.ngff.metadata import (
    VERSIONS,
    ZARR_FORMAT,
    AxisMeta,
    ChannelMeta,
    GroupMeta,
    LabelMeta,
    LevelMeta,
    MultiscaleMeta,
    PlateMeta,
    Version,
    WellMeta,
    rule_color,
)

__all__ = [
    "VERSIONS",
    "ZARR_FORMAT",
    "AxisMeta",
    "ChannelMeta",
    "GroupMeta",
    "LabelMeta",
    "LevelMeta",
    "MultiscaleMeta",
    "PlateMeta",
    "Version",
    "WellMeta",
    "decode",
    "encode",
    "rule_color",
    "version_of",
]
