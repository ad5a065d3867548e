"""Hold the attributes of one group against the specification: 0.4, 0.5 or 0.6.

Only what can be told from the attributes alone is checked here; nothing is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ngff_bio.checks.spec.findings import Finding, Report
from ngff_bio.checks.spec.node import Node
from ngff_bio.checks.spec.rules import v04, v05, v06
from ngff_bio.checks.spec.rules.collections import GROUP_KIND
from ngff_bio.checks.spec.rules.labels import LABEL_IMAGE_LABEL, LABEL_MULTISCALES
from ngff_bio.checks.spec.rules.specification import Specification
from ngff_bio.errors import ArgumentError

_SPECIFICATIONS: dict[str, Specification] = {
    module.SPECIFICATION.version: module.SPECIFICATION for module in (v04, v05, v06)
}
#: The versions that can be checked.
VERSIONS = tuple(_SPECIFICATIONS)
_KEYS = {
    "image": "multiscales",
    "label": "image-label",
    "labels": "labels",
    "plate": "plate",
    "well": "well",
    "collection": "bioformats2raw.layout",
    "series": "series",
    "scene": "scene",
}
#: The kinds of groups: an image, a label image, the group of labels, a plate, a well, a
#: ``bioformats2raw`` collection, its OME group, and a scene (0.6).
KINDS = tuple(_KEYS)


def validate_attributes(
    attributes: Mapping[str, Any],
    *,
    version: str | None = None,
    kind: str | None = None,
    strict: bool = False,
    as_cases: bool = False,
    group: str = "",
    plate: Mapping[str, Any] | None = None,
) -> list[Finding]:
    """Hold the attributes of one group against the specification.

    Parameters
    ----------
    attributes
        The group's attributes: of ``.zattrs`` (0.4), or under ``attributes`` of ``zarr.json``.
    version
        ``"0.4"``, ``"0.5"`` or ``"0.6"``; told from the attributes if not given.
    kind
        What the group must be, one of :data:`KINDS`; if not given, every kind of metadata that is
        there is checked, and there must be one.
    strict
        What the specification only recommends (SHOULD) counts as an error.
    as_cases
        Judge as the specification's own published test cases and schemas do where these are milder
        than its text. A label image then needs no multiscales, well paths may be swapped in 0.4
        and 0.6, and ``strict`` demands no more than the published strict schemas.
    group
        Path of the group in its store, for the findings.
    plate
        Attributes of the plate, if the group is a well of it and these are known.

    Returns
    -------
    list of Finding
        All findings, in the order of the attributes' rules. The attributes are valid if none has
        the level ``"error"``.

    Raises
    ------
    ArgumentError
        If ``version`` or ``kind`` is not known, or ``attributes`` is not a mapping.
    """
    if not isinstance(attributes, Mapping):
        raise ArgumentError(
            "The attributes of a group are a mapping.",
            expected="a JSON object",
            found=type(attributes).__name__,
        )
    if version is None:
        version = detect_version(attributes)
    specification = _SPECIFICATIONS.get(version)
    if specification is None:
        raise ArgumentError(
            "There is no such version of the specification here.",
            expected=", ".join(VERSIONS),
            found=version,
        )
    if kind is not None and kind not in _KEYS:
        raise ArgumentError(
            "There is no such kind of group.", expected=", ".join(KINDS), found=kind
        )
    report = Report(version, group, strict=strict, as_cases=as_cases, plate=plate)
    metadata = specification.metadata(Node(dict(attributes), "", report), specification.spellings)
    if metadata is not None:
        _check_kind(metadata, kind, specification)
        for key, check in specification.checks.items():
            # Channels are described beside the image that they are of.
            if key in metadata or (key == "multiscales" and "omero" in metadata):
                check(metadata)
    return report.findings


def _check_kind(metadata: Node, kind: str | None, specification: Specification) -> None:
    known = set(specification.checks) | {"omero"}
    if kind is None:
        if not any(key in metadata for key in known):
            metadata.breaks(GROUP_KIND, f"none of {sorted(known)}")
    elif kind == "label":
        if "image-label" not in metadata:
            metadata.breaks(LABEL_IMAGE_LABEL, 'no "image-label"')
            if "multiscales" not in metadata:
                metadata.breaks(LABEL_MULTISCALES, 'no "multiscales"')
    elif _KEYS[kind] not in metadata or _KEYS[kind] not in known:
        metadata.breaks(GROUP_KIND, f"no {_KEYS[kind]!r} in what should be of kind {kind!r}")


def detect_version(attributes: Mapping[str, Any]) -> str:
    """Tell which version of the specification a group's attributes are meant to follow.

    What says nothing, or names a version that is not known here, is told by its shape; the wrong
    name is then a finding.
    """
    ome = attributes.get("ome")
    if not isinstance(ome, Mapping):
        return "0.4" if "ome" not in attributes else "0.5"
    named = ome.get("version")
    if isinstance(named, str):
        for version in ("0.5", "0.6"):
            if named.startswith(version):
                return version
    listed = ome.get("multiscales")
    images = listed if isinstance(listed, list) else []
    newest = any(isinstance(image, Mapping) and "coordinateSystems" in image for image in images)
    return "0.6" if newest or "scene" in ome or "coordinateSystems" in ome else "0.5"
