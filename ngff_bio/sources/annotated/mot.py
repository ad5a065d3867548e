"""MOTChallenge, also as CVAT exports it: ``gt/gt.txt`` beside ``img1`` with the frames of a movie."""

from __future__ import annotations

import re

from ngff_bio.errors import SourceError
from ngff_bio.formats.mot import MotFile, looks_like_mot
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.text import text_of
from ngff_bio.model import SourceDataset
from ngff_bio.sources.annotated.cvat import natural
from ngff_bio.sources.annotated.folder import OPTIONS, AnnotatedFolder
from ngff_bio.sources.assembly import base_of, folder_of, image_files
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source

_TRACKS = re.compile(r"(?:^|/)gt/gt\.txt$", re.IGNORECASE)


def detect(tree: FileTree) -> int:
    """1 if there are image files, and lists of tracks."""
    names = tree.names()
    return int(bool(image_files(names)) and any(_is_list(tree, n) for n in names))


def _is_list(tree: FileTree, name: str) -> bool:
    if not _TRACKS.search(name):
        return False
    return looks_like_mot(tree.file(name).read_range(0, 4096).decode("utf-8-sig", "replace"))


def read(tree: FileTree, problems: Problems, *, axes: str | None = None) -> SourceDataset:
    """The frames of each sequence as a movie with its tracks.

    Parameters
    ----------
    axes
        Axes of TIFFs that do not state them.
    """
    names = tree.names()
    documents = [n for n in names if _TRACKS.search(n)]
    folder = AnnotatedFolder.open(tree, documents, "MOTChallenge", problems, axes=axes)
    infos = [n for n in names if base_of(n) == "seqinfo.ini"]  # of sequences without tracks, too
    texts = {n: text_of(tree.file(n), "the file beside tracks") for n in infos}
    folder.read_files |= {*infos}
    for name in documents:
        above = folder_of(folder_of(name))
        start = f"{above}/" if above else ""
        with problems.caught():
            frames = [n for n in folder.images if n.startswith(f"{start}img1/")]
            if not frames:
                raise SourceError(
                    "tracks without the frames of their movie",
                    file=name,
                    expected=f"image files {start}img1/*",
                    found="no image files there",
                    hint="add the frames, or leave out their tracks with --on-error skip",
                )
            folder.check_readable(name, frames)
            listed = f"{start}gt/labels.txt"
            info = f"{start}seqinfo.ini"
            classes: tuple[str, ...] = ()
            if listed in names:
                texts[listed] = text_of(tree.file(listed), "the list of classes")
                lines = map(str.strip, texts[listed].splitlines())
                classes = tuple(filter(None, lines))
                folder.read_files.add(listed)
            reader = MotFile(tree.file(name), len(frames), classes, int(info in names))
            folder.add_movie(reader, sorted(frames, key=natural))
    return folder.dataset("mot", record={"files": texts})


SOURCE = Source(
    name="mot",
    title="MOTChallenge, and MOT as CVAT exports it: tracks of boxes",
    layout="gt/gt.txt, gt/labels.txt or seqinfo.ini, img1/*",
    detect=detect,
    read=read,
    options=OPTIONS,
    belongs=("det.txt",),  # what a detector found, for trackers to begin with
)
