"""Sources of documents that need no more than a reader, and image files anywhere beside them.

A document names its images, or is named like its image; the only document beside a single image is of
this image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from ngff_bio.formats.box_table import BoxTable, is_box_table, is_createml
from ngff_bio.formats.datumaro import DatumaroFile
from ngff_bio.formats.documents import DocumentReader
from ngff_bio.formats.label_studio.tasks import (
    LabelStudioFile,
    is_label_studio_table,
    without_prefix,
)
from ngff_bio.formats.mat_labels import MatLabels, is_mat_labels
from ngff_bio.formats.napari_shapes import NapariShapes, is_napari_shapes
from ngff_bio.formats.problems import Problems
from ngff_bio.formats.slide_xml import SlideXml, is_slide_xml
from ngff_bio.formats.text import text_of
from ngff_bio.formats.trackmate import TrackMateFile, is_trackmate
from ngff_bio.formats.via import ViaFile, is_via_csv
from ngff_bio.formats.via_3 import ViaProject, is_via_3
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
    reader: Callable[..., DocumentReader],
    *,
    options: Mapping[str, str] | None = None,
    renamed: Callable[[str], str] | None = None,
    shown: tuple[str, ...] = (),
    lists: str = "",
) -> Source:
    """A source of documents.

    Parameters
    ----------
    source, title, layout
        Name, title and layout, as of `Source`.
    endings, matches
        Endings of documents, in lower case; whether a file with such an ending is one.
    reader
        The reader of a document: gets its file, and the options.
    options
        Options of its own, with their help.
    renamed
        Another name of the image that a document names.
    shown
        Globs, in lower case, of image files that show annotations, and are not images.
    lists
        Name, in lower case, of tables about the images, whose texts the dataset keeps.
    """

    def detect(tree: FileTree) -> int:
        names = tree.names()
        found = (n for n in names if n.lower().endswith(endings) and matches(tree, n))
        return int(bool(image_files(names)) and any(found))

    def read(
        tree: FileTree, problems: Problems, *, axes: str | None = None, **own: object
    ) -> SourceDataset:
        named = [n for n in tree.names() if n.lower().endswith(endings)]
        # Without any, one is probably damaged: its reader says so.
        listed = [n for n in named if matches(tree, n)] or named
        images = image_files(tree.names())
        images = [n for n in images if not any(fnmatchcase(n.lower(), glob) for glob in shown)]
        format = title.partition(":")[0]
        folder = AnnotatedFolder.open(tree, listed, format, problems, axes=axes, images=images)
        only = folder.images[0] if len(folder.images) == 1 == len(listed) else None

        def find(given: str, document: str) -> str | None:
            names = (given,) if renamed is None else (given, renamed(given))
            tried = (folder.finder.find(n, folder_of(document)) for n in names)
            found = next((n for n in tried if n is not None), None)
            return found or (only if given == stem(base_of(document)) else None)

        folder.add_all([reader(tree.file(name), **own) for name in listed], find)
        tables = [n for n in tree.names() if base_of(n).lower() == lists]
        folder.read_files |= {*tables}
        texts = {n: text_of(tree.file(n), "the table") for n in tables}
        return folder.dataset(source, record={"tables": texts} if texts else None)

    return Source(source, title, layout, detect, read, {**(options or {}), **OPTIONS}, shown)


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

LABEL_STUDIO = document_source(
    "label-studio",
    "Label Studio: tasks as JSON or JSON-MIN, and image files",
    '*.json, a list of tasks with "data" and "annotations"; image files anywhere beside it',
    (".json", ".csv", ".tsv"),
    lambda tree, name: (
        tree.json_kind(name) == "label-studio"
        if name.lower().endswith("n")
        else is_label_studio_table(tree.file(name))
    ),
    LabelStudioFile,
    renamed=without_prefix,
)


def _via_reader(file: SourceFile, class_attribute: object = None) -> DocumentReader:
    given = None if class_attribute is None else str(class_attribute)
    return ViaProject(file, given) if is_via_3(file) else ViaFile(file, given)


VIA = document_source(
    "via",
    "VGG Image Annotator 1 to 3: project, JSON or CSV, and image files",
    '*.json with "_via_img_metadata", with "filename" and "regions", or (version 3) with "view" and '
    '"metadata"; *.csv with filename, region_shape_attributes; image files anywhere beside it',
    (".json", ".csv"),
    lambda tree, name: (
        tree.json_kind(name) == "via"
        if name.lower().endswith("n")
        else is_via_csv(tree.file(name).read_range(0, 4096).decode("utf-8-sig", "replace"))
    ),
    _via_reader,
    options={"class_attribute": "the region attribute that names the class"},
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
    shown=("overlay/*", "*/overlay/*"),  # of CoNSeP
    lists="info.csv",  # of Lizard: the source and the split of each image
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
