"""Coordinate systems of 0.6, references to them, and the graph that they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ngff_bio.checks.spec.axes import check_axes
from ngff_bio.checks.spec.node import NOT_EMPTY, Node

#: A node of the graph: the path of the group ("" for this one) and the name of the system in it.
Place = tuple[str, str]


def check_coordinate_systems(listed: Node, *, of_image: bool) -> dict[str, int | None]:
    """Check a list of coordinate systems.

    An image has at least one, with axes as images have them. Returns the number of axes of each
    system by name, None where it is not known.
    """
    entries = listed.as_objects("coordinate-systems-list", at_least=1 if of_image else 0) or []
    axes_of: dict[str, int | None] = {}
    names: list[str] = []
    for entry in entries:
        name = entry["name"].as_text("coordinate-system-name", pattern=NOT_EMPTY)
        count = check_axes(entry["axes"], of_image=of_image)
        if name is not None:
            names.append(name)
            axes_of.setdefault(name, count)
    listed.check_unique("coordinate-system-name-unique", names)
    return axes_of


def reference(end: Node, systems: Mapping[str, int | None]) -> Place | None:
    """The place that the ``input`` or ``output`` of a transformation names; None if it is wrong."""
    if end.as_object("transformation-reference") is None:
        return None
    name = end["name"].as_text("transformation-reference", pattern=NOT_EMPTY)
    path = end["path"]
    if path.missing or path.value is None:
        if name is not None and name not in systems:
            end["name"].breaks(
                "transformation-reference-known", f"{name!r}, not of {sorted(systems)}"
            )
            return None
        return None if name is None else ("", name)
    where = path.as_text("transformation-reference", pattern=NOT_EMPTY)
    return None if name is None or where is None else (where.strip("/"), name)


def check_connected(
    listed: Node, systems: Iterable[str], edges: Iterable[tuple[Place, Place]]
) -> None:
    """Check that transformations connect all systems.

    The systems inside another group are connected by that group's own metadata, so that they count
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
        listed.breaks("coordinate-systems-connected", f"{len(parts)} parts: {sorted(shown)}")
