"""Axes: names, types, units, number and order. The same in 0.4, 0.5 and 0.6 but for details."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ngff_bio.checks.spec.node import NOT_EMPTY, Node
from ngff_bio.units import LENGTHS, TIMES

#: Units (UDUNITS-2 names) that the specification recommends for axes of type "space" and "time":
#: those of the model, but the list has no prefix deca.
SPACE_UNITS = frozenset(LENGTHS) - {"decameter"}
TIME_UNITS = frozenset(TIMES) - {"decasecond"}
_UNITS = {"space": SPACE_UNITS, "time": TIME_UNITS}
_TYPES_OLD = frozenset({"space", "time", "channel"})
_TYPES_06 = _TYPES_OLD | {"array", "coordinate", "displacement"}
#: Order by type; any other type is a custom axis and ranks with the channels.
_RANK = {"time": 0, "space": 2}
_RANK_NAMES = ("time", "channel or custom", "space")


def check_axes(axes: Node, *, of_image: bool = True) -> int | None:
    """Check a list of axes, and their number and order if they are those of an image.

    Returns
    -------
    int or None
        The number of axes; None if it is not a list of objects.
    """
    entries = axes.as_objects("axes-list", at_least=1)
    if entries is None:
        return None
    for axis in entries:
        _check_axis(axis)
    names = [axis["name"].value for axis in entries if isinstance(axis["name"].value, str)]
    axes.check_unique("axis-name-unique", names)
    if of_image:
        _check_image_axes(axes, entries)
    return len(axes.value)


def _check_axis(axis: Node) -> None:
    newest = axis.findings.version == "0.6"
    axis["name"].as_text("axis-name", pattern=NOT_EMPTY if newest else None)
    if newest:
        if "discrete" in axis and not isinstance(axis["discrete"].value, bool):
            axis["discrete"].breaks("axis-discrete")
        if "longName" in axis:
            axis["longName"].as_text("axis-long-name")
    kind = _type_of(axis)
    if axis["type"].missing or axis["type"].value is None:
        axis.breaks("axis-type", "no type")
    elif kind is None:
        axis["type"].breaks("axis-type-text")
    elif kind not in (_TYPES_06 if newest else _TYPES_OLD):
        axis["type"].breaks("axis-type-known")
    _check_unit(axis, kind)


def _check_unit(axis: Node, kind: str | None) -> None:
    unit = axis["unit"]
    known = _UNITS.get(kind or "")
    # Writers of 0.4 and 0.5 put null where no unit is known, and no schema forbids it there.
    absent = unit.missing or (unit.value is None and axis.findings.version != "0.6")
    if absent:
        # A channel or custom axis has no physical unit.
        if known is not None:
            axis.breaks("axis-unit", "no unit")
    elif not isinstance(unit.value, str):
        unit.breaks("axis-unit-text")
    elif known is not None and unit.value not in known:
        unit.breaks("axis-unit-known", f"{unit.shown} on an axis of type {kind!r}")


def _type_of(axis: Node) -> str | None:
    kind = axis["type"].value
    return kind if isinstance(kind, str) else None


def _check_image_axes(axes: Node, entries: list[Node]) -> None:
    count = len(axes.value)
    if not 2 <= count <= 5:
        axes.breaks("axes-count", f"{count} axes")
    kinds = [_type_of(axis) for axis in entries]
    if axes.findings.version == "0.6" and "array" in kinds:
        if set(kinds) != {"array"}:
            axes.breaks("axes-array-only", f"types {kinds}")
        return
    spaces, times = kinds.count("space"), kinds.count("time")
    if not 2 <= spaces <= 3:
        axes.breaks("axes-space-count", f'{spaces} axes of type "space"')
    if times > 1:
        axes.breaks("axes-time-count", f'{times} axes of type "time"')
    if len(kinds) - spaces - times > 1:
        axes.breaks("axes-channel-count", f"types {kinds}")
    ranks = [_RANK.get(kind or "", 1) for kind in kinds]
    if ranks != sorted(ranks):
        axes.breaks("axes-order", ", ".join(_RANK_NAMES[rank] for rank in ranks))
    spatial = [axis["name"].value for axis in entries if _type_of(axis) == "space"]
    if (
        spatial != ["z", "y", "x"]
        and len(spatial) == 3
        and {"z", "y", "x"} <= set(map(str, spatial))
    ):
        axes.breaks("axes-zyx", ", ".join(map(str, spatial)))


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
