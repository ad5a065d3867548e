"""Formats of annotation tools that are written only for stores that were converted from them."""

from __future__ import annotations

from functools import partial
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
from ngff_bio.formats import supervisely, via
from ngff_bio.formats.label_studio import tasks


def _write(selection: Selection, place: Path, report: ExportReport, *, source: str) -> None:
    if not can_restore(selection, source, place):
        raise ArgumentError(
            f"the format {source} is written for stores that were converted from it",
            file=selection.url,
            expected=f"whole images of a store that was converted from {source}, and a folder",
            found=f"a store of {selection.source}",
            hint="export to another format: coco, labelme, yolo, voc, cvat",
        )
    documents = source_documents(selection, source)
    files = {_name(d): _content(d, source) for d in documents}
    for name, content in ((kept_attributes(selection, source) or {}).get("files") or {}).items():
        files[name] = json_bytes(content)
    report_restored(documents, selection, report)
    write_files(files, selection, place, report)


def _name(document: SourceDocument) -> str:
    """Its file; a table of Label Studio becomes JSON-MIN."""
    return f"{document.file}.json" if document.record.get("table") else document.file


def _content(document: SourceDocument, source: str) -> bytes:
    images: list[tuple[dict[str, object], list[tuple[int, Any]]]] = document.ordered
    if source == "via":
        if document.file.lower().endswith(".csv"):
            return via.restored_csv(images).encode()
        return json_bytes(via.restored(document.record, images))
    if source == "label-studio":
        return json_bytes(
            tasks.restored([(about, [o for _, o in found]) for about, found in images])
        )
    record, objects = images[0]
    return json_bytes(supervisely.restored(record, [o for _, o in objects]))


write_via = partial(_write, source="via")
write_label_studio = partial(_write, source="label-studio")
write_supervisely = partial(_write, source="supervisely")
