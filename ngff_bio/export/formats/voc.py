"""Pascal VOC; equal to the source if it was VOC, else boxes and label images of any store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from ngff_bio.export.annotations import Annotation, annotated_planes
from ngff_bio.export.classes import Classes, instance_layers
from ngff_bio.export.documents import (
    can_restore,
    kept_attributes,
    report_restored,
    source_documents,
    write_files,
)
from ngff_bio.export.image_files import plane_name, write_image
from ngff_bio.export.output import place_below, unused_name
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import Plane, SelectedImage, Selection
from ngff_bio.formats.voc import VOID, color_of, label_map, restored
from ngff_bio.model import PixelArray

CLASS_LAYER, OBJECT_LAYER = "segmentation_class", "segmentation_object"

#: Objects of an image that the palette of a label image can number.
_MOST = VOID - 1


def write(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write the files of the source; new ones for a region or another source."""
    if not can_restore(selection, "voc", place):
        _write_new(selection, place, report)
        return
    kept = kept_attributes(selection, "voc") or {}
    documents = source_documents(selection, "voc")
    report_restored(documents, selection, report)
    files = {}
    for document in documents:
        record, objects = document.ordered[0]
        files[document.file] = restored(record, [o for _, o in objects])
    lists: dict[str, list[str]] = defaultdict(list)
    colors: dict[int, tuple[int, int, int]] = {v: color_of(v) for v in range(256)}
    text = kept.get("label_map")
    if isinstance(text, str):
        (place / "labelmap.txt").write_text(text, "utf-8")
        names = label_map(text, "labelmap.txt")
        colors |= {v: color for v, (_, color) in enumerate(names, 1)}
    for image in selection.images:
        for _, frame in image.selected_frames:
            own = PurePosixPath(str(frame.get("name"))).stem
            for name, value in ((frame.get("record") or {}).get("image_sets") or {}).items():
                lists[name].append(f"{own}  {value}" if value else own)
        _write_label_images(image, place, colors if text else {})
    for name, lines in lists.items():
        file = place_below(place / "ImageSets", f"{name}.txt")
        file.write_text("".join(f"{line}\n" for line in lines))
    write_files(files, selection, place, report)


def _write_label_images(
    image: SelectedImage, place: Path, colors: Mapping[int, tuple[int, int, int]]
) -> None:
    """Class and object images with their names; void pixels of objects are those of classes."""
    planes = {
        n: image.stored.plane(n, 0, 0) for n in (CLASS_LAYER, OBJECT_LAYER) if n in image.layers
    }
    for layer, values in planes.items():
        about = image.stored.label_attributes(layer).get("attributes") or {}
        objects = layer == OBJECT_LAYER
        if objects and CLASS_LAYER in planes:
            values = np.where((values == 0) & (planes[CLASS_LAYER] == VOID), VOID, values)
        for name in about.get("files") or ():
            _write_palette(place_below(place, name), values, {} if objects else colors)


def _write_palette(
    file: Path, values: PixelArray, colors: Mapping[int, tuple[int, int, int]]
) -> None:
    """A label image with the palette of VOC, or as RGB with other colors."""
    palette = [color_of(v) for v in range(256)]
    if colors:
        table = np.array([colors.get(v, palette[v]) for v in range(256)], np.uint8)
        Image.fromarray(table[values]).save(file)
        return
    image = Image.fromarray(values.astype(np.uint8), "P")
    image.putpalette([v for color in palette for v in color])
    image.save(file)


def _write_new(selection: Selection, place: Path, report: ExportReport) -> None:
    selection = instance_layers(selection, report)
    classes = Classes(selection, report)
    sets: dict[str, list[str]] = defaultdict(list)
    used: set[str] = set()
    for plane, instances in annotated_planes(selection):
        name = unused_name(
            plane_name(plane, lossless=bool(selection.with_images)).replace("/", "_"), used
        )
        objects = []
        masks: list[Annotation] = []
        for one in instances:
            made = _object(one, classes, report)
            if made is not None:
                objects.append(made)
                masks.append(one)
        size = {"width": plane.width, "height": plane.height, "depth": plane.image.stored.size("c")}
        masked = _write_masks(plane, masks, classes, place, name, report)
        about = {"folder": "JPEGImages", "filename": name, "size": size, "segmented": int(masked)}
        file = place_below(place / "Annotations", str(PurePosixPath(name).with_suffix(".xml")))
        file.write_bytes(restored(about, objects))
        for split in plane.frame.get("splits") or ("all",):
            sets[split].append(PurePosixPath(name).stem)
        report.instances += len(objects)
        report.images += 1
        if selection.with_images:
            write_image(plane, place / "JPEGImages", name, report)
    for split, names in sets.items():
        file = place_below(place / "ImageSets/Main", f"{split}.txt")
        file.write_text("".join(f"{n}\n" for n in names))
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    for number, entry in enumerate(classes.all(), 1):
        lines.append(f"{entry.name}:{','.join(map(str, color_of(number)))}::")
    (place / "labelmap.txt").write_text("\n".join(lines) + "\n", "utf-8")
    report.skip(
        "Pascal VOC stores class, box and pixels only: no outlines, ids, tracks or other attributes",
        count=max(report.instances, 1),
    )


def _object(one: Annotation, classes: Classes, report: ExportReport) -> dict[str, object] | None:
    """An object with its box: pixels counted from 1, both ends included."""
    if one.box is None:
        report.skip("instances without pixels and without a box", record=one.plane.name)
        return None
    x, y, width, height = one.box
    sides = {"xmin": x + 1, "ymin": y + 1, "xmax": x + width, "ymax": y + height}
    return {
        "name": classes.of(one).name,
        "pose": "Unspecified",
        "truncated": "0",
        "difficult": "0",
        "bndbox": {k: f"{v:.10g}" for k, v in sides.items()},
    }


def _write_masks(
    plane: Plane,
    instances: list[Annotation],
    classes: Classes,
    place: Path,
    name: str,
    report: ExportReport,
) -> bool:
    """Write the class and the object image of a plane, as its label images show the instances."""
    if not instances:
        return False
    if len(instances) > _MOST or len(classes.all()) > _MOST:
        report.skip(f"label images of more than {_MOST} objects or classes", record=plane.name)
        return False
    objects = np.zeros((plane.height, plane.width), np.uint8)
    kinds = np.zeros_like(objects)
    for number, one in enumerate(instances, 1):
        shown = plane.labels(one.layer) == one.instance.value
        if np.count_nonzero(shown) < one.area:
            report.warn("overlapping instances lose pixels in label images")
        objects[shown] = number
        kinds[shown] = classes.number(classes.of(one)) + 1
    png = str(PurePosixPath(name).with_suffix(".png"))
    _write_palette(place_below(place / "SegmentationObject", png), objects, {})
    _write_palette(place_below(place / "SegmentationClass", png), kinds, {})
    return True
