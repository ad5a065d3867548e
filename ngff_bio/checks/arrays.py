"""Arrays against the metadata that names them: what JSON Schema cannot see."""

from __future__ import annotations

from typing import Any

import numpy as np

from ngff_bio.checks.documents import Documents
from ngff_bio.checks.findings import Finding, Report, Rule
from ngff_bio.errors import StoreError
from ngff_bio.ngff import GroupMeta, decode

_SECTION = 'section "multiscales"'

LEVEL_THERE = Rule(
    "level-there",
    "MUST",
    _SECTION,
    "Each dataset's path names an array below the group.",
    "write the array, or take the dataset out of the list",
)
LEVEL_NDIM = Rule(
    "level-ndim",
    "MUST",
    _SECTION,
    "The number of dimensions of each level equals the number of axes.",
    "write the axes that the arrays have",
)
LEVEL_DTYPE = Rule(
    "level-dtype",
    "SHOULD",
    _SECTION,
    "All levels of an image have one type of pixel.",
    "write all levels in the type of the first",
)
LEVEL_ORDER = Rule(
    "level-order",
    "MUST",
    _SECTION,
    "Datasets are listed from the largest to the smallest.",
    "sort the datasets by size",
)
DIMENSION_NAMES = Rule(
    "dimension-names",
    "MUST",
    _SECTION,
    "The dimension names of each array equal the names of the axes, in order.",
    "write the names of the axes as dimension_names of the array",
)
LABEL_INTEGER = Rule(
    "label-integer",
    "MUST",
    'section "labels"',
    "The pixels of a label image are integers.",
    "convert the label image to unsigned integers",
)
LABEL_LEVELS = Rule(
    "label-levels",
    "SHOULD",
    'section "labels"',
    "A label image has as many levels as its image.",
    "write the same levels for both",
)


def check_arrays(documents: Documents, path: str) -> list[Finding]:
    """Hold the arrays of one image or label image against its metadata."""
    try:
        meta = decode(documents.attributes(path))
    except StoreError:
        return []  # the metadata rules have said so
    if meta is None or not meta.multiscales:
        return []
    report = Report(version=meta.version or "0.5", group=path)
    start = f"{path}/" if path else ""
    levels = [
        (level.path, documents.arrays.get(f"{start}{level.path}"))
        for level in meta.multiscales[0].levels
    ]
    axes = [a.name for a in meta.multiscales[0].axes]
    first: dict[str, Any] | None = None
    size: tuple[int, ...] | None = None
    for number, (name, document) in enumerate(levels):
        pointer = f"/multiscales/0/datasets/{number}"
        if document is None:
            report.add(LEVEL_THERE, pointer, f"no array at {name}")
            continue
        shape = tuple(document["shape"])
        if len(shape) != len(axes):
            report.add(LEVEL_NDIM, pointer, f"{len(shape)} dimensions, {len(axes)} axes")
        names = document.get("dimension_names")
        if documents.zarr_format == 3 and names != axes:
            report.add(DIMENSION_NAMES, pointer, f"{names} instead of {axes}")
        if first is not None and _dtype(document) != _dtype(first):
            report.add(LEVEL_DTYPE, pointer, f"{_dtype(document)} after {_dtype(first)}")
        if size is not None and any(a > b for a, b in zip(shape, size, strict=False)):
            report.add(LEVEL_ORDER, pointer, f"{shape} after {size}")
        first, size = first or document, shape
        if meta.label is not None and np.dtype(_dtype(document)).kind not in "iu":
            report.add(LABEL_INTEGER, pointer, _dtype(document))
    if meta.label is not None:
        _check_label(documents, path, meta, report)
    return report.findings


def _check_label(documents: Documents, path: str, meta: GroupMeta, report: Report) -> None:
    above = path.rpartition("/labels/")[0] if "/labels/" in path else ""
    try:
        image = decode(documents.attributes(above))
    except StoreError:
        return
    if image is None or not image.multiscales:
        return
    wanted, found = len(image.multiscales[0].levels), len(meta.multiscales[0].levels)
    if wanted != found:
        report.add(LABEL_LEVELS, "/multiscales/0/datasets", f"{found} levels, the image {wanted}")


def _dtype(document: dict[str, Any]) -> str:
    return str(document.get("data_type", document.get("dtype")))
