"""COCO files of a store that was converted from COCO, equal to the source value for value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ngff_bio.export.image_files import write_image
from ngff_bio.export.output import place_below, target, write_json
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.formats.coco.writer import CocoCopy, restored_record

KEY = "coco"

#: Table rows that are converted to Python objects at a time.
_ROWS = 1 << 11


def source_files(selection: Selection) -> list[Mapping[str, Any]]:
    """What the store keeps of the COCO files of its source; empty for other sources."""
    kept = (selection.attributes.get("attributes") or {}).get(KEY) or []
    return list(kept.values()) if isinstance(kept, dict) else list(kept)


def write_copy(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write every COCO file of the source, with the selected images."""
    folder = place if place.is_dir() else place.parent
    copies = {str(a["file"]): CocoCopy(a, folder) for a in source_files(selection)}
    try:
        for image in selection.images:
            _add_image(image, copies)
            if selection.with_images and place.is_dir():
                for plane in image.planes():
                    write_image(plane, place, plane.name, report)
            image.stored.forget()
        for name, copy in copies.items():
            if selection.whole or copy.images:
                copy.write(target(place, name))
                report.instances += copy.count
        if place.is_dir():
            _write_counts(selection, place)
    finally:
        for copy in copies.values():
            copy.close()


def _write_counts(selection: Selection, place: Path) -> None:
    """Write counts of objects per image as JSON, as the benchmark of LIVECell does."""
    files: dict[str, list[tuple[int, str, Any]]] = {}
    for image in selection.images:
        about = image.stored.source_attributes()
        if "count" in about and "counts" in about:
            kept, name = about["counts"], str(image.stored.attributes.get("name"))
            files.setdefault(kept["file"], []).append((kept["index"], name, about["count"]))
    for file, entries in files.items():
        content = {name: count for _, name, count in sorted(entries)}
        write_json(place_below(place, file), content, indent=None)


def _add_image(image: SelectedImage, copies: Mapping[str, CocoCopy]) -> None:
    files = list(copies)
    first, stop = image.span("t")
    for _, frame in image.selected_frames:
        for entry in _entries(frame.get("record")):
            for number, index in entry["files"]:
                copies[files[number]].images[int(index)] = entry["record"]
    for layer in image.layers:
        table = image.stored.table(layer)
        if table is None or "files" not in table.column_names:
            continue
        names = ("t", "record", "polygons", "rle_size", "rle_counts", "rle_runs", "source_id")
        wanted = table.select([*names, "files", "indices", "variants"])
        for begin in range(0, table.num_rows, _ROWS):
            for row in wanted.slice(begin, _ROWS).to_pylist():
                if first <= row["t"] < stop:
                    _add_row(row, copies)


def _add_row(row: Mapping[str, Any], copies: Mapping[str, CocoCopy]) -> None:
    rle = None
    if row["rle_size"] is not None:
        counts = row["rle_counts"] if row["rle_counts"] is not None else row["rle_runs"]
        rle = {"size": row["rle_size"], "counts": counts}
    variants = row["variants"] or [None] * len(row["files"] or ())
    plain = None
    for name, index, variant in zip(row["files"] or (), row["indices"], variants, strict=True):
        copy = copies.get(name)
        if copy is None:
            continue
        if variant is None:
            plain = plain or restored_record(row["record"], row["polygons"], rle)
            copy.add(index, plain, row["source_id"])
            continue
        own = json.loads(variant)
        text = restored_record(row["record"], row["polygons"], rle, variant)
        copy.add(index, text, str(own.get("key", own.get("id", row["source_id"]))))


def _entries(record: Any) -> Iterator[Mapping[str, Any]]:
    """Entries of ``images`` in the record of a frame, including those of its crops."""
    if isinstance(record, Mapping):
        for key, value in record.items():
            if key == KEY and isinstance(value, list):
                yield from (v for v in value if isinstance(v, Mapping) and "files" in v)
            else:
                yield from _entries(value)
    elif isinstance(record, list):
        for value in record:
            yield from _entries(value)
