"""Arrays against the metadata that names them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ngff_bio.checks.spec.findings import Findings
from ngff_bio.checks.store.documents import Documents
from ngff_bio.checks.store.multiscales import CheckedMultiscale, first_multiscale, multiscales


def check_arrays(documents: Documents, path: str, findings: Findings) -> None:
    """Check the arrays of an image or label image against its metadata."""
    content = documents.ome(path)
    is_label = "image-label" in content or "labels" in path.split("/")
    for multiscale in multiscales(documents, path):
        _check_levels(documents, multiscale, findings)
        _check_scales(multiscale, findings)
        for level, info in multiscale.arrays if is_label else ():
            if info.dtype.kind not in "iu":
                findings.add("label-integer", level.pointer, str(info.dtype))
    if (image := first_multiscale(documents, path)) is not None:
        _check_channels(content, image, f"{documents.pointer(path)}/omero/channels", findings)
        if is_label and (above := image_of(documents, path)) is not None:
            _check_against_image(first_multiscale(documents, above), image, findings)


def _check_levels(documents: Documents, multiscale: CheckedMultiscale, findings: Findings) -> None:
    axes = multiscale.axes
    for level in multiscale.levels:
        document = documents.arrays.get(level.path)
        if document is None:
            there = "a group" if level.path in documents.groups else "nothing"
            findings.add("level-there", level.pointer, f"{there} at {level.name!r}")
            continue
        shape = document.get("shape")
        if isinstance(shape, list) and len(shape) != len(axes):
            found = f"{len(shape)} dimensions, {len(axes)} axes"
            findings.add("level-ndim", level.pointer, found)
        if level.array is None:
            findings.add("level-unknown", level.pointer, f"the array {level.name!r}")
    for level, info in multiscale.arrays:
        names = info.dimension_names
        if info.zarr_format == 3 and names != axes:
            there = "none" if names is None else str(list(names))
            findings.add("dimension-names", level.pointer, f"{there} instead of {list(axes)}")
        if info.zarr_format == 2 and info.separator != "/" and len(info.shape) > 1:
            findings.add("dimension-separator", level.pointer, repr(info.separator))
    for (_, before), (level, info) in pairwise(multiscale.arrays):
        if len(before.shape) == len(info.shape) and any(
            a > b for a, b in zip(info.shape, before.shape, strict=True)
        ):
            findings.add("level-order", level.pointer, f"{info.shape} after {before.shape}")
        if info.dtype != before.dtype:
            findings.add("level-dtype", level.pointer, f"{info.dtype} after {before.dtype}")


def _check_scales(multiscale: CheckedMultiscale, findings: Findings) -> None:
    """Shapes against scales: a level's pixel is as much larger as the level is smaller."""
    if not multiscale.arrays:
        return
    (first, base), *others = multiscale.arrays
    for level, info in others:
        if first.scale is None or level.scale is None or len(info.shape) != len(base.shape):
            continue
        if len(first.scale) != len(base.shape) or not (first.scale > 0).all():
            continue
        ratio = level.scale / first.scale
        # At odd edges, writers drop or add less than a pixel a level.
        exact = np.array(base.shape) / np.maximum(ratio, 1e-12)
        slack = 1 + 0.01 * exact
        wrong = np.abs(exact - np.array(info.shape)) > slack
        # A scale may also span the image exactly: shape times scale equal on both.
        if wrong.any():
            axis = multiscale.axes[int(np.flatnonzero(wrong)[0])]
            findings.add(
                "level-scale",
                f"{level.pointer}/coordinateTransformations",
                f"along {axis} pixels are {ratio[wrong][0]:g} times larger, "
                f"the shape goes from {base.shape} to {info.shape}",
            )


def _check_channels(
    content: dict[str, object], image: CheckedMultiscale, pointer: str, findings: Findings
) -> None:
    omero = content.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(channels, list) or not image.arrays:
        return
    shape = image.arrays[0][1].shape
    if len(shape) != len(image.axes):
        return
    sizes = [n for n, kind in zip(shape, image.types, strict=True) if kind == "channel"]
    size = sizes[0] if sizes else 1
    if len(channels) != size:
        found = f"{len(channels)} channels are described, the image has {size}"
        findings.add("omero-channel-count", pointer, found)


def image_of(documents: Documents, path: str) -> str | None:
    """Path of the image that a label image belongs to; ``None`` if it is not below ``labels``."""
    parts = path.split("/")
    if "labels" not in parts[:-1]:
        return None
    cut = len(parts) - 1 - parts[::-1].index("labels", 1)
    above = "/".join(parts[:cut])
    return above if above in documents.groups else None


def _check_against_image(
    image: CheckedMultiscale | None, label: CheckedMultiscale, findings: Findings
) -> None:
    if image is None:
        return
    if len(image.levels) != len(label.levels):
        found = f"{len(label.levels)} levels, the image has {len(image.levels)}"
        findings.add("label-levels", f"{label.pointer}/datasets", found)
    unknown = [a for a in label.axes if a not in image.axes]
    if unknown:
        found = f"{unknown}, the image: {list(image.axes)}"
        findings.add("label-axes", f"{label.pointer}/axes", found)
        return
    at = [image.axes.index(a) for a in label.axes]
    for (_, whole), (level, info) in zip(image.arrays, label.arrays, strict=False):
        if len(info.shape) != len(at) or len(whole.shape) != len(image.axes):
            return
        wanted = [whole.shape[i] for i in at]
        if any(n not in (1, m) for n, m in zip(info.shape, wanted, strict=True)):
            found = f"{info.shape}, the image {tuple(wanted)}"
            findings.add("label-shape", level.pointer, found)
    _check_space(image, label, at, findings)


def _check_space(
    image: CheckedMultiscale, label: CheckedMultiscale, at: list[int], findings: Findings
) -> None:
    units = [image.units[i] for i in at]
    if list(label.units) != units:
        found = f"units {list(label.units)}, not {units}"
        findings.add("label-space", f"{label.pointer}/axes", found)
    if not image.levels or not label.levels:
        return
    first, own = image.levels[0], label.levels[0]
    for name, there, expected in (
        ("scale", own.scale, first.scale),
        ("translation", own.translation, first.translation),
    ):
        if there is None or expected is None:
            continue
        if len(there) == len(at) and not np.allclose(expected[at], there, rtol=1e-6):
            found = f"{name} {there.tolist()}, the image {expected[at].tolist()}"
            findings.add("label-space", f"{own.pointer}/coordinateTransformations", found)
