"""miLab's predictions of blood cells, as they were: ``analyze_result.json`` of each test folder."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from ngff_bio.errors import ArgumentError
from ngff_bio.export.output import place_below
from ngff_bio.export.registry import Exporter
from ngff_bio.export.report import Report
from ngff_bio.export.selection import Picture, Selection
from ngff_bio.formats.milab import restored_entry


def write(selection: Selection, place: Path, report: Report) -> None:
    """Write each file of predictions that the store came from, value for value."""
    files: dict[str, list[tuple[int, str, Any]]] = defaultdict(list)
    for picture in selection.pictures:
        for layer in picture.layers:
            about = picture.stored.layer(layer).get("attributes") or {}
            if "schema" not in about or "file" not in about:
                continue
            cells = _cells(picture, layer)
            report.instances += len(cells)
            files[about["file"]].append(
                (
                    int(about["position"]),
                    about["key"],
                    restored_entry(about["schema"], about.get("entry") or {}, cells),
                )
            )
        if picture.cuts("y", "x", "z"):
            report.note("predictions are whole: a region does not cut them", record=picture.name)
    if not files:
        raise ArgumentError(
            "only stores of miLab's blood cells hold its predictions",
            file=selection.url,
            found=str(selection.source),
            hint="choose coco, labelme or yolo for boxes of other stores",
        )
    if not place.is_dir() and len(files) > 1:
        raise ArgumentError(
            "one file holds the predictions of one test folder",
            found=", ".join(files),
            hint="name a folder, or choose with --image",
        )
    for name, entries in files.items():
        content = {key: entry for _, key, entry in sorted(entries, key=lambda e: e[0])}
        target = place_below(place, name) if place.is_dir() else place
        target.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")


def _cells(picture: Picture, layer: str) -> dict[str, Any]:
    """Records of the cells by their keys, in the source's order."""
    table = picture.stored.table(layer)
    if table is None:
        return {}
    keys, records = (table.column(n).to_pylist() for n in ("source_id", "record"))
    return {k: json.loads(r) for k, r in zip(keys, records, strict=True)}


MILAB = Exporter(
    name="milab",
    title="predictions of blood cells (analyze_result.json), from stores that came from them",
    suffixes=(".json",),
    write=write,
)
