"""Folders of images with label images or masks of objects: their own files again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError
from ngff_bio.export.annotations import Annotation, LayerRows
from ngff_bio.export.documents import added_layers, json_bytes, only_added, skip_added
from ngff_bio.export.image_files import write_pixels
from ngff_bio.export.output import place_below
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.export.source_files import write_image_files, write_label_files
from ngff_bio.formats.run_length_csv import with_runs
from ngff_bio.formats.text import csv_bytes
from ngff_bio.model import Polygons

#: Sources whose label files are written again, each by an exporter of its name or by ``label-files``.
SOURCES = ("cellpose", "ilastik", "nnunet", "images", "well-table", "object-masks")


def can_write(selection: Selection, place: Path, *sources: str) -> bool:
    """Whether an export is of whole images of one of these sources, and into a folder."""
    whole = selection.masks is None and not selection.cuts_planes and place.is_dir()
    return whole and selection.source in sources and not only_added(selection)


def write(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write the label files, masks and tables of the source again.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the store is not from such a source.
    """
    if not can_write(selection, place, *SOURCES):
        raise ArgumentError(
            "label files are written again for stores that were converted from them",
            file=selection.url,
            expected=f"whole images of a store that was converted from {', '.join(SOURCES)}",
            found=f"a store of {selection.source}",
            hint="export to another format: label-tiff, cellpose, stardist, nnunet",
        )
    skip_added(selection, report)
    added = added_layers(selection)
    files = _Files()
    if selection.source == "cellpose":
        report.skip("what Cellpose makes of masks or images: flows, outlines of masks")
    for image in selection.images:
        for layer in image.layers:
            if layer in added:
                continue
            if image.stored.source_attributes(layer).get("files"):
                write_label_files(image, layer, place, report)
            else:
                _write_objects(image, layer, place, files, report)
        for _, frame in image.selected_frames:
            record = frame.get("record") or {}
            for key in ("row", "class"):
                if f"{key}_at" in record:
                    name, number = record[f"{key}_at"]
                    files.rows[name][number] = record[key]
            for name, number, cells in record.get("empty_rows") or ():
                files.rows[name][number] = cells
        if selection.with_images:
            write_image_files(image, place, report)
        image.stored.forget()
    kept: Any = (selection.attributes.get("attributes") or {}).get("files") or {}
    for name, content in kept.items():
        place_below(place, name).write_bytes(json_bytes(content))
    files.write(place)


@dataclass
class _Files:
    """Text files that several images are in: rows of tables and lines, by file and number."""

    rows: dict[str, dict[int, Mapping[str, object]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    lines: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def write(self, place: Path) -> None:
        for name, found in self.rows.items():
            listed = [found[n] for n in sorted(found)]
            names = list(dict.fromkeys(key for row in listed for key in row))  # a row may be short
            table = csv_bytes([names, *([row.get(key, "") for key in names] for row in listed)])
            place_below(place, name).write_bytes(table)
        for name, lines in self.lines.items():
            place_below(place, name).write_text("".join(f"{line}\n" for line in lines))


def _write_objects(
    image: SelectedImage, layer: str, place: Path, files: _Files, report: ExportReport
) -> None:
    """A mask file, a row with run lengths, or a line with the outline of each object."""
    rows = LayerRows(image, layer)
    for plane in image.planes():
        for one in rows.on(plane):
            record = one.record
            if "outlines" in record and isinstance(one.geometry, Polygons):
                text = ",".join(f"{v:.10g}" for v in one.geometry.parts[0])
                files.lines[str(record["outlines"])].append(text)
            elif "table" in record:
                kept = {k: v for k, v in record.items() if k not in ("table", "row")}
                number = int(str(record["row"]))
                files.rows[str(record["table"])][number] = with_runs(kept, _mask(one))
            elif "file" in record:
                mask = np.where(_mask(one), np.uint8(255), np.uint8(0))
                write_pixels(mask, place_below(place, str(record["file"])))
                report.note("masks of objects are written as 0 and 255")
            else:
                report.skip("objects that no file of the source has", record=layer)
                continue
            report.instances += 1


def _mask(one: Annotation) -> NDArray[np.bool_]:
    """The pixels of an object on its whole plane."""
    found = np.zeros((one.plane.height, one.plane.width), np.bool_)
    if one.mask is not None:
        (x, y), mask = one.mask
        found[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    return found
