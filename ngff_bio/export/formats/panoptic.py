"""COCO panoptic; equal to the source if it was that, else segments of any store.

A pixel has one segment: where instances overlap, the one that the label image shows.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ngff_bio.export.annotations import annotated_planes
from ngff_bio.export.classes import Classes, instance_layers
from ngff_bio.export.documents import (
    can_restore,
    json_bytes,
    report_restored,
    source_documents,
    write_files,
)
from ngff_bio.export.image_files import plane_name, write_image
from ngff_bio.export.output import place_below, unused_name, write_json
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.formats.coco.panoptic import restored

SOURCE = "coco-panoptic"


def write(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write the files of the source; new ones for a region or another source."""
    if not can_restore(selection, SOURCE, place):
        _write_new(selection, place, report)
        return
    documents = source_documents(selection, SOURCE)
    report_restored(documents, selection, report)
    for image in selection.images:
        for layer in image.layers:
            about = image.stored.label_attributes(layer)
            name = (about.get("attributes") or {}).get("png")
            if name is not None:
                _write_ids(place_below(place, str(name)), _ids(image, layer))
    categories = _categories(selection)
    files = {d.file: json_bytes(restored(d.record, d.ordered, categories)) for d in documents}
    write_files(files, selection, place, report)


def _categories(selection: Selection) -> list[dict[str, object]]:
    found: dict[object, dict[str, object]] = {}
    for image in selection.images:
        for layer in image.layers:
            for one in image.stored.label_attributes(layer).get("categories") or ():
                record = {"id": one["id"], "name": one["name"], **(one.get("record") or {})}
                found.setdefault(one["id"], record)
    return list(found.values())


def _ids(image: SelectedImage, layer: str) -> NDArray[np.uint32]:
    """Segment ids of the pixels of a layer."""
    labels = image.stored.plane(layer, 0, 0)
    table = image.stored.table(layer)
    known = np.zeros(int(labels.max(initial=0)) + 1, np.uint32)
    if table is not None:
        pairs = zip(table["label"].to_pylist(), table["source_id"].to_pylist(), strict=True)
        for value, source_id in pairs:
            if value < known.size:
                known[value] = int(source_id)
    ids: NDArray[np.uint32] = known[labels]
    return ids


def _write_ids(file: Path, ids: NDArray[np.uint32]) -> None:
    """Write segment ids as colors: id = R + 256 G + 256 * 256 B."""
    colors = np.stack([ids & 255, ids >> np.uint32(8) & 255, ids >> np.uint32(16)], axis=-1)
    Image.fromarray(colors.astype(np.uint8)).save(file)


def _write_new(selection: Selection, place: Path, report: ExportReport) -> None:
    selection = instance_layers(selection, report)
    classes = Classes(selection, report)
    used: set[str] = set()
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    (place / "panoptic").mkdir()
    for plane, instances in annotated_planes(selection):
        name = unused_name(plane_name(plane, lossless=bool(selection.with_images)), used)
        number = len(images) + 1
        images.append(
            {"id": number, "width": plane.width, "height": plane.height, "file_name": name}
        )
        ids = np.zeros((plane.height, plane.width), np.uint32)
        segments: list[dict[str, object]] = []
        for one in instances:
            shown = plane.labels(one.layer) == one.instance.value
            area = int(np.count_nonzero(shown & (ids == 0)))
            if not area:
                report.skip("instances without a visible pixel", record=plane.name)
                continue
            if area < one.area:
                report.warn("overlapping instances lose pixels: a pixel has one segment")
            shown &= ids == 0
            ids[shown] = len(segments) + 1
            y, x = np.nonzero(shown)
            x0, y0 = int(x.min()), int(y.min())
            segments.append(
                {
                    "id": len(segments) + 1,
                    "category_id": classes.of(one).id,
                    "area": area,
                    "bbox": [x0, y0, int(x.max()) + 1 - x0, int(y.max()) + 1 - y0],
                    "iscrowd": int(one.instance.iscrowd or 0),
                }
            )
        png = str(PurePosixPath(name).with_suffix(".png"))
        _write_ids(place_below(place / "panoptic", png), ids)
        annotations.append({"image_id": number, "file_name": png, "segments_info": segments})
        report.instances += len(segments)
        report.images += 1
        if selection.with_images:
            write_image(plane, place / "images", name, report)
    categories = [{"id": c.id, "name": c.name, "isthing": 1, **c.record} for c in classes.all()]
    content = {"images": images, "annotations": annotations, "categories": categories}
    write_json(place / "panoptic.json", content)
    report.skip(
        "segments have a class and pixels only: no outlines, ids, tracks or other attributes",
        count=max(report.instances, 1),
    )
