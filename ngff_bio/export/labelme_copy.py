"""labelme files of a store that came from labelme, value for value as they were."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ngff_bio.export.output import place_below
from ngff_bio.export.picture_files import png_bytes, write_picture
from ngff_bio.export.report import Report
from ngff_bio.export.selection import Picture, Selection
from ngff_bio.formats.labelme.labelme import restored_file, restored_shape

KEY = "labelme"


@dataclass(slots=True)
class _File:
    """One labelme file: its content without shapes, and whose shapes these are.

    ``layer`` is ``None`` where all layers are of this file; ``frames`` are the indices along t of the
    picture's frames that it lies beside.
    """

    name: str
    content: Mapping[str, Any]
    layer: str | None
    embedded: bool
    frames: list[int] = field(default_factory=list)


def came_from_labelme(selection: Selection) -> bool:
    """Whether any frame keeps what a labelme file said."""
    return any(_files(p) for p in selection.pictures)


def write_copy(selection: Selection, place: Path, report: Report) -> None:
    """Write every labelme file of the source again, and the pictures at their own names."""
    with_images = selection.with_images is not False
    for picture in selection.pictures:
        shapes = _shapes(picture)
        files = _files(picture)
        for file in files:
            own = [
                shape
                for (layer, t), found in shapes.items()
                if t in file.frames and file.layer in (None, layer)
                for shape in found
            ]
            content = restored_file(file.content, own)
            if file.embedded and with_images:
                content["imageData"] = _embedded(picture, file.frames[0])
                report.warn("pictures inside of labelme files (imageData) are made anew, as PNG")
            text = json.dumps(content, ensure_ascii=False, indent=2)
            place_below(place, file.name).write_text(text, encoding="utf-8")
            report.instances += len(own)
        if with_images:
            for plane in picture.planes():
                if not plane.name.endswith(".json#imageData"):
                    write_picture(plane, place, plane.name, report)
        picture.stored.forget()
        if not files:
            report.note("pictures without annotations have no labelme file, as in the source")


def _files(picture: Picture) -> list[_File]:
    """The labelme files of a picture."""
    first, stop = picture.span("t")
    found: dict[str, _File] = {}
    for t, frame in picture.all_frames:
        if not first <= t < stop:
            continue
        beside = str(PurePosixPath(str(frame.get("name"))).with_suffix(".json"))
        for said in _told(frame.get("record") or {}):
            name = str(said.get("annotation_file") or beside)
            embedded = said.get("image_data") == "embedded"
            file = _File(name, said[KEY], said.get("layer"), embedded)
            found.setdefault(name, file).frames.append(t)
    return list(found.values())


def _told(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What labelme files said of a frame: the first of its picture, and others below their names."""
    content = record.get(KEY)
    if not isinstance(content, Mapping) or "shapes" not in content:
        return
    yield record
    for value in record.values():
        if isinstance(value, Mapping) and value is not content:
            yield from _told(value)


def _embedded(picture: Picture, t: int) -> str | None:
    """The picture of a frame as base64 of a PNG; ``None`` for pixels that a PNG does not hold."""
    for plane in picture.planes():
        if plane.t == t:
            data = png_bytes(plane.pixels())
            return None if data is None else base64.b64encode(data).decode("ascii")
    return None


def _shapes(picture: Picture) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Shapes of each layer and frame, in the order of their file."""
    found: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for layer in picture.layers:
        table = picture.stored.table(layer)
        if table is None or "record" not in table.column_names:
            continue
        names = ("t", "record", "polygons", "mask")
        times, records, polygons, masks = (table.column(n).to_pylist() for n in names)
        for t, record, points, mask in zip(times, records, polygons, masks, strict=True):
            if record is not None:
                shape = restored_shape(record, points[0] if points else None, mask)
                found[layer, t].append(shape)
    return found
