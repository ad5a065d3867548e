"""CVAT XML 1.1: equal to the source if it was CVAT, else "for images", or "for video" of a movie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ngff_bio.export.annotations import Annotation, annotated_planes
from ngff_bio.export.classes import Classes, instance_layers
from ngff_bio.export.documents import (
    can_restore,
    report_restored,
    source_documents,
    write_files,
)
from ngff_bio.export.image_files import plane_name, write_image
from ngff_bio.export.output import place_below
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.formats.cvat.document import restored
from ngff_bio.formats.names import safe_name
from ngff_bio.model import Box, Polygons


def write(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write the XML files of the source; a new one for a region or another source."""
    if can_restore(selection, "cvat", place):
        documents = source_documents(selection, "cvat")
        report_restored(documents, selection, report)
        files = {d.file: restored(d.record, d.ordered) for d in documents}
        write_files(files, selection, place, report)
        return
    _write_new(selection, place, report)


def _write_new(selection: Selection, place: Path, report: ExportReport) -> None:
    """A file for the images, and one for each movie with tracks: CVAT has a task for each."""
    selection = instance_layers(selection, report)
    movies = [image for image in selection.images if _is_movie(image)]
    rest = tuple(image for image in selection.images if not _is_movie(image))
    for image in movies:
        below = f"{safe_name(image.name)}/" if len(selection.images) > 1 else ""
        _write_movie(replace(selection, images=(image,)), place, below, report)
    if rest:
        _write_images(replace(selection, images=rest), place, report)
    report.skip(
        "CVAT shapes have a class and attributes only: no ids, areas, crowd flags or other records",
        count=max(report.instances, 1),
    )


def _is_movie(image: SelectedImage) -> bool:
    tracked = all(image.stored.label_attributes(n).get("tracked") for n in image.layers)
    stored = image.stored
    return bool(image.layers) and tracked and stored.size("t") > 1 == stored.size("z")


def _write_movie(selection: Selection, place: Path, below: str, report: ExportReport) -> None:
    """The frames of a movie, and a track for each object: on every frame, until it leaves."""
    classes = Classes(selection, report)
    tracks: dict[tuple[str, int], int] = {}
    last: dict[int, dict[str, object]] = {}
    frames: list[tuple[dict[str, object], list[tuple[int, dict[str, object]]]]] = []
    for number, (plane, instances) in enumerate(annotated_planes(selection)):
        shapes: dict[int, dict[str, object]] = {}
        for one in instances:
            shape = _shape(one, classes, report, outlines=True)
            if shape is None:
                continue
            label = shape.pop("@label")
            place_in = tracks.setdefault((one.layer, one.instance.value), len(tracks))
            if place_in in shapes:
                report.skip("a second outline of a track on a frame", record=plane.name)
                continue
            about = {"@id": place_in, "@label": label, "@source": shape.pop("@source")}
            at = {"@frame": number, "@keyframe": 1, "@outside": 0}
            shapes[place_in] = {**shape, **at, "track": about}
            report.instances += 1
        left = {
            n: {**s, "@frame": number, "@outside": 1} for n, s in last.items() if n not in shapes
        }
        frames.append(({"frame": number}, list((shapes | left).items())))
        last = shapes
        report.images += number == 0
        if selection.with_images:
            write_image(plane, place, f"{below}images/frame_{number:06d}.png", report)
    meta = {"task": {"name": selection.name, "size": len(frames), "labels": _labels(classes)}}
    data = restored({"version": "1.1", "meta": meta}, frames)
    place_below(place, f"{below}annotations.xml").write_bytes(data)


def _labels(classes: Classes) -> dict[str, object]:
    """The classes, with their colors."""
    listed = [
        {"name": c.name, **({"color": "#{:02x}{:02x}{:02x}".format(*c.color)} if c.color else {})}
        for c in classes.all()
    ]
    return {"label": listed}


def _write_images(selection: Selection, place: Path, report: ExportReport) -> None:
    classes = Classes(selection, report)
    images: list[tuple[dict[str, object], list[tuple[int, dict[str, object]]]]] = []
    for number, (plane, instances) in enumerate(annotated_planes(selection)):
        name = plane_name(plane, lossless=bool(selection.with_images))
        about = {"id": number, "name": name, "width": plane.width, "height": plane.height}
        splits = plane.frame.get("splits") or ()
        if splits:
            about["subset"] = splits[0]
        shapes = [s for one in instances if (s := _shape(one, classes, report)) is not None]
        images.append(({"image": about}, list(enumerate(shapes))))
        report.instances += len(shapes)
        report.images += 1
        if selection.with_images:
            subset = f"{splits[0]}/" if splits else ""
            write_image(plane, place / "images", f"{subset}{name}", report)
    meta = {"task": {"name": selection.name, "size": len(images), "labels": _labels(classes)}}
    data = restored({"version": "1.1", "meta": meta}, images)
    (place / "annotations.xml").write_bytes(data)
    if any(image.stored.size("t") > 1 for image in selection.images):
        report.warn("tracks are written as shapes on each frame")


def _shape(
    one: Annotation, classes: Classes, report: ExportReport, *, outlines: bool = False
) -> dict[str, object] | None:
    """A shape as a record of the store has it: its kind, and attributes of its element.

    Tracks have no masks: with `outlines`, the longest outline of the pixels is written.
    """
    common = {"@label": classes.of(one).name, "@source": "file", "@occluded": 0, "@z_order": 0}
    shape = one.geometry
    if outlines and shape is None and one.rings:
        shape = Polygons((max((r.points for r in one.rings), key=len).ravel().tolist(),))
        if len(one.rings) > 1:
            report.skip("holes and further parts of tracked objects", record=one.plane.name)
    if isinstance(shape, Polygons) and len(shape.parts) == 1 and len(shape.parts[0]) >= 6:
        part = shape.parts[0]
        points = ";".join(f"{x:.10g},{y:.10g}" for x, y in zip(part[0::2], part[1::2], strict=True))
        return {"shape": "polygon", **common, "@points": points}
    mask = None if outlines or isinstance(shape, Box) else one.mask
    if mask is not None:
        (x, y), window = mask
        flat = window.ravel()
        edges = np.flatnonzero(np.diff(flat, prepend=False, append=not flat[-1]))
        counts = np.diff(edges, prepend=0).tolist()
        size = {"@left": x, "@top": y, "@width": window.shape[1], "@height": window.shape[0]}
        return {"shape": "mask", **common, "@rle": ", ".join(map(str, counts)), **size}
    if one.box is None:
        report.skip("instances without pixels, outline or box", record=one.plane.name)
        return None
    x0, y0, width, height = one.box
    sides = {"@xtl": x0, "@ytl": y0, "@xbr": x0 + width, "@ybr": y0 + height}
    return {"shape": "box", **common, **{k: f"{v:.10g}" for k, v in sides.items()}}
