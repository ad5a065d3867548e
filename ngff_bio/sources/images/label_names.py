"""Matching of label images with their images: by the conventions of their names, or by a rule."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from ngff_bio.errors import ArgumentError, SourceError
from ngff_bio.formats.names import safe_name
from ngff_bio.sources.assembly import folder_of, stem_of
from ngff_bio.sources.images.numbered import Naming, Series

_WORD = r"cp_masks|masks?|labels?"

#: Other names of folders of label images; VOC has two of them.
_FOLDERS = (
    r"seg|segmentations?|annotations?|(?:\d+_)?gt|\d+_st|ground[ _-]?truths?|"
    "segmentationclass|segmentationobject"
)
#: Folders of the Broad Bioimage Benchmark Collection: ``BBBC007_v1_outlines``.
_BBBC = r"bbbc\d+_v\d+_(?:\w+_)?(outlines?|labels|masks|foreground|ground_truth)(?:_\w+)?"
_FOLDER = re.compile(
    rf"^(?:{_BBBC}|({_WORD}|{_FOLDERS})|(?:masks?|labels?)[ _.-]([\w-]+)|"
    r"([\w-]+)[ _.-](?:masks?|labels?))$",
    re.IGNORECASE,
)
_PREFIX = re.compile(rf"^(?P<layer>{_WORD})(?![A-Za-z])[ _.-]*", re.IGNORECASE)
_SUFFIX = re.compile(rf"[ _.-](?P<layer>{_WORD}|segmented[a-z]+|outlines?)$", re.IGNORECASE)

#: The same within a name: only if there is an image of the name without it.
_INFIX = re.compile(rf"[ _.-](?P<layer>{_WORD})(?=[ _.-])", re.IGNORECASE)

#: Names that say what a file is, and not of which sample: ``image.tif`` and ``mask.tif`` of a folder.
_ANY_IMAGE = re.compile(r"images?|img|im|raw|original|input", re.IGNORECASE)
_ANY_LABEL = re.compile(rf"{_WORD}|{_FOLDERS}", re.IGNORECASE)

#: Parts of an image's name that its label image does not have: ``img2d`` and ``mask2d``.
_IMAGE = re.compile(
    r"^(?:images?|img|im|raw)(?![A-Za-z])[ _.-]*|[ _.-](?:image|img|raw|rgb|volume)$", re.I
)


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A label image.

    Parameters
    ----------
    name
        Its file name.
    layer
        Name of the label layer that it is part of.
    stems
        Possible names of its image, the best guess first.
    asked
        Whether it was selected by a rule.
    looks
        Whether its pixels alone show that it is one.
    """

    name: str
    layer: str
    stems: tuple[str, ...]
    asked: bool = False
    looks: bool = False


@dataclass(frozen=True, slots=True)
class LabelRule:
    """``NAME=GLOB``: files that are label images, and the name of their layer."""

    layer: str
    pattern: re.Pattern[str]
    text: str

    @classmethod
    def parse(cls, text: str) -> LabelRule:
        """A rule of the command line.

        Raises
        ------
        ngff_bio.errors.ArgumentError
            If it is not ``NAME=GLOB``.
        """
        name, equals, glob = text.partition("=")
        if not equals or not name.strip() or not glob.strip():
            raise ArgumentError(
                "a rule for label images is a name and a pattern",
                expected="--labels NAME=GLOB, as in --labels nuclei='masks/*_nuclei.png'; or "
                "--labels none alone",
                found=text,
            )
        return cls(layer_name(name.strip()), re.compile(_captured(glob.strip())), glob.strip())

    def match(self, name: str) -> LabelFile | None:
        """The file as a label image, if it matches."""
        found = self.pattern.fullmatch(name)
        if found is None:
            return None
        kept = [stem_of(g) for g in found.groups() if g]
        stem = stem_of(name)
        stems = dict.fromkeys([*reversed(kept), stem, _without_affix(stem)])
        return LabelFile(name, self.layer, tuple(s for s in stems if s), asked=True)


def _captured(glob: str) -> str:
    """A glob as a regular expression with a group for each ``*``; ``**/`` is any folder.

    It matches from any folder on: the root of the source does not matter.
    """
    meaning = {"**/": "(?:.*/)?", "*": "([^/]*)", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*|\?)", glob)
    return "(?:.*/)?" + "".join(meaning.get(p, re.escape(p)) for p in parts)


def layer_name(text: str) -> str:
    """A safe name for a layer. ``labels`` is allowed: layers have a group of their own."""
    return text if text in ("labels", "Labels") else safe_name(text)


def _without_affix(stem: str) -> str:
    return _SUFFIX.sub("", _PREFIX.sub("", stem)) or stem


def by_convention(name: str) -> LabelFile | None:
    """The file as a label image, if it is named as one: ``masks/x``, ``labels/x``, ``mask*``, ..."""
    stem = stem_of(name)
    folders = [m for p in folder_of(name).split("/") if (m := _FOLDER.match(p))]
    affix = _SUFFIX.search(stem) or _PREFIX.match(stem)
    if not folders and affix is None:
        return None
    layer = next((g for g in folders[-1].groups() if g), "") if folders else ""
    if affix is not None and not folders:
        layer = affix["layer"]
    stems = dict.fromkeys([_without_affix(stem), stem] if affix else [stem])
    return LabelFile(name, layer_name(layer.lower()), tuple(stems))


def _by_infix(name: str, stems: Container[str]) -> LabelFile | None:
    """``cells_labels__a`` as a label image of ``cells__a``, if this is one of the `stems`."""
    stem = stem_of(name)
    for found in _INFIX.finditer(stem):
        other = stem[: found.start()] + stem[found.end() :]
        if other.lower() in stems:
            return LabelFile(name, layer_name(found["layer"].lower()), (other,))
    return None


def by_content(name: str) -> LabelFile:
    """A file that looks like a label image: of the image of its name, or of the end of its name."""
    stem, folder = stem_of(name), folder_of(name).rpartition("/")[2]
    tails = [stem[m.end() :] for m in re.finditer(r"[ _.-]+", stem)]
    stems = (stem, *(t for t in tails if t and not t.isdecimal()))
    return LabelFile(name, layer_name(folder.lower() or "masks"), stems, looks=True)


def split_labels(
    names: Iterable[str], rules: Sequence[LabelRule], by_names: bool = False
) -> tuple[list[str], list[LabelFile]]:
    """Images and label images: those of the rules, or by the conventions of names.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If a rule matches nothing.
    """
    images, labels = [], []
    used: set[str] = set()
    listed = list(names)
    stems = {stem_of(name).lower() for name in listed} if by_names and not rules else set()
    for name in listed:
        if rules:
            matches = {r.text: m for r in rules if (m := r.match(name)) is not None}
            used.update(matches)
            found = next(iter(matches.values()), None)
        else:
            found = (by_convention(name) or _by_infix(name, stems)) if by_names else None
        if found is None:
            images.append(name)
        else:
            labels.append(found)
    for rule in rules:
        if rule.text not in used:
            raise ArgumentError(
                "no image file matches a pattern for label images",
                expected="names below the source's folder, as in masks/*.png",
                found=rule.text,
            )
    return images, labels


#: Place of a label image: number of the image, and index along each axis that files are numbered on.
Place = tuple[int, tuple[tuple[str, int], ...]]


class Partners:
    """Finds the image, and the place in it, of a label image.

    Parameters
    ----------
    series
        All images.
    naming
        How they are numbered.
    """

    def __init__(self, series: Sequence[Series], naming: Naming) -> None:
        self.series = series
        self.naming = naming
        self._files: dict[str, dict[Place, None]] = defaultdict(dict)
        self._bare: dict[str, dict[int, None]] = defaultdict(dict)
        for number, one in enumerate(series):
            for index, name in enumerate(one.files):
                stem = stem_of(name)
                at = tuple((a, i) for a, i in sorted(one.place(index).items()) if a != "c")
                for key in _keys(stem):
                    self._files[key][number, at] = None
            _, parts = naming.parse(one.files[0])
            for key in _keys(parts.bare) if parts.numbers else ():
                self._bare[key][number] = None

    def find(self, label: LabelFile) -> Place | None:
        """The place, or ``None`` if there is no such image.

        Raises
        ------
        ngff_bio.errors.SourceError
            If several match equally well.
        """
        for stem in label.stems:
            for key in _keys(stem):
                if key in self._files:
                    return self._nearest(label, list(self._files[key]))
        for stem in label.stems:
            parts = self.naming.take_apart(stem)
            for key in _keys(parts.bare):
                places = [
                    place
                    for number in self._bare.get(key) or self._alone(key)
                    if (place := self._numbered(number, parts.numbers)) is not None
                ]
                if places:
                    return self._nearest(label, places)
        return (self._by_number(label) or self._by_start(label)) if label.asked else None

    def find_named(self, label: LabelFile) -> tuple[Place, str] | None:
        """The place of a label image whose name is its image's followed by the layer's.

        ``cells_01_nuclei_mask`` is layer ``nuclei`` of ``cells_01``.
        """
        for stem in label.stems:
            for cut in reversed([m.start() for m in re.finditer(r"[ _.-]", stem)]):
                known = next((k for k in _keys(stem[:cut]) if k in self._files), None)
                rest = stem[cut:].strip(" _.-")
                if stem[:cut].isdecimal() and stem != label.stems[0]:
                    continue  # a number within a name: ``task-1-annotation-7`` is not of ``img_1``
                if known is not None and rest and not rest.isdecimal():
                    place = self._nearest(label, list(self._files[known]))
                    return place, layer_name(rest.lower())
        return None

    def find_beside(self, label: LabelFile) -> Place | None:
        """The only image of the folder, if the name of one of the two says no more than its kind."""
        here = [n for n, one in enumerate(self.series) if one.folder == folder_of(label.name)]
        if len(here) != 1 or len(self.series[here[0]].files) != 1:
            return None
        general = _ANY_IMAGE.fullmatch(stem_of(self.series[here[0]].files[0]))
        return (here[0], ()) if general or _ANY_LABEL.fullmatch(stem_of(label.name)) else None

    def _alone(self, key: str) -> list[int]:
        """Images of one file, whose name has no number."""
        return [n for n, _ in self._files.get(key, {}) if not self.series[n].along]

    def _numbered(self, number: int, numbers: Mapping[str, int]) -> Place | None:
        """The place of some numbers; none at all are the whole image."""
        one = self.series[number]
        at = []
        for axis in one.along.replace("c", "") if numbers else "":
            listed = (one.numbers or {})[axis]
            if numbers.get(axis) not in listed:
                return None
            at.append((axis, listed.index(numbers[axis])))
        return number, tuple(sorted(at))

    def _by_number(self, label: LabelFile) -> Place | None:
        """The place of a ``*`` that matches a number alone: a frame, if images have one axis."""
        for stem in label.stems:
            if not stem.isdecimal():
                continue
            places: list[Place] = []
            for number, one in enumerate(self.series):
                axes = one.along.replace("c", "")
                if len(axes) == 1 and int(stem) in (one.numbers or {})[axes]:
                    listed = (one.numbers or {})[axes]
                    places.append((number, ((axes, listed.index(int(stem))),)))
            if places:
                return self._nearest(label, places)
        return None

    def _by_start(self, label: LabelFile) -> Place | None:
        """The only image whose name begins with what a ``*`` matches: ``001`` of ``001cell``."""
        for stem in map(str.lower, label.stems):
            found = {
                place
                for key, places in self._files.items()
                if key.startswith(stem) and not (key[len(stem) :][:1] + stem[-1]).isdecimal()
                for place in places
            }
            if found:
                return self._nearest(label, sorted(found))
        return None

    def _nearest(self, label: LabelFile, places: list[Place]) -> Place:
        """The place in the image whose folder is nearest to the label's."""
        scored = sorted({(self._distance(label.name, number), number, at) for number, at in places})
        best = [s for s in scored if s[0] == scored[0][0]]
        if len({number for _, number, _ in best}) > 1:
            raise SourceError(
                "a label image matches several images",
                file=label.name,
                found=", ".join(self.series[n].files[0] for _, n, _ in best[:5]),
                hint="put the label images of each folder of images into one beside it, or leave the "
                "other images out with --exclude GLOB",
            )
        _, number, at = best[0]
        return number, at

    def _distance(self, name: str, number: int) -> tuple[int, int]:
        """Folders that a file and an image have in common, from the root and from the end, negated."""
        here, there = folder_of(name).split("/"), self.series[number].folder.split("/")
        return -_shared(here, there), -_shared(here[::-1], there[::-1])


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Equal elements at the start of two sequences."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _keys(stem: str) -> tuple[str, ...]:
    """A stem in lower case, and without the parts in which images and masks differ."""
    small = stem.lower()
    return tuple(dict.fromkeys([small, _IMAGE.sub("", small) or small]))
