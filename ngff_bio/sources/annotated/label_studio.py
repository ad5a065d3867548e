"""Label Studio: tasks exported as JSON or JSON-MIN, with their image files."""

from __future__ import annotations

from ngff_bio.formats.label_studio.tasks import (
    LabelStudioFile,
    is_label_studio_table,
    without_prefix,
)
from ngff_bio.formats.problems import Problems
from ngff_bio.model import SourceDataset
from ngff_bio.sources.annotated.folder import OPTIONS, AnnotatedFolder, json_documents
from ngff_bio.sources.assembly import image_files
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source


def detect(tree: FileTree) -> int:
    """1 if there are image files, and a JSON file of Label Studio."""
    names = tree.names()
    return int(bool(image_files(names)) and any(_is_export(tree, n) for n in names))


def _is_export(tree: FileTree, name: str) -> bool:
    if name.lower().endswith((".csv", ".tsv")):
        return is_label_studio_table(tree.file(name))
    return tree.json_kind(name) == "label-studio"


def read(tree: FileTree, problems: Problems, *, axes: str | None = None) -> SourceDataset:
    """Every image file as an image; the annotations of each annotator are a layer."""
    tables = [n for n in tree.names() if n.lower().endswith((".csv", ".tsv"))]
    documents = [n for n in tables if _is_export(tree, n)] or json_documents(tree, "label-studio")
    folder = AnnotatedFolder.open(tree, documents, "Label Studio", problems, axes=axes)

    def find(name: str, _: str) -> str | None:
        return folder.finder.find(name) or folder.finder.find(without_prefix(name))

    folder.add_all([LabelStudioFile(tree.file(name)) for name in documents], find)
    return folder.dataset("label-studio")


SOURCE = Source(
    name="label-studio",
    title="Label Studio: tasks as JSON or JSON-MIN, and image files",
    layout='*.json, a list of tasks with "data" and "annotations"; image files anywhere beside it',
    detect=detect,
    read=read,
    options=OPTIONS,
)
