"""Numbered files as one image: what in a name counts time points, planes and channels.

``cells_t01_z003_c2.tif``: a letter (or a word) and a number after it, where something that is no letter
stands before. Only what differs between files makes an axis. A capital C with a number can be a well
too; it is one where the same names have other letters in its place, or a row number before it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

#: Words before a number, and the axis that they count along.
_WORDS = {
    "t": "t",
    "tp": "t",
    "time": "t",
    "timepoint": "t",
    "frame": "t",
    "z": "z",
    "slice": "z",
    "plane": "z",
    "c": "c",
    "ch": "c",
    "chan": "c",
    "channel": "c",
}

_ANY = "|".join(sorted(_WORDS, key=len, reverse=True))
_TOKEN = re.compile(
    rf"(?:(?<![A-Za-z])|(?<=[a-z])(?=[TZC]))(?P<word>(?i:{_ANY}))[_\-=]?(?P<number>\d+)"
)

#: Row and column of a well, as in r02c03f01: the c is no channel.
_ROW_BEFORE = re.compile(r"r\d+$", re.IGNORECASE)

_ORDER = "tcz"


@dataclass(frozen=True, slots=True)
class Series:
    """Files that are one image.

    Parameters
    ----------
    name
        What their names have in common, without numbers: a single file's own name.
    along
        Axes that they are numbered along, in the order t, c, z; ``""`` for a single file.
    numbers
        For each of these axes the numbers that occur, ascending.
    files
        For each position along the axes, the last varying fastest; ``None`` where there is no file.
    """

    name: str
    along: str
    numbers: tuple[tuple[int, ...], ...]
    files: tuple[str | None, ...]

    @property
    def there(self) -> list[str]:
        """The files that there are."""
        return [f for f in self.files if f is not None]

    @property
    def counts(self) -> list[int]:
        """Number of positions along each axis."""
        return [len(n) for n in self.numbers]


@dataclass(frozen=True, slots=True)
class _Parsed:
    name: str
    template: str
    numbers: dict[str, int]


def group_series(names: Iterable[str], axes: str = _ORDER) -> list[Series]:
    """Series of files; those that are numbered along nothing are series of one.

    Parameters
    ----------
    names
        Below the source's root; files of different folders are never one series.
    axes
        Axes that may be numbered.
    """
    listed = sorted(names)
    wells = _wells(listed)
    groups: dict[str, list[_Parsed]] = defaultdict(list)
    for name in listed:
        parsed = _parse(name, axes, wells)
        groups[parsed.template].append(parsed)
    found: list[Series] = []
    for members in groups.values():
        found += _series(members)
    return sorted(found, key=lambda s: s.there[0])


def single(name: str) -> Series:
    """One file by itself."""
    return Series(name, "", (), (name,))


def _parse(name: str, axes: str, wells: set[str]) -> _Parsed:
    folder, slash, base = name.rpartition("/")
    numbers: dict[str, int] = {}
    template, end = "", 0
    for match in _TOKEN.finditer(base):
        axis = _WORDS[match["word"].lower()]
        before = base[: match.start()]
        if axis not in axes or axis in numbers or _is_well(match, before, wells):
            continue
        numbers[axis] = int(match["number"])
        template += base[end : match.start()] + f"<{axis}>"
        end = match.end()
    return _Parsed(name, folder + slash + template + base[end:], numbers)


def _is_well(match: re.Match[str], before: str, wells: set[str]) -> bool:
    if match["word"].lower() != "c":
        return False
    if _ROW_BEFORE.search(before):
        return True
    return match["word"] == "C" and before + "?" in wells


_WELL = re.compile(r"(?<![A-Za-z])[ABD-P](?=\d{1,2}(?!\d))")


def _wells(names: Sequence[str]) -> set[str]:
    """What stands before a letter that is a well's row: its other rows are A, B, D, ..."""
    found = set()
    for name in names:
        base = name.rpartition("/")[2]
        for match in _WELL.finditer(base):
            found.add(base[: match.start()] + "?")
    return found


def _series(members: list[_Parsed]) -> list[Series]:
    seen = {a: {m.numbers[a] for m in members} for a in members[0].numbers}
    along = "".join(a for a in _ORDER if len(seen.get(a, ())) > 1)
    places: dict[tuple[int, ...], str] = {}
    for member in members:
        place = tuple(member.numbers[a] for a in along)
        if place in places:  # a01 and a1: one number written twice
            return [single(m.name) for m in members]
        places[place] = member.name
    if not along:
        return [single(m.name) for m in members]
    numbers = tuple(tuple(sorted(seen[a])) for a in along)
    return [
        Series(
            _common(members[0], along),
            along,
            numbers,
            tuple(places.get(place) for place in product(*numbers)),
        )
    ]


def _common(member: _Parsed, along: str) -> str:
    """The name without the numbers of its axes, and without what joined them."""
    text = member.template
    for axis, number in member.numbers.items():
        text = text.replace(f"<{axis}>", "" if axis in along else f"{axis}{number}")
    folder, slash, base = text.rpartition("/")
    stem, dot, ending = base.rpartition(".")
    stem = re.sub(r"[_\-. ]{2,}", "_", stem).strip("_-. ")
    return f"{folder}{slash}{stem or 'series'}{dot}{ending}"
