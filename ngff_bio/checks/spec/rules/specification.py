"""What each version module says of itself, and where a version keeps its metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ngff_bio.checks.spec.findings import Rule
from ngff_bio.checks.spec.node import Node

_METADATA = "OME-Zarr metadata"

OME_NAMESPACE = Rule(
    "ome-namespace",
    "MUST",
    _METADATA,
    'the group attributes MUST contain a key "ome", the value of which MUST be an object',
    'move the metadata below "ome"',
)
OME_VERSION = Rule(
    "ome-version",
    "MUST",
    _METADATA,
    'the "ome" object MUST contain a "version" key, the version of the specification as a string',
    "name the version that the metadata follows",
)
VERSION_CONSISTENT = Rule(
    "version-consistent",
    "MUST",
    _METADATA,
    "the version MUST be consistent within a hierarchy",
    "leave the inner version out, or make it the outer one",
)

#: Checks one kind of metadata; takes the object that holds the key, so that it can see the others.
Check = Callable[[Node], None]


@dataclass(frozen=True, slots=True)
class Specification:
    """One version of the specification.

    Parameters
    ----------
    version
        ``"0.4"``, ``"0.5"`` or ``"0.6"``.
    spellings
        What ``version`` may say in data of this version.
    metadata
        Finds the object that holds the metadata keys in a group's attributes, and checks what
        surrounds it; None where there is none.
    checks
        The check for each metadata key.
    """

    version: str
    spellings: frozenset[str]
    metadata: Callable[[Node, frozenset[str]], Node | None]
    checks: Mapping[str, Check]


def namespaced_metadata(attributes: Node, spellings: frozenset[str]) -> Node | None:
    """The ``ome`` object of 0.5 and later, its version checked."""
    ome = attributes["ome"].as_object(OME_NAMESPACE)
    if ome is None:
        return None
    version = ome["version"]
    if not isinstance(version.value, str) or version.value not in spellings:
        version.breaks(OME_VERSION, f"{version.shown}, not of {sorted(spellings)}")
    for inner in inner_metadata(ome):
        if "version" in inner and inner["version"].value != version.value:
            inner["version"].breaks(
                VERSION_CONSISTENT, f"{inner['version'].shown} in {version.shown}"
            )
    return ome


def inner_metadata(metadata: Node) -> list[Node]:
    """The objects that had a version of their own in 0.4."""
    listed = metadata["multiscales"].value
    images = len(listed) if isinstance(listed, list) else 0
    found = [metadata["multiscales"][index] for index in range(images)]
    return found + [metadata[key] for key in ("image-label", "plate", "well")]


__all__ = [
    "OME_NAMESPACE",
    "OME_VERSION",
    "VERSION_CONSISTENT",
    "Check",
    "Specification",
    "inner_metadata",
    "namespaced_metadata",
]
