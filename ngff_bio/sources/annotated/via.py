"""VGG Image Annotator: projects, JSON and CSV of VIA 1 to 3, with the image files that they name."""

from __future__ import annotations

from ngff_bio.formats.problems import Problems
from ngff_bio.formats.via import ViaFile, is_via_csv
from ngff_bio.formats.via_3 import ViaProject, is_via_3
from ngff_bio.model import SourceDataset
from ngff_bio.sources.annotated.folder import OPTIONS, AnnotatedFolder, json_documents
from ngff_bio.sources.assembly import image_files
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source


def detect(tree: FileTree) -> int:
    """1 if there are image files, and a file of VIA."""
    names = tree.names()
    return int(bool(image_files(names)) and any(_is_via(tree, n) for n in names))


def _is_via(tree: FileTree, name: str) -> bool:
    if name.lower().endswith(".json"):
        return tree.json_kind(name) == "via"
    if not name.lower().endswith(".csv"):
        return False
    return is_via_csv(tree.file(name).read_range(0, 4096).decode("utf-8", "replace"))


def read(
    tree: FileTree,
    problems: Problems,
    *,
    class_attribute: str | None = None,
    axes: str | None = None,
) -> SourceDataset:
    """Every image file as an image, with its regions.

    Parameters
    ----------
    class_attribute
        The region attribute that names the class.
    axes
        Axes of TIFFs that do not state them.
    """
    names = tree.names()
    documents = [n for n in names if _is_via(tree, n)] or [
        *json_documents(tree, "via"),
        *(n for n in names if n.lower().endswith(".csv")),
    ]
    folder = AnnotatedFolder.open(tree, documents, "VIA", problems, axes=axes)
    given = None if class_attribute is None else str(class_attribute)
    folder.add_all(
        [
            (ViaProject if is_via_3(tree.file(name)) else ViaFile)(tree.file(name), given)
            for name in documents
        ]
    )
    return folder.dataset("via")


SOURCE = Source(
    name="via",
    title="VGG Image Annotator 1 to 3: project, JSON or CSV, and image files",
    layout='*.json with "_via_img_metadata", with "filename" and "regions", or (version 3) with "view" '
    'and "metadata"; *.csv with filename, '
    "region_shape_attributes; image files anywhere beside it",
    detect=detect,
    read=read,
    options={
        "class_attribute": "the region attribute that names the class",
        **OPTIONS,
    },
)
