"""The nuclei collection: 14 COCO sets over 12 folders of JPEG, masks as compressed run lengths.

Layout: ``<folder>/*.jpg`` flat, ``annotations/<set>.json``. The two local splits of stage 1 list the
image files of ``stage_1_train`` again, with the same ids: they are membership, not new pixels.
``images`` may list files that were never written; stage 2 has no annotations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from ngff_bio.errors import SourceNotFoundError
from ngff_bio.formats.coco.file import CocoFile
from ngff_bio.formats.coco.layers import ImageEntry
from ngff_bio.formats.problems import Problems
from ngff_bio.model import SourceDataset, SourceImage
from ngff_bio.sources.assembly import image_files, paths_below, probe_all
from ngff_bio.sources.coco.files import CocoFiles
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source

#: Folder of each annotation file, as in ``DATASETS`` of the page; whole sets before their splits.
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
    """3 if an annotation file has a name and a folder that the page lists."""
    return 3 if _annotation_files(tree.names()) else 0


def read(tree: FileTree, problems: Problems) -> SourceDataset:
    """All sets that are there: a group for each set, an image for each image file."""
    names = tree.names()
    files = _annotation_files(names)
    if not files:
        raise SourceNotFoundError(
            "not the nuclei collection",
            file=tree.origin,
            expected="annotations/stage1_train.json, annotations/BBBC006.json, ...",
            hint="name the folder that holds `annotations` and the folders of image files",
        )
    top = PurePosixPath(next(iter(files.values()))).parent.parent
    ordered = [files[key] for key in DATASETS if key in files]
    coco = CocoFiles.open(tree, ordered, "nucleus", _set_of, problems)
    starts = {f.name: f"{(top / DATASETS[_set_of(f.name)]).as_posix()}/" for f in coco.files}
    below: dict[str, list[str]] = {start: [] for start in starts.values()}
    for name in image_files(names):
        for start, inside in below.items():
            if name.startswith(start):
                inside.append(name)
    headers = probe_all(tree, [n for inside in below.values() for n in inside], problems)
    known = set(names)

    def find(file: CocoFile, file_name: str) -> str | None:
        return name if (name := starts[file.name] + file_name) in known else None

    # Published files list images that were never written.
    entries = coco.entries(headers, find, lenient=True)
    images: list[SourceImage] = []
    for start, inside in below.items():
        for name, path in paths_below(PurePosixPath(start).name, inside).items():
            if name in headers:
                with problems.caught():
                    image = coco.image(name, path, (name,), headers, entries)
                    images.append(replace(image, attributes=_nuclei_class(entries[name])))
    if not images:
        raise SourceNotFoundError(
            "the annotations have no image files",
            file=tree.origin,
            expected=", ".join(f"{start}*.jpg" for start in list(below)[:3]),
            hint="put the folders of image files beside `annotations`",
        )
    return SourceDataset(
        name="nuclei",
        source="nuclei",
        origin=tree.origin,
        layout="collection",
        images=tuple(images),
        splits=tuple(coco.splits.values()),
        attributes={"coco": coco.attributes()},
        read_files=coco.names,
    )


def _set_of(name: str) -> str:
    return PurePosixPath(name).stem


def _nuclei_class(entries: Sequence[ImageEntry]) -> dict[str, object]:
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
