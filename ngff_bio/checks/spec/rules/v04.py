"""Version 0.4: Zarr v2, all metadata at the top of the attributes, a version in each kind."""

from __future__ import annotations

from ngff_bio.checks.spec.findings import Rule
from ngff_bio.checks.spec.node import Node
from ngff_bio.checks.spec.rules import v05
from ngff_bio.checks.spec.rules.specification import Specification, inner_metadata

_OLD = frozenset({"0.4"})

VERSION_VALUE = Rule(
    "version-value",
    "MUST",
    "OME-NGFF metadata",
    'a "version" field names the version of the specification, "0.4"',
    'write "version": "0.4"',
)
VERSION_RECOMMENDED = Rule(
    "version-recommended",
    "SHOULD",
    '"multiscales", "labels" and "well" metadata',
    'multiscales, image-label and well SHOULD contain the field "version"',
    'add "version": "0.4"',
    in_strict_schema=_OLD,
)
PLATE_VERSION = Rule(
    "plate-version",
    "MUST",
    '"plate" metadata',
    'the plate MUST contain a "version" key',
    'add "version": "0.4"',
    # The published cases ask for it in their strict form only.
    contested=_OLD,
    in_strict_schema=_OLD,
)


def top_level_metadata(attributes: Node, spellings: frozenset[str]) -> Node | None:
    """The attributes themselves, the versions inside them checked."""
    for inner in inner_metadata(attributes):
        if not isinstance(inner.value, dict):
            continue
        version = inner["version"]
        if version.missing:
            of_plate = inner.pointer == attributes["plate"].pointer
            inner.breaks(PLATE_VERSION if of_plate else VERSION_RECOMMENDED, "no version")
        elif not isinstance(version.value, str) or version.value not in spellings:
            version.breaks(VERSION_VALUE)
    return attributes


SPECIFICATION = Specification(
    version="0.4",
    spellings=_OLD,
    metadata=top_level_metadata,
    # What the metadata says has not changed from 0.4 to 0.5, only where it stands.
    checks=v05.SPECIFICATION.checks,
)
