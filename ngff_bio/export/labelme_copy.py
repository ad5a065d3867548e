"""labelme files of a store that came from labelme, value for value as they were."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ngff_bio.export.output import place_below
from ngff_bio.export.picture_files import png_bytes, write_picture
from ngff_bio.export.report import Report
from ngff_bio.export.selection import Picture, Selection
from ngff_bio.formats.labelme import restored_file, restored_shape

KEY = "labelme"


def came_from_labelme(selection: Selection) -> bool:
    """Whether any frame keeps what a labelme file said."""
    return any(True for p in selection.pictures for _ in _files(p))


def write_copy(selection: Selection, place: Path, report: Report) -> None:
    """Write every labelme file of the source again, and the pictures at their own names."""
    bare = 0
    for picture in selection.pictures:
        shapes = _shapes(picture)
        for t, name, record, embedded in _files(picture):
            content = restored_file(record, shapes.get(t, []))
            if embedded and selection.with_pictures is not False:
                content["imageData"] = _embedded(picture, t)
                report.warn("pictures inside of labelme files (imageData) are made anew, as PNG")
            target = place_below(place, name)
            target.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")
            report.instances += len(shapes.get(t, []))
        if selection.with_pictures is not False:
            for plane in picture.planes():
                write_picture(plane, place, plane.name, report)
                bare += KEY not in (plane.frame.get("record") or {})
        picture.stored.forget()
    if bare:
        report.note("pictures without annotations have no labelme file, as in the source")


def _files(picture: Picture) -> Iterator[tuple[int, str, Mapping[str, Any], bool]]:
    """Frame, name, content (without shapes) of each labelme file; whether it holds its picture."""
    first, stop = picture.span("t")
    for t, frame in picture.all_frames:
        record = frame.get("record") or {}
        content = record.get(KEY)
        if isinstance(content, Mapping) and "shapes" in content and first <= t < stop:
            beside = str(PurePosixPath(str(frame.get("name"))).with_suffix(".json"))
            name = str(record.get("annotation_file") or beside)
            yield t, name, content, record.get("image_data") == "embedded"


def _embedded(picture: Picture, t: int) -> str | None:
    """The picture of a frame as base64 of a PNG; ``None`` for pixels that a PNG does not hold."""
    for plane in picture.planes():
        if plane.t == t:
            data = png_bytes(plane.pixels())
            return None if data is None else base64.b64encode(data).decode("ascii")
    return None


def _shapes(picture: Picture) -> dict[int, list[dict[str, Any]]]:
    """Shapes of each frame, in the order of its file."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for layer in picture.layers:
        table = picture.stored.table(layer)
        if table is None or "record" not in table.column_names:
            continue
        names = ("t", "record", "polygons", "mask")
        times, records, polygons, masks = (table.column(n).to_pylist() for n in names)
        for t, record, points, mask in zip(times, records, polygons, masks, strict=True):
            if record is not None:
                found[t].append(restored_shape(record, points[0] if points else None, mask))
    return found
