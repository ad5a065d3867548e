"""QuPath: a GeoJSON file of objects for each image, named like it."""

from __future__ import annotations

import re

from ngff_bio.errors import NgffBioError
from ngff_bio.formats.geojson import GeoJsonFile
from ngff_bio.formats.json.text import json_kind
from ngff_bio.formats.problems import Problems
from ngff_bio.model import SourceDataset
from ngff_bio.sources.annotated.folder import OPTIONS, AnnotatedFolder
from ngff_bio.sources.assembly import base_of, folder_of, image_files, without_image
from ngff_bio.sources.files.archives import list_archive
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source

#: Endings of compressed files.
_PACKED = re.compile(r"(?<=\.geojson)\.(gz|zip)$|\.zip$", re.IGNORECASE)


def detect(tree: FileTree) -> int:
    """1 if there are image files, and a file of GeoJSON."""
    names = tree.names()
    return int(bool(image_files(names)) and any(_is_geojson(tree, n) for n in names))


def _is_geojson(tree: FileTree, name: str) -> bool:
    if name.lower().endswith((".geojson.gz", ".geojson.zip")) or _is_zipped(tree, name):
        return True
    return name.lower().endswith((".geojson", ".json")) and json_kind(tree.file(name)) == "geojson"


def _is_zipped(tree: FileTree, name: str) -> bool:
    """Whether a zip has one member, and this is GeoJSON."""
    if not name.lower().endswith(".zip"):
        return False
    try:
        members = list_archive(tree.file(name))
    except NgffBioError:  # reported by who reads it
        return False
    return len(members) == 1 and next(iter(members)).lower().endswith(".geojson")


def read(tree: FileTree, problems: Problems, *, axes: str | None = None) -> SourceDataset:
    """Every image file as an image, with the objects of its GeoJSON file.

    Parameters
    ----------
    axes
        Axes of TIFFs that do not state them.
    """
    documents = [n for n in tree.names() if _is_geojson(tree, n)]
    folder = AnnotatedFolder.open(tree, documents, "QuPath", problems, axes=axes)
    for name in documents:
        own = _PACKED.sub("", base_of(name))  # a.geojson, a.tif.json
        tried = (folder.finder.find(n, folder_of(name)) for n in (own, own.rpartition(".")[0]))
        image = next((n for n in tried if n is not None), None)
        if image is None and len(documents) == 1 == len(folder.images):
            image = folder.images[0]
        with problems.caught():
            if image is None:
                raise without_image(name, own.rpartition(".")[0] + ".*")
            folder.add(GeoJsonFile(tree.file(name), image))
    return folder.dataset("qupath")


SOURCE = Source(
    name="qupath",
    title="QuPath: a GeoJSON file of objects for each image",
    layout="a.geojson (also as .geojson.gz, or in a zip), or a.json with features, and the image file "
    "a.* anywhere beside it",
    detect=detect,
    read=read,
    options=OPTIONS,
)
