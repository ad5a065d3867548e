"""COCO: one JSON file of images, categories and annotations; equal to the source if it was COCO."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ngff_bio.export.annotations import Annotation, annotated_planes
from ngff_bio.export.classes import ClassEntry, Classes, instance_layers
from ngff_bio.export.documents import only_added, skip_added
from ngff_bio.export.formats.coco_stuff import write_source_maps
from ngff_bio.export.image_files import plane_name, write_image
from ngff_bio.export.output import place_below, target, write_json
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.export.source_files import write_image_files
from ngff_bio.formats.coco.layers import KEY
from ngff_bio.formats.coco.writer import CocoCopy, CocoWriter, restored_record
from ngff_bio.model import Box, Polygons, Rle
from ngff_bio.raster.coco_rle import rle_from_window
from ngff_bio.raster.rings import polygons_of_rings


def write(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write the COCO files of the source; a new one for a region or another source."""
    files = source_files(selection)
    same = selection.masks is None and not selection.cuts_planes
    if only_added(selection):
        write_new(selection, place, report)
        return
    own = same and selection.source == "coco" and place.is_dir()
    has_maps = own and write_source_maps(selection, place, report)
    if files and same and (place.is_dir() or len(files) == 1):
        skip_added(selection, report)
        write_copy(selection, place, report)
        return
    if has_maps:
        skip_added(selection, report)
        for image in selection.images if selection.with_images else ():
            write_image_files(image, place, report)
        return
    if files:
        report.note(
            "ids are new: a region, other masks or several files merged into one differ from the "
            "source; export whole images to a folder to get equal files"
        )
    write_new(selection, place, report)


def write_new(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write one COCO file with each plane as an image, and new ids."""
    selection = instance_layers(selection, report)
    classes = Classes(selection, report)
    several = len({layer for p in selection.images for layer in p.layers}) > 1
    folder = place if place.is_dir() else None
    target = place / "annotations.json" if folder is not None else place
    with CocoWriter(target, _info(selection)) as out:
        for plane, instances in annotated_planes(selection):
            name = plane_name(plane, lossless=bool(selection.with_images))
            number = out.add_image(
                {"width": plane.width, "height": plane.height, "file_name": name}
            )
            for one in instances:
                record = _record(one, classes.of(one), number, several, selection, report)
                if record is not None:
                    out.add_annotation(record)
            if selection.with_images and folder is not None:
                write_image(plane, folder / "images", name, report)
        for entry in classes.all():
            out.categories.append({"id": entry.id, "name": entry.name, **entry.record})
    report.images, report.instances = len(out.images), out.count
    if selection.with_images and folder is None:
        report.skip("image files need a folder: choose one to export them too")


def _info(selection: Selection) -> dict[str, object]:
    info = {"description": selection.name, "contributor": selection.attributes.get("citation")}
    return {k: v for k, v in info.items() if v}


def _record(
    one: Annotation,
    entry: ClassEntry,
    image: int,
    several: bool,
    selection: Selection,
    report: ExportReport,
) -> dict[str, object] | None:
    """An annotation; values without a COCO key are under keys of their own."""
    segmentation = _segmentation(one, selection, report)
    box = one.box
    if segmentation is None and box is None:
        report.skip("instances without pixels, outline or box", record=one.plane.name)
        return None
    area = one.instance.area
    if area is None or one.is_cut:
        area = one.area if one.extent is not None else (box[2] * box[3] if box else 0)
    record: dict[str, object] = {
        "id": 0,
        "image_id": image,
        "category_id": entry.id,
        "segmentation": segmentation if segmentation is not None else [],
        "area": area,
        "bbox": list(box) if box is not None else [0, 0, 0, 0],
        "iscrowd": int(one.instance.iscrowd or 0),
    }
    if segmentation is None:
        report.note("instances without pixels have a box only")
    instance = one.instance
    if instance.source_id is not None:
        record["source_id"] = instance.source_id
    if instance.track_id is not None:
        record["track_id"] = instance.track_id
    if instance.score is not None:
        record["score"] = instance.score
    if several:
        record["layer"] = one.layer
    if instance.record:
        record["attributes"] = one.record
    return record


def _segmentation(one: Annotation, selection: Selection, report: ExportReport) -> object:
    """Polygons or RLE of the source, else the pixels as RLE or polygons."""
    shape = one.geometry
    if isinstance(shape, Polygons) and all(len(p) >= 6 for p in shape.parts):
        return [list(part) for part in shape.parts]
    if isinstance(shape, Rle) and selection.masks != "polygons":
        return {"size": list(shape.size), "counts": shape.counts}
    if isinstance(shape, Box):
        report.note("the segmentation of boxes is empty")
        return []
    mask = one.mask
    if mask is None:
        return None
    if one.instance.geometry is not None and one.is_cut:
        report.warn("instances cut by the region are written as masks")
    if selection.masks == "polygons":
        polygons = polygons_of_rings(one.rings)
        if all(len(p) == 1 for p in polygons):
            return [p[0].points.ravel().astype(float).tolist() for p in polygons]
        report.warn("masks with holes are written as RLE: COCO polygons have no holes")
    corner, window = mask
    return rle_from_window(window, corner, (one.plane.height, one.plane.width))


#: Table rows that are converted to Python objects at a time.
_ROWS = 1 << 11


def source_files(selection: Selection) -> list[dict[str, object]]:
    """What the store keeps of the COCO files of its source; empty for others, and if it was edited."""
    if selection.edited:
        return []
    kept = (selection.attributes.get("attributes") or {}).get(KEY) or []
    return list(kept.values()) if isinstance(kept, dict) else list(kept)


def write_copy(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write every COCO file of the source, with the selected images."""
    folder = place if place.is_dir() else place.parent
    copies = {str(a["file"]): CocoCopy(a, folder) for a in source_files(selection)}
    try:
        for image in selection.images:
            report.instances += _add_image(image, copies)
            if selection.with_images and place.is_dir():
                for plane in image.planes():
                    write_image(plane, place, plane.name, report)
            image.stored.forget()
        for name, copy in copies.items():
            if selection.whole or copy.images:
                copy.write(target(place, name))
                report.annotations += copy.count
        if place.is_dir():
            _write_counts(selection, place)
    finally:
        for copy in copies.values():
            copy.close()


def _write_counts(selection: Selection, place: Path) -> None:
    """Write counts of objects per image as JSON, as the benchmark of LIVECell does."""
    files: dict[str, list[tuple[int, str, object]]] = {}
    for image in selection.images:
        about = image.stored.source_attributes()
        if "count" in about and "counts" in about:
            kept, name = about["counts"], str(image.stored.attributes.get("name"))
            files.setdefault(kept["file"], []).append((kept["index"], name, about["count"]))
    for file, entries in files.items():
        content = {name: count for _, name, count in sorted(entries)}
        write_json(place_below(place, file), content, indent=None)


def _add_image(image: SelectedImage, copies: Mapping[str, CocoCopy]) -> int:
    """Add the records of an image; returns its number of instances."""
    count = 0
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
                    count += 1
    return count


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


def _entries(record: object) -> Iterator[Mapping[str, Any]]:
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
