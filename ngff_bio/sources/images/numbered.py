"""Files numbered along time, planes or channels: ``..._t001_z002_c1.tif``.

A capital C with a number can also be a well: if other names have another letter of a plate's rows in
its place, or if the number of a row precedes it.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from ngff_bio.formats.images.headers import EXTENSIONS
from ngff_bio.model import ORDER
from ngff_bio.sources.assembly import base_of, folder_of

_LETTERS = {"t": "t", "tp": "t", "time": "t", "timepoint": "t", "frame": "t"}
_LETTERS |= {"z": "z", "slice": "z", "plane": "z"}
_LETTERS |= {"c": "c", "ch": "c", "chan": "c", "channel": "c"}

#: A letter or word for an axis and its number. It starts a part of the name (``_t001``, ``1z002``) or
#: is a capital after a small letter (``posT00012``), and ends where the next part starts.
_TOKEN = re.compile(
    r"(?:(?<![A-Za-z])|(?-i:(?<=[a-z])(?=[TZC])))"
    rf"(?P<word>{'|'.join(sorted(_LETTERS, key=len, reverse=True))})[_\-=]?(?P<number>\d+)"
    r"(?=$|[^A-Za-z0-9]|[tzc]\d)",
    re.IGNORECASE,
)

#: Row and column of a well by numbers, as in r02c03: the c is not a channel.
_ROW_BEFORE = re.compile(r"r\d+$", re.IGNORECASE)

#: A well by its row's letter.
_WELL = re.compile(r"(?<![A-Za-z])[ABD-P](?=\d{1,2}(?!\d))")
_LAST = re.compile(r"(?P<number>\d+)$")
_EDGES = " _-."


def stem_of(name: str) -> str:
    """Base name without the endings of image files, including ``.ome``."""
    stem = base_of(name)
    while stem.lower().endswith(EXTENSIONS) and stem.rpartition(".")[0]:
        stem = stem.rpartition(".")[0]
    return stem[:-4] if stem.lower().endswith(".ome") and len(stem) > 4 else stem


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
    """

    last: str | None = None
    wells: frozenset[str] = frozenset()

    @classmethod
    def of(cls, names: Iterable[str], last: str | None = None) -> Naming:
        """The naming of some files."""
        stems = [stem_of(name) for name in names]
        wells = {s[: m.start()] for s in stems for m in _WELL.finditer(s)}
        return cls(last, frozenset(wells))

    def take_apart(self, stem: str) -> Numbered:
        """The numbers of a stem by axis."""
        found = [] if self.last == "none" else [m for m in _TOKEN.finditer(stem) if self._axis(m)]
        axes = [_LETTERS[m["word"].lower()] for m in found]
        if len(set(axes)) < len(axes):  # two numbers for one axis are ambiguous
            return Numbered(stem, {}, stem)
        numbers: dict[str, int] = {}
        parts, bare, at = [], [], 0
        for match, axis in zip(found, axes, strict=True):
            numbers[axis] = int(match["number"])
            parts += [stem[at : match.start()], f"{{{axis}}}"]
            bare.append(stem[at : match.start()].rstrip(_EDGES))
            at = match.end()
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
        return Numbered(template, numbers, "".join([*bare, rest]).strip(_EDGES))

    def _axis(self, match: re.Match[str]) -> bool:
        """Whether it is a number along an axis, and not a column of a well."""
        before = match.string[: match.start()]
        if match["word"] in "cC" and _ROW_BEFORE.search(before):
            return False
        return match["word"] != "C" or before not in self.wells


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
    """

    folder: str
    name: str
    files: tuple[str, ...]
    along: str = ""
    numbers: Mapping[str, tuple[int, ...]] | None = None

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
        parts = naming.take_apart(stem)
        rest = base_of(name)[len(stem) :].lower() if base_of(name).startswith(stem) else ""
        axes = "".join(a for a in ORDER if a in parts.numbers)
        key = (folder_of(name), parts.template, rest)
        groups.setdefault(key, defaultdict(list))[tuple(parts.numbers[a] for a in axes)].append(
            name
        )
    found: list[Series] = []
    for (folder, template, _), members in groups.items():
        axes = "".join(a for a in ORDER if f"{{{a}}}" in template)
        files = [name for same in members.values() for name in same]
        if len(files) == 1:
            found.append(Series(folder, base_of(files[0]), (files[0],)))
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
            found += [Series(folder, base_of(name), (name,)) for name in files]
            continue
        along = "".join(a for a in axes if len(numbers[a]) > 1)
        bare = naming.take_apart(stem_of(files[0])).bare
        found.append(
            Series(
                folder,
                bare or re.sub(r"[{}]", "", template).strip(_EDGES),
                tuple(files),
                along,
                {a: tuple(numbers[a]) for a in along},
            )
        )
    return sorted(found, key=lambda s: s.files[0])
