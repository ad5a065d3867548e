"""Class and object label images of Pascal VOC, and the palettes that they are coded with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ngff_bio.formats.images.headers import probe_image
from ngff_bio.formats.images.mapped_labels import label_colors, mapped_labels, refuse_other_size
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.text import text_of
from ngff_bio.formats.voc import CLASSES, VOID, color_of, label_map
from ngff_bio.model import Category, LabelLayer, VolumeLayer
from ngff_bio.sources.files.tree import FileTree

CLASS_LAYER, OBJECT_LAYER = "segmentation_class", "segmentation_object"


@dataclass(frozen=True, slots=True)
class Palette:
    """Class names by value from 1 on (0 is the background), their colors, and the file with them."""

    names: tuple[str, ...]
    colors: Mapping[int, int]
    file: str | None = None
    text: str | None = None

    @classmethod
    def of(cls, tree: FileTree, name: str | None, used: set[str]) -> Palette:
        """Of ``labelmap.txt``, as CVAT writes it, or ``class_names.txt`` of labelme; else VOC's own."""
        default = {_packed(color_of(v)): v for v in range(256)}
        if name is None:
            known = CLASSES if used <= {*CLASSES} else ()
            return cls(known, default)
        text = text_of(tree.file(name), "the label map")
        if name.lower().endswith("class_names.txt"):  # the background first
            listed = [line.strip() for line in text.splitlines() if line.strip()]
            return cls(tuple(listed[1:]), default, name)
        pairs = label_map(text, name)
        colors = {0: 0, _packed(color_of(VOID)): VOID}
        colors |= {_packed(color): value for value, (_, color) in enumerate(pairs, 1)}
        names = [label for label, _ in pairs]
        return cls(tuple(names), colors, name, text)

    def color_of(self, name: str) -> tuple[int, int, int, int] | None:
        """Color of a class in the label images."""
        value = self.names.index(name) + 1
        found = (c for c, v in self.colors.items() if v == value)
        return next(((c >> 16, c >> 8 & 255, c & 255, 255) for c in found), None)

    @property
    def categories(self) -> tuple[Category, ...]:
        """The classes with the values of label images."""
        classes = (Category(v, n, self.color_of(n)) for v, n in enumerate(self.names, 1))
        return (*classes, Category(VOID, "void"))


def _packed(color: tuple[int, int, int]) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


@dataclass(frozen=True, slots=True)
class LabelImages:
    """Makes label layers of the class and object images of an image file."""

    tree: FileTree
    palette: Palette
    files: Mapping[str, Mapping[str, str]]
    problems: Problems

    def layers(self, name: str, size: tuple[int, int]) -> list[LabelLayer]:
        """The layers of an image file of a size."""
        found: list[LabelLayer] = []
        for layer, file in sorted(self.files.get(name, {}).items()):
            with self.problems.caught():
                one = self._layer(layer, file, size, bool(found))
                found.append(one)
        return found

    def _layer(self, layer: str, name: str, size: tuple[int, int], classed: bool) -> VolumeLayer:
        file = self.tree.file(name)
        header = probe_image(file, self.tree.limits)
        refuse_other_size(name, header.size, size)
        source, counts, colored = label_colors(file, header, self.tree.limits)
        objects = layer == OBJECT_LAYER
        if not colored:
            most = 65535 if objects or not self.palette.names else len(self.palette.names)
            table = {v: v for v in range(most + 1)} | {VOID: VOID}
            palette = f"0 to {most}, or {VOID} for void"
        elif objects:
            table = {_packed(color_of(v)): v for v in range(256)}
            palette = "colors of the palette of Pascal VOC"
        else:
            table = dict(self.palette.colors)
            palette = f"colors of {self.palette.file or 'the palette of Pascal VOC'}"
        if objects:
            if any(table.get(v) == VOID for v in counts):
                self.problems.note(
                    f"void pixels ({VOID}) of object images are background; class images have them",
                    record=name,
                )
            table = {k: 0 if v == VOID else v for k, v in table.items()}
        pixels = mapped_labels(source, counts, table, name, palette)
        categories = self.palette.categories
        unnamed = {*pixels.values.tolist()} - {0, *(c.id for c in categories)}
        if unnamed and not objects:
            self.problems.note(
                "classes of label images without a name: they are named by their value; a file "
                "labelmap.txt or class_names.txt has the names",
                record=f"{name}: {', '.join(map(str, sorted(unnamed)))}"[:80],
            )
            categories += tuple(Category(v, str(v)) for v in sorted(unnamed))
        return VolumeLayer(
            layer,
            pixels,
            "instance" if objects else "semantic",
            int(pixels.values.max(initial=0)),
            categories=categories,
            classes=CLASS_LAYER if objects and classed else None,
            attributes={"files": [name]},
        )
