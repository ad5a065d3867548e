"""Any folder with COCO annotation files: image files anywhere in it, found by their names.

An image file is found by its ``file_name`` below the root, below any folder, or by the last part of
the name if that is unique.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from ngff_bio.errors import SourceNotFoundError
from ngff_bio.formats.coco.index import Progress
from ngff_bio.formats.json.text import json_kind
from ngff_bio.formats.problems import Problems
from ngff_bio.model import OnError, SourceDataset
from ngff_bio.sources.assembly import (
    base_of,
    image_files,
    paths_below,
    probe_all,
)
from ngff_bio.sources.coco.files import CocoFiles
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.images.mask_content import masks_among
from ngff_bio.sources.registry import Source


def detect(tree: FileTree) -> int:
    """1 if there are image files and a JSON file with COCO's keys."""
    names = tree.names()
    return int(bool(image_files(names)) and any(_is_coco(tree, n) for n in names))


def _is_coco(tree: FileTree, name: str) -> bool:
    return name.lower().endswith(".json") and json_kind(tree.file(name)) == "coco"


def read(
    tree: FileTree,
    *,
    on_error: OnError = "stop",
    progress: Progress | None = None,
) -> SourceDataset:
    """Every image file as an image, with the annotations of every COCO file.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a file is damaged, or a record is wrong.
    ngff_bio.errors.SourceNotFoundError
        If there is no COCO file, or no image file.
    """
    names = tree.names()
    problems = Problems(on_error)
    annotated = [n for n in names if _is_coco(tree, n)]
    image_names = image_files(names)
    if not annotated or not image_names:
        raise SourceNotFoundError(
            "not a COCO dataset",
            file=tree.origin,
            expected='a JSON file with "images" and "annotations", and image files',
            found=f"{len(annotated)} such JSON files, {len(image_names)} image files",
            hint="name the folder that holds both",
        )
    stems = {n: PurePosixPath(n).stem for n in annotated}
    if len(set(stems.values())) < len(stems):
        stems = {n: PurePosixPath(n).with_suffix("").as_posix() for n in annotated}
    coco = CocoFiles.open(tree, annotated, None, stems.__getitem__, problems, progress)
    finder = _Finder(image_names)
    headers = probe_all(tree, image_names, problems)
    entries = coco.entries(headers, lambda _, name: finder.find(name))
    for name in masks_among(tree, headers, [n for n in headers if not entries[n]], problems):
        del headers[name]
    paths = paths_below("", image_names)
    images = []
    for name, header in headers.items():
        with problems.caught():
            images.append(coco.image(name, paths[name], header, entries[name]))
    if not images:
        raise SourceNotFoundError("no image file is readable", file=tree.origin)
    if len(images) == 1:
        images = [replace(images[0], path="")]
    return SourceDataset(
        name=PurePosixPath(tree.origin.rstrip("/")).stem or "coco",
        source="coco",
        origin=tree.origin,
        layout="image" if len(images) == 1 else "collection",
        images=tuple(images),
        splits=tuple(coco.splits.values()) if len(coco.files) > 1 else (),
        notices=problems.gathered(),
        attributes={"coco": coco.attributes()},
        read_files=coco.names,
    )


class _Finder:
    """Finds an image file by its whole path, by the end of its path, or by its base name."""

    def __init__(self, names: Sequence[str]) -> None:
        self._known = set(names)
        self._by_base: dict[str, list[str]] = defaultdict(list)
        for name in names:
            self._by_base[base_of(name)].append(name)

    def find(self, file_name: str) -> str | None:
        """The file's name in the tree; ``None`` if there is none, or it is ambiguous."""
        plain = file_name.replace("\\", "/")
        if plain in self._known:
            return plain
        same = self._by_base.get(base_of(plain), [])
        ends = [n for n in same if n.endswith(f"/{plain}")]
        best = ends or (same if "/" not in plain or len(same) == 1 else [])
        return best[0] if len(best) == 1 else None


SOURCE = Source(
    name="coco",
    title="COCO: any folder with COCO annotation files and image files",
    layout='*.json with "images" and "annotations", and JPEG, PNG or TIFF files anywhere beside it',
    detect=detect,
    read=read,
)
