"""labelme: one JSON file beside each image file; equal to the source if it was labelme."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ngff_bio.export.annotations import Annotation, annotated_planes
from ngff_bio.export.classes import instance_layers
from ngff_bio.export.documents import only_added, skip_added
from ngff_bio.export.image_files import plane_name, png_bytes, write_image
from ngff_bio.export.output import place_below, unused_name, write_json
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.formats.labelme.labelme import restored_file, restored_shape
from ngff_bio.formats.labelme.writer import mask_shape, new_file, shape_record
from ngff_bio.model import Box, Polygons, Shape
from ngff_bio.raster.rings import joined_ring, polygons_of_rings


def write(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write the labelme files of the source; new ones for a region or another source."""
    same = selection.masks is None and not selection.cuts_planes and not selection.edited
    if same and came_from_labelme(selection) and not only_added(selection):
        skip_added(selection, report)
        write_copy(selection, place, report)
        return
    write_new(selection, place, report)


def write_new(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write a JSON file per plane, and its image file unless that is disabled."""
    selection = instance_layers(selection, report)
    with_images = selection.with_images is not False
    used: set[str] = set()
    for plane, instances in annotated_planes(selection):
        shapes: list[dict[str, object]] = []
        for one in instances:
            shapes += _shapes(one, len(shapes), selection, report)
            report.instances += 1
        name = plane_name(plane, lossless=with_images)
        suffix = PurePosixPath(name).suffix
        json_name = PurePosixPath(unused_name(name, used)).with_suffix(".json")
        file = place_below(place, str(json_name))
        beside = file.with_suffix(suffix)
        write_json(file, new_file(shapes, beside.name, plane.height, plane.width))
        if with_images:
            write_image(plane, place, beside.relative_to(place).as_posix(), report)
        report.images += 1
    if not with_images:
        report.note("image files are not written: labelme expects them beside the JSON files")


def _shapes(
    one: Annotation, group: int, selection: Selection, report: ExportReport
) -> list[dict[str, object]]:
    """Shapes of an instance: outlines, box or mask; parts of one instance share a ``group_id``."""
    label = one.instance.category if one.instance.category is not None else _own_label(one)
    extra = _description(one)
    shape = one.geometry
    if isinstance(shape, Shape):
        return [shape_record(label, shape.points, shape.type, mask=shape.mask, **extra)]
    if isinstance(shape, Box):
        corners = [(shape.x0, shape.y0), (shape.x1, shape.y1)]
        report.note("boxes are half-open; labelme rectangles include both corners")
        return [shape_record(label, corners, "rectangle", **extra)]
    if isinstance(shape, Polygons) and all(len(p) >= 6 for p in shape.parts):
        several = len(shape.parts) > 1
        return [
            shape_record(
                label,
                list(zip(part[0::2], part[1::2], strict=True)),
                "polygon",
                group_id=group if several else None,
                **extra,
            )
            for part in shape.parts
        ]
    if one.mask is None:
        if one.box is None:
            report.skip("instances without pixels, outline or box", record=one.plane.name)
            return []
        x, y, width, height = one.box
        return [shape_record(label, [(x, y), (x + width, y + height)], "rectangle", **extra)]
    if selection.masks == "polygons":
        return _outlined(one, label, group, extra, report)
    corner, mask = one.mask
    return [mask_shape(label, corner, mask, **extra)]


def _outlined(
    one: Annotation, label: str, group: int, extra: dict[str, Any], report: ExportReport
) -> list[dict[str, object]]:
    polygons = polygons_of_rings(one.rings)
    if any(len(p) > 1 for p in polygons):
        report.warn("holes of masks are joined to their outline by lines of zero width")
    report.warn("labelme polygons include their outline: the masks become slightly larger")
    return [
        shape_record(
            label,
            [(float(x), float(y)) for x, y in joined_ring(polygon)],
            "polygon",
            group_id=group if len(polygons) > 1 else None,
            **extra,
        )
        for polygon in polygons
    ]


def _own_label(one: Annotation) -> str:
    """The id of an object without a class: labelme labels are text."""
    known = one.instance.track_id
    if known is None:
        known = one.instance.source_id
    return str(known if known is not None else one.instance.value)


def _description(one: Annotation) -> dict[str, Any]:
    """Values without a labelme key, under keys of their own, which labelme keeps."""
    instance = one.instance
    extra: dict[str, object] = {}
    if instance.source_id is not None:
        extra["source_id"] = instance.source_id
    if instance.track_id is not None:
        extra["track_id"] = instance.track_id
    if instance.iscrowd:
        extra["iscrowd"] = instance.iscrowd
    if instance.record:
        extra["attributes"] = one.record
    return extra


KEY = "labelme"


@dataclass(slots=True)
class _File:
    """One labelme file: its content without shapes, and the origin of its shapes.

    ``layer`` is ``None`` if it has the shapes of all layers; ``frames`` are the indices along t of the
    frames that it annotates.
    """

    name: str
    content: Mapping[str, object]
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
        shapes = _copied_shapes(image)
        report.instances += sum(
            len({_object(i, s) for i, s in enumerate(f)}) for f in shapes.values()
        )
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
            report.annotations += len(own)
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


def _records(record: Mapping[str, object]) -> Iterator[Mapping[str, Any]]:
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


def _object(index: int, shape: Mapping[str, object]) -> tuple[object, ...]:
    """What a shape is a part of: shapes of one label and ``group_id`` are one instance."""
    group = shape.get("group_id")
    return (index,) if group is None else (shape.get("label"), str(group))


def _copied_shapes(image: SelectedImage) -> dict[tuple[str, int], list[dict[str, object]]]:
    """Shapes of each layer and frame, in file order."""
    found: dict[tuple[str, int], list[dict[str, object]]] = defaultdict(list)
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
