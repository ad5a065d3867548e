"""Regions of QuPath (GeoJSON) and ImageJ (RoiSet.zip): equal to the source if it was the same tool."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ngff_bio.errors import StoreError, import_optional, plain_reason
from ngff_bio.export.annotations import Annotation, annotated_planes
from ngff_bio.export.classes import Classes, instance_layers
from ngff_bio.export.documents import (
    can_restore,
    json_bytes,
    report_restored,
    source_documents,
    write_files,
)
from ngff_bio.export.image_files import plane_name, write_image
from ngff_bio.export.output import place_below, unused_name
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import Plane, Selection
from ngff_bio.formats.geojson import collection_of, packed
from ngff_bio.model import Box, Polygons
from ngff_bio.raster.rings import polygons_of_rings

#: An outer ring and its holes, each [x, y] without the first point again.
Outline = list[list[list[float]]]


def write_qupath(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write a GeoJSON file for each image."""
    if can_restore(selection, "qupath", place):
        documents = source_documents(selection, "qupath")
        report_restored(documents, selection, report)
        files = {}
        for document in documents:
            features = [o for _, found in document.ordered for _, o in found]
            text = json_bytes(collection_of(features, document.record["geojson"]))
            files[document.file] = packed(text, document.file)
        write_files(files, selection, place, report)
        return
    selection = instance_layers(selection, report)
    classes = Classes(selection, report)
    features_of: dict[str, list[object]] = defaultdict(list)
    for name, plane, one in _annotations(selection, place, report):
        outlines = _outlines(one, report)
        if not outlines:
            continue
        polygons = [[[*ring, ring[0]] for ring in rings] for rings in outlines]
        geometry: dict[str, object] = {"type": "MultiPolygon", "coordinates": polygons}
        if len(polygons) == 1:
            geometry = {"type": "Polygon", "coordinates": polygons[0]}
        if _stacked(plane):
            geometry["plane"] = {"c": -1, "z": plane.z, "t": plane.t}
        properties: dict[str, object] = {"objectType": "annotation"}
        if one.instance.category is not None:
            entry = classes.of(one)
            about: dict[str, object] = {"name": entry.name}
            if entry.color:
                about["color"] = list(entry.color[:3])
            properties["classification"] = about
        features_of[name].append(
            {"type": "Feature", "geometry": geometry, "properties": properties}
        )
        report.instances += 1
    for name, features in features_of.items():
        content = {"type": "FeatureCollection", "features": features}
        place_below(place, f"{name}.geojson").write_bytes(json_bytes(content))


def write_rois(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write a set of regions for each image, ``<image>_RoiSet.zip``."""
    sets: dict[str, dict[str, bytes]] = defaultdict(dict)
    if can_restore(selection, "rois", place):
        documents = [d for d in source_documents(selection, "rois") if "files" in d.record]
        report_restored(documents, selection, report)
        files: dict[str, bytes] = {}
        for document in documents:
            for _, objects in document.ordered:
                for _, one in objects:
                    own, name, data = _kept(one, selection)
                    if own.lower().endswith(".roi"):
                        files[own] = data
                    elif own.lower().endswith(".zip"):
                        sets[own][name] = data
                    else:
                        sets[f"{PurePosixPath(own).with_suffix('')}_RoiSet.zip"][name] = data
        files |= {name: _zipped(rois) for name, rois in sets.items()}
        if len(documents) < len(source_documents(selection, "rois")):
            report.skip("ROIs of OME-TIFFs: a set of ImageJ has no OME-XML")
        write_files(files, selection, place, report)
        return
    selection = instance_layers(selection, report)
    classes = Classes(selection, report)
    for name, plane, one in _annotations(selection, place, report):
        outlines = _outlines(one, report)
        if not outlines:
            continue
        members = sets[f"{name}_RoiSet.zip"]
        named = str(one.instance.source_id or one.instance.value).replace("/", "_")
        own = unused_name(f"{named}.roi", {m.lower() for m in members}).removesuffix(".roi")
        entry = None if one.instance.category is None else classes.of(one)
        group = 0 if entry is None else classes.number(entry) + 1
        if group > 255:
            report.skip("classes beyond 255: a region has a group of 1 to 255")
            group = 0
        color = entry.color if entry is not None else None
        members[own] = _roi(own, outlines, plane, group, color)
        report.instances += 1
    for name, rois in sets.items():
        place_below(place, name).write_bytes(_zipped(rois))
    if sets:
        report.note("classes are groups of regions, in the order of the classes, from 1 on")


def _kept(record: Any, selection: Selection) -> tuple[str, str, bytes]:
    """File, name and bytes of a region in a record of the store.

    Raises
    ------
    ngff_bio.errors.StoreError
        If the record has none.
    """
    try:
        return str(record["file"]), str(record["name"]), base64.b64decode(record["roi"])
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            "the record of a region is damaged",
            file=selection.url,
            expected="file, name and roi (base64)",
            found=plain_reason(error),
            hint="run `ngff-bio validate` on the store",
        ) from error


def _annotations(selection: Selection, place: Path, report: ExportReport) -> Any:
    """Each annotation with its plane and the name of its file, without an ending."""
    used: set[str] = set()
    names: dict[str, str] = {}
    for plane, found in annotated_planes(selection):
        path = plane.image.path
        if path not in names:
            report.images += 1
            frames = len(plane.image.frames)
            own = plane.name if frames == 1 else plane.image.name
            names[path] = str(PurePosixPath(unused_name(own, used)).with_suffix(""))
        if selection.with_images:
            write_image(plane, place, plane_name(plane, lossless=True), report)
        for one in found:
            yield names[path], plane, one


def _stacked(plane: Plane) -> bool:
    return plane.image.stored.size("z") > 1 or plane.image.stored.size("t") > 1


def _outlines(one: Annotation, report: ExportReport) -> list[Outline]:
    """Outer rings with their holes: the source's own outline, else that of the pixels."""
    shape = one.geometry
    if isinstance(shape, Box):
        shape = Polygons(
            ([shape.x0, shape.y0, shape.x1, shape.y0, shape.x1, shape.y1, shape.x0, shape.y1],)
        )
    if isinstance(shape, Polygons) and all(len(part) >= 6 for part in shape.parts):
        return [
            [[[x, y] for x, y in zip(part[0::2], part[1::2], strict=True)]] for part in shape.parts
        ]
    rings = one.rings
    if not rings:
        report.skip("instances without pixels", record=one.plane.name)
        return []
    return [[r.points.tolist() for r in polygon] for polygon in polygons_of_rings(rings)]


def _roi(
    name: str, outlines: Sequence[Outline], plane: Plane, group: int, color: Sequence[int] | None
) -> bytes:
    """A polygon, or a composite region of several rings."""
    roifile = import_optional("roifile", "ngff-bio[roi]")
    rings = [np.asarray(ring, np.float32) for outline in outlines for ring in outline]
    if len(rings) == 1:
        roi = roifile.ImagejRoi.frompoints(rings[0], name=name)
    else:
        path: list[float] = []
        for ring in rings:
            for number, (x, y) in enumerate(ring.tolist()):
                path += [float(number > 0), x, y]
            path.append(4.0)
        whole = np.concatenate(rings)
        (left, top), (right, bottom) = whole.min(axis=0), whole.max(axis=0)
        roi = roifile.ImagejRoi(
            roitype=roifile.ROI_TYPE.RECT,
            left=int(left),
            top=int(top),
            right=int(np.ceil(right)),
            bottom=int(np.ceil(bottom)),
            name=name,
        )
        roi.multi_coordinates = np.array(path, np.float32)
        roi.shape_roi_size = len(path)
    roi.group = group
    if color:
        roi.stroke_color = bytes([255, *color[:3]])
    if _stacked(plane):
        roi.z_position, roi.t_position = plane.z + 1, plane.t + 1
    data: bytes = roi.tobytes()
    return data


def _zipped(rois: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in rois.items():  # a name is never a path in the archive
            name = re.sub(r"[/\\:]", "_", name)
            archive.writestr(zipfile.ZipInfo(f"{name}.roi"), data)
    return out.getvalue()
