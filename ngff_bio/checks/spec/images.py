"""Images: the multiscales of 0.4 and 0.5, what all versions share of them, and channels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ngff_bio.checks.spec.axes import check_axes
from ngff_bio.checks.spec.node import Node, duplicates, is_number, texts

#: Two scales that differ by less than this are the same: they were computed, not typed.
_SAME_SCALE = 1e-9


def check_image(metadata: Node) -> None:
    """Check the multiscale images of a group and their channels, as 0.4 and 0.5 have them."""
    for multiscale in multiscale_images(metadata):
        axes = check_axes(multiscale["axes"])
        datasets = datasets_of(multiscale)
        steps = [dataset["coordinateTransformations"] for dataset in datasets]
        check_level_order(datasets, [_check_scale_translation(each, axes) for each in steps])
        if "coordinateTransformations" in multiscale:
            _check_scale_translation(multiscale["coordinateTransformations"], axes)
        check_descriptions(multiscale)
    check_omero(metadata)


def check_descriptions(multiscale: Node) -> None:
    """Check name, downscaling method and its metadata of a multiscale image."""
    if multiscale.recommended("name", "multiscale-name"):
        multiscale["name"].as_text("multiscale-name-text")
    multiscale.recommended("type", "multiscale-type")
    multiscale.recommended("metadata", "multiscale-metadata")


def multiscale_images(metadata: Node) -> list[Node]:
    """The entries of ``multiscales`` that are objects."""
    listed = metadata["multiscales"]
    entries = listed.as_objects("multiscales-list", at_least=1)
    if entries is None:
        return []
    if duplicates([entry.value for entry in entries]):
        listed.breaks("multiscales-unique", "two entries are the same")
    return entries


def datasets_of(multiscale: Node) -> list[Node]:
    """The datasets of a multiscale image, their paths checked."""
    listed = multiscale["datasets"]
    entries = listed.as_objects("datasets-list", at_least=1)
    if entries is None:
        return []
    paths = texts([entry["path"] for entry in entries], "dataset-path")
    listed.check_unique("dataset-path-unique", paths)
    return entries


def check_level_order(datasets: Sequence[Node], scales: Sequence[list[float] | None]) -> None:
    """Check that no level is finer than the one before it, on any axis.

    ``scales`` is the pixel size of each dataset on each axis, None where it is not known.
    """
    for (_, finer), (dataset, coarser) in pairwise(zip(datasets, scales, strict=True)):
        if finer is None or coarser is None or len(finer) != len(coarser):
            continue
        if any(b < a - abs(a) * _SAME_SCALE for a, b in zip(finer, coarser, strict=True)):
            dataset.breaks("datasets-order", f"scale {coarser} after scale {finer}")


def _check_scale_translation(listed: Node, axes: int | None) -> list[float] | None:
    """Check a list of one scale and perhaps one translation after it.

    Returns the factors of the scale, one for each axis, where they are known.
    """
    entries = listed.as_objects("transformations-list", at_least=1)
    if entries is None:
        return None
    kinds: list[str] = []
    factors: list[float] | None = None
    for entry in entries:
        kind = entry["type"].value
        if kind not in ("scale", "translation"):
            entry["type"].breaks("transformation-type")
            continue
        kinds.append(kind)
        vector = _check_vector(entry, kind, axes)
        if kind == "scale" and factors is None:
            factors = vector
    if kinds.count("scale") != 1:
        listed.breaks("scale-once", f"{kinds.count('scale')} scales")
    if kinds.count("translation") > 1:
        listed.breaks("translation-once", f"{kinds.count('translation')} translations")
    if "scale" in kinds and "translation" in kinds[: kinds.index("scale")]:
        listed.breaks("translation-after-scale", ", ".join(kinds))
    return factors


def _check_vector(entry: Node, kind: str, axes: int | None) -> list[float] | None:
    if kind not in entry and isinstance(entry["path"].value, str):
        return None
    vector = entry[kind].as_numbers("transformation-parameters")
    if vector is None:
        return None
    if len(vector) < 2:
        # No image has so few axes; a finding of its own because this length is wrong in any case.
        entry[kind].breaks("transformation-parameters", f"{len(vector)} numbers")
        return None
    if axes is not None and len(vector) != axes:
        entry[kind].breaks("transformation-length", f"{len(vector)} numbers on {axes} axes")
    if kind == "scale" and any(factor <= 0 for factor in vector):
        entry[kind].breaks("scale-positive")
    return vector


def check_omero(metadata: Node) -> None:
    """Check the rendering settings of the channels, if there are any."""
    omero = metadata["omero"]
    if omero.missing or omero.as_object("omero-channels") is None:
        return
    needed = omero.findings.version != "0.6"
    for channel in omero["channels"].as_objects("omero-channels") or []:
        if needed or "color" in channel:
            channel["color"].as_text("omero-color", pattern="[0-9a-fA-F]{6}")
        if needed or "window" in channel:
            _check_window(channel["window"], needed=needed)
        for key, kind in (("label", str), ("family", str), ("active", bool)):
            if key in channel and not isinstance(channel[key].value, kind):
                channel[key].breaks("omero-field")


def _check_window(window: Node, *, needed: bool) -> None:
    if window.as_object("omero-window") is None:
        return
    for key in ("start", "end", "min", "max"):
        if key in window or needed or key in ("start", "end"):
            if not is_number(window[key].value):
                window[key].breaks("omero-window-limits")
        else:
            window.breaks("omero-window-range", f"no {key!r}")
