"""Predictions of blood cells by miLab, equal to the source: ``analyze_result.json`` per test folder."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from ngff_bio.errors import ArgumentError
from ngff_bio.export.documents import skip_added
from ngff_bio.export.output import check_one_file, target, write_json
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.formats.milab import restored_entry


def write(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write each prediction file of the source, value for value."""
    files: dict[str, list[tuple[int, str, object]]] = defaultdict(list)
    skip_added(selection, report)
    for image in selection.images:
        for layer in image.layers:
            about = image.stored.source_attributes(layer)
            if "schema" not in about or "file" not in about:
                continue
            cells = _cells(image, layer)
            report.instances += len(cells)
            files[about["file"]].append(
                (
                    int(about["position"]),
                    about["key"],
                    restored_entry(about["schema"], about.get("entry") or {}, cells),
                )
            )
        if image.cuts("y", "x", "z"):
            report.note(
                "predictions of the whole image are exported, not only those in the region",
                record=image.name,
            )
    if selection.edited:
        raise ArgumentError(
            "predictions that were edited in the store cannot be written as miLab has them",
            file=selection.url,
            hint="export them to coco, labelme or yolo",
        )
    if not files:
        raise ArgumentError(
            "the store has no predictions of miLab",
            file=selection.url,
            found=str(selection.source),
            hint="export boxes of other stores to coco, labelme or yolo",
        )
    check_one_file(place, list(files), "test folders")
    for name, entries in files.items():
        content = {key: entry for _, key, entry in sorted(entries, key=lambda e: e[0])}
        write_json(target(place, name), content)


def _cells(image: SelectedImage, layer: str) -> dict[str, object]:
    """Records of the cells by key, in source order."""
    table = image.stored.table(layer)
    if table is None:
        return {}
    keys, records = (table.column(n).to_pylist() for n in ("source_id", "record"))
    return {k: json.loads(r) for k, r in zip(keys, records, strict=True)}
