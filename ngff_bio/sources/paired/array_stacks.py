"""Stacks of images and masks as NumPy arrays: PanNuke and CoNIC (``.npy``), TissueNet (``.npz``).

PanNuke (https://warwick.ac.uk/fac/cross_fac/tia/data/pannuke): ``images.npy`` (n, y, x, 3),
``masks.npy`` (n, y, x, 6) with ids of nuclei in a channel for each class and a last one for the
background, and ``types.npy``, the tissue of each image. CoNIC
(https://conic-challenge.grand-challenge.org/Data): ``images.npy``, and ``labels.npy`` (n, y, x, 2) with
ids of nuclei and their classes; ``patch_info.csv`` has a line for each image. TissueNet (https://datasets.deepcell.org):
``X`` and ``y`` (n, y, x, 2) in a file for each split; ``y`` has ids of whole cells and of nuclei.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.arrays.npy import ArrayItem, NpyArray, open_npy
from ngff_bio.formats.images.label_pixels import check_integers, fit_labels
from ngff_bio.formats.images.mask_files import rle_of_mask
from ngff_bio.formats.problems import Problems, damage_named
from ngff_bio.formats.text import text_of
from ngff_bio.model import (
    Category,
    Channel,
    Frame,
    Instance,
    InstanceLayer,
    LabelLayer,
    SourceDataset,
    SourceFile,
    SourceImage,
    SourceParts,
    VolumeLayer,
    axes_from,
)
from ngff_bio.model.splits import standard_split
from ngff_bio.sources.assembly import base_of, dataset_of, folder_of
from ngff_bio.sources.files.archives import list_archive
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source

#: Classes of PanNuke, a channel each.
CLASSES = (
    "Neoplastic cells",
    "Inflammatory",
    "Connective/Soft tissue cells",
    "Dead Cells",
    "Epithelial",
)

#: Classes of CoNIC, from 1 on.
_CONIC = ("neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective")

#: What the channels of ``y`` are.
_TISSUENET = ("whole_cell", "nuclear")

_IMAGES = re.compile(r"(?:^|/)images\.npy$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ChannelInstances:
    """The nuclei of an image of PanNuke; label values are 1, 2, ... in the order of classes and ids."""

    masks: NpyArray
    number: int

    def read(self, t: int) -> list[Instance]:
        """All nuclei of the image."""
        planes = ArrayItem(self.masks, self.number, self.masks.dtype)
        block = planes.read(tuple((0, n) for n in planes.shape))[: len(CLASSES)]
        found: list[Instance] = []
        for number, plane in enumerate(check_integers(block, self.masks.file.name)):
            for own in np.unique(plane[plane != 0]).tolist():
                found.append(
                    Instance(
                        len(found) + 1,
                        rle_of_mask(plane == own),
                        category=CLASSES[number],
                        category_id=number,
                        source_id=int(own),
                    )
                )
        return found

    def source_parts(self) -> SourceParts:
        """The file, and which image of it."""
        return (*self.masks.source_parts(), str(self.number))


def detect(tree: FileTree) -> int:
    """2 if there are arrays of PanNuke, CoNIC or TissueNet."""
    names = tree.names()
    stacks = filter(_IMAGES.search, names)
    if any(_beside(n, kind, names) for n in stacks for kind in ("masks", "labels")):
        return 2
    return 2 if any(_is_tissuenet(tree.file(n)) for n in names if n.lower().endswith(".npz")) else 0


def _beside(images: str, kind: str, names: list[str]) -> str | None:
    """``masks.npy`` beside ``images.npy``, or in a folder ``masks`` where this is in ``images``."""
    beside = _IMAGES.sub(f"/{kind}.npy", f"/{images}")
    tried = (beside, re.sub("/images/", f"/{kind}/", beside, flags=re.IGNORECASE))
    return next((n.lstrip("/") for n in tried if n.lstrip("/") in names), None)


def _is_tissuenet(file: SourceFile) -> bool:
    try:
        return {"X.npy", "y.npy"} <= {*list_archive(file)}
    except SourceError:
        return False


def read(tree: FileTree, problems: Problems) -> SourceDataset:
    """Every image of a stack as an image, with its nuclei or cells.

    Raises
    ------
    ngff_bio.errors.SourceNotFoundError
        If there is no stack.
    """
    names = tree.names()
    found: list[tuple[str, SourceImage]] = []
    used: set[str] = set()
    for name in names:
        with problems.caught():
            stack = _IMAGES.search(name)
            if stack and (masks := _beside(name, "masks", names)):
                types = re.sub(r"images\.npy$", "types.npy", name, flags=re.IGNORECASE)
                found += _pannuke(tree, name, masks, types if types in names else None)
                used |= {name, masks, types} & {*names}
                problems.note(
                    "the last channel of masks, the background, is what the others leave", masks
                )
            elif stack and (labels := _beside(name, "labels", names)):
                patches = re.sub(r"images\.npy$", "patch_info.csv", name, flags=re.IGNORECASE)
                found += _conic(tree, name, labels, patches if patches in names else None)
                used |= {name, labels, patches} & {*names}
            elif name.lower().endswith(".npz") and _is_tissuenet(tree.file(name)):
                found += _tissuenet(tree, name, problems)
                used.add(name)
    if not found:
        raise SourceNotFoundError(
            "no stack of images and masks found",
            file=tree.origin,
            expected="images.npy with masks.npy or labels.npy, or a file .npz with X and y",
        )
    splits = dict.fromkeys(s for _, image in found for s in image.frames[0].splits)
    return dataset_of(tree, "array-stacks", found, splits=splits, read_files=used)


def _pannuke(
    tree: FileTree, name: str, masks: str, types: str | None
) -> Iterator[tuple[str, SourceImage]]:
    images, labels = (open_npy(tree.file(n), tree.limits) for n in (name, masks))
    _check(images, images.shape[:3] + images.shape[3:4], "images, rows, columns, channels")
    _check(labels, (*images.shape[:3], len(CLASSES) + 1), "masks of six channels")
    count = images.shape[0]
    tissues = None if types is None else _texts(open_npy(tree.file(types), tree.limits), count)
    categories = tuple(Category(i, c) for i, c in enumerate(CLASSES))
    for number in range(images.shape[0]):
        instances = ChannelInstances(labels, number)
        found = len(instances.read(0))
        layer = InstanceLayer("nuclei", instances, found, found, categories)
        record = {} if tissues is None else {"tissue": tissues[number]}
        yield _group(name), _image(images, number, (layer,) if found else (), record, ())


def _conic(
    tree: FileTree, name: str, labels: str, patches: str | None
) -> Iterator[tuple[str, SourceImage]]:
    images, values = (open_npy(tree.file(n), tree.limits) for n in (name, labels))
    _check(images, images.shape[:3] + images.shape[3:4], "images, rows, columns, channels")
    _check(values, (*images.shape[:3], 2), "ids of nuclei, and their classes")
    lines = [] if patches is None else text_of(tree.file(patches), "the list").splitlines()[1:]
    origins = lines if len(lines) == images.shape[0] else [""] * images.shape[0]
    categories = tuple(Category(i, c) for i, c in enumerate(_CONIC, 1))
    for number, origin in enumerate(origins):
        record = {"patch": origin} if origin else {}
        image = _image(images, number, (), record, ())
        ids, classes = (
            fit_labels(ArrayItem(values, number, values.dtype, channel), "yx", labels, image)
            for channel in range(2)
        )
        most = int(classes[0].read(tuple((0, n) for n in classes[0].shape)).max(initial=0))
        if most > len(_CONIC):
            raise SourceError(
                "the class of a nucleus is not one of CoNIC",
                file=labels,
                record=f"image {number}",
                expected=f"0 to {len(_CONIC)}",
                found=most,
                hint="correct the array, or leave the file out with --exclude GLOB",
            )
        layers = (
            VolumeLayer("classes", classes[0], "semantic", most, categories),
            VolumeLayer("nuclei", ids[0], "instance", ids[1], categories, classes="classes"),
        )
        yield _group(name), _image(images, number, layers, record, ())


def _group(name: str) -> str:
    return next((p for p in reversed(folder_of(name).split("/")) if p.lower() != "images"), "")


def _tissuenet(tree: FileTree, name: str, problems: Problems) -> Iterator[tuple[str, SourceImage]]:
    part = tree.file(name)
    members = {n.removesuffix(".npy"): m for n, m in list_archive(part, limits=tree.limits).items()}
    images, labels = (open_npy(members[n], tree.limits, part) for n in ("X", "y"))
    _check(images, images.shape[:3] + images.shape[3:4], "images, rows, columns, channels")
    _check(labels, images.shape[:3] + labels.shape[3:4], "the rows and columns of X")
    texts: dict[str, list[str]] = {}
    for key in members.keys() - {"X", "y"}:
        try:
            texts[key] = _texts(open_npy(members[key], tree.limits, part), images.shape[0])
        except SourceError as error:
            problems.note(f"an array that is not read: {error.what}", name, key)
    stem = base_of(name).removesuffix(".npz")
    split = tuple(s for s in re.split(r"[ _.-]", stem) if standard_split(s))[-1:]
    layers = _TISSUENET if labels.shape[3] == len(_TISSUENET) else ("labels",)
    for number in range(images.shape[0]):
        record = {k: v[number] for k, v in texts.items()}
        image = _image(images, number, (), record, split)
        found = []
        for channel, layer in enumerate(layers):
            one = ArrayItem(labels, number, labels.dtype, channel)
            pixels, most = fit_labels(one, "yx", name, image)
            found.append(VolumeLayer(layer, pixels, "instance", most))
        yield stem, _image(images, number, tuple(found), record, split)


def _image(
    images: NpyArray,
    number: int,
    layers: tuple[LabelLayer, ...],
    record: Mapping[str, object],
    splits: tuple[str, ...],
) -> SourceImage:
    # PanNuke has integers of 0 to 255 as 64-bit floats; its smaller copies have 8 bits.
    color = images.shape[3] == 3 and images.dtype in (np.float64, np.uint8)
    pixels = ArrayItem(images, number, np.dtype(np.uint8) if color else images.dtype)
    file = (images.part or images.file).name
    return SourceImage(
        path=f"{number:05}",
        name=f"{base_of(file)}[{number}]",
        axes=axes_from("cyx"),
        pixels=pixels,
        labels=layers,
        channels=tuple(map(Channel, ("red", "green", "blue"))) if color else (),
        frames=(Frame(file, splits=splits, record={"index": number, **record}),),
    )


def _texts(array: NpyArray, count: int) -> list[str]:
    """The texts of an array of one for each image."""
    if array.shape != (count,):
        raise SourceError(
            "an array does not have the shape of its layout",
            file=array.file.name,
            expected=f"a text for each of {count} images",
            found=f"{list(array.shape)} of {array.stored}",
            hint="leave the file out with --exclude GLOB",
        )
    with damage_named(array.file.name, "the texts of an array cannot be read"):
        return [str(text).encode().decode() for text in array.read(((0, count),))]


def _check(array: NpyArray, shape: tuple[int, ...], expected: str) -> None:
    if array.shape != shape or len(shape) != 4 or array.dtype.kind not in "biuf":
        raise SourceError(
            "an array does not have the shape of its layout",
            file=array.file.name,
            expected=f"numbers: {expected}" + (f", {list(shape)}" if len(shape) == 4 else ""),
            found=f"{list(array.shape)} of {array.dtype}",
            hint="leave the file out with --exclude GLOB",
        )


SOURCE = Source(
    name="array-stacks",
    title="PanNuke, CoNIC and TissueNet: stacks of images and masks as NumPy arrays",
    layout="images.npy with masks.npy (n, y, x, 6) and types.npy, or with labels.npy (n, y, x, 2); "
    "*.npz with X and y",
    detect=detect,
    read=read,
)
