"""Anyone's folder of pictures: TIFF, OME-TIFF, ImageJ, PNG, JPEG, BMP, with label pictures if any.

A file is an image, a TIFF of several series several; files numbered along t, z or c in a full grid
are one image. Axes, pixel size, time interval and channel names are those that files give.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ngff_bio.errors import ArgumentError, SourceError, SourceNotFoundError
from ngff_bio.formats.images.headers import EXTENSIONS, ImageHeader
from ngff_bio.formats.json.text import json_kind
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Frame, OnError, SourceDataset, SourceImage
from ngff_bio.sources.assembly import DOCUMENTS, base_of, placed, probe_all
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.label_layers import LabelKind, PlacedFile, label_grid, label_layer
from ngff_bio.sources.images.label_names import LabelFile, LabelRule, Partners, split_labels
from ngff_bio.sources.images.numbered import Naming, Series, find_series, stem_of
from ngff_bio.sources.images.opening import OpenedImage, open_series
from ngff_bio.sources.registry import Source

#: JSON files that are sniffed for annotations.
_SNIFFED_FILES = 16

#: An ending that is no part of what an image is called.
_OME = re.compile(r"\.ome(?=\.tiff?$)", re.IGNORECASE)


def detect(tree: FileTree) -> int:
    """A guess, where pictures lie without annotations of another kind."""
    names = tree.names()
    if not any(n.lower().endswith(EXTENSIONS) for n in names):
        return 0
    # The first JSON files show what the others are.
    listed = [n for n in names if n.lower().endswith(".json")][:_SNIFFED_FILES]
    return 0 if any(json_kind(tree.file(n)) for n in listed) else 1


def read(
    tree: FileTree,
    *,
    labels: str | Sequence[str] = (),
    axes: str | None = None,
    series: str | None = None,
    label_kind: LabelKind = "instance",
    on_error: OnError = "stop",
) -> SourceDataset:
    """All images, with the label pictures that belong to them.

    Parameters
    ----------
    labels
        ``NAME=GLOB`` for each label layer, in place of the conventions of names.
    axes
        What the axes of TIFFs are that do not say it: letters of t, c, z, y, x.
    series
        Axis (t, z or c) that a number at the end of names counts along; ``none`` if numbers in names
        mean nothing.
    label_kind
        Whether values of label pictures are objects (``instance``) or classes (``semantic``).

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If there is no picture.
    ngff_bio.errors.SourceError
        If a file is damaged, or labels do not fit their image.
    ngff_bio.errors.ArgumentError
        If an option is none.
    """
    if series not in (None, "t", "z", "c", "none"):
        raise ArgumentError(
            "a series is numbered along one axis", expected="t, z, c or none", found=series
        )
    if label_kind not in ("instance", "semantic"):
        raise ArgumentError(
            "labels are of objects or of classes", expected="instance or semantic", found=label_kind
        )
    rules = [LabelRule.parse(r) for r in ([labels] if isinstance(labels, str) else labels)]
    problems = Problems(on_error)
    reader = _Reader(tree, problems, axes, Naming.of(tree.names(), series), label_kind)
    found = placed(reader.images(rules))
    if not found:
        raise SourceNotFoundError(
            "no pictures are here",
            file=tree.origin,
            expected=f"files that end in {', '.join(EXTENSIONS)}",
            found="; ".join(n.what for n in problems.notices[:3]) or None,
            hint="name the folder that the pictures lie in",
        )
    return SourceDataset(
        name=stem_of(tree.origin.replace("\\", "/").rstrip("/")) or "images",
        source="images",
        origin=tree.origin,
        layout="image" if found[0].path == "" else "collection",
        images=found,
        notices=problems.gathered(),
    )


class _Reader:
    """Makes images of files, and notes what was passed over."""

    def __init__(
        self,
        tree: FileTree,
        problems: Problems,
        axes: str | None,
        naming: Naming,
        label_kind: LabelKind,
    ) -> None:
        self.tree = tree
        self.problems = problems
        self.axes = axes
        self.naming = naming
        self.label_kind = label_kind
        self.headers: dict[str, ImageHeader] = {}

    def images(self, rules: Sequence[LabelRule]) -> list[tuple[str, SourceImage]]:
        """Every image with its folder."""
        names = self.tree.names()
        pictures = [n for n in names if n.lower().endswith(EXTENSIONS)]
        for name in names:
            if not name.lower().endswith((*EXTENSIONS, *DOCUMENTS)):
                self.problems.skip("files that are no pictures", record=name)
        self.headers = probe_all(self.tree, pictures, self.problems)
        readable = [n for n in pictures if n in self.headers]
        plain, labels = split_labels(readable, rules)
        if not plain and not rules:
            # All are named like labels: of nothing, then.
            plain, labels = readable, []
        series = self._series(plain)
        layers, homeless = self._partners(series, labels)
        if homeless:
            series = [*series, *self._series(homeless)]
        self._tell_unlettered(series)
        found: list[tuple[str, SourceImage]] = []
        seen: set[str] = set()
        todo = list(series)
        for number, one in enumerate(todo):  # label pictures that are none are added while it runs
            if one.files[0] in seen:  # a part of a set that another file has opened
                for partners in layers.get(number, {}).values():
                    for _, file in partners:
                        self.problems.skip("labels of a later file of one image", record=file)
                continue
            with self.problems.caught():
                images = open_series(self.tree, one, self.headers, self.axes, self.problems)
                seen.update(f for image in images for f in image.files)
                made = [
                    self._image(one, opened, place if len(images) > 1 else None)
                    for place, opened in enumerate(images)
                ]
                if number in layers:
                    made, others = self._labelled(made, one, layers[number], asked=bool(rules))
                    todo += self._series(others)
                found += [(one.folder, image) for image in made]
        return _uniquely_named(found)

    def _series(self, names: Sequence[str]) -> list[Series]:
        return find_series(
            names, self.naming, self._unlike, lambda why, file: self.problems.note(why, record=file)
        )

    def _unlike(self, files: Sequence[str]) -> str | None:
        """Why numbered files cannot be one image."""
        headers = [self.headers[n] for n in files]
        first = headers[0]
        for header in headers:
            if (header.shape, header.dtype, header.axes, header.series) != (
                first.shape,
                first.dtype,
                first.axes,
                1,
            ):
                return "numbered files differ in size or kind"
        along = {a for n in files for a in self.naming.take_apart(stem_of(n)).numbers}
        twice = along & set(first.axes)
        varying = {
            a
            for a in twice
            if len({self.naming.take_apart(stem_of(n)).numbers[a] for n in files}) > 1
        }
        if varying:
            return f"numbered files have the axis {', '.join(sorted(varying))} within them too"
        return None

    def _tell_unlettered(self, series: Sequence[Series]) -> None:
        """Ask what a number at the end counts, where files of one kind differ in it alone."""
        if self.naming.last is not None:
            return
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        for one in series:
            stem = stem_of(one.files[0])
            if len(one.files) == 1 and stem[-1:].isdigit():
                groups[one.folder, stem.rstrip("0123456789")].append(one.files[0])
        for files in groups.values():
            if len(files) > 1 and self._unlike(files) is None:
                self.problems.note(
                    "files that differ in a number alone are separate images; if it counts time "
                    "points, planes or channels of one image, add -O series=t, z or c",
                    file=f"{files[0]} ... {base_of(files[-1])}",
                )

    def _partners(
        self, series: Sequence[Series], labels: Sequence[LabelFile]
    ) -> tuple[dict[int, dict[str, list[PlacedFile]]], list[str]]:
        """Label files by image and layer, each with its place; and those without an image."""
        partners = Partners(series, self.naming)
        found: dict[int, dict[str, list[PlacedFile]]] = {}
        homeless = []
        for label in labels:
            with self.problems.caught():
                place, layer = partners.find(label), label.layer
                if place is None and not label.asked:
                    place, layer = partners.find_named(label) or (None, layer)
                if place is None and label.asked and len(series) == 1 == len(labels):
                    place = (0, ())
                if place is None and label.asked:
                    raise SourceError(
                        "a label picture without its image",
                        file=label.name,
                        expected=f"an image named {' or '.join(label.stems)}",
                        found="no such image",
                        hint="let each star of the pattern stand for the name of an image",
                    )
                if place is None:
                    homeless.append(label.name)
                    self.problems.note(
                        "pictures named like labels, without an image of that name: they are taken as "
                        "images; say which are labels with --labels NAME=GLOB",
                        record=label.name,
                    )
                    continue
                number, at = place
                found.setdefault(number, {}).setdefault(layer, []).append((at, label.name))
        return found, homeless

    def _image(self, one: Series, opened: OpenedImage, place: int | None) -> SourceImage:
        own: dict[str, Any] = {}
        if opened.name and opened.name != one.name:
            own["name"] = opened.name
        name = one.name
        if place is not None:
            name = f"{stem_of(one.name)}_{opened.name or place}"
            own["series"] = place
        return SourceImage(
            path=_OME.sub("", name),
            name=name,
            axes=opened.axes,
            pixels=opened.pixels,
            channels=opened.channels,
            frames=_frames(one, opened),
            attributes={**opened.attributes, **own},
        )

    def _labelled(
        self,
        images: Sequence[SourceImage],
        one: Series,
        layers: Mapping[str, list[PlacedFile]],
        *,
        asked: bool,
    ) -> tuple[list[SourceImage], list[str]]:
        """The image with its layers; and files that only are named like labels of it."""
        if len(images) > 1:
            raise SourceError(
                "labels of a file that holds several images",
                file=one.files[0],
                expected="one image",
                found=len(images),
                hint="save its images to files of their own",
            )
        found, others = [], []
        for name, files in layers.items():
            with self.problems.caught():
                grid = label_grid(one, files, self.naming)
                layer = label_layer(
                    self.tree,
                    images[0],
                    name,
                    grid,
                    self.headers,
                    self.problems,
                    kind=self.label_kind,
                    asked=asked,
                )
                if layer is not None:
                    found.append(layer)
                    continue
                for file in grid.names:
                    self.problems.warn(
                        "pictures named like labels, of other axes than their image: they are taken "
                        "as images; say which are labels with --labels NAME=GLOB",
                        record=file,
                    )
                others += grid.names
        return [replace(images[0], labels=tuple(found))], others


def _frames(one: Series, opened: OpenedImage) -> tuple[Frame, ...]:
    """What is known of each file, or of each time point where the file tells times."""
    if len(one.files) > 1:
        frames = []
        for index, name in enumerate(one.files):
            at = one.place(index)
            numbers = {a: (one.numbers or {})[a][i] for a, i in at.items()}
            rest = {a: i for a, i in at.items() if a != "t"}
            frames.append(Frame(name=name, t=at.get("t", 0), record={**rest, "numbers": numbers}))
        return tuple(frames)
    if opened.elapsed_hours:
        return tuple(
            Frame(name=one.files[0], t=t, elapsed_hours=hours)
            for t, hours in enumerate(opened.elapsed_hours)
        )
    return tuple(Frame(name=name) for name in opened.files)


def _uniquely_named(found: list[tuple[str, SourceImage]]) -> list[tuple[str, SourceImage]]:
    """Images of one folder with names of their own: those of one name are numbered."""
    counts = Counter((folder, image.path) for folder, image in found)
    seen: Counter[tuple[str, str]] = Counter()
    named = []
    for folder, image in found:
        key = (folder, image.path)
        seen[key] += 1
        own = image if counts[key] == 1 else replace(image, path=f"{image.path}_{seen[key]}")
        named.append((folder, own))
    return named


SOURCE = Source(
    name="images",
    title="any folder of TIFF, OME-TIFF, ImageJ, PNG or JPEG images, with label images",
    layout="*.tif, *.png, *.jpg; numbered series as *_t001_z002_c1.tif; labels in masks/ or labels/, "
    "or named mask*, *_mask, *_label",
    detect=detect,
    read=read,
    options={
        "labels": "NAME=GLOB: files that are label images, and what the layer is called",
        "axes": "what the axes of TIFFs are that do not say it, as in tyx",
        "series": "axis (t, z, c) that a last number in file names counts along; none for no series",
        "label_kind": "whether values of label images are objects (instance) or classes (semantic)",
    },
)

#: Another name of the same source.
TIFF = replace(SOURCE, name="tiff", title="the same as images", detect=lambda tree: 0)
