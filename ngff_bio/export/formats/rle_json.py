"""Label layers as run-length JSON, one file per label image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ngff_bio.export.label_layers import LabelImage, label_files, report_losses
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.formats.rle.writer import RunLengthWriter


def write(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write every selected label layer."""
    for label, file in label_files(selection, place, report, ".json"):
        file.write_bytes(_encoded(label, report))
    if selection.source != "platelet-em":
        report_losses(selection, report, "run-length JSON")


def _encoded(label: LabelImage, report: ExportReport) -> bytes:
    image, layer, name = label
    stored = image.stored
    axes = stored.axes_of(name)
    attributes = stored.source_attributes(layer)
    spelling = attributes.get("run_length") if image.whole and not label.is_hidden else None
    writer = RunLengthWriter(tuple(b - a for a, b in map(image.span, axes)))
    for number, plane in enumerate(image.blocks(name, axes)):
        writer.add(plane, number * plane.size)
    report.instances += writer.count
    return writer.finish(source_ids(image, layer), spelling, str(stored.variable(name).dtype))


def source_ids(image: SelectedImage, layer: str) -> dict[int, str]:
    """Source id by label value, if the ids of the layer are integers."""
    table = image.stored.table(layer)
    if table is None or "source_id" not in table.column_names or "t" in table.column_names:
        return {}
    values = np.asarray(table.column("label")).tolist()
    known: list[Any] = table.column("source_id").to_pylist()
    found = {v: i for v, i in zip(values, known, strict=True) if _is_integer(i)}
    return found if len(found) == len(values) else {}


def _is_integer(text: Any) -> bool:
    try:
        int(text)
    except (TypeError, ValueError):
        return False
    return True
