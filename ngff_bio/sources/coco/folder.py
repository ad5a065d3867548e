"""Any folder with COCO annotation files: pictures wherever they lie, found by their names.

A JSON file is COCO if its outermost object has ``images``. A picture is found by its ``file_name``
below the root, below any folder, or by the last part of the name where only one file has it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.coco.layers import CocoFile, Progress, open_coco
from ngff_bio.formats.json.text import json_kind
from ngff_bio.formats.problems import Problems
from ngff_bio.model import OnError, SourceDataset
from ngff_bio.sources.coco.images import CocoImages, CocoSet, pictures_of
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source


def detect(tree: FileTree) -> int:
    """A guess where a JSON file has COCO's keys and pictures lie beside it."""
    names = tree.names()
    return int(bool(pictures_of(names)) and any(_is_coco(tree, n) for n in names))


def _is_coco(tree: FileTree, name: str) -> bool:
    return name.lower().endswith(".json") and json_kind(tree.file(name)) == "coco"


def read(
    tree: FileTree, *, on_error: OnError = "stop", progress: Progress | None = None
) -> SourceDataset:
    """Every picture as an image, with the annotations of every COCO file.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a file is damaged, or a record is wrong.
    ngff_bio.errors.SourceNotFoundError
        If there is no COCO file, or no picture.
    """
    names = tree.names()
    problems = Problems(on_error)
    found = [n for n in names if _is_coco(tree, n)]
    pictures = pictures_of(names)
    if not found or not pictures:
        raise SourceNotFoundError(
            "no COCO dataset is here",
            file=tree.origin,
            expected='a JSON file with "images" and "annotations", and pictures',
            found=f"{len(found)} such JSON files, {len(pictures)} pictures",
            hint="name the folder that holds both",
        )
    opened: list[CocoFile] = []
    for name in found:
        try:
            opened.append(
                open_coco(tree.file(name), problems, digests=len(found) > 1, progress=progress)
            )
        except SourceError as error:
            problems.fail(error)
    finder = _Finder(pictures)
    splits = {c.name: PurePosixPath(c.name).stem for c in opened}
    if len(set(splits.values())) < len(splits):
        splits = {c.name: PurePosixPath(c.name).with_suffix("").as_posix() for c in opened}
    maker = CocoImages(tree, _layer_name(opened), problems, splits)
    images = maker.of(CocoSet("", tuple(opened), tuple(pictures), finder.find))
    if not images:
        raise SourceNotFoundError("no picture could be taken", file=tree.origin)
    single = len(images) == 1
    if single:
        from dataclasses import replace

        images = [replace(images[0], path="")]
    return SourceDataset(
        name=PurePosixPath(tree.origin.rstrip("/")).stem or "coco",
        source="coco",
        origin=tree.origin,
        layout="image" if single else "collection",
        images=tuple(images),
        splits=tuple(splits.values()) if len(opened) > 1 else (),
        notices=problems.gathered(),
        attributes={"coco": [maker.attributes(c) for c in opened]},
    )


def _layer_name(opened: Sequence[CocoFile]) -> str:
    """The only category's name where it can name a group, else ``objects``."""
    names = {c.name for coco in opened for c in coco.categories}
    name = next(iter(names)).lower() if len(names) == 1 else ""
    return name if re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", name) else "objects"


class _Finder:
    """From a ``file_name`` to the file: by its whole path, by its end, by its last part."""

    def __init__(self, pictures: Sequence[str]) -> None:
        self._known = set(pictures)
        self._by_last: dict[str, list[str]] = defaultdict(list)
        for name in pictures:
            self._by_last[PurePosixPath(name).name].append(name)

    def find(self, file_name: str) -> str | None:
        """The file's name in the tree; ``None`` if there is none, or several could be meant."""
        plain = file_name.replace("\\", "/")
        if plain in self._known:
            return plain
        same = self._by_last.get(PurePosixPath(plain).name, [])
        ends = [n for n in same if n.endswith(f"/{plain}")]
        best = ends or (same if "/" not in plain or len(same) == 1 else [])
        return best[0] if len(best) == 1 else None


SOURCE = Source(
    name="coco",
    title="COCO: any folder with COCO annotation files and pictures",
    layout='*.json with "images" and "annotations", and JPEG, PNG or TIFF files anywhere beside it',
    detect=detect,
    read=read,
)
