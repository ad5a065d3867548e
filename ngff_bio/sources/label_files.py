"""Which pictures are label images, of which image, and under what name: by convention or as told.

By convention a label image lies in a folder ``labels`` or ``masks``, or its name begins with ``mask``
or ends in ``_labels``, ``_mask`` and the like. It belongs to the image whose name is what is left.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from ngff_bio.errors import ArgumentError
from ngff_bio.formats.image_headers import EXTENSIONS

#: Name of a layer whose files do not give it one.
LAYER = "labels"

_FOLDER = re.compile(
    r"^(?:masks?|labels?)(?:[_\-. ](?P<name>[\w\-]+))?$"
    r"|^(?P<of>[\w\-]+)[_\-. ](?:masks?|labels?)$",
    re.IGNORECASE,
)
_BEFORE = re.compile(r"^(?:masks?|labels?)(?![A-Za-z])[_\-. ]*", re.IGNORECASE)
_BEHIND = re.compile(r"[_\-. ]+(?:masks?|labels?)$", re.IGNORECASE)

#: Words around an image's own name that its label image does not share.
_IMAGE_WORDS = re.compile(
    r"^(?:img|image|im|raw)s?(?![A-Za-z])[_\-. ]*|[_\-. ]+(?:img|image|raw)$", re.IGNORECASE
)
_IMAGE_FOLDERS = {"images", "image", "imgs", "img", "raw", "data"}


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A label image.

    Parameters
    ----------
    name
        Of the file (or of the series).
    layer
        Name of its layer.
    key
        What its image's name is, without folders and words around it.
    folder
        The folder that its image may lie in, or below.
    told
        Whether an option says that it is one.
    """

    name: str
    layer: str
    key: str
    folder: str
    told: bool = False


def parse_globs(labels: Sequence[str]) -> list[tuple[str, str]]:
    """Layer names and patterns of ``NAME=GLOB``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If one is not of that form.
    """
    found = []
    for text in labels:
        name, equals, glob = text.partition("=")
        if not equals or not glob or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_\-.]*", name):
            raise ArgumentError(
                "labels are told as a name and a pattern of file names",
                expected="--labels nuclei='*_nuclei.tif'",
                found=text,
            )
        found.append((name, glob))
    return found


def label_file(name: str, globs: Sequence[tuple[str, str]] = ()) -> LabelFile | None:
    """What a file is a label image of, or ``None`` if it is none."""
    path = PurePosixPath(name)
    stem, folders = stem_of(name), path.parts[:-1]
    for layer, glob in globs:
        if fnmatchcase(name, glob) or fnmatchcase(path.name, glob):
            return LabelFile(name, layer, image_key(_without_glob(stem, glob)), _up(folders), True)
    for depth in range(len(folders), 0, -1):
        match = _FOLDER.match(folders[depth - 1])
        if match is not None:
            layer = layer_name(match["name"] or match["of"] or "")
            top = "/".join(folders[: depth - 1])
            return LabelFile(name, layer, image_key(_bare(stem)), top)
    if _bare(stem) != stem:
        return LabelFile(name, LAYER, image_key(_bare(stem)), "/".join(folders))
    return None


def layer_name(text: str) -> str:
    """A name of a layer made of a part of a file name."""
    name = re.sub(r"[^A-Za-z0-9_\-]+", "_", text).strip("_-").lower()
    return name or LAYER


def stem_of(name: str) -> str:
    """A file's name without folders and endings."""
    base = name.rpartition("/")[2]
    while base.lower().endswith((*EXTENSIONS, ".ome")) and base.rpartition(".")[0]:
        base = base.rpartition(".")[0]
    return base


def image_key(stem: str) -> str:
    """An image's name without the words that say that it is one."""
    stem = stem.removesuffix(".ome")
    return _IMAGE_WORDS.sub("", stem).lower() or stem.lower()


def _bare(stem: str) -> str:
    return _BEHIND.sub("", _BEFORE.sub("", stem))


def _without_glob(stem: str, glob: str) -> str:
    """What a pattern's stars stand for: the image's own name."""
    last = stem_of(glob.rpartition("/")[2])
    if last.count("*") == 1:
        before, _, behind = last.partition("*")
        if stem.startswith(before) and stem.endswith(behind):
            return stem[len(before) : len(stem) - len(behind)].strip("_-. ") or stem
    return _bare(stem)


def _up(folders: Sequence[str]) -> str:
    return "/".join(folders[:-1]) if len(folders) else ""


def pair_labels(
    labels: Iterable[LabelFile], images: Sequence[str]
) -> tuple[dict[str, list[LabelFile]], list[LabelFile]]:
    """The label images of each image, and those without one.

    An image is found by its name: in the folder, below it, then anywhere, where only one can be
    meant. A folder's only image is that of its only label image, whatever both are called.
    """
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in images:
        by_key[image_key(stem_of(name))].append(name)
    found: dict[str, list[LabelFile]] = defaultdict(list)
    lost: list[LabelFile] = []
    listed = list(labels)
    for label in listed:
        image, layer = _image_of(label, by_key)
        if image is None and len(images) == 1:
            same = [x for x in listed if x.layer == label.layer]
            image = images[0] if len(same) == 1 else None
        if image is None:
            lost.append(label)
        else:
            found[image].append(
                label if layer is None else LabelFile(label.name, layer, label.key, label.folder)
            )
    return found, lost


def _image_of(label: LabelFile, by_key: dict[str, list[str]]) -> tuple[str | None, str | None]:
    """An image, and the layer's name if the label image's name has one in it."""
    best = _nearest(by_key.get(label.key, []), label)
    if best is not None or label.told:
        return best, None
    # cells_01_nuclei_mask of cells_01: what is left names the layer.
    starts = [k for k in by_key if label.key.startswith(tuple(k + mark for mark in "_-. "))]
    for key in sorted(starts, key=len, reverse=True):
        best = _nearest(by_key[key], label)
        if best is not None:
            return best, layer_name(label.key[len(key) :])
    return None, None


def _nearest(names: Sequence[str], label: LabelFile) -> str | None:
    """The image meant, if only one can be."""
    start = f"{label.folder}/" if label.folder else ""
    here = [n for n in names if n.rpartition("/")[0] == label.folder]
    below = [n for n in names if n.startswith(start) and _first(n[len(start) :]) in _IMAGE_FOLDERS]
    inside = [n for n in names if n.startswith(start)]
    for some in (here, below, inside, list(names)):
        if len(some) == 1:
            return some[0]
    return None


def _first(name: str) -> str:
    return name.split("/")[0].lower()
