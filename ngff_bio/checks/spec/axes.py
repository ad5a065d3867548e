"""Axes: names, types, units, number and order. The same in 0.4, 0.5 and 0.6 but for details."""

from __future__ import annotations

from ngff_bio.checks.spec.node import NOT_EMPTY, Node
from ngff_bio.model.units import LENGTHS, TIMES

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
