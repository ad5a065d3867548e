"""COCO stuff: a label image of classes for each image, besides or instead of annotation files.

``stuff_NAME_pixelmaps/*.png`` (https://cocodataset.org/#stuff-2017) have ids of categories, 0 for no
class. ``stuffthingmaps/*/*.png`` of COCO-Stuff (https://github.com/nightrome/cocostuff) have ids less
1, and 255 for no class; ``labels.txt`` names them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.headers import probe_image
from ngff_bio.formats.images.mapped_labels import label_colors, mapped_labels, refuse_other_size
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.text import text_of
from ngff_bio.model import Category, PixelArray, VolumeLayer
from ngff_bio.sources.annotated.pairing import ImageFinder
from ngff_bio.sources.assembly import image_files, without_image
from ngff_bio.sources.files.tree import FileTree

LAYER = "stuff"

_MAP = re.compile(r"(?:^|/)(?:stuff_\w+_pixelmaps|stuffthingmaps(?:_\w+)?)/.*\.png$", re.IGNORECASE)
_LESS_ONE = re.compile(r"(?:^|/)stuffthingmaps", re.IGNORECASE)
_LABELS = re.compile(r"(?:^|/)labels\.txt$", re.IGNORECASE)
_LINE = re.compile(r"\s*(\d+)\s*:\s*(.+?)\s*$")

#: Value of pixels of no class in ``stuffthingmaps``.
_NONE = 255


def values_in_file(values: PixelArray, name: str) -> NDArray[np.uint8]:
    """Pixels of a label image of that name, from ids of classes."""
    if not _LESS_ONE.search(name):
        return values.astype(np.uint8)
    return np.where(values == 0, _NONE, values.astype(np.int64) - 1).astype(np.uint8)


def stuff_maps(names: Iterable[str]) -> list[str]:
    """Names of the label images of COCO stuff."""
    return [n for n in image_files(names) if _MAP.search(n)]


def label_files(names: Iterable[str]) -> list[str]:
    """Names of the files that name classes of COCO-Stuff."""
    return [n for n in names if _LABELS.search(n)]


def label_names(tree: FileTree, name: str) -> tuple[Category, ...]:
    """Classes of a ``labels.txt``: ``id: name`` in each line, 0 for no class."""
    classes: dict[int, str] = {}
    lines = text_of(tree.file(name), "the list of classes").splitlines()
    for number, line in enumerate(lines, 1):
        found = _LINE.match(line)
        if found is not None and int(found[1]) not in classes:
            classes[int(found[1])] = found[2]
        elif line.strip():
            raise SourceError(
                "a line of the list of classes cannot be used",
                file=name,
                record=f"line {number}",
                expected="id: name, each id once",
                found=line.strip()[:80],
                hint="correct the line, or leave out the file with --exclude",
            )
    return tuple(Category(value, text) for value, text in classes.items() if value)


@dataclass(slots=True)
class StuffMaps:
    """Label images by image file, and the classes that they have."""

    tree: FileTree
    of: dict[str, str]
    categories: tuple[Category, ...]

    @classmethod
    def find(
        cls,
        tree: FileTree,
        maps: Sequence[str],
        images: Sequence[str],
        categories: Sequence[Category],
        problems: Problems,
    ) -> StuffMaps:
        """Pair label images with image files of their name."""
        finder = ImageFinder(images)
        found = {}
        for name in maps:
            image = finder.of_stem(name)
            if image is None:
                problems.fail(without_image(name, "of this name", what="label images"))
            else:
                found[image] = name
        return cls(tree, found, tuple(categories))

    def layer(self, image: str, size: tuple[int, int]) -> VolumeLayer | None:
        """The layer of an image file of a (height, width).

        Raises
        ------
        ngff_bio.errors.SourceError
            If the label image is damaged, of another size, or has values of no class.
        """
        name = self.of.get(image)
        if name is None:
            return None
        file = self.tree.file(name)
        header = probe_image(file, self.tree.limits)
        refuse_other_size(name, header.size, size)
        source, counts, _ = label_colors(file, header, self.tree.limits)
        ids = [c.id for c in self.categories if isinstance(c.id, int)] or list(range(1, _NONE))
        table = {0: 0, **{i: i for i in ids}}
        if _LESS_ONE.search(name):
            table = {_NONE: 0, **{i - 1: i for i in ids}}
        pixels = mapped_labels(source, counts, table, name, "ids of the categories")
        most = int(pixels.values.max(initial=0))
        classes = tuple(c for c in self.categories if isinstance(c.id, int))
        return VolumeLayer(LAYER, pixels, "semantic", most, classes, attributes={"files": [name]})
