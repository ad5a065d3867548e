"""The files of a YOLO dataset that name its classes, and the images of its splits."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ngff_bio.errors import SourceError
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.text import text_of
from ngff_bio.formats.yolo.classes import (
    SPLITS,
    YoloClasses,
    read_data,
    read_names,
    read_yaml,
)
from ngff_bio.sources.annotated.pairing import ImageFinder
from ngff_bio.sources.assembly import base_of, folder_of
from ngff_bio.sources.files.tree import FileTree

YAML = re.compile(r"\.ya?ml$", re.IGNORECASE)
_DATA = re.compile(r"\.data$", re.IGNORECASE)
NAMES = re.compile(
    r"\.names$|(^|/)(predefined_)?classes\.txt$|(^|/)_darknet\.labels$", re.IGNORECASE
)


class YoloLists:
    """The files that name classes and splits: ``data.yaml``, ``obj.data``, lists of names.

    Attributes
    ----------
    read
        Text of each file that was read, by name.
    used
        Names of these files and of lists of images.
    classes
        What they state.
    records
        For each image file, its line in lists of images and the number of it, by the name of the list.

    Raises
    ------
    ngff_bio.errors.SourceError
        If one is damaged, or two disagree.
    """

    def __init__(self, tree: FileTree, names: Sequence[str], problems: Problems) -> None:
        self._tree, self._names, self._problems = tree, names, problems
        self.read: dict[str, str] = {}
        self.used: set[str] = set()
        self.records: dict[str, dict[str, dict[str, list[int | str]]]] = {}
        found = [*self._yaml(), *self._data()]
        if not any(one.names for one in found):
            for name in filter(NAMES.search, names):
                found.append(read_names(tree.file(name)))
                self._keep(name)
        self.classes = _agreed(found)

    def splits(self, finder: ImageFinder) -> dict[str, list[str]]:
        """Splits of each image file: those that a file lists, else the names of its folders."""
        found: dict[str, list[str]] = defaultdict(list)
        for split, places in self.classes.splits.items():
            for place in places:
                for image in self._images(place, finder):
                    found[image].append(split)
        for image in finder.names:
            if image not in found:
                parts = folder_of(image).lower().split("/")
                found[image] = [p for p in parts if p in SPLITS][:1]
        return {n: list(dict.fromkeys(s)) for n, s in found.items()}

    def _keep(self, name: str) -> None:
        self.used.add(name)
        self.read[name] = text_of(self._tree.file(name), "the dataset file")

    def _yaml(self) -> Iterator[YoloClasses]:
        for name in filter(YAML.search, self._names):
            found = read_yaml(self._tree.file(name))
            if found is not None:
                self._keep(name)
                yield found

    def _data(self) -> Iterator[YoloClasses]:
        for name in filter(_DATA.search, self._names):
            data = read_data(self._tree.file(name))
            self._keep(name)
            base = base_of(data.get("names", ""))
            listed = [n for n in self._names if base and base_of(n) == base]
            classes = YoloClasses()
            if len(listed) == 1:
                classes = read_names(self._tree.file(listed[0]))
                self._keep(listed[0])
            yield replace(classes, splits={k: [v] for k, v in data.items() if k in SPLITS})

    def _images(self, place: str, finder: ImageFinder) -> list[str]:
        """Image files of a folder or a list, whose path may begin outside of the source."""
        parts = [p for p in place.replace("\\", "/").split("/") if p not in ("", ".", "..")]
        if place.lower().endswith(".txt"):
            lists = [n for n in self._names if base_of(n) == parts[-1]]
            best = [n for n in lists if f"/{n}".endswith("/" + "/".join(parts))] or lists
            if len(best) == 1:
                return self._listed(best[0], finder)
        for start in range(max(len(parts) - 1, 1)):
            images = finder.ending_with("/".join(parts[start:]))
            if images:
                return images
        self._problems.note("a split names files that are not there", record=place)
        return []

    def _listed(self, name: str, finder: ImageFinder) -> list[str]:
        again = name in self.used
        self.used.add(name)
        found = []
        lines = text_of(self._tree.file(name), "the list of images").splitlines()
        for number, line in enumerate(lines):
            image = finder.find(line, folder_of(name)) if line.strip() else None
            if image is not None:
                self.records.setdefault(image, {"lists": {}})["lists"][name] = [number, line]
                found.append(image)
            elif line.strip() and not again:
                self._problems.skip("listed images are not there", name, line)
        return found


def _agreed(found: Sequence[YoloClasses]) -> YoloClasses:
    """All that files state, which must name the same classes."""
    named = [one for one in found if one.names] or [*found, YoloClasses()]
    for other in named[1:]:
        if other.names != named[0].names:
            raise SourceError(
                "two files name the classes differently",
                file=other.file,
                expected=f"the classes of {named[0].file}",
                found=", ".join(other.names.values())[:80],
                hint="name the folder of one dataset, or remove one of the files",
            )
    splits = {split: places for one in found for split, places in one.splits.items()}
    return replace(named[0], splits=splits)
