"""YOLO text: one line an instance, boxes or outlines as fractions of the picture's size.

The layout is that which Ultralytics reads: ``images/``, ``labels/`` beside it with a ``.txt`` for each
picture, and ``data.yaml`` with the names of the classes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path, PurePosixPath

from ngff_bio.export.annotations import Annotation, LayerRows
from ngff_bio.export.classes import Classes, instance_layers
from ngff_bio.export.output import place_below
from ngff_bio.export.picture_files import lossless_name, source_name, write_picture
from ngff_bio.export.registry import Exporter
from ngff_bio.export.report import Report
from ngff_bio.export.selection import Plane, Selection
from ngff_bio.formats.yolo import box_line, outline_line
from ngff_bio.model import Polygons
from ngff_bio.raster.rings import joined_ring


def write_boxes(selection: Selection, place: Path, report: Report) -> None:
    """Write a box for each instance."""
    _write(selection, place, report, outlines=False)


def write_outlines(selection: Selection, place: Path, report: Report) -> None:
    """Write an outline for each instance."""
    _write(selection, place, report, outlines=True)


def _write(selection: Selection, place: Path, report: Report, *, outlines: bool) -> None:
    selection = instance_layers(selection, report)
    classes = Classes(selection, report)
    splits: dict[str, list[str]] = defaultdict(list)
    used: set[str] = set()
    (place / "images").mkdir()
    (place / "labels").mkdir()
    for picture in selection.pictures:
        layers = [LayerRows(picture, layer) for layer in picture.layers]
        for plane in picture.planes():
            name = lossless_name(plane) if selection.with_images else source_name(plane)
            name = _unused(name, used)
            lines = []
            for layer in layers:
                for one in layer.on(plane):
                    line = _line(one, classes, report, outlines=outlines)
                    if line is not None:
                        lines.append(line)
            report.instances += len(lines)
            report.images += 1
            text = place_below(place / "labels", str(PurePosixPath(name).with_suffix(".txt")))
            text.write_text("".join(f"{line}\n" for line in lines))
            if selection.with_images:
                write_picture(plane, place / "images", name, report)
            for split in plane.frame.get("splits") or ():
                splits[split].append(name)
        picture.stored.forget()
    _write_lists(place, classes, splits)
    if not selection.with_images:
        report.note("pictures are not written: put them below images/, or say --pictures")
    report.skip(
        "YOLO text holds class and outline alone: no ids, tracks, crowd flags or other attributes"
        if outlines
        else "YOLO text holds class and box alone: no masks, ids, tracks or other attributes",
        count=max(report.instances, 1),
    )


def _unused(name: str, used: set[str]) -> str:
    """A name whose label file is nobody else's yet."""
    path, number = PurePosixPath(name), 1
    while str(path.with_suffix("")).lower() in used:
        number += 1
        path = PurePosixPath(name).with_stem(f"{PurePosixPath(name).stem}-{number}")
    used.add(str(path.with_suffix("")).lower())
    return str(path)


def _line(one: Annotation, classes: Classes, report: Report, *, outlines: bool) -> str | None:
    plane = one.plane
    number = classes.number(classes.of(one))
    size = (plane.height, plane.width)
    if not outlines:
        if one.box is None:
            report.skip("instances without pixels and without a box", record=_where(plane))
            return None
        line = box_line(number, one.box, size)
        if line is None:
            report.skip("boxes that lie outside of their picture", record=_where(plane))
        return line
    shape = one.geometry
    if isinstance(shape, Polygons) and len(shape.parts) == 1 and len(shape.parts[0]) >= 6:
        points = list(zip(shape.parts[0][0::2], shape.parts[0][1::2], strict=True))
    else:
        rings = one.rings
        if not rings:
            report.skip("instances without pixels", record=_where(plane))
            return None
        if len(rings) > 1:
            report.warn("outlines of several parts or with holes are joined by lines without area")
        points = [(float(x), float(y)) for x, y in joined_ring(rings)]
    return outline_line(number, points, size)


def _where(plane: Plane) -> str:
    return plane.name


def _write_lists(place: Path, classes: Classes, splits: dict[str, list[str]]) -> None:
    """``data.yaml``, and a list of pictures for each split; JSON text is YAML too."""
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


YOLO = Exporter(
    name="yolo", title="YOLO text with a box for each instance", suffixes=(), write=write_boxes
)
YOLO_SEG = Exporter(
    name="yolo-seg",
    title="YOLO text with an outline for each instance",
    suffixes=(),
    write=write_outlines,
)
