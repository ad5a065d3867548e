"""labelme: one JSON file beside each image file; equal to the source if it was labelme."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from ngff_bio.export.annotations import Annotation, annotated_planes
from ngff_bio.export.classes import instance_layers
from ngff_bio.export.image_files import plane_name, write_image
from ngff_bio.export.labelme_copy import came_from_labelme, write_copy
from ngff_bio.export.output import place_below, unused_name, write_json
from ngff_bio.export.registry import Exporter
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import Selection
from ngff_bio.formats.labelme.writer import mask_shape, new_file, shape_record
from ngff_bio.model import Box, Polygons, Shape
from ngff_bio.raster.rings import joined_ring, polygons_of_rings


def write(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write the labelme files of the source; new ones for a region or another source."""
    same = selection.masks is None and not selection.cuts_planes
    if same and came_from_labelme(selection):
        write_copy(selection, place, report)
        return
    write_new(selection, place, report)


def write_new(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write a JSON file per plane, and its image file unless that is disabled."""
    selection = instance_layers(selection, report)
    with_images = selection.with_images is not False
    used: set[str] = set()
    for plane, instances in annotated_planes(selection):
        shapes: list[dict[str, Any]] = []
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
) -> list[dict[str, Any]]:
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
) -> list[dict[str, Any]]:
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
    extra: dict[str, Any] = {}
    if instance.source_id is not None:
        extra["source_id"] = instance.source_id
    if instance.track_id is not None:
        extra["track_id"] = instance.track_id
    if instance.iscrowd:
        extra["iscrowd"] = instance.iscrowd
    if instance.record:
        extra["attributes"] = one.record
    return extra


LABELME = Exporter(
    name="labelme",
    title="labelme JSON files beside their image files",
    suffixes=(),
    write=write,
)
