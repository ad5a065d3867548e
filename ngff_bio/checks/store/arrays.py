"""Arrays against the metadata that names them: what JSON Schema cannot see."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ngff_bio.checks.spec.conformance import detect_version
from ngff_bio.checks.spec.findings import Finding, Report, Rule
from ngff_bio.checks.store.arrayinfo import ArrayInfo, array_info
from ngff_bio.checks.store.documents import Documents, join
from ngff_bio.checks.store.multiscales import Level, Multiscale, multiscales

_SECTION = '"multiscales" metadata'
_LABELS = '"labels" metadata'

LEVEL_THERE = Rule(
    "level-there",
    "MUST",
    _SECTION,
    'the "path" of each dataset contains the path to the array for this resolution',
    "write the array, or take the dataset out of the list",
)
LEVEL_UNKNOWN = Rule(
    "level-unknown",
    "ADVICE",
    _SECTION,
    "an array whose chunk grid or data type is not known here cannot be checked",
    "check it with the program that wrote it",
)
LEVEL_NDIM = Rule(
    "level-ndim",
    "MUST",
    _SECTION,
    'the length of "axes" MUST be equal to the dimensionality of the arrays',
    "write the axes that the arrays have",
)
LEVEL_DTYPE = Rule(
    "level-dtype",
    "SHOULD",
    _SECTION,
    "all levels of an image have one type of pixel",
    "write all levels in the type of the first",
)
#: In 0.6 it is a demand.
LEVEL_DTYPE_06 = Rule(
    "level-dtype",
    "MUST",
    _SECTION,
    "all levels of an image MUST have one type of pixel",
    "write all levels in the type of the first",
)
LEVEL_ORDER = Rule(
    "level-order",
    "MUST",
    _SECTION,
    'the "path"s MUST be ordered from largest (i.e. highest resolution) to smallest',
    "sort the datasets by size",
)
LEVEL_SCALE = Rule(
    "level-scale",
    "SHOULD",
    _SECTION,
    'a "scale" gives the size of a pixel of its level: levels that are n times smaller have pixels '
    "n times larger",
    "write the scale that the shapes of the arrays have",
)
DIMENSION_NAMES = Rule(
    "dimension-names",
    "MUST",
    '"axes" metadata',
    'the "dimension_names" of the array of a level MUST match the names of the "axes"',
    'write the names of the axes as "dimension_names" of the array',
)
DIMENSION_SEPARATOR = Rule(
    "dimension-separator",
    "SHOULD",
    "images",
    'chunks are stored with the nested directory layout ("dimension_separator" is "/")',
    'write the array with "/" between the numbers of a chunk',
)
OMERO_CHANNEL_COUNT = Rule(
    "omero-channel-count",
    "SHOULD",
    '"omero" metadata',
    '"channels" is an array matching the size of the c dimension',
    "describe each channel",
)
LABEL_INTEGER = Rule(
    "label-integer",
    "MUST",
    _LABELS,
    "the pixels of the label images MUST be integer data types",
    "convert the label image to unsigned integers",
)
LABEL_LEVELS = Rule(
    "label-levels",
    "MUST",
    _LABELS,
    '"datasets" of a label image MUST have as many entries as the image has',
    "write the same levels for both",
)
LABEL_SHAPE = Rule(
    "label-shape",
    "SHOULD",
    "images",
    "each dimension of the label should be the same as that of the image, or 1 if irrelevant",
    "write the label image on the grid of its image",
)
LABEL_AXES = Rule(
    "label-axes",
    "SHOULD",
    "images",
    "the dimensions of a label image are dimensions of its image",
    "name the axes of the label image as those of the image",
)
LABEL_SPACE = Rule(
    "label-space",
    "SHOULD",
    _LABELS,
    "a label image is in the same coordinate system as its image",
    "give both the same scale, translation and units",
)


def check_arrays(documents: Documents, path: str, *, strict: bool = False) -> list[Finding]:
    """Hold the arrays of an image or label image against its metadata."""
    content = documents.ome(path)
    version = detect_version(documents.attributes(path))
    report = Report(version, path, strict=strict)
    start = "/ome" if "ome" in documents.attributes(path) else ""
    is_label = "image-label" in content or "labels" in path.split("/")
    for multiscale in multiscales(content, start):
        found = _check_levels(documents, path, multiscale, report)
        if is_label:
            for level, info in found:
                if info.dtype.kind not in "iu":
                    report.add(LABEL_INTEGER, _at(multiscale, level), str(info.dtype))
        _check_channels(content, multiscale, found, report, start)
    if is_label and (above := image_of(documents, path)) is not None:
        _check_against_image(documents, path, above, report, start)
    return report.findings


def _at(multiscale: Multiscale, level: Level) -> str:
    return f"{multiscale.pointer}/datasets/{level.number}"


def levels_of(
    documents: Documents, path: str, multiscale: Multiscale
) -> list[tuple[Level, ArrayInfo]]:
    """Levels whose arrays are there and understood."""
    found = []
    for level in multiscale.levels:
        at = join(path, level.path)
        document = documents.arrays.get(at)
        info = array_info(at, document) if document is not None else None
        if info is not None:
            found.append((level, info))
    return found


def _check_levels(
    documents: Documents, path: str, multiscale: Multiscale, report: Report
) -> list[tuple[Level, ArrayInfo]]:
    for level in multiscale.levels:
        at = join(path, level.path)
        document = documents.arrays.get(at)
        if document is None:
            there = "a group" if at in documents.groups else "nothing"
            report.add(LEVEL_THERE, _at(multiscale, level), f"{there} at {level.path!r}")
            continue
        shape = document.get("shape")
        if isinstance(shape, list) and len(shape) != len(multiscale.axes):
            found_axes = f"{len(shape)} dimensions, {len(multiscale.axes)} axes"
            report.add(LEVEL_NDIM, _at(multiscale, level), found_axes)
        if array_info(at, document) is None:
            report.add(LEVEL_UNKNOWN, _at(multiscale, level), f"the array {level.path!r}")
    found = levels_of(documents, path, multiscale)
    for level, info in found:
        _check_level(multiscale, level, info, report)
    for (_, before), (level, info) in pairwise(found):
        at = _at(multiscale, level)
        if len(before.shape) == len(info.shape) and any(
            a > b for a, b in zip(info.shape, before.shape, strict=True)
        ):
            report.add(LEVEL_ORDER, at, f"{info.shape} after {before.shape}")
        if info.dtype != before.dtype:
            rule = LEVEL_DTYPE_06 if report.version == "0.6" else LEVEL_DTYPE
            report.add(rule, at, f"{info.dtype} after {before.dtype}")
    _check_scales(multiscale, found, report)
    return found


def _check_level(multiscale: Multiscale, level: Level, info: ArrayInfo, report: Report) -> None:
    at = _at(multiscale, level)
    names = info.dimension_names
    if info.zarr_format == 3 and names != multiscale.axes:
        found = "none" if names is None else list(names)
        report.add(DIMENSION_NAMES, at, f"{found} instead of {list(multiscale.axes)}")
    if info.zarr_format == 2 and info.separator != "/" and len(info.shape) > 1:
        report.add(DIMENSION_SEPARATOR, at, repr(info.separator))


def _check_scales(
    multiscale: Multiscale, found: list[tuple[Level, ArrayInfo]], report: Report
) -> None:
    """Shapes against scales: a level's pixel is as much larger as the level is smaller."""
    if not found:
        return
    first, base = found[0]
    for level, info in found[1:]:
        if first.scale is None or level.scale is None or len(info.shape) != len(base.shape):
            continue
        if len(first.scale) != len(base.shape) or not (first.scale > 0).all():
            continue
        ratio = level.scale / first.scale
        # Whatever a writer does with odd edges, it drops or adds less than a pixel a level.
        exact = np.array(base.shape) / np.maximum(ratio, 1e-12)
        slack = 1 + 0.01 * exact
        wrong = np.abs(exact - np.array(info.shape)) > slack
        # A scale may also span the image exactly: shape times scale equal on both.
        if wrong.any():
            axis = multiscale.axes[int(np.flatnonzero(wrong)[0])]
            report.add(
                LEVEL_SCALE,
                f"{_at(multiscale, level)}/coordinateTransformations",
                f"along {axis} pixels are {ratio[wrong][0]:g} times larger, "
                f"the shape goes from {base.shape} to {info.shape}",
            )


def _check_channels(
    content: dict[str, object],
    multiscale: Multiscale,
    found: list[tuple[Level, ArrayInfo]],
    report: Report,
    start: str,
) -> None:
    omero = content.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(channels, list) or not found or multiscale.pointer[-1] != "0":
        return
    shape = found[0][1].shape
    if len(shape) != len(multiscale.axes):
        return
    sizes = [n for n, kind in zip(shape, multiscale.types, strict=True) if kind == "channel"]
    size = sizes[0] if sizes else 1
    if len(channels) != size:
        report.add(
            OMERO_CHANNEL_COUNT,
            f"{start}/omero/channels",
            f"{len(channels)} channels are described, the image has {size}",
        )


def image_of(documents: Documents, path: str) -> str | None:
    """Path of the image that a label image belongs to; ``None`` if it is not below ``labels``."""
    parts = path.split("/")
    if "labels" not in parts[:-1]:
        return None
    cut = len(parts) - 1 - parts[::-1].index("labels", 1)
    above = "/".join(parts[:cut])
    return above if above in documents.groups else None


def _check_against_image(
    documents: Documents, path: str, above: str, report: Report, start: str
) -> None:
    image = next(multiscales(documents.ome(above), ""), None)
    label = next(multiscales(documents.ome(path), start), None)
    if image is None or label is None:
        return
    if len(image.levels) != len(label.levels):
        report.add(
            LABEL_LEVELS,
            f"{label.pointer}/datasets",
            f"{len(label.levels)} levels, the image has {len(image.levels)}",
        )
    foreign = [a for a in label.axes if a not in image.axes]
    if foreign:
        report.add(LABEL_AXES, f"{label.pointer}/axes", f"{foreign}, the image: {list(image.axes)}")
        return
    at = [image.axes.index(a) for a in label.axes]
    pairs = zip(levels_of(documents, above, image), levels_of(documents, path, label), strict=False)
    for (_, whole), (level, info) in pairs:
        if len(info.shape) != len(at) or len(whole.shape) != len(image.axes):
            return
        wanted = [whole.shape[i] for i in at]
        if any(n not in (1, m) for n, m in zip(info.shape, wanted, strict=True)):
            report.add(LABEL_SHAPE, _at(label, level), f"{info.shape}, the image {tuple(wanted)}")
    _check_space(image, label, at, report)


def _check_space(image: Multiscale, label: Multiscale, at: list[int], report: Report) -> None:
    units = [image.units[i] for i in at]
    if list(label.units) != units:
        report.add(LABEL_SPACE, f"{label.pointer}/axes", f"units {list(label.units)}, not {units}")
    if not image.levels or not label.levels:
        return
    for name in ("scale", "translation"):
        whole, own = getattr(image.levels[0], name), getattr(label.levels[0], name)
        if whole is None or own is None:
            continue
        if len(own) == len(at) and not np.allclose(whole[at], own, rtol=1e-6):
            report.add(
                LABEL_SPACE,
                f"{_at(label, label.levels[0])}/coordinateTransformations",
                f"{name} {own.tolist()}, the image {whole[at].tolist()}",
            )
