"""YOLO text: one line per instance, boxes or outlines as fractions of the image size.

The layout is that of Ultralytics: ``images/``, ``labels/`` with a ``.txt`` per image, and ``data.yaml``
with the class names.
"""

from __future__ import annotations

import json
from collections import defaultdict
from functools import partial
from pathlib import Path, PurePosixPath

from ngff_bio.export.annotations import Annotation, annotated_planes
from ngff_bio.export.classes import Classes, instance_layers
from ngff_bio.export.image_files import plane_name, write_image
from ngff_bio.export.output import place_below, unused_name
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import Selection
from ngff_bio.formats.yolo.writer import box_line, outline_line
from ngff_bio.model import Polygons
from ngff_bio.raster.rings import joined_ring


def _write(selection: Selection, place: Path, report: ExportReport, *, outlines: bool) -> None:
    selection = instance_layers(selection, report)
    classes = Classes(selection, report)
    splits: dict[str, list[str]] = defaultdict(list)
    used: set[str] = set()
    (place / "images").mkdir()
    (place / "labels").mkdir()
    for plane, instances in annotated_planes(selection):
        name = unused_name(plane_name(plane, lossless=bool(selection.with_images)), used)
        found = (_line(one, classes, report, outlines=outlines) for one in instances)
        lines = [line for line in found if line is not None]
        report.instances += len(lines)
        report.images += 1
        text = place_below(place / "labels", str(PurePosixPath(name).with_suffix(".txt")))
        text.write_text("".join(f"{line}\n" for line in lines))
        if selection.with_images:
            write_image(plane, place / "images", name, report)
        for split in plane.frame.get("splits") or ():
            splits[split].append(name)
    _write_lists(place, classes, splits)
    if not selection.with_images:
        report.note("image files are not written: copy them to images/, or export with --images")
    report.skip(
        "YOLO text stores class and outline only: no ids, tracks, crowd flags or other attributes"
        if outlines
        else "YOLO text stores class and box only: no masks, ids, tracks or other attributes",
        count=max(report.instances, 1),
    )


def _line(one: Annotation, classes: Classes, report: ExportReport, *, outlines: bool) -> str | None:
    plane = one.plane
    number = classes.number(classes.of(one))
    size = (plane.height, plane.width)
    if not outlines:
        if one.box is None:
            report.skip("instances without pixels and without a box", record=plane.name)
            return None
        line = box_line(number, one.box, size)
        if line is None:
            report.skip("boxes outside of their image", record=plane.name)
        return line
    shape = one.geometry
    if isinstance(shape, Polygons) and len(shape.parts) == 1 and len(shape.parts[0]) >= 6:
        points = list(zip(shape.parts[0][0::2], shape.parts[0][1::2], strict=True))
    else:
        rings = one.rings
        if not rings:
            report.skip("instances without pixels", record=plane.name)
            return None
        if len(rings) > 1:
            report.warn("several parts or holes of an outline are joined by lines of zero width")
        points = [(float(x), float(y)) for x, y in joined_ring(rings)]
    return outline_line(number, points, size)


def _write_lists(place: Path, classes: Classes, splits: dict[str, list[str]]) -> None:
    """Write ``data.yaml`` and a list of images per split. JSON strings are valid YAML."""
    lines = ["path: ."]
    for part in ("train", "val", "test"):
        own = [s for s in splits if s == part] or [s for s in splits if s.lower().endswith(part)]
        if len(own) == 1:
            lines.append(f"{part}: {json.dumps(own[0] + '.txt', ensure_ascii=False)}")
        elif part != "test":
            lines.append(f"{part}: images")
    lines.append("names:")
    lines += [
        f"  {i}: {json.dumps(c.name, ensure_ascii=False)}" for i, c in enumerate(classes.all())
    ]
    (place / "data.yaml").write_text("\n".join(lines) + "\n")
    for split, names in splits.items():
        text = place_below(place, f"{split}.txt")
        text.write_text("".join(f"./images/{name}\n" for name in names))


write_boxes = partial(_write, outlines=False)
write_outlines = partial(_write, outlines=True)
