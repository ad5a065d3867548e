"""COCO files of a store that came from COCO, value for value as they were."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ngff_bio.export.output import place_below
from ngff_bio.export.picture_files import write_picture
from ngff_bio.export.report import Report
from ngff_bio.export.selection import Picture, Selection
from ngff_bio.formats.coco.writer import CocoCopy, restored_record

KEY = "coco"

#: Rows of a table that are Python objects at a time.
_ROWS = 1 << 11


def source_files(selection: Selection) -> list[Mapping[str, Any]]:
    """What the store keeps of the COCO files that it came from; none for other sources."""
    kept = (selection.own.get("attributes") or {}).get(KEY) or []
    return list(kept.values()) if isinstance(kept, dict) else list(kept)


def write_copy(selection: Selection, place: Path, report: Report) -> None:
    """Write every COCO file of the source again, with the images that are wanted."""
    folder = place if place.is_dir() else place.parent
    copies = {str(a["file"]): CocoCopy(a, folder) for a in source_files(selection)}
    try:
        for picture in selection.pictures:
            _add_picture(picture, copies)
            if selection.with_images and place.is_dir():
                for plane in picture.planes():
                    write_picture(plane, place, plane.name, report)
            picture.stored.forget()
        for name, copy in copies.items():
            if selection.whole or copy.images:
                copy.write(place_below(place, name) if place.is_dir() else place)
                report.instances += copy.count
        if place.is_dir():
            _write_counts(selection, place)
    finally:
        for copy in copies.values():
            copy.close()


def _write_counts(selection: Selection, place: Path) -> None:
    """Counts of objects in whole images, as LIVECell's benchmark has them: a file of names."""
    files: dict[str, list[tuple[int, str, Any]]] = {}
    for picture in selection.pictures:
        about = picture.stored.own.get("attributes") or {}
        if "count" in about and "counts" in about:
            kept, name = about["counts"], str(picture.stored.own.get("name"))
            files.setdefault(kept["file"], []).append((kept["index"], name, about["count"]))
    for file, entries in files.items():
        content = {name: count for _, name, count in sorted(entries)}
        place_below(place, file).write_text(json.dumps(content, ensure_ascii=False))


def _add_picture(picture: Picture, copies: Mapping[str, CocoCopy]) -> None:
    files = list(copies)
    for t, frame in picture.all_frames:
        if not picture.span("t")[0] <= t < picture.span("t")[1]:
            continue
        for entry in _entries(frame.get("record")):
            for number, index in entry["files"]:
                copies[files[number]].images[int(index)] = entry["record"]
    for layer in picture.layers:
        table = picture.stored.table(layer)
        if table is None or "files" not in table.column_names:
            continue
        names = ("t", "record", "polygons", "rle_size", "rle_counts", "rle_runs", "source_id")
        wanted = table.select([*names, "files", "indices", "variants"])
        for first in range(0, table.num_rows, _ROWS):
            for row in wanted.slice(first, _ROWS).to_pylist():
                if picture.span("t")[0] <= row["t"] < picture.span("t")[1]:
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
    """Entries of ``images`` that a frame's record holds, also those of crops inside of it."""
    if isinstance(record, Mapping):
        for key, value in record.items():
            if key == KEY and isinstance(value, list):
                yield from (v for v in value if isinstance(v, Mapping) and "files" in v)
            else:
                yield from _entries(value)
    elif isinstance(record, list):
        for value in record:
            yield from _entries(value)
