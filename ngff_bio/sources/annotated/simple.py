"""Sources of documents that need no more than a reader, and image files anywhere beside them.

A document names its images, or is named like its image; the only document beside a single image is of
this image.
"""

from __future__ import annotations

from collections.abc import Callable

from ngff_bio.formats.box_table import BoxTable, is_box_table, is_createml
from ngff_bio.formats.datumaro import DatumaroFile
from ngff_bio.formats.documents import DocumentReader
from ngff_bio.formats.mat_labels import MatLabels, is_mat_labels
from ngff_bio.formats.napari_shapes import NapariShapes, is_napari_shapes
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.slide_xml import SlideXml, is_slide_xml
from ngff_bio.formats.trackmate import TrackMateFile, is_trackmate
from ngff_bio.model import SourceDataset, SourceFile
from ngff_bio.sources.annotated.folder import OPTIONS, AnnotatedFolder
from ngff_bio.sources.annotated.pairing import stem
from ngff_bio.sources.assembly import base_of, folder_of, image_files
from ngff_bio.sources.files.tree import FileTree
from ngff_bio.sources.registry import Source


def document_source(
    source: str,
    title: str,
    layout: str,
    endings: tuple[str, ...],
    matches: Callable[[FileTree, str], bool],
    reader: Callable[[SourceFile], DocumentReader],
) -> Source:
    """A source of documents.

    Parameters
    ----------
    source, title, layout
        Name, title and layout, as of `Source`.
    endings, matches
        Endings of documents, in lower case; whether a file with such an ending is one.
    reader
        The reader of a document.
    """

    def detect(tree: FileTree) -> int:
        names = tree.names()
        found = (n for n in names if n.lower().endswith(endings) and matches(tree, n))
        return int(bool(image_files(names)) and any(found))

    def read(tree: FileTree, problems: Problems, *, axes: str | None = None) -> SourceDataset:
        named = [n for n in tree.names() if n.lower().endswith(endings)]
        # Without any, one is probably damaged: its reader says so.
        listed = [n for n in named if matches(tree, n)] or named
        folder = AnnotatedFolder.open(tree, listed, title.partition(":")[0], problems, axes=axes)
        only = folder.images[0] if len(folder.images) == 1 == len(listed) else None

        def find(given: str, document: str) -> str | None:
            found = folder.finder.find(given, folder_of(document))
            return found or (only if given == stem(base_of(document)) else None)

        folder.add_all([reader(tree.file(name)) for name in listed], find)
        return folder.dataset(source)

    return Source(source, title, layout, detect, read, OPTIONS)


BOXES = document_source(
    "box-table",
    "lists of boxes: CSV of TensorFlow, RetinaNet, makesense; JSON of CreateML",
    "*.csv with filename, xmin, ymin, xmax, ymax, class, or with bbox; _annotations.createml.json",
    (".csv", ".json"),
    lambda tree, name: (is_createml if name.lower().endswith("n") else is_box_table)(
        tree.file(name)
    ),
    BoxTable,
)

DATUMARO = document_source(
    "datumaro",
    "Datumaro: annotations of each subset as JSON, and image files",
    "annotations/train.json with items and categories, images/train/*",
    (".json",),
    lambda tree, name: tree.json_kind(name) == "datumaro",
    DatumaroFile,
)

SLIDE_XML = document_source(
    "slide-xml",
    "Aperio ImageScope and ASAP: an XML file of regions for each image",
    "a.xml with Annotations or ASAP_Annotations, and the image file a.* anywhere beside it",
    (".xml",),
    lambda tree, name: is_slide_xml(tree.file(name)),
    SlideXml,
)

MAT = document_source(
    "mat-labels",
    "MATLAB files of HoVer-Net: instances of CoNSeP, Kumar, CPM, Lizard",
    "Labels/a.mat with inst_map and type_map, inst_type or class, Images/a.png",
    (".mat",),
    lambda tree, name: is_mat_labels(tree.file(name)),
    MatLabels,
)

NAPARI = document_source(
    "napari-shapes",
    "napari: a shapes layer as CSV for each image",
    "a.csv with index, shape-type, vertex-index, axis-0, axis-1, and the image file a.*",
    (".csv",),
    lambda tree, name: is_napari_shapes(tree.file(name)),
    NapariShapes,
)

TRACKMATE = document_source(
    "trackmate",
    "TrackMate: spots and tracks of a movie as XML",
    "movie.xml, and the image file that it names, or movie.*",
    (".xml",),
    lambda tree, name: is_trackmate(tree.file(name)),
    TrackMateFile,
)
