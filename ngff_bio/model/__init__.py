"""The vocabulary: what a dataset of images and annotations is. No input, no output, no Zarr."""

import warnings
from typing import Any

from ngff_bio.model.accounting import FileAccount
from ngff_bio.model.annotations import (
    MAX_HIDDEN,
    Box,
    Category,
    Geometry,
    Instance,
    InstanceLayer,
    Instances,
    LabelLayer,
    OutlineRule,
    Polygons,
    Rgba,
    Rle,
    Shape,
    VolumeLayer,
    label_dtype,
)
from ngff_bio.model.axes import ORDER, Axis, axes_from
from ngff_bio.model.dataset import (
    Channel,
    Frame,
    OmeDocument,
    SourceDataset,
    SourceImage,
    SourcePlate,
    SourceTable,
)
from ngff_bio.model.files import (
    SourceFile,
    SourcePart,
    SourceParts,
    files_of,
    leads_out,
    names_of,
    parts_of,
)
from ngff_bio.model.notices import Notice, OnError, gathered
from ngff_bio.model.pixels import ArrayPixels, PixelArray, Pixels, Readable, Region, SampleType
from ngff_bio.model.runs import RunVolume

__all__ = [
    "MAX_HIDDEN",
    "ORDER",
    "ArrayPixels",
    "Axis",
    "Box",
    "Category",
    "Channel",
    "FileAccount",
    "Frame",
    "Geometry",
    "Instance",
    "InstanceLayer",
    "Instances",
    "LabelLayer",
    "Notice",
    "OmeDocument",
    "OnError",
    "OutlineRule",
    "PixelArray",
    "Pixels",
    "Polygons",
    "Readable",
    "Region",
    "Rgba",
    "Rle",
    "RunVolume",
    "SampleType",
    "Shape",
    "SourceDataset",
    "SourceFile",
    "SourceImage",
    "SourcePart",
    "SourceParts",
    "SourcePlate",
    "SourceTable",
    "VolumeLayer",
    "axes_from",
    "files_of",
    "gathered",
    "label_dtype",
    "leads_out",
    "names_of",
    "parts_of",
]

#: Names until version 0.1.
_RENAMED = {"Dataset": SourceDataset, "Image": SourceImage, "Plate": SourcePlate}


def __getattr__(name: str) -> Any:
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = _RENAMED[name]
    warnings.warn(
        f"ngff_bio.model.{name} is deprecated: use {new.__name__}", DeprecationWarning, stacklevel=2
    )
    return new
