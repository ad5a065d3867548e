"""labelme: one JSON beside each picture; verbatim where the source was labelme."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from ngff_bio.export.annotations import Annotation, LayerRows
from ngff_bio.export.classes import instance_layers
from ngff_bio.export.labelme_copy import came_from_labelme, write_copy
from ngff_bio.export.output import place_below
from ngff_bio.export.picture_files import lossless_name, source_name, write_picture
from ngff_bio.export.registry import Exporter
from ngff_bio.export.report import Report
from ngff_bio.export.selection import Selection
from ngff_bio.formats.labelme.writer import mask_shape, new_file, shape_record
from ngff_bio.model import Box, Polygons, Shape
from ngff_bio.raster.rings import joined_ring, polygons_of_rings


def write(selection: Selection, place: Path, report: Report) -> None:
    """Write the labelme files of the source again; for a region or another source, new ones."""
    cut = any(p.cuts("y", "x", "z") for p in selection.pictures)
    if came_from_labelme(selection) and not cut and selection.masks is None:
        write_copy(selection, place, report)
        return
    write_new(selection, place, report)


def write_new(selection: Selection, place: Path, report: Report) -> None:
    """Write a file for each plane, with its picture beside it unless that is not wanted."""
    selection = instance_layers(selection, report)
    with_images = selection.with_images is not False
    used: set[str] = set()
    for picture in selection.pictures:
        layers = [LayerRows(picture, layer) for layer in picture.layers]
        for plane in picture.planes():
            name = lossless_name(plane) if with_images else source_name(plane)
            shapes: list[dict[str, Any]] = []
            for layer in layers:
                for one in layer.on(plane):
                    shapes += _shapes(one, len(shapes), selection, report)
                    report.instances += 1
            target = _unused(place, name, used)
            content = new_file(
                shapes,
                target.with_suffix(PurePosixPath(name).suffix).name,
                plane.height,
                plane.width,
            )
            target.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
            if with_images:
                here = target.with_suffix(PurePosixPath(name).suffix)
                write_picture(plane, place, here.relative_to(place).as_posix(), report)
            report.images += 1
        picture.stored.forget()
    if not with_images:
        report.note("pictures are not written: labelme looks for them beside the JSON files")


def _unused(place: Path, name: str, used: set[str]) -> Path:
    """Path of the JSON of a picture, nobody else's."""
    path, number = PurePosixPath(name).with_suffix(".json"), 1
    while str(path).lower() in used:
        number += 1
        path = PurePosixPath(name).with_name(f"{PurePosixPath(name).stem}-{number}.json")
    used.add(str(path).lower())
    return place_below(place, str(path))


def _shapes(
    one: Annotation, group: int, selection: Selection, report: Report
) -> list[dict[str, Any]]:
    """Shapes of an instance: its outlines, box or mask; parts of one share a ``group_id``."""
    label = one.instance.category if one.instance.category is not None else _own_label(one)
    extra = _description(one)
    shape = one.geometry
    if isinstance(shape, Shape):
        return [shape_record(label, shape.points, shape.type, mask=shape.mask, **extra)]
    if isinstance(shape, Box):
        corners = [(shape.x0, shape.y0), (shape.x1, shape.y1)]
        report.note("boxes are half-open; labelme's rectangles hold both of their corners")
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
    one: Annotation, label: str, group: int, extra: dict[str, Any], report: Report
) -> list[dict[str, Any]]:
    polygons = polygons_of_rings(one.rings)
    if any(len(p) > 1 for p in polygons):
        report.warn("holes of masks are joined to their outline by lines without area")
    report.warn("labelme's polygons hold their outline too: masks written so are a little larger")
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
    """labelme shows text alone: the object's own id where it has no class."""
    known = one.instance.track_id
    if known is None:
        known = one.instance.source_id
    return str(known if known is not None else one.instance.value)


def _description(one: Annotation) -> dict[str, Any]:
    """What a shape has no word for, under keys of its own that labelme keeps."""
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
    title="labelme JSON files beside their pictures",
    suffixes=(),
    write=write,
)
