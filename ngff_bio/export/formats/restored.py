"""Formats of annotation tools that are written only for stores that were converted from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ngff_bio.errors import ArgumentError
from ngff_bio.export.documents import (
    SourceDocument,
    can_restore,
    json_bytes,
    kept_attributes,
    report_restored,
    source_documents,
    write_files,
)
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import Selection
from ngff_bio.formats import (
    box_table,
    datumaro,
    napari_shapes,
    slide_xml,
    supervisely,
    trackmate,
    via,
    via_3,
)
from ngff_bio.formats.label_studio import tasks


def write(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write the documents of the source again; the format is the name of the source."""
    source = report.format
    if not can_restore(selection, source, place):
        raise ArgumentError(
            f"the format {source} is written for stores that were converted from it",
            file=selection.url,
            expected=f"whole images of a store that was converted from {source}, and a folder",
            found=f"a store of {selection.source}",
            hint="export to another format: coco, labelme, yolo, voc, cvat",
        )
    documents = source_documents(selection, source)
    files = {_name(d): _CONTENT[source](d) for d in documents}
    for name, content in ((kept_attributes(selection, source) or {}).get("files") or {}).items():
        files[name] = content.encode() if isinstance(content, str) else json_bytes(content)
    report_restored(documents, selection, report)
    write_files(files, selection, place, report)


def _name(document: SourceDocument) -> str:
    """Its file; a table of Label Studio becomes JSON-MIN."""
    return f"{document.file}.json" if document.record.get("table") else document.file


def _via(document: SourceDocument) -> bytes:
    if document.file.lower().endswith(".csv"):
        return via.restored_csv(document.ordered)
    if "view" in document.record:
        return json_bytes(via_3.restored(document.record, document.ordered))
    return json_bytes(via.restored(document.record, document.ordered))


def _label_studio(document: SourceDocument) -> bytes:
    listed = [(about, [o for _, o in found]) for about, found in document.ordered]
    return json_bytes(tasks.restored(listed))


def _supervisely(document: SourceDocument) -> bytes:
    record, objects = document.ordered[0]
    return json_bytes(supervisely.restored(record, [o for _, o in objects]))


def _records(document: SourceDocument) -> list[tuple[int, Any]]:
    """Records of all images with their positions."""
    return sorted((o for _, found in document.ordered for o in found), key=lambda o: o[0])


#: The content of a document of each source.
_CONTENT: dict[str, Callable[[SourceDocument], bytes]] = {
    "via": _via,
    "label-studio": _label_studio,
    "supervisely": _supervisely,
    "datumaro": lambda d: json_bytes(datumaro.restored(d.record, d.ordered)),
    "box-table": lambda d: box_table.restored(d.record, d.ordered),
    "mot": lambda d: "".join(f"{one['line']}\n" for _, one in _records(d)).encode(),
    "trackmate": lambda d: trackmate.restored(d.record, _records(d)),
    "slide-xml": lambda d: slide_xml.restored(d.record, _records(d)),
    "napari-shapes": lambda d: napari_shapes.restored(_records(d)),
}
