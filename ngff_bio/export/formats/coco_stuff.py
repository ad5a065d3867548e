"""COCO stuff: label images of classes, and an annotation with run lengths for each class of an image.

Format: https://cocodataset.org/#stuff-2017; the label images of the source are written as they came.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError
from ngff_bio.export.annotations import annotated_planes
from ngff_bio.export.classes import Classes
from ngff_bio.export.image_files import plane_name, write_image, write_pixels
from ngff_bio.export.output import place_below, unused_name
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import Selection
from ngff_bio.formats.coco.writer import CocoWriter
from ngff_bio.model.splits import standard_split
from ngff_bio.raster.coco_rle import rle_from_window
from ngff_bio.sources.coco.stuff import LAYER, values_in_file


def write(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write the semantic layers, or the named ones: ``annotations/stuff_NAME_pixelmaps`` and JSON.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there is none.
    """
    if not selection.named_layers:
        chosen = {
            i.path: tuple(n for n in i.layers if i.stored.is_semantic(n)) for i in selection.images
        }
        selection = selection.with_layers(chosen)
    if not any(image.layers for image in selection.images):
        raise ArgumentError(
            "the selection has no label layer of classes",
            file=selection.url,
            expected="a semantic layer",
            hint="name another layer with --labels: each class of its instances is one region",
        )
    classes = Classes(selection, report)
    used: set[str] = set()
    with ExitStack() as stack:
        files: dict[str, CocoWriter] = {}
        for plane, instances in annotated_planes(selection):
            name = unused_name(plane_name(plane, lossless=bool(selection.with_images)), used)
            split = next(filter(None, map(standard_split, plane.frame.get("splits") or ())), "all")
            if split not in files:
                file = place_below(place, f"annotations/stuff_{split}.json")
                files[split] = stack.enter_context(
                    CocoWriter(file, {"description": selection.name})
                )
            values = np.zeros((plane.height, plane.width), np.uint16)
            for one in instances:
                if one.mask is None:
                    continue
                entry = classes.of(one)
                (x, y), mask = one.mask
                window = values[y : y + mask.shape[0], x : x + mask.shape[1]]
                if (mask & (window != 0) & (window != _id(entry.id))).any():
                    report.warn("overlapping regions lose pixels: a pixel has one class")
                window[mask & (window == 0)] = _id(entry.id)
            out = files[split]
            size = {"width": plane.width, "height": plane.height}
            number = out.add_image({**size, "file_name": PurePosixPath(name).name})
            for value in np.unique(values[values != 0]).tolist():
                out.add_annotation(_region(values == value, number, value))
            report.instances += len(np.unique(values[values != 0]))
            report.images += 1
            png = PurePosixPath(name).with_suffix(".png").name
            small = values.astype(np.uint8) if values.max(initial=0) < 256 else values
            write_pixels(small, place_below(place, f"annotations/stuff_{split}_pixelmaps/{png}"))
            if selection.with_images:
                write_image(plane, place, f"{split}/{PurePosixPath(name).name}", report)
        for out in files.values():
            out.categories += [{"id": c.id, "name": c.name, **c.record} for c in classes.all()]


def _id(value: Any) -> int:
    """The id of a class as a pixel value.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it cannot be one.
    """
    if not isinstance(value, int) or not 0 < value < 1 << 16:
        raise ArgumentError(
            "the id of a class cannot be a pixel value",
            expected="1 to 65535",
            found=value,
            hint="export to another format: coco, voc, label-tiff",
        )
    return value


def _region(mask: NDArray[np.bool_], image: int, category: int) -> dict[str, object]:
    y, x = np.nonzero(mask)
    left, top = int(x.min()), int(y.min())
    return {
        "id": 0,
        "image_id": image,
        "category_id": category,
        "segmentation": rle_from_window(mask, (0, 0), (mask.shape[0], mask.shape[1])),
        "area": int(y.size),
        "bbox": [left, top, int(x.max()) + 1 - left, int(y.max()) + 1 - top],
        "iscrowd": 0,
    }


def write_source_maps(selection: Selection, place: Path, report: ExportReport) -> bool:
    """Write the label images of a store of COCO stuff as they came; whether there were any."""
    written = False
    for image in selection.images:
        if LAYER in image.layers:
            values = image.stored.plane(LAYER, 0, 0)
            for name in image.stored.source_attributes(LAYER).get("files") or ():
                written = True
                write_pixels(values_in_file(values, name), place_below(place, name))
        image.stored.forget()
    kept: Any = (selection.attributes.get("attributes") or {}).get("files") or {}
    for name, text in kept.items() if written else ():
        place_below(place, name).write_text(text, "utf-8")
    return written
