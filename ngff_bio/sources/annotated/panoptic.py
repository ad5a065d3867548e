"""COCO panoptic: ``panoptic_NAME.json``, the PNG files of its segments, and the image files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ngff_bio.formats.coco.panoptic import PanopticFile, PanopticInstances, check_segments
from ngff_bio.formats.documents import AnnotatedImage, DocumentInstances
from ngff_bio.formats.problems import Problems
from ngff_bio.model import Instances, SourceDataset
from ngff_bio.sources.annotated.folder import (
    OPTIONS,
    AnnotatedFolder,
    json_documents,
)
from ngff_bio.sources.annotated.pairing import ImageFinder, stem
from ngff_bio.sources.assembly import base_of, folder_of, image_files, without_image
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source


def detect(tree: FileTree) -> int:
    """1 if there are image files, and a JSON file with segments."""
    names = tree.names()
    found = any(tree.json_kind(n) == "coco-panoptic" for n in names)
    return int(bool(image_files(names)) and found)


def read(tree: FileTree, problems: Problems, *, axes: str | None = None) -> SourceDataset:
    """Every image file as an image, with its segments; stuff and things are in one layer."""
    documents = json_documents(tree, "coco-panoptic")
    pngs = {name: _pngs(tree, name, documents) for name in documents}
    taken = {png for listed in pngs.values() for png in listed}
    images = [n for n in image_files(tree.names()) if n not in taken]
    folder = AnnotatedFolder.open(
        tree, documents, "COCO panoptic", problems, axes=axes, images=images
    )
    splits: dict[str, list[str]] = {}
    for name in documents:
        finder = ImageFinder(pngs[name])
        reader = PanopticFile(tree.file(name))
        split = stem(base_of(name)).removeprefix("panoptic_")

        def instances(
            rows: DocumentInstances,
            image: AnnotatedImage,
            size: tuple[int, int],
            finder: ImageFinder = finder,
        ) -> Instances:
            given = str(image.record["png"])
            png = finder.find(given)
            if png is None:
                raise without_image(rows.reader.file.name, given, image.name)
            check_segments(rows, tree.file(png), size, problems)
            return PanopticInstances(rows, tree.file(png), size)

        def find(given: str, _: str = name, split: str = split) -> str | None:
            return folder.finder.find(f"{split}/{given}")

        document = folder.add(reader, find, instances)
        for image in document.images if document is not None else ():
            found = find(image.name)
            if found is not None and len(documents) > 1:
                splits.setdefault(found, []).append(split)
    return folder.dataset("coco-panoptic", splits=splits)


def _pngs(tree: FileTree, name: str, documents: Sequence[str]) -> list[str]:
    """PNG files of a JSON file: in the folder of its name, else in one whose name has ``panoptic``."""
    names = [n for n in tree.names() if n.lower().endswith(".png")]
    own = [n for n in names if base_of(folder_of(n)) == stem(base_of(name))]
    if own:
        return own
    others: Mapping[str, str] = {stem(base_of(d)): d for d in documents if d != name}
    return [
        n
        for n in names
        if base_of(folder_of(n)) not in others and "panoptic" in base_of(folder_of(n)).lower()
    ]


SOURCE = Source(
    name="coco-panoptic",
    title="COCO panoptic: JSON files with segments, their PNG files, and image files",
    layout='panoptic_NAME.json with "segments_info", panoptic_NAME/*.png, and image files',
    detect=detect,
    read=read,
    options=OPTIONS,
)
