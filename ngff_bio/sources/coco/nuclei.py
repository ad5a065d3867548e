"""The nuclei collection: 14 COCO sets over 12 folders of JPEG, masks as compressed run lengths.

Layout: ``<folder>/*.jpg`` flat, ``annotations/<set>.json``. The two local splits of stage 1 list the
pictures of ``stage_1_train`` again, with the same ids: they are membership, not new pixels. ``images``
may list files that were never written; stage 2 has no annotations.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from ngff_bio.errors import SourceNotFoundError
from ngff_bio.formats.coco.layers import Entry, Progress, open_coco
from ngff_bio.formats.problems import Problems
from ngff_bio.model import OnError, SourceDataset, SourceImage
from ngff_bio.sources.coco.images import CocoImages, CocoSet, pictures_of
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source

#: Folder of each annotation file, as the page's ``DATASETS`` has them; whole sets before their splits.
DATASETS = {
    "stage1_train": "stage_1_train",
    "stage_1_local_train_split": "stage_1_train",
    "stage_1_local_val_split": "stage_1_train",
    "stage_1_test": "stage_1_test",
    "stage_2_test": "stage_2_test",
    "cluster_nuclei": "cluster_nuclei",
    "BBBC007": "BBBC007",
    "BBBC006": "BBBC006",
    "BBBC018": "BBBC018",
    "BBBC020": "BBBC020",
    "nucleisegmentationbenchmark": "nucleisegmentationbenchmark",
    "2009_ISBI_2DNuclei": "2009_ISBI_2DNuclei",
    "nuclei_partial_annotations": "nuclei_partial_annotations",
    "TNBC_NucleiSegmentation": "TNBC_NucleiSegmentation",
}


def _annotation_files(names: Sequence[str]) -> dict[str, str]:
    """Name of each set's annotation file, by set."""
    found: dict[str, str] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.suffix == ".json" and path.stem in DATASETS and path.parent.name == "annotations":
            found.setdefault(path.stem, name)
    return found


def detect(tree: FileTree) -> int:
    """Sure where an annotation file is named as on the page and lies where the page has it."""
    return 3 if _annotation_files(tree.names()) else 0


def read(
    tree: FileTree, *, on_error: OnError = "stop", progress: Progress | None = None
) -> SourceDataset:
    """All sets that are there, a group each, a picture an image.

    Raises
    ------
    ngff_bio.errors.SourceError
        If a file is damaged, or a picture is not of the size that its entry says.
    ngff_bio.errors.SourceNotFoundError
        If no set is there.
    """
    names = tree.names()
    files = _annotation_files(names)
    if not files:
        raise SourceNotFoundError(
            "no set of the nuclei collection is here",
            file=tree.origin,
            expected="annotations/stage1_train.json, annotations/BBBC006.json, ...",
            hint="name the folder that holds `annotations` and the folders of pictures",
        )
    problems = Problems(on_error)
    top = PurePosixPath(next(iter(files.values()))).parent.parent
    opened = {
        key: open_coco(tree.file(files[key]), problems, digests=True, progress=progress)
        for key in DATASETS
        if key in files
    }
    maker = CocoImages(
        tree,
        "nucleus",
        problems,
        {coco.name: key for key, coco in opened.items()},
        _nuclei_class,
        lenient=True,  # published files list pictures that were never written
    )
    folders = dict.fromkeys(DATASETS[key] for key in opened)
    images: list[SourceImage] = []
    for folder in folders:
        start = (top / folder).as_posix() + "/"
        pictures = [n for n in pictures_of(names) if n.startswith(start)]
        known = set(pictures)

        def find(file_name: str, start: str = start, known: set[str] = known) -> str | None:
            return name if (name := start + file_name) in known else None

        coco = tuple(c for key, c in opened.items() if DATASETS[key] == folder)
        images += maker.of(CocoSet(folder, coco, tuple(pictures), find))
    if not images:
        raise SourceNotFoundError(
            "the annotations are here, and no picture of them",
            file=tree.origin,
            expected=", ".join(f"{top / f}/*.jpg" for f in list(folders)[:3]),
            hint="put the folders of pictures beside `annotations`",
        )
    for name in names:
        path = PurePosixPath(name)
        if path.suffix == ".json" and name not in files.values():
            problems.skip("not an annotation file of this collection", file=name)
    return SourceDataset(
        name="nuclei",
        source="nuclei",
        origin=tree.origin,
        layout="collection",
        images=tuple(images),
        splits=tuple(opened),
        notices=problems.gathered(),
        attributes={"coco": [maker.attributes(c) for c in opened.values()]},
    )


def _nuclei_class(entries: Sequence[Entry]) -> dict[str, Any]:
    """The image's class, as the collection's own key has it."""
    classes = dict.fromkeys(
        str(e.image.record["nuclei_class"]) for e in entries if "nuclei_class" in e.image.record
    )
    return {"nuclei_class": next(iter(classes))} if classes else {}


SOURCE = Source(
    name="nuclei",
    title="The nuclei collection: 14 COCO sets with run-length masks (Data Science Bowl and others)",
    layout="annotations/{stage1_train,BBBC006,...}.json with a folder of JPEG for each set",
    detect=detect,
    read=read,
)
