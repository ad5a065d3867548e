"""Plates by the names of their files: rules of instruments, and patterns that a user gives.

A rule is a regular expression whose named groups are parts of a plane's place: ``well`` (or ``row``
and ``column``), ``field`` (or ``field_x`` and ``field_y``), ``channel``, ``z``, ``t``,
``acquisition``, ``plate``. It is matched against the path of a file below the source, without the
ending.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath

from ngff_bio.errors import ArgumentError, SourceError
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Channel
from ngff_bio.sources.plate.planes import MOST_ROWS, PlateIndex, PlatePlane, row_name, well_of

#: Groups that a pattern may have.
GROUPS = (
    "well", "row", "column", "field", "field_x", "field_y", "channel", "z", "t", "acquisition", "plate",
)  # fmt: skip

#: Small copies of images that MetaXpress writes beside them.
THUMBNAIL = re.compile(r"(_thumb|^thumb)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NameRule:
    """How the files of one instrument are named."""

    name: str
    example: str
    pattern: re.Pattern[str]
    from_zero: bool = False  #: whether rows and columns are counted from 0


#: What MetaXpress adds to the names of images.
UUID = r"[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}"

#: A well between other parts of a name.
_PART = re.compile(r"(?:^|[/_. -])([A-P](?:0[1-9]|1\d|2[0-4]))(?=[/_. -]|$)")

_START = r"(?:^|.*?/)"
_WELL = r"(?P<well>[A-P]\d{1,2})"


def _rule(name: str, example: str, pattern: str, *, from_zero: bool = False) -> NameRule:
    return NameRule(name, example, re.compile(_START + pattern), from_zero)


#: Rules that a whole folder must follow to be read as a plate, most specific first.
RULES = (
    _rule(
        "ImageXpress, MetaXpress",
        "TimePoint_1/ZStep_2/plate_A01_s1_w1<UUID>.tif",
        r"(?:TimePoint_(?P<t>\d+)/)?(?:ZStep_(?P<z>\d+)/)?(?:(?P<plate>[^/]+)_)?"
        rf"(?P<well>[A-Z]{{1,2}}\d\d)(?=_s\d+_w\d|.*{UUID}$)(?:_s(?P<field>\d+))?"
        rf"(?:_w(?P<channel>\d))?(?:{UUID})?$",
    ),
    _rule(
        "BBBC",
        "BBBC006_v1_images_z_16/plate_a01_s1_w1<UUID>.tif",
        r"(?:BBBC\d+_v\d+_images(?:_z_(?P<z>\d+))?/)?(?:(?P<plate>[^/]+)_)?(?P<well>[a-p]\d\d)"
        rf"_s(?P<field>\d+)_w(?P<channel>\d)(?i:{UUID})$",
    ),
    _rule(
        "Opera, Operetta, Phenix",
        "r02c03f01p01-ch1sk1fk1fl1.tiff, r02c03f01p01-ch1t01.tiff",
        r"r(?P<row>\d\d)c(?P<column>\d\d)f(?P<field>\d+)p(?P<z>\d+)-ch(?P<channel>\d+)"
        r"(?:sk|t)(?P<t>\d+)(?:fk\d+fl\d+)?$",
    ),
    _rule(
        "CellVoyager",
        "plate_A01_T0001F001L01A01Z01C01.tif",
        r"(?P<plate>[^/]*)_(?P<well>[A-Z]{1,2}\d\d)_T(?P<t>\d{4})F(?P<field>\d{3})L\d\dA\d\dZ(?P<z>\d\d)"
        r"C(?P<channel>\d\d)$",
    ),
    _rule(
        "IN Cell",
        "A - 01(fld 1 wv DAPI - DAPI z 1 tm 1).tif",
        r"(?P<row>[A-Z]{1,2}) - (?P<column>\d+)\((?:fld (?P<field>\d+) ?)?(?:wv (?P<channel>[^()]+?))?"
        r"(?: ?z (?P<z>\d+))?(?: ?tm (?P<t>\d+))?\)$",
    ),
    _rule(
        "Incucyte",
        "title_A1_1_2024y01m31d_08h00m.tif, title_A1_1_00d04h00m.tif",
        rf"(?P<channel>[^/]+)_{_WELL}_(?P<field>\d+)_"
        r"(?P<time>\d{4}y\d\dm\d\dd_\d\dh\d\dm|\d\dd\d\dh\d\dm)$",
    ),
    _rule(
        "Cytation, Gen5",
        "B2_01_1_1Z0_DAPI_001.tif: well, step, wavelength, field (and z), channel, time",
        rf"{_WELL}_-?\d+_\d+_(?P<field>\d+)(?:Z(?P<z>\d+))?_(?P<channel>[A-Za-z][^_/]*)_(?P<t>\d{{3}})$",
    ),
    _rule(
        "Cellomics, EVOS",
        "MFGTMP_140206180002_A01f00d0.TIF",
        r"(?:(?P<plate>[^/]+)_)?(?P<well>[A-P]\d\d)f(?P<field>\d\d+)d(?P<channel>\d+)$",
    ),
    _rule(
        "Micro-Manager",
        "A1-Site_0/img_000000000_DAPI_000.tif",
        r"(?P<well>[A-P]\d{1,2})-Site_(?P<field>\d+)/img_(?P<t>\d{9})_(?P<channel>[^/]+)_(?P<z>\d{3})$",
    ),
    _rule(
        "Micro-Manager",
        "A1-Site_0/img_channel000_position000_time000000000_z000.tif",
        r"(?P<well>[A-P]\d{1,2})-Site_(?P<field>\d+)/img_channel(?P<channel>\d{3})_position\d{3}"
        r"_time(?P<t>\d{9})_z(?P<z>\d{3})$",
    ),
    _rule(
        "Micro-Manager",
        "plate_MMStack_A1-Site_0.ome.tif",
        r"(?P<plate>[^/]+)_MMStack_(?P<well>[A-P]\d{1,2})-Site_(?P<field>\d+)$",
    ),
    _rule(
        "Squid",
        "0/A1_0_0_Fluorescence_405_nm_Ex.tiff: time, well, field, z, channel",
        rf"(?P<t>\d+)/{_WELL}_(?P<field>\d+)_(?P<z>\d+)_(?P<channel>[A-Z][^/]*_[^/]+)$",
    ),
    _rule(
        "Leica's matrix screener",
        "image--L0000--S00--U00--V01--J08--E00--O00--X01--Y00--T0000--Z00--C00.ome.tif",
        r"image--L\d+--S\d+--U(?P<column>\d+)--V(?P<row>\d+)--J\d+--E\d+--O\d+--X(?P<field_x>\d+)"
        r"--Y(?P<field_y>\d+)--T(?P<t>\d+)--Z(?P<z>\d+)--C(?P<channel>\d+)$",
        from_zero=True,
    ),
    _rule(
        "NIS-Elements JOBS",
        "WellA01_ChannelDAPI_Seq0000.tif, WellA01_PointA01_0000_ChannelDAPI_Seq0000.tif",
        r"Well(?P<well>[A-P]\d\d)(?:_Point[A-P]\d\d_(?P<field>\d{4}))?_Channel(?P<channel>[^/,]+)_Seq\d{4}$",
    ),
    _rule(
        "CellProfiler's examples",
        "Channel1-01-A-01.tif",
        r"Channel(?P<channel>\d+)-\d+-(?P<row>[A-P])-(?P<column>\d\d)$",
    ),
    _rule(
        "well with lettered numbers",
        "A01_s1_w1.tif, plate_A01_f01_ch2_z03_t001.tif",
        r"(?:(?P<plate>[^/]+)_)?(?P<well>[A-P]\d\d)(?=(?:_[a-z]+\d+){2,}$)(?=.*_(?:s|f|site|field)\d)"
        r"(?:_(?:s|f|site|field)(?P<field>\d+)|_(?:w|c|ch|channel)(?P<channel>\d+)|_z(?P<z>\d+)|_t(?P<t>\d+))+$",
    ),
)  # fmt: skip


def rule_of(names: Sequence[str]) -> NameRule | None:
    """The rule that all image files follow; ``None`` if there is none."""
    plain = [stem for name in names if not THUMBNAIL.search(stem := _stem(name))]
    if not plain:
        return None
    return next((r for r in RULES if all(map(r.pattern.match, plain))), None)


def almost_plate(names: Sequence[str]) -> tuple[str, str] | None:
    """Why files are not a plate though most are named so, and which are not; ``None`` otherwise."""
    plain = [name for name in names if not THUMBNAIL.search(_stem(name))]
    for rule in RULES:
        others = [name for name in plain if not rule.pattern.match(_stem(name))]
        if 0 < 2 * len(others) < len(plain):
            what = (
                f"{len(plain) - len(others)} files are named as of {rule.name}, and are a plate if the "
                "others are left out with --exclude GLOB"
            )
            return what, ", ".join(others[:3])
    if plain and all(map(_SCANR.search, plain)):
        what = (
            "files are named as of scanR, whose experiment_descriptor.xml states their wells and is "
            "not there: name the folder that contains it"
        )
        return what, plain[0]
    return None


_SCANR = re.compile(r"--W\d{5}--P\d{5}--Z\d{5}--T\d{5}--")


def wells_in(names: Iterable[str]) -> set[str]:
    """Wells that the names of files contain, such as ``A01``; none if a name does not contain one."""
    found = [_PART.search(_stem(name)) for name in names]
    wells = {match[1] for match in found if match is not None}
    return wells if None not in found and len(wells) > 1 else set()


def pattern_rule(pattern: str) -> NameRule:
    """The rule of a pattern that a user gives.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it is not a regular expression, or its groups do not place a file in a well.
    """
    expected = "a regular expression with (?P<well>...), or (?P<row>...) and (?P<column>...)"
    try:
        found = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ArgumentError(
            "the pattern is not a regular expression",
            expected=expected,
            found=f"{pattern}: {error}",
        ) from error
    groups = set(found.groupindex)
    places = {"field", "field_x", "field_y"} & groups
    if (
        groups - {*GROUPS}
        or not ("well" in groups or {"row", "column"} <= groups)
        or places not in (set(), {"field"}, {"field_x", "field_y"})
    ):
        raise ArgumentError(
            "the groups of the pattern do not place a file on a plate",
            expected=f"{expected}; others are {', '.join(GROUPS[3:])}; "
            "field_x and field_y go together, without field",
            found=", ".join(found.groupindex) or "no named group",
        )
    return NameRule(f"the pattern {pattern}", "", found)


def named_plate(names: Iterable[str], rule: NameRule, problems: Problems) -> PlateIndex:
    """The planes of the files whose names follow a rule.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a name has no well or number where the rule has one, or names are of several plates.
    """
    planes: list[PlatePlane] = []
    plates: Counter[str] = Counter()
    starts: dict[str, datetime | float] = {}
    found: dict[str, dict[str, str | None]] = {}
    for name in names:
        match = rule.pattern.search(_stem(name)) or rule.pattern.search(name)
        if match is not None and not THUMBNAIL.search(_stem(name)):
            found[name] = match.groupdict()
    first = 0 if rule.from_zero else 1
    numbers = [p.get(k) or "1" for p in found.values() for k in ("row", "column")]
    if first and any(number.strip("0") == "" for number in numbers):
        first = 0
        problems.note("rows and columns are counted from 0 in names of files")
    across = max(
        (int(p["field_x"] or 0) for p in found.values() if (p.get("field_x") or "").isdecimal()),
        default=0,
    )
    for name, parts in found.items():
        with problems.caught():
            if "field_x" in parts:  # numbered row by row
                x, y = (_number(name, key, parts[key]) for key in ("field_x", "field_y"))
                parts = {**parts, "field": str(y * (across + 1) + x)}
            plane = _plane(name, parts, first)
            if time := parts.get("time"):
                starts[name] = _instant(name, time)
            planes.append(plane)
            plates[parts.get("plate") or ""] += 1
    if len(plates) > 1:
        raise SourceError(
            "the folder contains files of several plates",
            expected="files of one plate",
            found=", ".join(f"{n} of {p or 'a plate without a name'}" for p, n in plates.items()),
            hint="name the folder of one plate, or select its files with --exclude GLOB",
        )
    return PlateIndex(
        rule=f"by their names, as of {rule.name}" if rule in RULES else f"by {rule.name}",
        planes=tuple(_timed(planes, starts)),
        plate=next(iter(plates), ""),
        channels={p.channel: Channel(p.channel) for p in sorted(planes, key=_channel_order)},
    )


def _stem(name: str) -> str:
    """A name without its ending; ``.ome.tif`` is one."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")).removesuffix(".ome")


def _channel_order(plane: PlatePlane) -> tuple[int, str]:
    return (len(plane.channel), plane.channel) if plane.channel.isdigit() else (0, plane.channel)


def _plane(name: str, parts: dict[str, str | None], first: int) -> PlatePlane:
    well = _well(parts, first)
    if well is None:
        raise SourceError(
            "the name of a file has no well",
            file=name,
            expected="a row from A to AF and a column from 1 to 48",
            found=parts.get("well") or f"{parts.get('row')}, {parts.get('column')}",
        )
    field, z, t = (_number(name, key, parts.get(key)) for key in ("field", "z", "t"))
    return PlatePlane(
        name, *well, field, parts.get("channel") or "", t, z, parts.get("acquisition") or ""
    )


def _well(parts: dict[str, str | None], first: int) -> tuple[str, int] | None:
    if parts.get("well"):
        return well_of(parts["well"] or "")
    row, column = parts.get("row") or "", parts.get("column") or ""
    if row.isdecimal():
        number = int(row) + 1 - first
        row = row_name(number) if 1 <= number <= MOST_ROWS else ""
    if column.isdecimal():
        column = str(int(column) + 1 - first)
    return well_of(f"{row}{column}")


def _number(name: str, key: str, text: str | None) -> int:
    if text is not None and not text.isdecimal():
        raise SourceError(
            "a part of a file name is not a number",
            file=name,
            record=key,
            expected="digits",
            found=text,
            hint="correct the group of the pattern",
        )
    return int(text or 0)


def _instant(name: str, text: str) -> datetime | float:
    """A date with time, or seconds since the start."""
    numbers = [int(n) for n in re.findall(r"\d+", text)]
    if len(numbers) == 5:
        try:
            return datetime(*numbers)  # type: ignore[arg-type]  # five integers
        except ValueError as error:
            raise SourceError(
                "the date in a file name does not exist",
                file=name,
                expected="year, month, day, hour and minute",
                found=text,
                hint="rename the file, or skip it with --on-error skip",
            ) from error
    days, hours, minutes = numbers
    return 60.0 * (minutes + 60 * (hours + 24 * days))


def _timed(planes: Sequence[PlatePlane], times: dict[str, datetime | float]) -> list[PlatePlane]:
    """Planes with the number of their time, and its seconds since the first."""
    order = sorted({*times.values()}, key=lambda t: (isinstance(t, float), t))
    if not order:
        return list(planes)
    number, found = {at: n for n, at in enumerate(order)}, []
    for plane in planes:
        at = times[plane.file]
        first = order[0]
        seconds: float | None
        if isinstance(at, datetime):
            seconds = (at - first).total_seconds() if isinstance(first, datetime) else None
        else:
            seconds = at
        found.append(replace(plane, t=number[at], seconds=seconds))
    return found
