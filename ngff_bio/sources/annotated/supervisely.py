"""Supervisely projects: ``meta.json``, and ``img`` and ``ann`` of each dataset."""

from __future__ import annotations

import re
from collections import defaultdict

from ngff_bio.errors import SourceError
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.supervisely import SuperviselyFile, read_meta
from ngff_bio.model import Category, SourceDataset
from ngff_bio.sources.annotated.folder import OPTIONS, AnnotatedFolder
from ngff_bio.sources.annotated.pairing import stem
from ngff_bio.sources.assembly import base_of, folder_of, image_files, without_image
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source

_ANNOTATION = re.compile(r"(?:^|/)ann/[^/]+\.json$", re.IGNORECASE)
_IMAGE = re.compile(r"(?:^|/)img/[^/]+$", re.IGNORECASE)
_META = re.compile(r"(?:^|/)meta\.json$", re.IGNORECASE)

_SNIFFED_FILES = 4
_SPLITS = ("train", "val", "valid", "validation", "test")


#: What Supervisely draws of the annotations, and what its library writes about image files and ids.
_BESIDE = (
    *("masks_machine/*", "*/masks_machine/*", "masks_human/*", "*/masks_human/*"),
    *("obj_class_to_machine_color.json", "key_id_map.json", "*/img_info/*.json"),
)


def detect(tree: FileTree) -> int:
    """1 if there are ``img`` and ``ann`` folders with files of Supervisely."""
    names = tree.names()
    listed = [n for n in names if _ANNOTATION.search(n)][:_SNIFFED_FILES]
    images = any(_IMAGE.search(n) for n in image_files(names))
    return int(images and any(tree.json_kind(n) == "supervisely" for n in listed))


def read(tree: FileTree, problems: Problems, *, axes: str | None = None) -> SourceDataset:
    """Every image file as an image, with the objects of its annotation file."""
    names = tree.names()
    documents = [n for n in names if _ANNOTATION.search(n)]
    images = [n for n in image_files(names) if _IMAGE.search(n)]
    folder = AnnotatedFolder.open(
        tree, documents, "Supervisely", problems, axes=axes, images=images
    )
    categories: tuple[Category, ...] = ()
    files = {}
    for name in filter(_META.search, names):
        own, files[name] = read_meta(tree.file(name))
        if categories and own != categories:
            raise SourceError(
                "two projects are in one folder",
                file=name,
                expected="one meta.json",
                found=", ".join(files),
                hint="name the folder of one project",
            )
        categories = own
        folder.read_files.add(name)
    classes = tuple(c.name for c in categories) if files else None
    known = set(images)
    readers: list[SuperviselyFile] = []
    for name in documents:
        place = folder_of(folder_of(name))
        image = f"{place}/img/{stem(base_of(name))}".lstrip("/")
        if image not in known:  # older exports name the file without the ending of the image
            image = folder.finder.of_stem(name, f"{place}/img".lstrip("/")) or ""
        if not image:
            problems.fail(without_image(name, f"img/{stem(base_of(name))}"))
            continue
        readers.append(SuperviselyFile(tree.file(name), image, classes))
    splits: dict[str, list[str]] = defaultdict(list)
    for one, document in zip(readers, folder.add_all(readers, lambda n, _: n), strict=True):
        if document is not None:
            tags = document.images[0].record.get("tags") or ()
            listed = tags if isinstance(tags, list) else ()
            own_tags = {str(t.get("name")) for t in listed if isinstance(t, dict)}
            folders = one.file.name.split("/")
            parts = own_tags.intersection(_SPLITS) or {p for p in folders if p in _SPLITS}
            splits[one.image] += sorted(parts)
    return folder.dataset(
        "supervisely", categories=categories, splits=splits, record={"files": files}
    )


SOURCE = Source(
    name="supervisely",
    title="Supervisely: image projects with meta.json",
    layout="meta.json, DATASET/img/*, DATASET/ann/*.json",
    detect=detect,
    read=read,
    options=OPTIONS,
    belongs=_BESIDE,
)
