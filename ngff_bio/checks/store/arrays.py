"""Arrays against the metadata that names them: what JSON Schema cannot see."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ngff_bio.checks.spec.findings import Findings
from ngff_bio.checks.store.documents import Documents, join
from ngff_bio.checks.store.multiscales import Level, Multiscale, multiscales
from ngff_bio.zarrio.arrays import ArrayMeta


def check_arrays(documents: Documents, path: str, findings: Findings) -> None:
    """Check the arrays of an image or label image against its metadata."""
    content = documents.ome(path)
    start = "/ome" if "ome" in documents.attributes(path) else ""
    is_label = "image-label" in content or "labels" in path.split("/")
    for multiscale in multiscales(content, start):
        found = _check_levels(documents, path, multiscale, findings)
        if is_label:
            for level, info in found:
                if info.dtype.kind not in "iu":
                    findings.add("label-integer", _at(multiscale, level), str(info.dtype))
        _check_channels(content, multiscale, found, findings, start)
    if is_label and (above := image_of(documents, path)) is not None:
        _check_against_image(documents, path, above, findings, start)


def _at(multiscale: Multiscale, level: Level) -> str:
    return f"{multiscale.pointer}/datasets/{level.number}"


def levels_of(
    documents: Documents, path: str, multiscale: Multiscale
) -> list[tuple[Level, ArrayMeta]]:
    """Levels whose arrays exist and can be understood."""
    found = []
    for level in multiscale.levels:
        at = join(path, level.path)
        info = documents.array(at)
        if info is not None:
            found.append((level, info))
    return found


def _check_levels(
    documents: Documents, path: str, multiscale: Multiscale, findings: Findings
) -> list[tuple[Level, ArrayMeta]]:
    for level in multiscale.levels:
        at = join(path, level.path)
        document = documents.arrays.get(at)
        if document is None:
            there = "a group" if at in documents.groups else "nothing"
            findings.add("level-there", _at(multiscale, level), f"{there} at {level.path!r}")
            continue
        shape = document.get("shape")
        if isinstance(shape, list) and len(shape) != len(multiscale.axes):
            found_axes = f"{len(shape)} dimensions, {len(multiscale.axes)} axes"
            findings.add("level-ndim", _at(multiscale, level), found_axes)
        if documents.array(at) is None:
            findings.add("level-unknown", _at(multiscale, level), f"the array {level.path!r}")
    found = levels_of(documents, path, multiscale)
    for level, info in found:
        _check_level(multiscale, level, info, findings)
    for (_, before), (level, info) in pairwise(found):
        at = _at(multiscale, level)
        if len(before.shape) == len(info.shape) and any(
            a > b for a, b in zip(info.shape, before.shape, strict=True)
        ):
            findings.add("level-order", at, f"{info.shape} after {before.shape}")
        if info.dtype != before.dtype:
            findings.add("level-dtype", at, f"{info.dtype} after {before.dtype}")
    _check_scales(multiscale, found, findings)
    return found


def _check_level(multiscale: Multiscale, level: Level, info: ArrayMeta, findings: Findings) -> None:
    at = _at(multiscale, level)
    names = info.dimension_names
    if info.zarr_format == 3 and names != multiscale.axes:
        found = "none" if names is None else list(names)
        findings.add("dimension-names", at, f"{found} instead of {list(multiscale.axes)}")
    if info.zarr_format == 2 and info.separator != "/" and len(info.shape) > 1:
        findings.add("dimension-separator", at, repr(info.separator))


def _check_scales(
    multiscale: Multiscale, found: list[tuple[Level, ArrayMeta]], findings: Findings
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
            findings.add(
                "level-scale",
                f"{_at(multiscale, level)}/coordinateTransformations",
                f"along {axis} pixels are {ratio[wrong][0]:g} times larger, "
                f"the shape goes from {base.shape} to {info.shape}",
            )


def _check_channels(
    content: dict[str, object],
    multiscale: Multiscale,
    found: list[tuple[Level, ArrayMeta]],
    findings: Findings,
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
        findings.add(
            "omero-channel-count",
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
    documents: Documents, path: str, above: str, findings: Findings, start: str
) -> None:
    image = next(multiscales(documents.ome(above), ""), None)
    label = next(multiscales(documents.ome(path), start), None)
    if image is None or label is None:
        return
    if len(image.levels) != len(label.levels):
        findings.add(
            "label-levels",
            f"{label.pointer}/datasets",
            f"{len(label.levels)} levels, the image has {len(image.levels)}",
        )
    foreign = [a for a in label.axes if a not in image.axes]
    if foreign:
        findings.add(
            "label-axes", f"{label.pointer}/axes", f"{foreign}, the image: {list(image.axes)}"
        )
        return
    at = [image.axes.index(a) for a in label.axes]
    pairs = zip(levels_of(documents, above, image), levels_of(documents, path, label), strict=False)
    for (_, whole), (level, info) in pairs:
        if len(info.shape) != len(at) or len(whole.shape) != len(image.axes):
            return
        wanted = [whole.shape[i] for i in at]
        if any(n not in (1, m) for n, m in zip(info.shape, wanted, strict=True)):
            findings.add(
                "label-shape", _at(label, level), f"{info.shape}, the image {tuple(wanted)}"
            )
    _check_space(image, label, at, findings)


def _check_space(image: Multiscale, label: Multiscale, at: list[int], findings: Findings) -> None:
    units = [image.units[i] for i in at]
    if list(label.units) != units:
        findings.add(
            "label-space", f"{label.pointer}/axes", f"units {list(label.units)}, not {units}"
        )
    if not image.levels or not label.levels:
        return
    for name in ("scale", "translation"):
        whole, own = getattr(image.levels[0], name), getattr(label.levels[0], name)
        if whole is None or own is None:
            continue
        if len(own) == len(at) and not np.allclose(whole[at], own, rtol=1e-6):
            findings.add(
                "label-space",
                f"{_at(label, label.levels[0])}/coordinateTransformations",
                f"{name} {own.tolist()}, the image {whole[at].tolist()}",
            )
