"""Folders of image files with YOLO label files: Ultralytics, Roboflow, darknet.

The label file of an image has its name: below ``labels`` where the image is below ``images``, else
beside it. Class names are in a ``data.yaml``, in the file of names of an ``obj.data``, in ``obj.names``
or ``classes.txt``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ngff_bio.errors import SourceNotFoundError
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.text import text_of
from ngff_bio.formats.yolo.labels import YoloLabels, looks_like_labels
from ngff_bio.model import Category, SourceDataset
from ngff_bio.sources.annotated.folder import AnnotatedFolder
from ngff_bio.sources.annotated.pairing import stem
from ngff_bio.sources.annotated.yolo_lists import NAMES, YAML, YoloLists
from ngff_bio.sources.assembly import base_of, folder_of, image_files, without_image
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source

#: Label files whose first bytes are looked at.
_SNIFFED_FILES = 8
_SNIFFED = 1 << 12

#: Files that accompany label files: a cache of Ultralytics, the class list of Label Studio.
_BESIDE = ("*.cache", "notes.json")


def detect(tree: FileTree) -> int:
    """1 if text files named like the image files have lines of YOLO."""
    names = tree.names()
    files = _Files.of(names)
    found = []
    for name in list(files.labels.values())[:_SNIFFED_FILES]:
        file = tree.file(name)
        text = file.read_range(0, min(file.size, _SNIFFED)).decode("utf-8-sig", "replace")
        found.append(looks_like_labels(text))
    if False in found or not found:
        return 0
    return int(True in found or any(NAMES.search(n) or YAML.search(n) for n in names))


@dataclass(frozen=True, slots=True)
class _Files:
    """Which file is what: ``labels`` are the label files of image files."""

    images: list[str]
    labels: dict[str, str]
    #: Label files without an image file.
    orphans: list[str]

    @classmethod
    def of(cls, names: Sequence[str]) -> _Files:
        images = image_files(names)
        texts = {n for n in names if n.lower().endswith(".txt") and not NAMES.search(n)}
        by_stem: dict[str, list[str]] = defaultdict(list)
        for text in texts:
            if _is_label_folder(folder_of(text)):
                by_stem[stem(base_of(text))].append(text)
        labels = {}
        for image in images:
            plain = f"/{stem(image)}.txt"
            head, found, tail = plain.rpartition("/images/")
            beside = f"{head}/labels/{tail}" if found else plain
            places = [p.removeprefix("/") for p in (beside, plain)]
            same = by_stem.get(stem(base_of(image)), [])
            place = next((p for p in places if p in texts), same[0] if len(same) == 1 else None)
            if place is not None:
                labels[image] = place
        rest = texts.difference(labels.values())
        orphans = [n for n in sorted(rest) if _is_label_folder(folder_of(n))]
        return cls(images, labels, orphans)


def _is_label_folder(folder: str) -> bool:
    return any(p.lower().startswith("labels") or p == "obj_train_data" for p in folder.split("/"))


def read(tree: FileTree, problems: Problems, *, axes: str | None = None) -> SourceDataset:
    """Every image file as an image, with the objects of its label file."""
    names = tree.names()
    files = _Files.of(names)
    if not files.labels:
        raise SourceNotFoundError(
            "not a YOLO dataset",
            file=tree.origin,
            expected="image files, and a text file with the name of each",
            found=f"{len(files.images)} image files, no such text file",
            hint="name the folder that holds both",
        )
    lists = YoloLists(tree, names, problems)
    folder = AnnotatedFolder(tree, files.images, problems, axes)
    known = lists.classes
    count = max(known.names, default=-1) + 1
    listed = tuple(known.names.get(i) for i in range(count)) if known.file is not None else None
    if listed is None:
        problems.note("no file names the classes: they are known by their numbers only")
    folder.add_all(
        [
            YoloLabels(
                tree.file(label), image, folder.size_of(image), listed, known.keypoints, known.file
            )
            for image, label in files.labels.items()
            if image in folder.headers
        ],
        lambda name, _: name,
    )
    for name in files.orphans:
        text = text_of(tree.file(name), "the label file")
        if looks_like_labels(text) is not False:
            problems.fail(without_image(name, f"{stem(base_of(name))}.*"))
    splits = lists.splits(folder.finder)
    folder.read_files |= lists.used
    return folder.dataset(
        "yolo",
        categories=[Category(i, n) for i, n in sorted(known.names.items())],
        splits=splits,
        records=lists.records,
        record={"files": lists.read},
    )


SOURCE = Source(
    name="yolo",
    title="YOLO: any folder with YOLO label files (Ultralytics, Roboflow, darknet) and image files",
    layout="images/*.jpg and labels/*.txt, or both beside each other, with data.yaml, obj.names or "
    "classes.txt",
    detect=detect,
    read=read,
    options={
        "axes": "axes of TIFFs that do not state them, in the order of the file: tyx",
    },
    belongs=_BESIDE,
)
