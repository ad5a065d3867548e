"""Axes: names, types, units, number and order. The same in 0.4, 0.5 and 0.6 but for details."""

from __future__ import annotations

from ngff_bio.checks.spec.findings import Rule
from ngff_bio.checks.spec.node import Node, duplicates

#: Units of length that the specification recommends for axes of type "space" (UDUNITS-2 names).
SPACE_UNITS = frozenset(
    [
        "angstrom",
        "attometer",
        "centimeter",
        "decimeter",
        "exameter",
        "femtometer",
        "foot",
        "gigameter",
        "hectometer",
        "inch",
        "kilometer",
        "megameter",
        "meter",
        "micrometer",
        "mile",
        "millimeter",
        "nanometer",
        "parsec",
        "petameter",
        "picometer",
        "terameter",
        "yard",
        "yoctometer",
        "yottameter",
        "zeptometer",
        "zettameter",
    ]
)
#: Units of time that the specification recommends for axes of type "time" (UDUNITS-2 names).
TIME_UNITS = frozenset(
    [
        "attosecond",
        "centisecond",
        "day",
        "decisecond",
        "exasecond",
        "femtosecond",
        "gigasecond",
        "hectosecond",
        "hour",
        "kilosecond",
        "megasecond",
        "microsecond",
        "millisecond",
        "minute",
        "nanosecond",
        "petasecond",
        "picosecond",
        "second",
        "terasecond",
        "yoctosecond",
        "yottasecond",
        "zeptosecond",
        "zettasecond",
    ]
)
_UNITS = {"space": SPACE_UNITS, "time": TIME_UNITS}
_TYPES_OLD = frozenset({"space", "time", "channel"})
_TYPES_06 = _TYPES_OLD | {"array", "coordinate", "displacement"}
#: Order by type; whatever is not named here is a custom axis and stands with the channels.
_RANK = {"time": 0, "space": 2}
_RANK_NAMES = ("time", "channel or custom", "space")

_AXES = '"axes" metadata'
_MULTISCALES = '"multiscales" metadata'

AXES_LIST = Rule(
    "axes-list",
    "MUST",
    _MULTISCALES,
    'the field "axes" MUST be there: a list of objects, one for each dimension',
    "add the axes, in the order of the array's dimensions",
)
AXES_COUNT = Rule(
    "axes-count",
    "MUST",
    _MULTISCALES,
    'the length of "axes" must be between 2 and 5',
    "store each further dimension as images of their own; an image has at least y and x",
)
AXIS_NAME = Rule(
    "axis-name",
    "MUST",
    _AXES,
    'an axis MUST contain the field "name", a string (not empty from 0.6 on)',
    "name the axis",
)
AXIS_NAME_UNIQUE = Rule(
    "axis-name-unique",
    "MUST",
    _AXES,
    'the values MUST be unique across all "name" fields',
    "rename one of the axes",
)
AXIS_TYPE = Rule(
    "axis-type",
    "SHOULD",
    _AXES,
    'an axis SHOULD contain the field "type"',
    'add "type": "space", "time", "channel" or a name of your own',
)
AXIS_TYPE_TEXT = Rule(
    "axis-type-text",
    "MUST",
    _AXES,
    "the type of an axis is a string",
    "write the type as a string",
)
AXIS_TYPE_KNOWN = Rule(
    "axis-type-known",
    "SHOULD",
    _AXES,
    'the type SHOULD be "space", "time" or "channel" (0.6: also "array", "coordinate", '
    '"displacement"), but MAY be another for custom axes',
    "use a known type if one fits",
)
AXES_SPACE_COUNT = Rule(
    "axes-space-count",
    "MUST",
    _MULTISCALES,
    '"axes" MUST contain 2 or 3 entries of type "space"',
    'give y and x (and z) the type "space"',
)
AXES_TIME_COUNT = Rule(
    "axes-time-count",
    "MUST",
    _MULTISCALES,
    '"axes" MAY contain one additional entry of type "time", no more',
    'keep the type "time" for one axis',
)
AXES_CHANNEL_COUNT = Rule(
    "axes-channel-count",
    "MUST",
    _MULTISCALES,
    '"axes" MAY contain one additional entry of type "channel" or of a null or custom type, '
    "no more",
    "merge the channel and custom axes into one, or store images of their own",
)
AXES_ORDER = Rule(
    "axes-order",
    "MUST",
    _MULTISCALES,
    'the entries MUST be ordered by type: "time" first, then "channel" or custom, then "space"',
    "transpose the arrays and reorder the axes",
)
AXES_ZYX = Rule(
    "axes-zyx",
    "SHOULD",
    _MULTISCALES,
    'three spatial axes SHOULD be ordered as "zyx"',
    "transpose the arrays and reorder the axes",
)
AXES_ARRAY_ONLY = Rule(
    "axes-array-only",
    "MUST",
    _MULTISCALES,
    'axes of type "array" stand in a coordinate system in which all axes are of type "array"',
    'give all axes the type "array", or none',
)
AXIS_UNIT = Rule(
    "axis-unit",
    "SHOULD",
    _AXES,
    'an axis SHOULD contain the field "unit" to specify its physical unit',
    "add the unit if it is known; do not invent one",
)
AXIS_UNIT_TEXT = Rule(
    "axis-unit-text",
    "MUST",
    _AXES,
    "the unit of an axis is a string",
    "write the unit as a string, or leave it out",
)
AXIS_UNIT_KNOWN = Rule(
    "axis-unit-known",
    "SHOULD",
    _AXES,
    "the unit SHOULD be one of the listed UDUNITS-2 names of length (space) or time (time)",
    'write the unit in full and in the singular, as "micrometer" or "second"',
)
AXIS_DISCRETE = Rule(
    "axis-discrete",
    "MUST",
    _AXES,
    'the value of "discrete" MUST be a boolean',
    "write true or false",
)
AXIS_LONG_NAME = Rule(
    "axis-long-name",
    "MUST",
    _AXES,
    'the value of "longName" MUST be a string',
    "write the long name as a string",
)


def check_axes(axes: Node, *, of_image: bool = True) -> int | None:
    """Check a list of axes.

    Parameters
    ----------
    axes
        The list.
    of_image
        Whether the axes are those of an image, for which number and order are ruled too.

    Returns
    -------
    int or None
        The number of axes, None if it is no list of objects.
    """
    entries = axes.as_objects(AXES_LIST, at_least=1)
    if entries is None:
        return None
    for axis in entries:
        _check_axis(axis)
    names = [axis["name"].value for axis in entries if isinstance(axis["name"].value, str)]
    for name in duplicates(names):
        axes.breaks(AXIS_NAME_UNIQUE, f"{name!r} more than once")
    if of_image:
        _check_image_axes(axes, entries)
    return len(axes.value)


def _check_axis(axis: Node) -> None:
    newest = axis.report.version == "0.6"
    axis["name"].as_text(AXIS_NAME, pattern="(?s).+" if newest else None)
    if newest:
        if "discrete" in axis and not isinstance(axis["discrete"].value, bool):
            axis["discrete"].breaks(AXIS_DISCRETE)
        if "longName" in axis:
            axis["longName"].as_text(AXIS_LONG_NAME)
    kind = _type_of(axis)
    if axis["type"].missing or axis["type"].value is None:
        axis.breaks(AXIS_TYPE, "no type")
    elif kind is None:
        axis["type"].breaks(AXIS_TYPE_TEXT)
    elif kind not in (_TYPES_06 if newest else _TYPES_OLD):
        axis["type"].breaks(AXIS_TYPE_KNOWN)
    _check_unit(axis, kind)


def _check_unit(axis: Node, kind: str | None) -> None:
    unit = axis["unit"]
    known = _UNITS.get(kind or "")
    # Writers of 0.4 and 0.5 put null where no unit is known, and no schema forbids it there.
    absent = unit.missing or (unit.value is None and axis.report.version != "0.6")
    if absent:
        # A channel or an axis of one's own has no physical unit to tell.
        if known is not None:
            axis.breaks(AXIS_UNIT, "no unit")
    elif not isinstance(unit.value, str):
        unit.breaks(AXIS_UNIT_TEXT)
    elif known is not None and unit.value not in known:
        unit.breaks(AXIS_UNIT_KNOWN, f"{unit.shown} on an axis of type {kind!r}")


def _type_of(axis: Node) -> str | None:
    kind = axis["type"].value
    return kind if isinstance(kind, str) else None


def _check_image_axes(axes: Node, entries: list[Node]) -> None:
    count = len(axes.value)
    if not 2 <= count <= 5:
        axes.breaks(AXES_COUNT, f"{count} axes")
    kinds = [_type_of(axis) for axis in entries]
    if axes.report.version == "0.6" and "array" in kinds:
        if set(kinds) != {"array"}:
            axes.breaks(AXES_ARRAY_ONLY, f"types {kinds}")
        return
    spaces, times = kinds.count("space"), kinds.count("time")
    if not 2 <= spaces <= 3:
        axes.breaks(AXES_SPACE_COUNT, f'{spaces} axes of type "space"')
    if times > 1:
        axes.breaks(AXES_TIME_COUNT, f'{times} axes of type "time"')
    if len(kinds) - spaces - times > 1:
        axes.breaks(AXES_CHANNEL_COUNT, f"types {kinds}")
    ranks = [_RANK.get(kind or "", 1) for kind in kinds]
    if ranks != sorted(ranks):
        axes.breaks(AXES_ORDER, ", ".join(_RANK_NAMES[rank] for rank in ranks))
    spatial = [axis["name"].value for axis in entries if _type_of(axis) == "space"]
    if (
        spatial != ["z", "y", "x"]
        and len(spatial) == 3
        and {"z", "y", "x"} <= set(map(str, spatial))
    ):
        axes.breaks(AXES_ZYX, ", ".join(map(str, spatial)))
