"""YOLO text: one line per instance, boxes or outlines as fractions of the image size.

The layout is that of Ultralytics: ``images/``, ``labels/`` with a ``.txt`` per image, and ``data.yaml``
with the class names.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from ngff_bio.errors import ArgumentError
from ngff_bio.export.annotations import Annotation, annotated_planes
from ngff_bio.export.classes import Classes, instance_layers
from ngff_bio.export.documents import (
    SourceDocument,
    can_restore,
    kept_attributes,
    report_restored,
    source_documents,
    write_files,
)
from ngff_bio.export.image_files import plane_name, write_image
from ngff_bio.export.output import place_below, unused_name
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import Selection
from ngff_bio.formats.yolo.writer import box_line, is_box, outline_line, smallest_box
from ngff_bio.model import Box, Polygons
from ngff_bio.model.splits import STANDARD_SPLITS, members_of_split
from ngff_bio.raster.rings import joined_ring

Task = Literal["detect", "segment", "obb"]


def _write(selection: Selection, place: Path, report: ExportReport, *, task: Task) -> None:
    """Write the label files of the source; new ones for a region or another source or task."""
    if can_restore(selection, "yolo", place):
        documents = source_documents(selection, "yolo")
        lines = [o["line"] for d in documents for _, found in d.ordered for _, o in found]
        texts = ((kept_attributes(selection, "yolo") or {}).get("files") or {}).values()
        with_keypoints = task == "detect" and any("kpt_shape" in str(text) for text in texts)
        if with_keypoints or all(_fits(line, task) for line in lines):
            report_restored(documents, selection, report)
            write_files(_restored(selection, documents), selection, place, report)
            return
    _write_new(selection, place, report, task)


def _fits(line: str, task: Task) -> bool:
    """Whether a line of the source is one of the task, with or without a confidence."""
    count = len(line.split()) - 1
    return count in {"detect": (4, 5), "obb": (8, 9)}.get(task, range(6, 1 << 20))


def _restored(selection: Selection, documents: list[SourceDocument]) -> dict[str, bytes]:
    kept = kept_attributes(selection, "yolo") or {}
    files = {name: str(text).encode() for name, text in (kept.get("files") or {}).items()}
    for document in documents:
        lines = [o["line"] for _, found in document.ordered for _, o in found]
        files[document.file] = "".join(f"{line}\n" for line in lines).encode()
    lists: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for image in selection.images:
        for _, frame in image.selected_frames:
            for name, (number, line) in ((frame.get("record") or {}).get("lists") or {}).items():
                lists[name].append((number, line))
    for name, listed in lists.items():
        files[name] = "".join(f"{line}\n" for _, line in sorted(listed)).encode()
    return files


def _write_new(selection: Selection, place: Path, report: ExportReport, task: Task) -> None:
    selection = instance_layers(selection, report, boxes=task == "detect")
    classes = Classes(selection, report)
    splits: dict[str, list[str]] = {}
    used: set[str] = set()
    (place / "images").mkdir()
    (place / "labels").mkdir()
    for plane, instances in annotated_planes(selection):
        name = unused_name(plane_name(plane, lossless=bool(selection.with_images)), used)
        found = (_line(one, classes, report, task) for one in instances)
        lines = [line for line in found if line is not None]
        report.instances += len(lines)
        report.images += 1
        text = place_below(place / "labels", str(PurePosixPath(name).with_suffix(".txt")))
        text.write_text("".join(f"{line}\n" for line in lines))
        if selection.with_images:
            write_image(plane, place / "images", name, report)
        splits[name] = list(plane.frame.get("splits") or ())
    _write_lists(place, classes, splits, report)
    if not selection.with_images:
        report.note("image files are not written: copy them to images/, or export with --images")
    report.skip(
        "YOLO text stores class and outline only: no ids, tracks, crowd flags or other attributes"
        if task == "segment"
        else "YOLO text stores class and box only: no masks, ids, tracks or other attributes",
        count=max(report.instances, 1),
    )


def _line(one: Annotation, classes: Classes, report: ExportReport, task: Task) -> str | None:
    plane = one.plane
    number = classes.number(classes.of(one))
    size = (plane.height, plane.width)
    if task == "detect":
        if one.box is None:
            report.skip("instances without pixels and without a box", record=plane.name)
            return None
        line = box_line(number, one.box, size)
        if line is None:
            report.skip("boxes outside of their image", record=plane.name)
        return line
    shape = one.geometry
    if task == "obb" and isinstance(shape, Box):
        points = [
            (shape.x0, shape.y0),
            (shape.x1, shape.y0),
            (shape.x1, shape.y1),
            (shape.x0, shape.y1),
        ]
    elif isinstance(shape, Polygons) and len(shape.parts) == 1 and len(shape.parts[0]) >= 6:
        points = list(zip(shape.parts[0][0::2], shape.parts[0][1::2], strict=True))
    else:
        rings = one.rings
        if not rings:
            report.skip("instances without pixels", record=plane.name)
            return None
        if len(rings) > 1:
            report.warn("several parts or holes of an outline are joined by lines of zero width")
        points = [(float(x), float(y)) for x, y in joined_ring(rings)]
    if task == "obb":
        points = points if is_box(points) else smallest_box(points)
    return outline_line(number, points, size)


def _write_lists(
    place: Path, classes: Classes, splits: dict[str, list[str]], report: ExportReport
) -> None:
    """Write ``data.yaml``, and a list of images per split; `splits` are names by image.

    JSON strings are valid YAML. No image is in two of train, val and test.
    """
    lists: dict[str, list[str]] = {}
    for own in dict.fromkeys(s for names in splits.values() for s in names):
        lists[own] = [image for image, names in splits.items() if own in names]
    lines = ["path: ."]
    parts: dict[str, list[str]] = {}
    for part in STANDARD_SPLITS:
        with suppress(ArgumentError):
            members = members_of_split(splits, part)
            parts[part] = [image for image in splits if image in members]
    shared = {p for p in parts for q in parts if p != q and set(parts[p]) & set(parts[q])}
    named = [name for name in parts if name not in shared]
    for name in named:
        lists[name] = parts[name]
        lines.append(f'{name}: "{name}.txt"')
    if not named:
        lines.append("train: images")
    if missing := {"train", "val"} - {*named, *(() if named else ("train",))}:
        report.warn(
            f"data.yaml does not name {' and '.join(sorted(missing))}: the images of the store are in "
            "no split of this meaning, or in several",
            record=", ".join(lists) or None,
        )
    lines.append("names:")
    lines += [
        f"  {i}: {json.dumps(c.name, ensure_ascii=False)}" for i, c in enumerate(classes.all())
    ]
    (place / "data.yaml").write_text("\n".join(lines) + "\n")
    for listed, images in lists.items():
        text = place_below(place, f"{listed}.txt")
        text.write_text("".join(f"./images/{image}\n" for image in images))


write_boxes = partial(_write, task="detect")
write_outlines = partial(_write, task="segment")
write_rotated = partial(_write, task="obb")
