"""COCO: one JSON of images, categories and annotations; verbatim where the source was COCO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ngff_bio.export.annotations import Annotation, LayerRows
from ngff_bio.export.classes import ClassEntry, Classes, instance_layers
from ngff_bio.export.coco_copy import source_files, write_copy
from ngff_bio.export.picture_files import lossless_name, source_name, write_picture
from ngff_bio.export.registry import Exporter
from ngff_bio.export.report import Report
from ngff_bio.export.selection import Selection
from ngff_bio.formats.coco.writer import CocoWriter
from ngff_bio.model import Box, Polygons, Rle
from ngff_bio.raster.coco_rle import rle_from_window
from ngff_bio.raster.rings import polygons_of_rings


def write(selection: Selection, place: Path, report: Report) -> None:
    """Write the COCO files of the source again; for a region or another source, a new one."""
    files = source_files(selection)
    cut = any(p.cuts("y", "x", "z") for p in selection.pictures)
    if files and not cut and selection.masks is None and (place.is_dir() or len(files) == 1):
        write_copy(selection, place, report)
        return
    if files:
        report.note(
            "ids are new: parts of images, other masks or several files in one are no copy of the "
            "source; a folder takes its files as they were"
        )
    write_new(selection, place, report)


def write_new(selection: Selection, place: Path, report: Report) -> None:
    """Write one COCO file of planes as images, with ids of its own."""
    selection = instance_layers(selection, report)
    classes = Classes(selection, report)
    several = len({layer for p in selection.pictures for layer in p.layers}) > 1
    folder = place if place.is_dir() else None
    target = place / "annotations.json" if folder is not None else place
    with CocoWriter(target, _info(selection)) as out:
        for picture in selection.pictures:
            layers = [LayerRows(picture, layer) for layer in picture.layers]
            for plane in picture.planes():
                name = lossless_name(plane) if selection.with_images else source_name(plane)
                number = out.add_image(
                    {
                        "id": len(out.images) + 1,
                        "width": plane.width,
                        "height": plane.height,
                        "file_name": name,
                    }
                )
                for layer in layers:
                    for one in layer.on(plane):
                        record = _record(one, classes.of(one), number, several, selection, report)
                        if record is not None:
                            out.add_annotation(record)
                if selection.with_images and folder is not None:
                    write_picture(plane, folder / "images", name, report)
            picture.stored.forget()
        for entry in classes.all():
            out.categories.append({"id": entry.id, "name": entry.name, **entry.record})
    report.images, report.instances = len(out.images), out.count
    if selection.with_images and folder is None:
        report.skip("pictures are not written into a JSON file: name a folder to have them too")


def _info(selection: Selection) -> dict[str, Any]:
    own = selection.own
    info = {"description": selection.name, "contributor": own.get("citation")}
    return {k: v for k, v in info.items() if v}


def _record(
    one: Annotation,
    entry: ClassEntry,
    image: int,
    several: bool,
    selection: Selection,
    report: Report,
) -> dict[str, Any] | None:
    """An annotation; keys beyond COCO's hold what COCO has no word for."""
    segmentation = _segmentation(one, selection, report)
    box = one.box
    if segmentation is None and box is None:
        report.skip("instances without pixels, outline or box", record=one.plane.name)
        return None
    area = one.instance.area
    if area is None or one.is_cut:
        area = one.area if one.extent is not None else (box[2] * box[3] if box else 0)
    record: dict[str, Any] = {
        "id": 0,
        "image_id": image,
        "category_id": entry.id,
        "segmentation": segmentation if segmentation is not None else [],
        "area": area,
        "bbox": list(box) if box is not None else [0, 0, 0, 0],
        "iscrowd": int(one.instance.iscrowd or 0),
    }
    if segmentation is None:
        report.note("instances without pixels are written with their box alone")
    instance = one.instance
    if instance.source_id is not None:
        record["source_id"] = instance.source_id
    if instance.track_id is not None:
        record["track_id"] = instance.track_id
    if several:
        record["layer"] = one.layer
    if instance.record:
        record["attributes"] = one.record
    return record


def _segmentation(one: Annotation, selection: Selection, report: Report) -> Any:
    """Polygons or RLE as they came, else the pixels as RLE or polygons."""
    shape = one.geometry
    if isinstance(shape, Polygons) and all(len(p) >= 6 for p in shape.parts):
        return [list(part) for part in shape.parts]
    if isinstance(shape, Rle) and selection.masks != "polygons":
        return {"size": list(shape.size), "counts": shape.counts}
    if isinstance(shape, Box):
        report.note("boxes have no outline: their segmentation is empty")
        return []
    mask = one.mask
    if mask is None:
        return None
    if one.instance.geometry is not None and one.is_cut:
        report.warn("instances cut at the border of the region are written as their pixels")
    if selection.masks == "polygons":
        polygons = polygons_of_rings(one.rings)
        if all(len(p) == 1 for p in polygons):
            return [p[0].points.ravel().astype(float).tolist() for p in polygons]
        report.warn("masks with holes are written as RLE: COCO's polygons have none")
    corner, window = mask
    return rle_from_window(window, corner, (one.plane.height, one.plane.width))


COCO = Exporter(
    name="coco",
    title="COCO: polygons and RLE as they came, masks as RLE",
    suffixes=(".json",),
    write=write,
)
