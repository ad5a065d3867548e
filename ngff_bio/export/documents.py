"""Annotation documents of the source again, from what a store keeps of them.

A store that was converted from annotation documents has the record of each document in its attributes,
that of each image in its frames, and that of each object in a table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ngff_bio.export.output import place_below
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.export.source_files import write_image_files
from ngff_bio.ngff.attributes import ADDED, further_field

KEY = "annotations"


@dataclass(slots=True)
class DocumentImage:
    """What a document states about one image: its record, and its objects with their positions."""

    record: dict[str, object]
    objects: list[tuple[int, object]] = field(default_factory=list)


@dataclass(slots=True)
class SourceDocument:
    """A document of the source: its record, and its images by their position in it."""

    file: str
    record: dict[str, object]
    images: dict[int, DocumentImage] = field(default_factory=dict)

    @property
    def ordered(self) -> list[tuple[dict[str, object], list[tuple[int, Any]]]]:
        """Record and objects of each image, in the order of the document."""
        found = (self.images[n] for n in sorted(self.images))
        return [(i.record, sorted(i.objects, key=lambda o: o[0])) for i in found]


def kept_attributes(selection: Selection, source: str) -> Mapping[str, Any] | None:
    """What a store keeps of documents of a source; ``None`` if it comes from another one."""
    if selection.source != source:
        return None
    kept = (selection.attributes.get("attributes") or {}).get(KEY)
    return kept if isinstance(kept, Mapping) else None


def can_restore(selection: Selection, source: str, place: Path) -> bool:
    """Whether an export is of whole images of that source, so that documents are equal to it."""
    same = selection.masks is None and not selection.cuts_planes and place.is_dir()
    known = same and kept_attributes(selection, source) is not None
    return known and not only_added(selection)


def added_layers(selection: Selection) -> set[str]:
    """Names of the selected layers that are not from the source: other programs leave no attributes."""
    return {
        layer
        for image in selection.images
        for layer in image.layers
        for about in (image.stored.label_attributes(layer),)
        if not about or further_field(about, ADDED) is not None
    }


def only_added(selection: Selection) -> bool:
    """Whether labels are selected, and none of them is from the source."""
    layers = {layer for image in selection.images for layer in image.layers}
    return bool(layers) and layers == added_layers(selection)


def skip_added(selection: Selection, report: ExportReport) -> None:
    """Report the layers that files of the source do not have."""
    for layer in sorted(added_layers(selection)):
        report.skip(
            "labels that were added later are not in the files of the source: export them alone "
            f"with --labels {layer}",
            record=layer,
        )


def source_documents(selection: Selection, source: str) -> list[SourceDocument]:
    """The documents of the source, with what they state about the selected images."""
    kept = kept_attributes(selection, source) or {}
    records = {str(d["file"]): dict(d["record"]) for d in kept.get("documents") or ()}
    found: dict[str, SourceDocument] = {}
    for image in selection.images:
        of_layer: dict[tuple[str, int, str], DocumentImage] = {}
        for t, about in _stated(image):
            file = str(about["file"])
            document = found.setdefault(file, SourceDocument(file, records.get(file, {})))
            new = DocumentImage(dict(about.get("record") or {}))
            entry = document.images.setdefault(
                int(about["image"]), new
            )  # of all frames of an image
            if "layer" in about:
                of_layer[file, t, about["layer"]] = entry
        for layer in image.layers:
            for file, t, place, record in _rows(image, layer):
                # The first frame stands for all if an image is one file.
                entry_of = of_layer.get((file, t, layer)) or of_layer.get((file, 0, layer))
                if entry_of is not None:
                    entry_of.objects.append((place, record))
    return list(found.values())


def _stated(image: SelectedImage) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for t, frame in image.selected_frames:
        stated = (frame.get("record") or {}).get(KEY)
        for about in stated if isinstance(stated, list) else ():
            if isinstance(about, Mapping) and "file" in about and "image" in about:
                yield t, about


def _rows(image: SelectedImage, layer: str) -> Iterator[tuple[str, int, int, object]]:
    """File, frame, position and record of each row that came from a document."""
    table = image.stored.table(layer)
    if table is None or not {"files", "indices", "record", "t"} <= set(table.column_names):
        return
    columns = (table.column(n).to_pylist() for n in ("files", "t", "indices", "record"))
    for files, t, indices, record in zip(*columns, strict=True):
        if files and indices and record is not None:
            yield files[0], t, indices[0], json.loads(record)


def write_files(
    files: Mapping[str, bytes], selection: Selection, place: Path, report: ExportReport
) -> None:
    """Write restored files below the destination, and the image files if they are wanted."""
    for name, data in files.items():
        place_below(place, name).write_bytes(data)
    for image in selection.images:
        if selection.with_images:
            write_image_files(image, place, report)
        image.stored.forget()
    if not selection.with_images:
        report.note("image files are not written: add --images to write them")


def report_restored(
    documents: list[SourceDocument], selection: Selection, report: ExportReport
) -> None:
    """Report the number of objects in documents, and the layers that no document has."""
    skip_added(selection, report)
    report.instances += sum(len(i.objects) for d in documents for i in d.images.values())


def json_bytes(content: object) -> bytes:
    """JSON in UTF-8."""
    return json.dumps(content, ensure_ascii=False, indent=2).encode()
