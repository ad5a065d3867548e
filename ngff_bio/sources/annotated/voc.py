"""Pascal VOC: boxes in XML files, class and object label images, and lists of images.

``Annotations/*.xml`` and ``JPEGImages``, with ``SegmentationClass``, ``SegmentationObject`` and
``ImageSets``; or XML files of labelImg beside the image files.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

from ngff_bio.errors import ArgumentError, SourceError, SourceNotFoundError
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.text import text_of
from ngff_bio.formats.voc import ROOT, VocFile, counts_from_0
from ngff_bio.formats.xml import root_tag
from ngff_bio.model import Category, SourceDataset
from ngff_bio.sources.annotated.folder import AnnotatedFolder, xml_documents
from ngff_bio.sources.annotated.pairing import ImageFinder, stem
from ngff_bio.sources.annotated.voc_masks import (
    CLASS_LAYER,
    OBJECT_LAYER,
    LabelImages,
    Palette,
)
from ngff_bio.sources.assembly import base_of, folder_of, image_files, without_image
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source

#: XML files that are looked at.
_SNIFFED_FILES = 4

_MASK = re.compile(r"(?:^|/)(Segmentation(?:Class|Object))(?:PNG)?/[^/]+$", re.IGNORECASE)
_SET = re.compile(r"(?:^|/)ImageSets/(?:(\w+)/)?([^/]+)\.txt$", re.IGNORECASE)
#: What labelme2voc writes besides: label images as arrays, and as they are shown; names of classes.
#: Older versions have the arrays in SegmentationClass, and the label images in SegmentationClassPNG.
_BESIDE = (
    *("*segmentationclassvisualization/*", "*segmentationobjectvisualization/*"),
    *("*segmentationclass*/*.npy", "*segmentationobject*/*.npy"),
)
_CLASS_NAMES = re.compile(r"(?:^|/)class_names\.txt$", re.IGNORECASE)
_LABELMAP = re.compile(r"(?:^|/)labelmap\.txt$", re.IGNORECASE)

#: Names of lists that are splits.
_SPLITS = ("train", "val", "trainval", "test", "minival", "valid")

#: Folders of lists whose splits are the dataset's: the first that there is.
_MAIN = ("Main", "Segmentation", "Layout", "Action")


def detect(tree: FileTree) -> int:
    """1 if there are image files, and XML files of VOC or both kinds of label images."""
    names = tree.names()
    if not image_files(names):
        return 0
    listed = [n for n in names if n.lower().endswith(".xml")][:_SNIFFED_FILES]
    if any(root_tag(tree.file(n)) == ROOT for n in listed):
        return 1
    return int(any(_MASK.search(n) for n in names))


def read(
    tree: FileTree, problems: Problems, *, first_pixel: int | str | None = None
) -> SourceDataset:
    """Every image file as an image, with the boxes of its XML file and its label images.

    Parameters
    ----------
    first_pixel
        Number of the first pixel: ``1`` as in VOC, or ``0``; 1 unless a corner is before it.
    """
    if str(first_pixel) not in ("None", "0", "1"):
        raise ArgumentError(
            "the number of the first pixel is wrong", expected="0 or 1", found=repr(first_pixel)
        )
    names = tree.names()
    documents = xml_documents(tree, ROOT)
    masks = [n for n in image_files(names) if _MASK.search(n)]
    shown = {n for n in names if any(fnmatchcase(n.lower(), glob) for glob in _BESIDE)}
    images = sorted(set(image_files(names)).difference(masks, shown))
    if not images or not (documents or masks):
        raise SourceNotFoundError(
            "not a Pascal VOC dataset",
            file=tree.origin,
            expected="image files, and XML files with boxes or label images",
            found=f"{len(images)} image files, {len(documents)} XML files of VOC",
            hint="name the folder that holds both",
        )
    folder = AnnotatedFolder(tree, images, problems)
    first = _first_pixel(tree, documents, problems) if first_pixel is None else int(first_pixel)
    folder.add_all(
        [VocFile(tree.file(name), first) for name in documents], partial(_image_of, folder.finder)
    )
    sets = _sets(tree, names, folder.finder, problems)
    maps = [n for one in (_LABELMAP, _CLASS_NAMES) for n in names if one.search(n)]
    label_map = maps[0] if maps else None
    used = {c for entries in folder.entries.values() for e in entries for c in e.classes}
    palette = Palette.of(tree, label_map, used)
    reader = LabelImages(tree, palette, _by_image(masks, folder.finder, problems), problems)
    folder.read_files |= {*documents, *sets.files, *([label_map] if label_map else [])}
    return folder.dataset(
        "voc",
        categories=[Category(n, n, palette.color_of(n)) for n in palette.names if n in used],
        splits=sets.splits,
        records=sets.records,
        record={"first_pixel": first, "label_map": palette.text},
        more_layers=reader.layers,
    )


def _first_pixel(tree: FileTree, documents: Sequence[str], problems: Problems) -> int:
    from_0 = tree.each(lambda name: counts_from_0(tree.file(name).read()), documents)
    for name, counted in zip(documents, from_0, strict=True):
        if counted:
            problems.note(
                "pixels of boxes are counted from 0: a box has a corner before pixel 1; "
                "if they are counted from 1, add -O first_pixel=1",
                record=name,
            )
            return 0
    if documents:
        problems.note(
            "pixels of boxes are counted from 1, as in Pascal VOC; if they are counted from 0, add "
            "-O first_pixel=0"
        )
    return 1


def _image_of(finder: ImageFinder, given: str, document: str) -> str | None:
    """The image file of an XML file: it has the same name, and the XML file states it."""
    folder = folder_of(document)
    own = finder.of_stem(document, folder)
    stated = finder.find(given, folder) if given else None
    if own is None or not given:
        return stated or own
    if stem(base_of(stated or given)) != stem(base_of(own)):
        raise SourceError(
            "the annotation file names another image",
            file=document,
            record="filename",
            expected=base_of(own),
            found=given,
            hint="correct filename, or skip such files with --on-error skip",
        )
    return own


@dataclass(frozen=True, slots=True)
class _Sets:
    """Lists of images: splits and records of image files, and the files themselves."""

    splits: Mapping[str, list[str]]
    records: Mapping[str, dict[str, dict[str, str]]]
    files: list[str]


def _sets(tree: FileTree, names: Sequence[str], finder: ImageFinder, problems: Problems) -> _Sets:
    files = [n for n in names if _SET.search(n)]
    records: dict[str, dict[str, dict[str, str]]] = {}
    splits: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in files:
        match = _SET.search(name)
        kind, split = (match[1] or "", match[2]) if match is not None else ("", "")
        for line in text_of(tree.file(name), "the list of images").splitlines():
            words = line.split()
            image = finder.of_stem(f"{words[0]}.") if words else None
            if image is None:
                if words:
                    problems.skip("listed images are not there", name, words[0])
                continue
            member = records.setdefault(image, {"image_sets": {}})["image_sets"]
            key = f"{kind}/{split}".lstrip("/")
            member[key] = " ".join(filter(None, (member.get(key), *words[1:])))
            if split.lower() in _SPLITS:
                splits[kind][image].append(split)
    main = next((splits[k] for k in (*_MAIN, *splits) if k in splits), {})
    return _Sets({n: list(dict.fromkeys(s)) for n, s in main.items()}, records, files)


def _by_image(
    masks: Sequence[str], finder: ImageFinder, problems: Problems
) -> dict[str, dict[str, str]]:
    """Label images of each image file, by layer."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for name in masks:
        match = _MASK.search(name)
        image = finder.of_stem(name)
        if image is None or match is None:
            problems.fail(without_image(name, f"{stem(base_of(name))}.*"))
            continue
        is_class = match[1].lower() == "segmentationclass"
        found[image][CLASS_LAYER if is_class else OBJECT_LAYER] = name
    return found


SOURCE = Source(
    name="voc",
    title="Pascal VOC: any folder with its XML files or label images, and image files",
    layout="Annotations/*.xml, JPEGImages/*, SegmentationClass/*.png, SegmentationObject/*.png, "
    "ImageSets/*/*.txt; or *.xml beside the image files (labelImg)",
    detect=detect,
    read=read,
    options={
        "first_pixel": "number of the first pixel in boxes: 1 as in Pascal VOC, or 0",
    },
    belongs=_BESIDE,
)
