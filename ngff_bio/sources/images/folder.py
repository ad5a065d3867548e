"""Any folder of image files: TIFF, OME-TIFF, ImageJ, PNG, JPEG, BMP, and label images among them.

A file is an image, a TIFF of several series several; files numbered along t, z or c in a full grid
are one image. Axes, pixel size, time interval and channel names are those that files state.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ngff_bio.errors import ArgumentError, SourceError, SourceNotFoundError
from ngff_bio.formats.images.headers import EXTENSIONS, ImageHeader
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.tiff.images import check_axes
from ngff_bio.model import SourceDataset, SourceImage
from ngff_bio.sources.assembly import (
    base_of,
    dataset_of,
    folder_of,
    image_files,
    probe_all,
    stem_of,
)
from ngff_bio.sources.calibration import with_channel_names
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.label_kinds import LabelKinds
from ngff_bio.sources.images.label_layers import PlacedFile, label_grid, label_layer
from ngff_bio.sources.images.label_names import (
    LabelFile,
    LabelRule,
    Partners,
    by_content,
    by_convention,
    layer_name,
    split_labels,
)
from ngff_bio.sources.images.mask_content import find_masks
from ngff_bio.sources.images.numbered import Naming, Series, find_series, word_in
from ngff_bio.sources.images.opening import open_series, series_images
from ngff_bio.sources.plate.names import almost_plate, wells_in
from ngff_bio.sources.registry import Source

#: JSON files that are sniffed for annotations: the first ones show what the others are.
_SNIFFED_FILES = 16

#: Colors and stains that channels are named by.
_CHANNEL = (
    "red|green|blue|dapi|hoechst|e?gfp|[yrc]fp|m?cherry|cy[357]|fitc|tritc|bf|brightfield|phase|dic"
)

_MEANING = {"t": "time points", "c": "channels", "z": "planes"}


def detect(tree: FileTree) -> int:
    """1 if there are image files, and no annotations of a known format."""
    names = tree.names()
    listed = [n for n in names if n.lower().endswith(".json")][:_SNIFFED_FILES]
    return int(bool(image_files(names)) and not any(tree.json_kind(n) for n in listed))


def read(
    tree: FileTree,
    problems: Problems,
    *,
    labels: str | Sequence[str] = (),
    axes: str | None = None,
    series: str | None = None,
    label_kind: str | Sequence[str] = (),
    tracked: bool = False,
) -> SourceDataset:
    """All images, with the label images that belong to them.

    Parameters
    ----------
    labels
        ``NAME=GLOB`` for each label layer, in place of the conventions of names; ``none`` if all files
        are images, whatever their names.
    axes
        Axes of TIFFs that do not state them: letters of t, c, z, y, x.
    series
        Axis (t, z or c) that a number at the end of names counts along; ``c=red,green`` if names of
        files or folders differ in these channels; ``none`` if numbers in names mean nothing.
    label_kind
        Whether values of label images are objects (``instance``) or classes (``semantic``), or
        their connected regions are objects (``objects``); ``LAYER=KIND`` for one layer. By default
        values are objects, but a mask, with one value besides 0, is semantic.
    tracked
        Whether equal values on two time points are one object, and not two.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If there is no image file.
    ngff_bio.errors.SourceError
        If a file is damaged, or labels do not fit their image.
    ngff_bio.errors.ArgumentError
        If an option is wrong.
    """
    if series not in (None, "t", "z", "c", "none") and not re.match("c=[^,]", series or ""):
        raise ArgumentError(
            "the option series is not an axis",
            expected="t, z, c, c=RED,GREEN,... or none",
            found=series,
        )
    check_axes(axes)
    kinds = LabelKinds.parse(label_kind)
    listed = [labels] if isinstance(labels, str) else list(labels)
    rules = [LabelRule.parse(r) for r in listed] if listed != ["none"] else []
    by_names = not listed
    names = tree.names()
    images = image_files(names)
    headers = probe_all(tree, images, problems)
    if wells := wells_in(headers):
        problems.note(
            "the names of all files contain a well: --pattern with groups makes them a plate, such as "
            "'(?P<well>[A-P][0-9]+)_(?P<field>[0-9]+)_(?P<channel>[^_.]+)'",
            record=f"{len(wells)} wells",
        )
    if (unlike := almost_plate(list(headers))) is not None:
        problems.note(unlike[0], record=unlike[1])
    reader = _Reader(tree, problems, axes, Naming.of(names, series), headers)
    within = f"{stem_of(base_of(tree.origin.rstrip('/')))}/"
    top = not any(map(folder_of, headers))
    if (
        top
        and by_names
        and headers
        and by_convention(within)
        and not any(map(by_convention, headers))
    ):
        problems.fail(_unpaired_labels(list(headers)), len(headers))
    found = kinds.settle(reader.images(rules, by_names), problems, tracked=tracked)
    if not found:
        raise SourceNotFoundError(
            "no image files found",
            file=tree.origin,
            expected=f"files that end in {', '.join(EXTENSIONS)}",
            found="; ".join(n.what for n in problems.notices[:3]) or None,
            hint="name the folder that holds the image files",
        )
    if tracked and not any(x.tracked for _, i in found for x in i.labels):
        raise ArgumentError(
            "there are no labels of a time series to track",
            file=tree.origin,
            expected="an image with axis t and label images of its frames",
            hint="convert without --tracked, or number the frames of one image with --series t",
        )
    listed = [frame.name for _, image in found for frame in image.frames]
    return dataset_of(tree, "images", found, read_files=listed)


#: Label files of an image by layer, each with its place.
_Layers = dict[str, list[PlacedFile]]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the images of a folder, and reports what it does not convert."""

    tree: FileTree
    problems: Problems
    axes: str | None
    naming: Naming
    headers: Mapping[str, ImageHeader]

    def images(
        self, rules: Sequence[LabelRule], by_names: bool = False
    ) -> list[tuple[str, SourceImage]]:
        """Every image with its folder; label images are those of `rules`, or known by their names."""
        plain, labels = split_labels(list(self.headers), rules, by_names)
        looks = set(find_masks(self.tree, self.headers, plain)) if by_names else set()
        labels += [by_content(name) for name in sorted(looks)]
        plain = [name for name in plain if name not in looks]
        series = self._series(plain)
        layers = self._partners(series, labels)
        self._note_numbers(series)
        self._note_channels(series)
        found: list[tuple[str, SourceImage]] = []
        seen: set[str] = set()
        for number, one in enumerate(series):
            if one.files[0] in seen:  # a part of a set that another file has opened
                for partners in layers.get(number, {}).values():
                    for _, file in partners:
                        self.problems.skip("labels of a later file of one image", record=file)
                continue
            with self.problems.caught():
                opened = open_series(self.tree, one, self.headers, self.axes)
                for image in opened:
                    seen.update(image.files)
                    self.problems.notices.extend(image.notices)
                images = self._with_channels(one, series_images(one, opened))
                if number in layers:
                    images = self._labelled(images, one, layers[number], asked=bool(rules))
                found += [(one.folder, image) for image in images]
        return _numbered_names(found)

    def _series(self, names: Sequence[str]) -> list[Series]:
        found = find_series(
            names, self.naming, self._unlike, lambda why, file: self.problems.note(why, record=file)
        )
        for one in found:
            if len(one.files) > 1:
                axes = " and ".join(f"{a} ({_MEANING[a]})" for a in one.along)
                if self.naming.words and one.along == "c":
                    continue  # which the user has asked for
                if one.channels:
                    axes += f" (in this order: {', '.join(one.channels)})"
                self.problems.note(
                    f"numbered files are joined into one image, by the numbers of {axes} in their "
                    "names; if they are separate images, add --series none",
                    record=f"{one.files[0]} ... {base_of(one.files[-1])}: {len(one.files)} files",
                )
        return found

    def _unlike(self, files: Sequence[str]) -> str | None:
        """Why numbered files cannot be one image."""
        headers = [self.headers[n] for n in files]
        kinds = {(h.shape, h.dtype, h.axes) for h in headers}
        if len(kinds) > 1 or any(h.series > 1 for h in headers):
            return "numbered files differ in size or kind"
        numbers = [self.naming.parse(n)[1].numbers for n in files]
        varying = {a for a in headers[0].axes if len({n.get(a) for n in numbers}) > 1}
        if varying:
            return f"numbered files have the axis {', '.join(sorted(varying))} within them too"
        return None

    def _with_channels(self, one: Series, images: list[SourceImage]) -> list[SourceImage]:
        """Images of files that were joined by the names of channels, with these names."""
        if not self.naming.words or not one.channels:
            return images
        return [with_channel_names(image, one.channels) for image in images]

    def _note_channels(self, series: Sequence[Series]) -> None:
        """Name the option that joins files which differ in a color or a stain alone."""
        if self.naming.words or self.naming.last is not None:
            return
        groups: dict[str, dict[str, str]] = defaultdict(dict)
        for one in series:
            name = one.files[0]
            words = word_in(_CHANNEL, name)
            if len(one.files) == len(words) == 1:
                rest = name[: words[0].start()], name[words[0].end() :]
                groups["*".join(rest)][words[0][0]] = name
        found: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for files in groups.values():
            if len(files) > 1 and self._unlike([*files.values()]) is None:
                found[tuple(files)].append(next(iter(files.values())))
        for channels, names in found.items():
            self.problems.note(
                "files that differ in the name of a channel alone are separate images; to join them, "
                f"add --series c={','.join(channels)}",
                record=f"{names[0]}: {len(names)} images of {len(channels)} channels",
            )

    def _note_numbers(self, series: Sequence[Series]) -> None:
        """Ask for the meaning of a number at the end, if similar files differ in it alone."""
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
                    "points, planes or channels of one image, add --series t, --series z or --series c",
                    file=f"{files[0]} ... {base_of(files[-1])}",
                )

    def _partners(
        self, series: Sequence[Series], labels: Sequence[LabelFile]
    ) -> dict[int, _Layers]:
        """Label files by image and layer.

        Those without an image are an error: they are never taken as images.
        """
        partners = Partners(series, self.naming)
        found: dict[int, _Layers] = {}
        unmatched: list[LabelFile] = []
        for label in labels:
            with self.problems.caught():
                place, layer = partners.find(label), label.layer
                if place is None and not label.asked:
                    place, layer = partners.find_named(label) or (None, layer)
                if place is None and label.asked and len(series) == 1 == len(labels):
                    place = (0, ())
                if place is None and label.asked:
                    raise SourceError(
                        "a label image without its image",
                        file=label.name,
                        expected=f"an image named {' or '.join(label.stems)}",
                        found="no such image",
                        hint="a `*` of the pattern must match the name of an image, or its beginning",
                    )
                if place is None and (place := partners.find_beside(label)) is not None:
                    # Of several in a folder each has a layer of its own.
                    near = [x for x in labels if folder_of(x.name) == folder_of(label.name)]
                    if len(near) > 1 or label.looks:
                        layer = layer_name(stem_of(label.name).lower())
                if place is None:
                    unmatched.append(label)
                else:
                    if label.looks:
                        self.problems.note(
                            "files that look like label images are labels of the image of their "
                            "name; to convert them as images, add --labels none",
                            record=label.name,
                        )
                    files = found.setdefault(place[0], {}).setdefault(layer, [])
                    files.append((place[1], label.name))
        if unmatched:
            names = [label.name for label in unmatched]
            how = "that look" if all(label.looks for label in unmatched) else "named"
            self.problems.fail(_unpaired_labels(names, how), len(names))
        return found

    def _labelled(
        self, images: list[SourceImage], one: Series, layers: _Layers, *, asked: bool
    ) -> list[SourceImage]:
        """The image with its layers."""
        if len(images) > 1:
            raise SourceError(
                "labels of a file that contains several images",
                file=one.files[0],
                expected="one image",
                found=len(images),
                hint="save its images to separate files",
            )
        found = []
        for name, files in layers.items():
            with self.problems.caught():
                grid = label_grid(one, files, self.naming)
                layer = label_layer(
                    self.tree, images[0], name, grid, self.headers, self.problems, asked=asked
                )
                found.append(layer)
        return [replace(images[0], labels=tuple(found))]


def _unpaired_labels(names: Sequence[str], how: str = "named") -> SourceError:
    """The error for files that are named like label images, or look so, and match no image."""
    folders = sorted({folder_of(n) for n in names})
    hint = (
        "if they are images, convert all files as images with --labels none; label images are named "
        "like their image, or selected with --labels NAME=GLOB, where `*` is the name of the image or "
        "its beginning; leave others out with --exclude GLOB"
    )
    return SourceError(
        "label images without their image",
        file=names[0],
        expected="an image of the same name, as in images/a.png and masks/a.png, or a folder for each "
        "image with image.png and mask.png",
        found=f"{len(names)} files {how} like label images, in "
        + ", ".join(f or "the top folder" for f in folders[:3])
        + (f" and {len(folders) - 3} more folders" if len(folders) > 3 else ""),
        hint=hint,
    )


def _numbered_names(found: list[tuple[str, SourceImage]]) -> list[tuple[str, SourceImage]]:
    """Images of one folder with unique names: those of one name are numbered."""
    counts = Counter((folder, image.path) for folder, image in found)
    seen: Counter[tuple[str, str]] = Counter()
    named = []
    for folder, image in found:
        key = (folder, image.path)
        seen[key] += 1
        if counts[key] > 1:
            image = replace(image, path=f"{image.path}_{seen[key]}")
        named.append((folder, image))
    return named


SOURCE = Source(
    name="images",
    title="any folder of TIFF, OME-TIFF, ImageJ, PNG or JPEG images, with label images",
    layout="*.tif, *.png, *.jpg; numbered series as *_t001_z002_c1.tif; labels in masks/ or labels/, "
    "or named mask*, *_mask, *_label",
    detect=detect,
    read=read,
    options={
        "labels": "NAME=GLOB: files that are label images, and the layer's name; none: no file is",
        "axes": "axes of TIFFs that do not state them, as in tyx",
        "series": "axis (t, z, c) of a last number in names; c=RED,GREEN for names of channels; none",
        "label_kind": "[LAYER=]KIND: values of label images are objects (instance) or classes "
        "(semantic), or connected regions are objects (objects)",
        "tracked": "whether equal label values on two time points are one object",
    },
)

#: Another name of the same source.
TIFF = replace(SOURCE, name="tiff", title="the same as images", detect=lambda tree: 0)
