"""Files numbered along time, planes or channels: ``..._t001_z002_c1.tif``.

A letter stands by itself between separators, or beside that of another axis (``T01Z02``). A capital
letter alone can also be a condition or a well: T and Z count if their numbers start with 0, C only
beside another axis, and not if other names have another letter of a plate's rows in its place. Names
of two instruments are known too: ``t001xy01z1c1.tif`` of NIS-Elements, an image for each position, and
``img_000000000_DAPI_000.tif`` of Micro-Manager 1.4 (time, channel by name, plane).
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from ngff_bio.model import ORDER
from ngff_bio.sources.assembly import base_of, folder_of, stem_of

_LETTERS = {"t": "t", "tp": "t", "time": "t", "timepoint": "t", "frame": "t"}
_LETTERS |= {"z": "z", "slice": "z", "plane": "z"}
_LETTERS |= {"c": "c", "ch": "c", "chan": "c", "channel": "c"}

#: A letter or word for an axis and its number. Only after a word they can be separated: `patient_t_1`
#: has no time.
_TOKEN = re.compile(
    r"(?P<word>[tzc])=?(?P<number>\d+)|"
    rf"(?P<long>{'|'.join(sorted((w for w in _LETTERS if len(w) > 1), key=len, reverse=True))})"
    r"[_\-=]?(?P<count>\d+)",
    re.IGNORECASE,
)

#: One or more of them, which fill a part of the name between separators: ``_t001_``, ``_T01Z02``.
_RUN = re.compile(
    rf"(?<![A-Za-z0-9])(?:{re.sub(r'[?]P<[a-z]+>', '?:', _TOKEN.pattern)}|xy\d+)+(?![A-Za-z0-9])",
    re.IGNORECASE,
)

_MICROMANAGER = re.compile(r"img_(?P<t>\d{9})_(?P<c>.+)_(?P<z>\d{3})")

#: A well by its row's letter.
_WELL = re.compile(r"(?<![A-Za-z])[ABD-P](?=\d{1,2}(?!\d))")
_LAST = re.compile(r"(?P<number>\d+)$")
_EDGES = " _-."


@dataclass(frozen=True, slots=True)
class _Token:
    """A letter or word for an axis with its number, and where it stands in a stem."""

    word: str
    digits: str
    start: int
    word_end: int
    end: int

    @property
    def axis(self) -> str:
        return _LETTERS[self.word.lower()]


def _tokens(stem: str) -> list[_Token]:
    return [
        _Token(m["word"] or m["long"], m["number"] or m["count"], m.start(), end, m.end())
        for run in _RUN.finditer(stem)
        for m in _TOKEN.finditer(stem, run.start(), run.end())
        if (end := m.end("word") if m["word"] else m.end("long"))
    ]


@dataclass(frozen=True, slots=True)
class Numbered:
    """A stem, parsed.

    Parameters
    ----------
    template
        The stem with ``{t}`` for a number along t.
    numbers
        The number along each axis.
    bare
        The stem without its numbers and their separators.
    """

    template: str
    numbers: Mapping[str, int]
    bare: str


@dataclass(frozen=True, slots=True)
class Naming:
    """How the names of one source are numbered.

    Parameters
    ----------
    last
        Axis that a number at the end counts along, if it has no letter; ``"none"`` if even letters
        mean nothing.
    wells
        Text before the letter of a well in some name.
    padded
        Text up to a capital letter, and digits after it, where some name has a number that starts
        with 0.
    channels
        Names of channels in names of Micro-Manager 1.4, which stand for their numbers.
    words
        Names of channels that the user gives, by which files or folders differ.
    """

    last: str | None = None
    wells: frozenset[str] = frozenset()
    padded: frozenset[tuple[str, int]] = frozenset()
    channels: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str], last: str | None = None) -> Naming:
        """The naming of some files; `last` can be ``c=`` and names of channels too."""
        stems = [stem_of(name) for name in names]
        wells = {s[: m.start()] for s in stems for m in _WELL.finditer(s)}
        zeros = {
            (s[: token.word_end], len(token.digits))
            for s in stems
            for token in _tokens(s)
            if token.digits.startswith("0") and len(token.digits) > 1
        }
        channels = sorted({m["c"] for s in stems if (m := _MICROMANAGER.fullmatch(s))})
        given = (last or "").partition("c=")[2]
        named = tuple(filter(None, map(str.strip, given.split(","))))
        last = None if named else last
        return cls(last, frozenset(wells), frozenset(zeros), tuple(channels), named)

    def parse(self, name: str) -> tuple[str, Numbered]:
        """Folder and stem of a file's name; ``{c}`` stands for a channel in either."""
        found = [
            (part, number)
            for number, channel in enumerate(self.words)
            for part in word_in(re.escape(channel), name)
        ]
        plain = self.take_apart(stem_of(name))
        if len(found) != 1 or "c" in plain.numbers:
            return folder_of(name), plain
        ((part, number),) = found
        name = f"{name[: part.start()]}{{c}}{name[part.end() :]}"
        parts = self.take_apart(stem_of(name))
        bare = re.sub(r"[ _.-]*\{c\}", "", parts.bare).strip(_EDGES)
        return folder_of(name), Numbered(parts.template, {**parts.numbers, "c": number}, bare)

    def take_apart(self, stem: str) -> Numbered:
        """The numbers of a stem by axis."""
        named = None if self.last == "none" else _MICROMANAGER.fullmatch(stem)
        if named is not None and named["c"] in self.channels:
            channel = self.channels.index(named["c"])
            numbers = {"t": int(named["t"]), "c": channel, "z": int(named["z"])}
            return Numbered("img_{t}_{c}_{z}", numbers, "img")
        found = [] if self.last == "none" else [t for t in _tokens(stem) if self._axis(t, stem)]
        if len(found) == 1 and self._doubtful(found[0], stem):
            found = []
        axes = [token.axis for token in found]
        if len(set(axes)) < len(axes):  # two numbers for one axis are ambiguous
            return Numbered(stem, {}, stem)
        numbers = {}
        parts, bare, at = [], [], 0
        for token in found:
            numbers[token.axis] = int(token.digits)
            parts += [stem[at : token.start], f"{{{token.axis}}}"]
            bare.append(stem[at : token.start].rstrip(_EDGES))
            at = token.end
        rest = stem[at:]
        end = _LAST.search(rest)
        if self.last in ("t", "z", "c") and self.last not in numbers and end is not None:
            numbers[self.last] = int(end["number"])
            parts += [rest[: end.start()], f"{{{self.last}}}"]
            bare.append(rest[: end.start()].rstrip(_EDGES))
            rest = ""
        if not numbers:
            return Numbered(stem, {}, stem)
        template = "".join([*parts, rest])
        for index, part in enumerate(bare := [*bare, rest]):
            if part[:1].isalnum() and any(bare[:index]):  # a position between numbers
                bare[index] = f"_{part}"
        return Numbered(template, numbers, "".join(bare).strip(_EDGES))

    def _axis(self, token: _Token, stem: str) -> bool:
        """Whether it is a number along an axis, and not a column of a well."""
        return token.word != "C" or stem[: token.start] not in self.wells

    def _doubtful(self, token: _Token, stem: str) -> bool:
        """Whether a token alone can mean something else: a condition (C1), a tumor stage (T2)."""
        if token.word not in ("T", "Z", "C"):
            return False
        place = (stem[: token.word_end], len(token.digits))
        return token.word == "C" or place not in self.padded


def word_in(pattern: str, name: str) -> list[re.Match[str]]:
    """Where a pattern stands by itself between separators, in small or capital letters."""
    alone = rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])"
    return [*re.finditer(alone, name, re.IGNORECASE)]


@dataclass(frozen=True, slots=True)
class Series:
    """Files of one image: a single one, or a full grid of numbered ones.

    Parameters
    ----------
    folder
        Their folder.
    name
        Name of the image: the file's base name, or what the names have in common.
    files
        In the order of the axes in `along`, the last varying fastest.
    along
        Letters of the axes that files are numbered along, in the order of OME-Zarr.
    numbers
        The numbers along each of them, as the names give them.
    channels
        Names of channels, where the names of the files have these.
    """

    folder: str
    name: str
    files: tuple[str, ...]
    along: str = ""
    numbers: Mapping[str, tuple[int, ...]] | None = None
    channels: tuple[str, ...] = ()

    @property
    def counts(self) -> tuple[int, ...]:
        """Files along each axis."""
        return tuple(len((self.numbers or {})[a]) for a in self.along)

    def place(self, index: int) -> dict[str, int]:
        """Position along each axis of a file."""
        at = {}
        for axis, count in zip(reversed(self.along), reversed(self.counts), strict=True):
            index, at[axis] = divmod(index, count)
        return at


def find_series(
    names: Iterable[str],
    naming: Naming,
    unlike: Callable[[Sequence[str]], str | None],
    report: Callable[[str, str], None],
) -> list[Series]:
    """Files as images, in order of their names.

    Parameters
    ----------
    naming
        How they are numbered.
    unlike
        Returns why some files cannot be one image, or ``None``.
    report
        Called with a reason and a file name, if numbered files are not one image.
    """
    groups: dict[tuple[str, str, str], dict[tuple[int, ...], list[str]]] = {}
    for name in names:
        stem = stem_of(name)
        folder, parts = naming.parse(name)
        rest = base_of(name)[len(stem) :].lower() if base_of(name).startswith(stem) else ""
        axes = "".join(a for a in ORDER if a in parts.numbers)
        key = (folder, parts.template, rest)
        groups.setdefault(key, defaultdict(list))[tuple(parts.numbers[a] for a in axes)].append(
            name
        )
    found: list[Series] = []
    for (folder, template, _), members in groups.items():
        axes = "".join(a for a in ORDER if f"{{{a}}}" in f"{folder}/{template}")
        files = [name for same in members.values() for name in same]
        if len(files) == 1:
            found.append(Series(folder_of(files[0]), base_of(files[0]), (files[0],)))
            continue
        numbers = {a: sorted({place[i] for place in members}) for i, a in enumerate(axes)}
        reason = None
        if math.prod(map(len, numbers.values())) != len(files) or len(members) != len(files):
            reason = "numbered files are not a full grid"
        else:
            order = list(product(*numbers.values()))
            files = [members[place][0] for place in order]
            reason = unlike(files)
        if reason is not None:
            report(f"{reason}: they are separate images", f"{folder}/{template}".lstrip("/"))
            found += [Series(folder_of(name), base_of(name), (name,)) for name in files]
            continue
        along = "".join(a for a in axes if len(numbers[a]) > 1)
        bare = naming.parse(files[0])[1].bare
        stem = stem_of(files[0])
        counted = "c" in naming.take_apart(stem).numbers
        names = naming.words if not counted else ()
        if _MICROMANAGER.fullmatch(stem):
            names = naming.channels
        folder = "/".join(p for p in folder.replace("{c}", "").split("/") if p.strip(_EDGES))
        found.append(
            Series(
                folder,
                bare or re.sub(r"[{}]", "", template).strip(_EDGES),
                tuple(files),
                along,
                {a: tuple(numbers[a]) for a in along},
                tuple(names[n] for n in numbers["c"]) if names and "c" in numbers else (),
            )
        )
    return sorted(found, key=lambda s: s.files[0])
