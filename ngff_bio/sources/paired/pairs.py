"""Images with their label images as a dataset: what layouts of pairs have in common.

A layout finds which files are an image, its channels and its labels; here they are opened, compared
in shape, and made into images of the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ngff_bio.errors import SourceError
from ngff_bio.formats.arrays.image import ArrayImage
from ngff_bio.formats.arrays.opening import is_array_file, open_array
from ngff_bio.formats.images.composed import stack_pixels
from ngff_bio.formats.images.headers import ImageHeader
from ngff_bio.formats.images.label_pixels import LossyMask, fit_labels, open_label_image
from ngff_bio.formats.problems import Problems
from ngff_bio.model import (
    Axis,
    Category,
    Channel,
    Frame,
    LabelLayer,
    Pixels,
    SourceDataset,
    SourceImage,
    VolumeLayer,
)
from ngff_bio.sources.assembly import base_of, dataset_of, folder_of, probe_all
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.mask_content import masks_among
from ngff_bio.sources.images.numbered import Series
from ngff_bio.sources.images.opening import open_series, series_images


@dataclass(frozen=True, slots=True)
class Labels:
    """A label image of an image.

    Parameters
    ----------
    layer
        Name of the label layer.
    file
        An image file, or a file of arrays.
    kind, categories, classes
        As in `VolumeLayer`.
    values
        All values that may occur besides 0; empty if they are not listed.
    """

    layer: str
    file: str
    kind: Literal["semantic", "instance"] = "instance"
    categories: tuple[Category, ...] = ()
    classes: str | None = None
    values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and what belongs to it.

    Parameters
    ----------
    folder, path
        Folder of its group in the store, and its name.
    files
        Its file, or one for each channel.
    labels
        Its label images.
    channels
        Names of its channels.
    layers
        Further label layers, ready.
    splits, record
        Of its frame.
    """

    folder: str
    path: str
    files: tuple[str, ...]
    labels: tuple[Labels, ...] = ()
    channels: tuple[str, ...] = ()
    layers: tuple[LabelLayer, ...] = ()
    splits: tuple[str, ...] = ()
    record: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PairReader:
    """Opens the pairs of a source."""

    tree: FileTree
    problems: Problems
    headers: dict[str, ImageHeader] = field(default_factory=dict)

    def dataset(
        self,
        source: str,
        pairs: Sequence[Pair],
        *,
        splits: Iterable[str] = (),
        attributes: Mapping[str, object] | None = None,
        read_files: Iterable[str] = (),
    ) -> SourceDataset:
        """The dataset of all pairs; `read_files` as in `SourceDataset`.

        Raises
        ------
        ngff_bio.errors.SourceNotFoundError
            If no image is readable.
        ngff_bio.errors.SourceError
            Unless errors are skipped: if a file is damaged, or labels do not fit their image.
        """
        files = [f for p in pairs for f in (*p.files, *(x.file for x in p.labels))]
        plain = [f for f in dict.fromkeys(files) if not is_array_file(f) and f not in self.headers]
        self.headers.update(probe_all(self.tree, plain, self.problems))
        alone = [f for p in pairs if not p.labels and not p.layers for f in p.files]
        masks = masks_among(self.tree, self.headers, alone, self.problems)
        found = []
        for pair in pairs:
            if not masks.isdisjoint(pair.files):
                continue
            with self.problems.caught():
                found.append((pair.folder, self._image(pair)))
                continue
            named = {n.file for n in self.problems.notices}
            for file in (*pair.files, *(x.file for x in pair.labels)):
                if is_array_file(file) and file not in named:
                    self.problems.skip("belongs to an image that is not read", file)
        if not found:
            raise self.problems.nothing("no image file is readable", self.tree.origin)
        named = {s for pair in pairs for s in pair.splits}
        known = [s for s in splits if s in named]
        return dataset_of(
            self.tree, source, found, splits=known, attributes=attributes, read_files=read_files
        )

    def _image(self, pair: Pair) -> SourceImage:
        if is_array_file(pair.files[0]):
            image = self._of_arrays(pair)
        else:
            self._check_known(pair.files)
            along = "c" if len(pair.files) > 1 else ""
            numbers = {"c": tuple(range(len(pair.files)))} if along else None
            name = pair.path if along else base_of(pair.files[0])
            one = Series(folder_of(pair.files[0]), name, pair.files, along, numbers)
            opened = open_series(self.tree, one, self.headers, None)
            self.problems.notices.extend(n for o in opened for n in o.notices)
            if len(opened) > 1:
                raise SourceError(
                    "a file with labels contains several images",
                    file=pair.files[0],
                    expected="one image",
                    found=len(opened),
                    hint="save its images to separate files",
                )
            image = series_images(one, opened)[0]
        channels = tuple(map(Channel, pair.channels))
        count = dict(zip(image.axis_names, image.pixels.shape, strict=True)).get("c", 0)
        layers: list[LabelLayer] = []
        for labels in pair.labels:
            with self.problems.caught():
                layers.append(self._layer(labels, image))
        return replace(
            image,
            path=pair.path,
            labels=(*layers, *pair.layers),
            channels=channels if len(channels) == count else image.channels,
            frames=tuple(
                replace(f, splits=pair.splits, record={**f.record, **pair.record})
                for f in image.frames
            ),
        )

    def _check_known(self, files: Iterable[str]) -> None:
        for file in files:
            if file not in self.headers:  # its error has been reported
                raise SourceError("an image file cannot be read", file=file)

    def _of_arrays(self, pair: Pair) -> SourceImage:
        parts = [open_array(self.tree.file(f), self.tree.limits) for f in pair.files]
        first = parts[0]
        pixels: Pixels = first.pixels
        axes = first.axes
        if len(parts) > 1:
            inner = [p.pixels for p in parts]
            for file, one in zip(pair.files, inner, strict=True):
                if one.shape != pixels.shape:  # a stack would pad it
                    raise SourceError(
                        "channels of one image differ in shape",
                        file=file,
                        expected=f"{list(pixels.shape)}, as {pair.files[0]}",
                        found=list(one.shape),
                        hint="correct the file, or leave out such images with --on-error skip",
                    )
            stack = stack_pixels(inner, first.letters, "c", [len(parts)], pair.files)
            known = {a.name: a for a in axes}
            pixels, axes = stack, tuple(known.get(a, Axis(a)) for a in stack.axes)
        frames = tuple(
            Frame(name, record={"c": c} if len(parts) > 1 else {})
            for c, name in enumerate(pair.files)
        )
        return SourceImage(
            path=pair.path,
            name=pair.path,
            axes=axes,
            pixels=pixels,
            frames=frames,
            attributes=first.attributes,
        )

    def _layer(self, labels: Labels, image: SourceImage) -> VolumeLayer:
        file = self.tree.file(labels.file)
        about: dict[str, object] = {"files": [labels.file]}
        pixels: Pixels
        if is_array_file(labels.file):
            found: ArrayImage = open_array(file, self.tree.limits)
            pixels, letters = found.pixels, found.letters
            about |= found.attributes
        else:
            self._check_known([labels.file])
            pixels, letters = open_label_image(file, self.headers[labels.file], self.tree.limits)
            if isinstance(pixels, LossyMask):
                self.problems.note(LossyMask.NOTE, record=labels.file)
        fitted, most = fit_labels(pixels, letters, labels.file, image)
        if labels.values:
            fitted = replace(fitted, known=labels.values)
        timed = labels.kind == "instance" and "t" in image.axis_names
        return VolumeLayer(
            labels.layer,
            fitted,
            kind=labels.kind,
            max_value=most,
            categories=labels.categories,
            classes=labels.classes,
            tracked=False if timed else None,
            attributes=about,
        )
