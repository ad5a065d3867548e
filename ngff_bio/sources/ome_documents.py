"""OME-XML of the files of a dataset: which images it describes, and where it is kept.

Sources put it into the attributes of the first image of a file, or by file into those of the dataset.
The document of a collection (``OME/METADATA.ome.xml``) has all of it that describes images one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from ngff_bio.errors import SourceError
from ngff_bio.formats.limits import RECORD_BYTES
from ngff_bio.formats.xml import parse_xml
from ngff_bio.model import Notice, OmeDocument, SourceDataset
from ngff_bio.model.notices import gathered

#: OME-XML of more characters is not put into attributes, which are read at every open.
_IN_ATTRIBUTES = 64_000

#: Characters of all documents: they are parsed together, which takes about ten times as much memory.
_TOTAL = 4 * RECORD_BYTES

_PLACE = "OME/METADATA.ome.xml"
_IMAGE = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}Image"


def with_documents(dataset: SourceDataset) -> SourceDataset:
    """The dataset with the documents of its files; attributes name the place of large ones.

    Large documents that do not describe the images of their file one by one, or in another version of
    the schema, stay in attributes. What is too much is left out, with a notice.
    """
    by_file = dataset.attributes.get("ome_xml")
    texts = {str(k): str(v) for k, v in by_file.items()} if isinstance(by_file, Mapping) else {}
    texts |= {
        i.first_file: str(i.attributes["ome_xml"])
        for i in dataset.images
        if "ome_xml" in i.attributes
    }
    if not texts:
        return dataset
    paths: dict[str, list[str]] = defaultdict(list)
    for image in dataset.images:
        paths[image.first_file].append(image.path)
    documents, notices, total = [], [], 0
    kept: dict[str, str] = {}  # what attributes have
    for file, text in texts.items():
        total += len(text)
        if total > _TOTAL:
            what = f"OME-XML of more than {_TOTAL:,} characters in all files is not kept"
            notices.append(Notice("skipped", what, record=file))
            continue
        large = len(text) > _IN_ATTRIBUTES
        whole = not large or (
            dataset.layout == "collection" and _describes(text, file, len(paths[file]))
        )
        if whole:
            documents.append(OmeDocument(text, tuple(paths[file])))
        kept[file] = _PLACE if large and whole else text
    if kept != texts:
        dataset = _with_texts(dataset, kept)
    return replace(
        dataset, documents=tuple(documents), notices=(*dataset.notices, *gathered(notices))
    )


def _describes(text: str, file: str, count: int) -> bool:
    """Whether a document has an element for each of so many images."""
    try:
        return len(parse_xml(text.encode(), file).findall(_IMAGE)) == count
    except (SourceError, UnicodeEncodeError):
        return False


def _with_texts(dataset: SourceDataset, texts: Mapping[str, str]) -> SourceDataset:
    def changed(attributes: Mapping[str, object], new: object) -> dict[str, object]:
        rest = {k: v for k, v in attributes.items() if k != "ome_xml"}
        return {**rest, "ome_xml": new} if new else rest

    images = tuple(
        replace(i, attributes=changed(i.attributes, texts.get(i.first_file)))
        if "ome_xml" in i.attributes
        else i
        for i in dataset.images
    )
    attributes = dataset.attributes
    if isinstance(by_file := attributes.get("ome_xml"), Mapping):
        there = {k: texts[k] for k in by_file if k in texts}
        attributes = changed(attributes, there)
    return replace(dataset, images=images, attributes=attributes)
