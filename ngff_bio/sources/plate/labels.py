"""Label images and lists of splits of the fields of a plate, as the Broad Bioimage Benchmark Collection
has them: BBBC006 (``BBBC006_v1_labels/plate_a01_s1.png``) and BBBC039 (``masks``, ``metadata``).

Label images of BBBC039 have a few colors: touching objects differ, others may have the same one, so
that objects are the connected regions of each color (https://bbbc.broadinstitute.org/BBBC039). Those
of BBBC006 are of plane 16 of its stacks.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.components import components_of
from ngff_bio.formats.images.composed import stack_pixels
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.images.label_pixels import fit_labels, open_label_image
from ngff_bio.formats.images.mapped_labels import label_colors, mapped_labels
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.text import text_of
from ngff_bio.model import Pixels, VolumeLayer
from ngff_bio.model.splits import standard_split
from ngff_bio.sources.assembly import base_of, image_files, stem_of
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.label_names import by_convention
from ngff_bio.sources.plate.fields import Field
from ngff_bio.sources.plate.planes import well_of

_PLACE = re.compile(r"(?:^|_)(?P<well>[A-P]\d\d?)_(?:s|f|site|field)(?P<field>\d+)", re.IGNORECASE)

#: Stacks whose label images are of one plane, by the start of names, and the number of this plane.
_IN_FOCUS = {"BBBC006": 16}


def plane_files(names: Sequence[str]) -> list[str]:
    """Image files that are not named like label images of a field."""
    return [n for n in image_files(names) if not _is_label(n)]


def label_files(names: Sequence[str]) -> list[str]:
    """Image files that are named like label images of a field."""
    return [n for n in image_files(names) if _is_label(n)]


def _is_label(name: str) -> bool:
    return by_convention(name) is not None and _PLACE.search(stem_of(name)) is not None


@dataclass(frozen=True, slots=True)
class FieldLabels:
    """Adds label images, of which `headers` are, and splits to the fields of a plate."""

    tree: FileTree
    problems: Problems
    headers: Mapping[str, ImageHeader]

    def added(self, fields: Sequence[Field]) -> tuple[list[Field], list[str]]:
        """The fields with their labels and splits; the lists that were read."""
        layers: dict[tuple[str, int, int], list[VolumeLayer]] = defaultdict(list)
        places = {(f.row, f.column, f.number): f for f in fields}
        if len(places) < len(fields) and self.headers:
            raise SourceError(
                "label images of a plate with several acquisitions",
                file=next(iter(self.headers)),
                hint="convert each acquisition by itself, or leave out the label images with "
                "--exclude GLOB",
            )
        for name in self.headers:
            with self.problems.caught():
                match = _PLACE.search(stem_of(name))
                well = None if match is None else well_of(match["well"])
                key = ("", 0, 0) if well is None or match is None else (*well, int(match["field"]))
                if key not in places:
                    raise SourceError(
                        "a label image without its field",
                        file=name,
                        expected="image files of its well and field",
                        found="no such field",
                        hint="add them, or leave out the label image with --exclude GLOB",
                    )
                layers[key].append(self._layer(name, places[key]))
        stems = {stem_of(p.file) for f in fields for _, p in f.planes}
        splits, lists = self._splits(stems)
        return [self._with(f, layers, splits) for f in fields], lists

    def _with(
        self,
        field: Field,
        layers: Mapping[tuple[str, int, int], list[VolumeLayer]],
        splits: Mapping[str, list[str]],
    ) -> Field:
        own = dict.fromkeys(s for _, p in field.planes for s in splits.get(stem_of(p.file), ()))
        more = layers.get((field.row, field.column, field.number), ())
        frames = tuple(replace(f, splits=(*f.splits, *own)) for f in field.image.frames)
        labels = (*field.image.labels, *more)
        return replace(field, image=replace(field.image, labels=labels, frames=frames))

    def _layer(self, name: str, field: Field) -> VolumeLayer:
        file, header = self.tree.file(name), self.headers[name]
        pixels: Pixels
        colored = header.samples >= 3
        if colored:
            source, counts, _ = label_colors(file, header, self.tree.limits)
            table = {color: n for n, color in enumerate(sorted({0, *counts}))}
            mask = mapped_labels(source, counts, table, name, "any colors")
            pixels, _ = components_of(mask, frames=False, file=name, each_value=True)
            letters = "yx"
            self.problems.note(
                "objects are the connected regions of each color of label images", record=name
            )
        else:
            pixels, letters = open_label_image(file, header, self.tree.limits)
        image = field.image
        planes = dict(zip(image.axis_names, image.pixels.shape, strict=True)).get("z", 1)
        about: dict[str, object] = {"files": [name]}
        if planes > 1 and letters == "yx":
            number = next((n for k, n in _IN_FOCUS.items() if name.find(k) >= 0), None)
            at = next((i for (_, _, i), p in field.planes if p.z == number), None)
            if at is None:
                raise SourceError(
                    "a label image of one plane, and a field of several",
                    file=name,
                    expected=f"a label image of {planes} planes",
                    found="one of rows x columns",
                    hint="leave out the label images with --exclude GLOB, or the other planes",
                )
            parts = [pixels if i == at else None for i in range(planes)]
            stack = stack_pixels(parts, letters, "z", [planes], [name] * planes)
            pixels, letters = stack, stack.axes
            about["annotated_planes"] = [[0, at]]
            self.problems.note("label images are of one plane: labels are 0 on others", record=name)
        fitted, most = fit_labels(pixels, letters, name, image)
        known = by_convention(name)
        layer = known.layer if known is not None else "labels"
        return VolumeLayer(layer, fitted, "instance", most, attributes=about)

    def _splits(self, stems: set[str]) -> tuple[dict[str, list[str]], list[str]]:
        """Splits by the stem of an image file, and the lists of files that state them."""
        found: dict[str, list[str]] = defaultdict(list)
        lists = []
        for name in self.tree.names():
            split = base_of(name).rpartition(".")[0]
            if name.lower().endswith(".txt") and standard_split(split):
                words = text_of(self.tree.file(name), "the list of images").split()
                if {*map(stem_of, words)} <= stems:
                    lists.append(name)
                    for word in words:
                        found[stem_of(word)].append(split)
        return found, lists
