"""What sources share: names of files, headers of many image files, and paths of images in a store."""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from posixpath import commonpath

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.decoding import decode_image, is_opaque
from ngff_bio.formats.images.headers import EXTENSIONS, ImageHeader, probe_image
from ngff_bio.formats.names import safe_name, safe_names
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Frame, SourceDataset, SourceImage
from ngff_bio.model.splits import split_of_path, standard_split
from ngff_bio.sources.files.tree import FileTree

_ENDING = r"(?<=.)(\.tar)?\.[a-z]\w{0,7}$"


def folder_of(name: str) -> str:
    """The folder of a file below the source's root; ``""`` for the root."""
    return name.rpartition("/")[0]


def base_of(name: str) -> str:
    """The last part of a name."""
    return name.rpartition("/")[2]


def ending_of(name: str) -> str:
    """The ending of a file's name in lower case, with its dot."""
    return os.path.splitext(base_of(name))[1].lower()


def stem_of(name: str) -> str:
    """Base name without the endings of image files, including ``.ome``."""
    stem = base_of(name)
    while stem.lower().endswith(EXTENSIONS) and stem.rpartition(".")[0]:
        stem = stem.rpartition(".")[0]
    return stem[:-4] if stem.lower().endswith(".ome") and len(stem) > 4 else stem


def name_of(origin: str) -> str:
    """Name of a dataset: that of its folder, or of its file or archive, without the ending."""
    return re.sub(_ENDING, "", stem_of(origin.replace("\\", "/").rstrip("/")), flags=re.IGNORECASE)


def dataset_of(
    tree: FileTree,
    source: str,
    images: Iterable[tuple[str, SourceImage]],
    *,
    name: str | None = None,
    citation: str | None = None,
    splits: Iterable[str] = (),
    attributes: Mapping[str, object] | None = None,
    read_files: Iterable[str] = (),
) -> SourceDataset:
    """The dataset of images, each with its folder; a single one becomes the root of the store."""
    return SourceDataset(
        name=name or name_of(tree.origin) or source,
        source=source,
        origin=tree.origin,
        layout="collection",
        images=placed(images),
        citation=citation,
        splits=tuple(splits),
        attributes=dict(attributes or {}),
        read_files=tuple(read_files),
    ).single_at_root()


def image_files(names: Iterable[str]) -> list[str]:
    """Names that end as image files do."""
    return [n for n in names if n.lower().endswith(EXTENSIONS)]


def layer_name(classes: Iterable[str]) -> str:
    """Name of a label layer: the only class, if it can name a group, else ``objects``."""
    only = {c.lower() for c in classes}
    name = only.pop() if len(only) == 1 else ""
    return name if re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", name) else "objects"


def probe_all(tree: FileTree, names: Sequence[str], problems: Problems) -> dict[str, ImageHeader]:
    """Headers of image files by name; files without a readable header go to `problems`.

    An alpha channel that is opaque in all files of a folder is not part of their images. Only files
    with an alpha channel are decoded for this.
    """

    def probe(name: str) -> tuple[ImageHeader, bool] | SourceError:
        try:
            header = probe_image(tree.file(name), tree.limits)
            opaque = _may_be_opaque(header) and is_opaque(decode_image(tree.file(name)))
        except SourceError as error:
            return error
        return header, opaque

    found: dict[str, ImageHeader] = {}
    opaque: dict[str, list[str]] = defaultdict(list)
    seen: set[str] = set()  # folders with an alpha channel that is not opaque
    for name, probed in zip(names, tree.each(probe, names), strict=True):
        if isinstance(probed, SourceError):
            problems.fail(probed)
            continue
        found[name] = probed[0]
        if probed[1]:
            opaque[folder_of(name)].append(name)
        elif probed[0].samples in (2, 4):
            seen.add(folder_of(name))
    for folder in opaque.keys() - seen:
        for name in opaque[folder]:
            found[name] = found[name].without_alpha()
            problems.note("the alpha channel is opaque everywhere: it is not stored", record=name)
    return found


#: Largest image, in bytes of pixels, that is decoded to see whether its alpha channel is opaque.
_ALPHA_BYTES = 1 << 28


def _may_be_opaque(header: ImageHeader) -> bool:
    alpha = header.format in ("png", "bmp") and header.samples in (2, 4)
    alpha = alpha or (header.format == "tiff" and header.alpha)
    return alpha and math.prod(header.shape) * header.dtype.itemsize <= _ALPHA_BYTES


def without_image(
    file: str, expected: str, record: str | None = None, *, what: str = "annotations"
) -> SourceError:
    """The error for annotations, or others of its kind, whose image file is not there."""
    return SourceError(
        f"{what} without their image",
        file=file,
        record=record,
        expected=f"an image file {expected}",
        found="no such file, or several",
        hint=f"add the image file, or name it so; or skip such {what} with --on-error skip",
    )


def given_twice(file: str, other: str) -> SourceError:
    """The error for two files that are the same part of a collection."""
    return SourceError(
        "two files are the same part of the collection",
        file=file,
        found=f"{other} too",
        hint=f"keep one of the two, or leave this one out with --exclude '{file}'",
    )


def with_folder_splits(dataset: SourceDataset) -> SourceDataset:
    """The dataset with the splits that folders of image files are named after.

    They are added to frames of which the source names no split that means train, val or test.
    """
    found: dict[str, None] = {}

    def split(frame: Frame) -> Frame:
        name = None if any(map(standard_split, frame.splits)) else split_of_path(frame.name)
        if name is None or name in frame.splits:
            return frame
        found[name] = None
        return replace(frame, splits=(*frame.splits, name))

    images = tuple(replace(i, frames=tuple(map(split, i.frames))) for i in dataset.images)
    if not found:
        return dataset
    return replace(dataset, images=images, splits=tuple(dict.fromkeys((*dataset.splits, *found))))


def paths_below(group: str, names: Sequence[str]) -> dict[str, str]:
    """Store path of each file below `group`, by its path below the common folder of all files."""
    shared = commonpath([folder_of(n) for n in names]) if names else ""
    short = {n: n.removeprefix(f"{shared}/") for n in names}
    safe = safe_names(short.values())
    return {n: f"{group}/{safe[s]}".lstrip("/") for n, s in short.items()}


def placed(images: Iterable[tuple[str, SourceImage]]) -> tuple[SourceImage, ...]:
    """Images with their paths in the store.

    Images of several folders are put below the last part of their
    folder's name, or below the whole name where the last parts are not unique.

    Parameters
    ----------
    images
        Each with its folder. Its path, or else its name, is the last part of its path in the store.
    """
    pairs = list(images)
    below: dict[str, list[str]] = defaultdict(list)
    for folder, image in pairs:
        below[folder].append(image.path or image.name)
    groups = _group_names(list(below)) if len(below) > 1 else dict.fromkeys(below, "")
    names = {folder: safe_names(inside) for folder, inside in below.items()}
    paths = [
        f"{groups[folder]}/{names[folder][image.path or image.name]}".lstrip("/")
        for folder, image in pairs
    ]
    # An image is never put below another image: `a.tif` beside a folder `a` with images.
    above = {"/".join(path.split("/")[:n]) for path in paths for n in range(1, path.count("/") + 1)}
    return tuple(
        replace(image, path=f"{path}_" if path in above else path)
        for path, (_, image) in zip(paths, pairs, strict=True)
    )


def _group_names(folders: list[str]) -> dict[str, str]:
    last = {folder: safe_name(base_of(folder)) if folder else "" for folder in folders}
    if len({name.lower() for name in last.values()}) == len(folders):
        return last
    parts = {part for folder in folders for part in folder.split("/") if part}
    safe = safe_names(sorted(parts))
    return {folder: "/".join(safe[p] for p in folder.split("/") if p) for folder in folders}
