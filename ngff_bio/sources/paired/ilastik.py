"""Folders that ilastik exports its results to, beside the images: TIFF, PNG or HDF5.

``a_Simple Segmentation.tif`` (a class for each pixel, from 1 on), ``a_Object Identities.h5`` (label
values), ``a_Object Predictions.tif`` (the class of its object for each pixel); ``a_Probabilities.h5``
and others that are not labels become images. https://www.ilastik.org/documentation/basics/export
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Literal

from ngff_bio.formats.arrays.opening import is_array_file
from ngff_bio.formats.problems import Problems
from ngff_bio.model import SourceDataset
from ngff_bio.sources.assembly import base_of, folder_of, image_files, stem_of, without_image
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.paired.pairs import Labels, Pair, PairReader
from ngff_bio.sources.registry import Source

#: Exports with label values: name of the layer and what values are.
_LAYERS: dict[str, tuple[str, Literal["semantic", "instance"]]] = {
    "simple segmentation": ("simple-segmentation", "semantic"),
    "object identities": ("object-identities", "instance"),
    "object predictions": ("object-predictions", "semantic"),
    "tracking-result": ("tracking-result", "instance"),
    "multicut segmentation": ("multicut-segmentation", "instance"),
    "labels": ("labels", "semantic"),
}
_OTHERS = "probabilities|object probabilities|uncertainty|features|blockwise object predictions"
_EXPORT = re.compile(
    rf"^(?P<image>.+?)[ _](?P<what>{'|'.join(_LAYERS)}|{_OTHERS})$".replace(r"\ ", " "), re.I
)

#: Exports whose names no other program uses.
_OWN = re.compile(
    r"[ _](simple segmentation|object (identities|predictions|probabilities)|probabilities|uncertainty|"
    r"multicut segmentation|tracking-result)\.(tiff?|png|h5)$",
    re.IGNORECASE,
)


def detect(tree: FileTree) -> int:
    """1 if a name ends as those of ilastik's exports."""
    return int(any(map(_OWN.search, tree.names())))


def read(tree: FileTree, problems: Problems) -> SourceDataset:
    """Every image with its label images. The class of an object is that of most of its pixels."""
    names = tree.names()
    pixels = [n for n in names if is_array_file(n) or n in {*image_files([n])}]
    exports: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    images, others = [], []
    for name in pixels:
        match = _EXPORT.match(_stem(name))
        if match is None:
            images.append(name)
        elif match["what"].lower() in _LAYERS:
            exports[folder_of(name), match["image"]][match["what"].lower()] = name
        else:
            others.append(name)
    pairs = []
    for name in images:
        found = exports.pop((folder_of(name), _stem(name)), None)
        if found is None:  # the folder of exports can be another one
            same = [k for k in exports if k[1] == _stem(name)]
            found = exports.pop(same[0]) if len(same) == 1 else {}
        classes = "object-predictions" if "object predictions" in found else None
        labels = []
        for what, file in sorted(found.items()):
            layer, kind = _LAYERS[what]
            by = classes if layer == "object-identities" else None
            labels.append(Labels(layer, file, kind, classes=by))
        pairs.append(Pair(folder_of(name), base_of(name), (name,), tuple(labels)))
    for (_, stem), found in exports.items():
        file = next(iter(found.values()))
        problems.fail(without_image(file, f"{stem}.*", what="exports of ilastik"))
    for name in others:
        problems.note("an export that is not labels is an image", record=name)
        pairs.append(Pair(folder_of(name), base_of(name), (name,)))
    return PairReader(tree, problems).dataset("ilastik", pairs)


def _stem(name: str) -> str:
    """Base name without its ending."""
    return base_of(name).rpartition(".")[0] if is_array_file(name) else stem_of(name)


SOURCE = Source(
    name="ilastik",
    title="ilastik: segmentations, object identities and predictions beside the images",
    layout="a.tif with a_Simple Segmentation.tif, a_Object Identities.h5, a_Probabilities.h5",
    detect=detect,
    read=read,
    belongs=("*.ilp",),
)
