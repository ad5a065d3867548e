"""Check the attributes of one group against the specification: 0.4, 0.5 or 0.6.

Only what can be seen in the attributes alone is checked here; nothing is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ngff_bio.checks.spec import images, images_v06
from ngff_bio.checks.spec.findings import Finding, Findings
from ngff_bio.checks.spec.labels import (
    check_collection,
    check_image_label,
    check_labels_list,
    check_series,
)
from ngff_bio.checks.spec.node import Node, nested_deeper
from ngff_bio.checks.spec.plates import check_plate, check_well
from ngff_bio.errors import ArgumentError
from ngff_bio.ngff.schema_version import KEY

#: The versions that can be checked, and how data of each may spell them. The release candidate of
#: 0.6 is the release in all but name: _version.schema lists both.
_SPELLINGS = {
    "0.4": frozenset({"0.4"}),
    "0.5": frozenset({"0.5"}),
    "0.6": frozenset({"0.6", "0.6rc0"}),
}
VERSIONS = tuple(_SPELLINGS)
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

#: Levels of JSON below which nothing is checked: the checks of nested transformations are recursive.
MAX_NESTING = 200


def validate_attributes(
    attributes: Mapping[str, object],
    *,
    version: str | None = None,
    kind: str | None = None,
    strict: bool = False,
    as_cases: bool = False,
    group: str = "",
    plate: Mapping[str, object] | None = None,
) -> list[Finding]:
    """Check the attributes of one group against the specification.

    Parameters
    ----------
    attributes
        The group's attributes: of ``.zattrs`` (0.4), or under ``attributes`` of ``zarr.json``.
    version
        ``"0.4"``, ``"0.5"`` or ``"0.6"``; detected from the attributes if not given.
    kind
        What the group must be, one of :data:`KINDS`; if not given, every kind of metadata that is
        present is checked, and there must be one.
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
            "the attributes of a group are not a mapping",
            expected="a JSON object",
            found=type(attributes).__name__,
        )
    if version is None:
        version = detect_version(attributes)
    if version not in VERSIONS:
        raise ArgumentError(
            "this version of the specification is not known",
            expected=", ".join(VERSIONS),
            found=version,
        )
    if kind is not None and kind not in _KEYS:
        raise ArgumentError(
            "this kind of group is not known", expected=", ".join(KINDS), found=kind
        )
    findings = Findings(strict, as_cases, version, group)
    root = Node(dict(attributes), "", findings)
    if nested_deeper(attributes.get("ome", attributes), MAX_NESTING):
        root.breaks("metadata-nesting", f"more than {MAX_NESTING} levels")
        return findings.found
    locate = _top_level_metadata if version == "0.4" else _namespaced_metadata
    metadata = locate(root, _SPELLINGS[version])
    if metadata is not None:
        own = attributes.get(KEY)
        ruled = isinstance(own, Mapping) and "color_rule" in own
        checks = _checks(version, plate, ruled=ruled)
        _check_kind(metadata, kind, {*checks, "omero"})
        for key, check in checks.items():
            # Channels are described beside the image that they are of.
            if key in metadata or (key == "multiscales" and "omero" in metadata):
                check(metadata)
    return findings.found


def _checks(
    version: str, plate: Mapping[str, object] | None, *, ruled: bool
) -> dict[str, Callable[[Node], None]]:
    """The check for each metadata key; it takes the object that holds the key.

    ``ruled``: the attributes have a rule of the colours of labels, which need no list of them then.
    """
    newest = version == "0.6"
    checks: dict[str, Callable[[Node], None]] = {
        "multiscales": images_v06.check_image if newest else images.check_image,
        "image-label": partial(check_image_label, ruled=ruled),
        "labels": check_labels_list,
        "plate": check_plate,
        "well": partial(check_well, plate=plate),
        "bioformats2raw.layout": check_collection,
        "series": check_series,
    }
    if newest:
        checks["scene"] = images_v06.check_scene
    return checks


def _namespaced_metadata(attributes: Node, spellings: frozenset[str]) -> Node | None:
    """The ``ome`` object of 0.5 and later, its version checked."""
    ome = attributes["ome"].as_object("ome-namespace")
    if ome is None:
        return None
    version = ome["version"]
    if not isinstance(version.value, str) or version.value not in spellings:
        version.breaks("ome-version", f"{version.shown}, not of {sorted(spellings)}")
    for inner in _versioned(ome):
        if "version" in inner and inner["version"].value != version.value:
            found = f"{inner['version'].shown} in {version.shown}"
            inner["version"].breaks("version-consistent", found)
    return ome


def _top_level_metadata(attributes: Node, spellings: frozenset[str]) -> Node:
    """The attributes themselves (0.4), the versions inside them checked."""
    for inner in _versioned(attributes):
        if not isinstance(inner.value, dict):
            continue
        version = inner["version"]
        if version.missing:
            of_plate = inner.pointer == attributes["plate"].pointer
            inner.breaks("plate-version" if of_plate else "version-recommended", "no version")
        elif not isinstance(version.value, str) or version.value not in spellings:
            version.breaks("version-value")
    return attributes


def _versioned(metadata: Node) -> list[Node]:
    """The objects that have a version of their own in 0.4."""
    listed = metadata["multiscales"]
    images = len(listed.value) if isinstance(listed.value, list) else 0
    found = [listed[index] for index in range(images)]
    return found + [metadata[key] for key in ("image-label", "plate", "well")]


def _check_kind(metadata: Node, kind: str | None, known: set[str]) -> None:
    if kind is None:
        if not any(key in metadata for key in known):
            metadata.breaks("group-kind", f"none of {sorted(known)}")
    elif kind == "label":
        if "image-label" not in metadata:
            metadata.breaks("label-image-label", 'no "image-label"')
            if "multiscales" not in metadata:
                metadata.breaks("label-multiscales", 'no "multiscales"')
    elif _KEYS[kind] not in metadata or _KEYS[kind] not in known:
        metadata.breaks(
            "group-kind", f"no {_KEYS[kind]!r} in a group that should be of kind {kind!r}"
        )


def detect_version(attributes: Mapping[str, object]) -> str:
    """The version of the specification that a group's attributes are meant to follow.

    Where the attributes name no version, or an unknown one (a finding), their form decides.
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
    entries = listed if isinstance(listed, list) else []
    newest = any(isinstance(entry, Mapping) and "coordinateSystems" in entry for entry in entries)
    return "0.6" if newest or "scene" in ome or "coordinateSystems" in ome else "0.5"
