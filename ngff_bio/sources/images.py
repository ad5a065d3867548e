"""Any folder of pictures: TIFF, OME-TIFF, ImageJ, PNG, JPEG, BMP, numbered or not, with label images.

What the files say is taken; what they do not say and what cannot do without is asked for by an option.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import PurePosixPath

import numpy as np

from ngff_bio.errors import ArgumentError, SourceError, SourceNotFoundError
from ngff_bio.formats.image_headers import EXTENSIONS
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Dataset, Image, OnError, Pixels, VolumeLayer
from ngff_bio.sources.coco import detect as detect_coco
from ngff_bio.sources.files import FileTree
from ngff_bio.sources.label_files import LabelFile, label_file, pair_labels, parse_globs
from ngff_bio.sources.labelme import detect as detect_labelme
from ngff_bio.sources.opened import Opened, alike, open_series
from ngff_bio.sources.pictures import DOCUMENTS, base_of, folder_of, placed
from ngff_bio.sources.registry import Source
from ngff_bio.sources.series import Series, group_series, single

_KINDS = ("instance", "semantic")

#: Pixels that are looked at in one go for the largest label.
_BLOCK = 1 << 24


def detect(tree: FileTree) -> int:
    """A guess where there are pictures, and no annotation file of a kind that has them named."""
    names = tree.names()
    if not any(n.lower().endswith(EXTENSIONS) for n in names):
        return 0
    return 0 if detect_labelme(tree) or detect_coco(tree) else 1


def read(
    tree: FileTree,
    *,
    on_error: OnError = "stop",
    axes: str | None = None,
    labels: Sequence[str] | str = (),
    label_kind: str | None = None,
    series: bool = True,
) -> Dataset:
    """Every picture or numbered series as an image, with its label images.

    Parameters
    ----------
    on_error
        ``stop`` at the first wrong file, or ``skip`` it and report.
    axes
        What the axes of TIFFs are, where they do not say it: letters in the order of the file.
    labels
        ``NAME=GLOB``: files that are label images, and the name of their layer; beside those that
        are known by convention.
    label_kind
        Whether values of label images are objects (``instance``) or classes (``semantic``). If not
        given, they are objects where there is more than one value besides 0.
    series
        Whether numbered files are one image.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If there is no picture.
    ngff_bio.errors.SourceError
        If a file is damaged, does not say what must be known, or a label image does not fit.
    ngff_bio.errors.ArgumentError
        If an option is wrong.
    """
    if label_kind is not None and label_kind not in _KINDS:
        raise ArgumentError(
            "label images are of objects or of classes",
            expected="--label-kind instance or --label-kind semantic",
            found=label_kind,
        )
    problems = Problems(on_error)
    globs = parse_globs([labels] if isinstance(labels, str) else labels)
    pictures = [n for n in tree.names() if n.lower().endswith(EXTENSIONS)]
    for name in tree.names():
        if not name.lower().endswith((*EXTENSIONS, *DOCUMENTS)):
            problems.skip("not a picture", record=name)
    maker = _Maker(tree, problems, axes, label_kind)
    images = maker.images(pictures, globs, series)
    if not images:
        raise SourceNotFoundError(
            "no pictures are here",
            file=tree.origin,
            expected=", ".join(EXTENSIONS),
            found="; ".join(n.what for n in problems.notices[:3]) or "no files",
            mend="name the folder that they lie in",
        )
    found = placed(images)
    return Dataset(
        name=PurePosixPath(tree.origin.rstrip("/")).stem or "images",
        source="images",
        origin=tree.origin,
        layout="image" if found[0].path == "" else "collection",
        images=found,
        notices=problems.gathered(),
    )


@dataclass(slots=True)
class _Maker:
    tree: FileTree
    problems: Problems
    axes: str | None
    label_kind: str | None

    def images(
        self, pictures: Iterable[str], globs: Sequence[tuple[str, str]], numbered: bool
    ) -> list[tuple[str, Image]]:
        """Images with the folders that they lie in."""
        marks = {n: mark for n in pictures if (mark := label_file(n, globs)) is not None}
        plain = [n for n in pictures if n not in marks]
        if not plain:  # a folder of nothing but masks: they are the images
            plain, marks = list(marks), {}
        series = {s.name: s for s in self._grouped(plain, numbered)}
        label_series = self._label_series(marks, globs, numbered)
        pairs, lost = pair_labels([m for m, _ in label_series.values()], list(series))
        for mark in lost:
            self._lose(mark)
            one = label_series[mark.name][1]
            series[one.name] = one
        found: list[tuple[str, Image]] = []
        used: set[str] = set()
        todo = list(series.items())
        for name, one in todo:  # label images that do not fit are added while it runs
            with self.problems.caught():
                for opened in self._opened(one, used):
                    layers = [(m, label_series[m.name][1]) for m in pairs.get(name, ())]
                    image, others = self._image(name, opened, layers)
                    found.append((folder_of(name), image))
                    todo += [(s.name, s) for s in others]
        return found

    def _grouped(self, names: Iterable[str], numbered: bool) -> list[Series]:
        """Series of files that are alike; the other files are series of one."""
        found: list[Series] = []
        for one in group_series(names) if numbered else map(single, sorted(names)):
            if one.along and not alike(self.tree, one):
                found += map(single, one.there)
            else:
                found.append(one)
        return found

    def _label_series(
        self, marks: dict[str, LabelFile], globs: Sequence[tuple[str, str]], numbered: bool
    ) -> dict[str, tuple[LabelFile, Series]]:
        """Label images, numbered ones together, each marked by the name of its series."""
        found = {}
        for one in self._grouped(list(marks), numbered):
            first = marks[one.there[0]]
            again = label_file(one.name, globs)
            mark = again if again is not None else first
            found[one.name] = (replace(mark, name=one.name, layer=first.layer), one)
        return found

    def _lose(self, mark: LabelFile) -> None:
        if mark.told:
            self.problems.fail(
                SourceError(
                    "no image is known for a label image",
                    file=mark.name,
                    expected=f"an image named as {mark.key!r}",
                    mend="give label images the name of their image",
                )
            )
        self.problems.warn(
            "named as label images, but no image is known for them: taken as images of their own",
            record=mark.name,
        )

    def _opened(self, one: Series, used: set[str]) -> list[Opened]:
        """Images of a series, without those whose files belong to an image already."""
        if set(one.there) <= used:
            return []
        found = open_series(self.tree, one, axes=self.axes)
        for opened in found:
            if len(opened.files) > 1:
                used.update(opened.files)
        return found

    def _image(
        self, name: str, opened: Opened, labels: Sequence[tuple[LabelFile, Series]]
    ) -> tuple[Image, list[Series]]:
        """The image, and label images that are of other axes than it."""
        self.problems.notices += opened.notices
        layers: dict[str, VolumeLayer] = {}
        others: list[Series] = []
        for mark, series in labels:
            with self.problems.caught():
                layer = self._layer(mark, series, opened, name)
                if layer is None:
                    others.append(series)
                    continue
                if layer.name in layers:
                    raise SourceError(
                        "two label images are one layer of an image",
                        file=mark.name,
                        found=f"layer {layer.name!r} of {name}",
                        mend="tell them apart with --labels NAME=GLOB",
                    )
                layers[layer.name] = layer
        base = base_of(name)
        image = Image(
            path="",
            name=f"{base}/{opened.name}" if opened.name else base,
            axes=opened.axes,
            pixels=opened.pixels,
            labels=tuple(layers.values()),
            channels=opened.channels,
            frames=opened.frames,
            attributes=opened.attributes,
        )
        return image, others

    def _layer(
        self, mark: LabelFile, series: Series, image: Opened, name: str
    ) -> VolumeLayer | None:
        """The label layer; ``None`` where it is known by convention alone and has other axes."""
        found = open_series(self.tree, series, axes=self.axes, indices=True)
        wanted = [
            (a, n) for a, n in zip(image.letters, image.pixels.shape, strict=True) if a != "c"
        ]
        if len(found) != 1 or "c" in found[0].letters or found[0].pixels.dtype.kind not in "ui":
            raise SourceError(
                "the file is no label image",
                file=mark.name,
                expected="one image of whole numbers, without colours",
                found="; ".join(f"{o.letters} of {o.pixels.dtype}" for o in found),
                mend="take it away, or rename it if it is an image",
            )
        pixels = found[0].pixels
        if not mark.told and found[0].letters != "".join(a for a, _ in wanted):
            self.problems.warn(
                "named as label images, but of other axes than their image: taken as images of "
                "their own",
                record=mark.name,
            )
            return None
        if list(zip(found[0].letters, pixels.shape, strict=True)) != wanted:
            raise SourceError(
                "a label image and its image differ in shape",
                file=mark.name,
                expected=f"{dict(wanted)}, as {name} has it",
                found=dict(zip(found[0].letters, pixels.shape, strict=True)),
                mend="check that the two belong together",
            )
        largest, several = _largest(pixels, mark.name)
        kind = self.label_kind or ("instance" if several else "semantic")
        if self.label_kind is None and not several:
            self.problems.note(
                "label images of one value besides 0 are taken as a class; "
                "say what they are with --label-kind",
                record=mark.name,
            )
        return VolumeLayer(
            name=mark.layer,
            pixels=pixels,
            kind="semantic" if kind == "semantic" else "instance",
            max_value=largest,
            attributes={"files": list(series.there)},
        )


def _largest(pixels: Pixels, name: str) -> tuple[int, bool]:
    """The largest label, and whether there is more than one besides 0."""
    largest, smallest = 0, None
    for region in _blocks(pixels):
        block = pixels.read(region)
        if block.dtype.kind == "i" and int(block.min(initial=0)) < 0:
            raise SourceError("a label is negative", file=name, found=int(block.min()))
        largest = max(largest, int(block.max(initial=0)))
        lit = block[block > 0]
        if lit.size:
            least = int(lit.min())
            smallest = least if smallest is None else min(smallest, least)
    if largest > np.iinfo(np.uint32).max:
        raise SourceError(
            "a label is too large",
            file=name,
            expected=f"at most {np.iinfo(np.uint32).max}",
            found=largest,
        )
    return largest, smallest is not None and smallest != largest


def _blocks(pixels: Pixels) -> Iterable[tuple[tuple[int, int], ...]]:
    """Regions of whole grains, of some million pixels each."""
    size = list(pixels.grain)
    for i in range(len(size) - 1, -1, -1):
        while size[i] < pixels.shape[i] and 2 * int(np.prod(size)) <= _BLOCK:
            size[i] = min(2 * size[i], pixels.shape[i])
    return product(
        *(
            [(a, min(a + s, n)) for a in range(0, n, s)]
            for n, s in zip(pixels.shape, size, strict=True)
        )
    )


OPTIONS = {
    "axes": "what the axes of TIFFs are where they do not say it, in the order of the file: tyx",
    "labels": "NAME=GLOB: files that are label images, and the name of their layer; repeatable",
    "label_kind": "whether values of label images are objects (instance) or classes (semantic)",
    "series": "whether numbered files (z003, t12, c2) are one image: true or false",
}

SOURCE = Source(
    name="images",
    title="any folder of TIFF, OME-TIFF, ImageJ, PNG, JPEG or BMP pictures, with label images",
    layout="pictures anywhere; label images named mask*, *_labels, *_mask or in labels/ or masks/",
    detect=detect,
    read=read,
    options=OPTIONS,
)
