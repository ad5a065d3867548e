"""Coordinate systems of 0.6, references to them, and the graph that they make."""

from __future__ import annotations

from collections.abc import Iterable

from ngff_bio.checks.spec.findings import Rule
from ngff_bio.checks.spec.node import Node, duplicates
from ngff_bio.checks.spec.rules.axes import check_axes

_SYSTEMS = '"coordinateSystems" metadata'
_TRANSFORMATIONS = '"coordinateTransformations" metadata'

SYSTEMS_LIST = Rule(
    "coordinate-systems-list",
    "MUST",
    _SYSTEMS,
    '"coordinateSystems" is a JSON array of objects; a multiscale image MUST have at least one',
    "define the coordinate system of the image: its name and its axes",
)
SYSTEM_NAME = Rule(
    "coordinate-system-name",
    "MUST",
    _SYSTEMS,
    'every coordinate system MUST contain the field "name", a non-empty string',
    "name the coordinate system",
)
SYSTEM_NAME_UNIQUE = Rule(
    "coordinate-system-name-unique",
    "MUST",
    _SYSTEMS,
    'the name is unique among all entries in a "coordinateSystems" array',
    "rename one of the coordinate systems",
)
REFERENCE_OBJECT = Rule(
    "transformation-reference",
    "MUST",
    _TRANSFORMATIONS,
    '"input" and "output" are objects with the strings "name" and, for another group, "path"; '
    "required unless part of a wrapper transformation",
    'write {"name": "..."} or {"name": "...", "path": "..."}',
)
REFERENCE_KNOWN = Rule(
    "transformation-reference-known",
    "MUST",
    _TRANSFORMATIONS,
    'without "path", "name" refers to a coordinate system in the same metadata',
    "define the coordinate system, or mend the name",
)
GRAPH_CONNECTED = Rule(
    "coordinate-systems-connected",
    "MUST",
    _TRANSFORMATIONS,
    "the graph of coordinate systems and transformations MUST be connected",
    "add a transformation, or drop the system that nothing leads to",
)

#: A node of the graph: the path of the group ("" for this one) and the name of the system in it.
Place = tuple[str, str]


def check_coordinate_systems(listed: Node, *, of_image: bool) -> dict[str, int | None]:
    """Check a list of coordinate systems.

    Parameters
    ----------
    listed
        The list.
    of_image
        Whether the systems are those of an image: at least one, and axes as images have them.

    Returns
    -------
    dict
        Number of axes of each system by name; None where it cannot be told.
    """
    entries = listed.as_objects(SYSTEMS_LIST, at_least=1 if of_image else 0) or []
    axes_of: dict[str, int | None] = {}
    names: list[str] = []
    for entry in entries:
        name = entry["name"].as_text(SYSTEM_NAME, pattern="(?s).+")
        count = check_axes(entry["axes"], of_image=of_image)
        if name is not None:
            names.append(name)
            axes_of.setdefault(name, count)
    for name in duplicates(names):
        listed.breaks(SYSTEM_NAME_UNIQUE, f"{name!r} more than once")
    return axes_of


def reference(end: Node, systems: dict[str, int | None]) -> Place | None:
    """Read the ``input`` or ``output`` of a transformation between named systems.

    Returns
    -------
    tuple or None
        Path of the group, empty for this one, and name of the system; None where it is wrong.
    """
    if end.as_object(REFERENCE_OBJECT) is None:
        return None
    name = end["name"].as_text(REFERENCE_OBJECT, pattern="(?s).+")
    path = end["path"]
    if path.missing or path.value is None:
        if name is not None and name not in systems:
            end["name"].breaks(REFERENCE_KNOWN, f"{name!r}, not of {sorted(systems)}")
            return None
        return None if name is None else ("", name)
    where = path.as_text(REFERENCE_OBJECT, pattern="(?s).+")
    return None if name is None or where is None else (where.strip("/"), name)


def check_connected(
    listed: Node, systems: Iterable[str], edges: Iterable[tuple[Place, Place]]
) -> None:
    """Check that any two systems are linked by some path of transformations.

    The systems inside another group are linked by that group's own metadata, so that they count
    as one here.
    """
    group: dict[Place, Place] = {}

    def root(place: Place) -> Place:
        place = (place[0], "") if place[0] else place
        while group.setdefault(place, place) != place:
            place = group[place]
        return place

    for name in systems:
        root(("", name))
    for start, end in edges:
        group[root(start)] = root(end)
    parts: dict[Place, list[Place]] = {}
    for place in list(group):
        parts.setdefault(root(place), []).append(place)
    if len(parts) > 1:
        shown = [sorted(name or path for path, name in part) for part in parts.values()]
        listed.breaks(GRAPH_CONNECTED, f"{len(parts)} parts: {sorted(shown)}")
