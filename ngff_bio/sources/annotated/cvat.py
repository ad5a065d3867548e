"""CVAT: "CVAT for images" and "CVAT for video" XML 1.1 with their image files.

``annotations.xml`` beside ``images``, below which the image files are as they are named, or below the
name of their subset. The image files of a video are its frames: one movie with tracks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from ngff_bio.errors import SourceError
from ngff_bio.formats.cvat.document import ROOT, CvatFile
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.xml import root_tag
from ngff_bio.model import SourceDataset
from ngff_bio.sources.annotated.folder import OPTIONS, AnnotatedFolder, xml_documents
from ngff_bio.sources.assembly import base_of, folder_of, image_files
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source

#: XML files that are looked at.
_SNIFFED_FILES = 4

_FRAME = re.compile(r"frame_(\d{1,9})\.\w+$", re.IGNORECASE)
_NUMBER = re.compile(r"(\d+)")


def detect(tree: FileTree) -> int:
    """1 if there are image files, and XML files of CVAT."""
    names = tree.names()
    listed = [n for n in names if n.lower().endswith(".xml")][:_SNIFFED_FILES]
    return int(bool(image_files(names)) and any(root_tag(tree.file(n)) == ROOT for n in listed))


def read(tree: FileTree, problems: Problems, *, axes: str | None = None) -> SourceDataset:
    """Every image file as an image with its shapes; the frames of a video as one with tracks."""
    documents = xml_documents(tree, ROOT)
    folder = AnnotatedFolder.open(tree, documents, "CVAT", problems, axes=axes)
    for name in documents:
        file = tree.file(name)
        if b"<track" not in file.read():
            folder.add(CvatFile(file))
            continue
        with problems.caught():
            files, numbers = _frames(name, folder.images)
            folder.check_readable(name, files)
            sizes = [folder.headers[n].size for n in files]
            size = (max(s[0] for s in sizes), max(s[1] for s in sizes))
            folder.add_movie(CvatFile(file, numbers, size), files)
    return folder.dataset("cvat")


def _frames(document: str, images: Sequence[str]) -> tuple[list[str], range | tuple[int, ...]]:
    """Image files of the frames of a document, in their order, and the numbers of the frames."""
    near = folder_of(document)
    below = [n for n in images if n.startswith(f"{near}/" if near else "")]
    if not below:
        raise SourceError(
            "tracks without the frames of their video",
            file=document,
            expected="image files beside it: images/frame_000000.PNG, ...",
            found="no image files there",
            hint="export the task from CVAT with images, or skip it with --on-error skip",
        )
    matches = {n: m for n in below if (m := _FRAME.search(n))}
    if len(matches) < len(below):
        files = sorted(below, key=natural)
        return files, range(len(files))
    numbers = {n: int(m[1]) for n, m in matches.items()}
    files = sorted(below, key=numbers.__getitem__)
    ordered = [numbers[n] for n in files]
    steps = {b - a for a, b in pairwise(ordered)} or {1}
    if len(steps) == 1 and (step := steps.pop()) > 0:
        return files, range(ordered[0], ordered[-1] + 1, step)
    return files, tuple(ordered)


def natural(name: str) -> list[tuple[int, str]]:
    """Key to sort file names by the numbers in them."""
    parts = _NUMBER.split(base_of(name))
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in parts]


SOURCE = Source(
    name="cvat",
    title='CVAT XML 1.1: "CVAT for images" and "CVAT for video", exported with images',
    layout="annotations.xml and images/*",
    detect=detect,
    read=read,
    options=OPTIONS,
)
