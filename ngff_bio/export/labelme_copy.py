"""labelme files of a store that was converted from labelme, equal to the source value for value."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ngff_bio.export.image_files import png_bytes, write_image
from ngff_bio.export.output import place_below, write_json
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.formats.labelme.labelme import restored_file, restored_shape

KEY = "labelme"


@dataclass(slots=True)
class _File:
    """One labelme file: its content without shapes, and the origin of its shapes.

    ``layer`` is ``None`` if it has the shapes of all layers; ``frames`` are the indices along t of the
    frames that it annotates.
    """

    name: str
    content: Mapping[str, Any]
    layer: str | None
    embedded: bool
    frames: list[int] = field(default_factory=list)


def came_from_labelme(selection: Selection) -> bool:
    """Whether any frame has the content of a labelme file."""
    return any(_files(image) for image in selection.images)


def write_copy(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write every labelme file of the source, and the image files with their source names."""
    with_images = selection.with_images is not False
    for image in selection.images:
        shapes = _shapes(image)
        files = _files(image)
        for file in files:
            own = [
                shape
                for (layer, t), found in shapes.items()
                if t in file.frames and file.layer in (None, layer)
                for shape in found
            ]
            content = restored_file(file.content, own)
            if file.embedded and with_images:
                content["imageData"] = _embedded(image, file.frames[0])
                report.warn(
                    "images embedded in labelme files (imageData) are encoded again, as PNG"
                )
            write_json(place_below(place, file.name), content)
            report.instances += len(own)
        if with_images:
            for plane in image.planes():
                if not plane.name.endswith(".json#imageData"):
                    write_image(plane, place, plane.name, report)
        image.stored.forget()
        if not files:
            report.note("images without annotations have no labelme file, as in the source")


def _files(image: SelectedImage) -> list[_File]:
    """The labelme files of an image."""
    found: dict[str, _File] = {}
    for t, frame in image.selected_frames:
        beside = str(PurePosixPath(str(frame.get("name"))).with_suffix(".json"))
        for record in _records(frame.get("record") or {}):
            name = str(record.get("annotation_file") or beside)
            embedded = record.get("image_data") == "embedded"
            file = _File(name, record[KEY], record.get("layer"), embedded)
            found.setdefault(name, file).frames.append(t)
    return list(found.values())


def _records(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Records of labelme files in that of a frame: its own, and further files nested in it."""
    content = record.get(KEY)
    if not isinstance(content, Mapping) or "shapes" not in content:
        return
    yield record
    for value in record.values():
        if isinstance(value, Mapping) and value is not content:
            yield from _records(value)


def _embedded(image: SelectedImage, t: int) -> str | None:
    """A frame as PNG in base64; ``None`` if PNG cannot represent its pixels."""
    for plane in image.planes():
        if plane.t == t:
            data = png_bytes(plane.pixels())
            return None if data is None else base64.b64encode(data).decode("ascii")
    return None


def _shapes(image: SelectedImage) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Shapes of each layer and frame, in file order."""
    found: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for layer in image.layers:
        table = image.stored.table(layer)
        if table is None or "record" not in table.column_names:
            continue
        names = ("t", "record", "polygons", "mask")
        times, records, polygons, masks = (table.column(n).to_pylist() for n in names)
        for t, record, points, mask in zip(times, records, polygons, masks, strict=True):
            if record is not None:
                shape = restored_shape(record, points[0] if points else None, mask)
                found[layer, t].append(shape)
    return found
