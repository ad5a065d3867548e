"""Label layers as TIFF, images and label layers as OME-TIFF, both calibrated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError
from ngff_bio.export.label_layers import label_files, label_images, report_losses
from ngff_bio.export.output import check_one_file, target
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.export.stacks import stack_of
from ngff_bio.formats.tiff.writer import (
    write_color_tiff,
    write_ome_tiff,
    write_plain_tiff,
)


def write_labels(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write each label layer as a TIFF of integers, or of colours if its source was one of colours."""
    for label, file in label_files(selection, place, report, ".tif", ".tiff"):
        image, layer, name = label
        stack = stack_of(image, name)
        colors = None if label.is_hidden else colors_of(image, layer)
        if colors is not None:
            write_color_tiff(file, stack, colors)
        else:
            source_dtype = image.stored.source_attributes(layer).get("dtype")
            stack = replace(stack, dtype=np.dtype(source_dtype or stack.dtype))
            write_plain_tiff(file, stack)
            if stack.dtype.itemsize > 2:
                report.note(
                    "32-bit labels are not written as ImageJ hyperstacks: open them in Fiji with "
                    "Bio-Formats"
                )
    _report_labels(selection, report)


def write_ome(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write each image and each label layer as an OME-TIFF."""
    stacks: list[tuple[SelectedImage, str | None]] = []
    if selection.with_images is not False and not selection.named_layers:
        stacks += [(image, None) for image in selection.images]
    labels = label_images(selection, report)
    if place.is_dir() or not stacks:
        stacks += [(label.image, label.name) for label in labels]
    elif labels:
        report.skip("label layers need files of their own: choose a folder to export them too")
    if not stacks:
        raise ArgumentError(
            "the selection has no images or label layers",
            file=selection.url,
            hint="select another image with --image",
        )
    check_one_file(place, [name or image.name for image, name in stacks], "images or label layers")
    for image, name in stacks:
        ending = f".{name}.ome.tif" if name is not None else ".ome.tif"
        for part, stem in _equal_parts(image):
            write_ome_tiff(target(place, stem + ending), stack_of(part, name))
        image.stored.forget()
    _report_labels(selection, report)


def _report_labels(selection: Selection, report: ExportReport) -> None:
    report_losses(selection, report, "TIFF")
    tables = (image.stored.table(layer) for image in selection.images for layer in image.layers)
    report.instances += sum(table.num_rows for table in tables if table is not None)


def colors_of(image: SelectedImage, layer: str) -> NDArray[np.uint8] | None:
    """Colour of each label value, uint8 (n, samples), if the source of the layer was colour-coded."""
    attributes = image.stored.source_attributes(layer)
    colors: dict[int, str] = {int(k): v for k, v in (attributes.get("colors") or {}).items()}
    samples = int(attributes.get("color_samples") or 0)
    if not samples:
        return None
    table = image.stored.table(layer)
    if not colors and table is not None:
        values, ids = table.column("label").to_pylist(), table.column("source_id").to_pylist()
        colors = {v: i for v, i in zip(values, ids, strict=True) if str(i).startswith("#")}
    known = np.zeros((max(colors, default=0) + 1, samples), np.uint8)
    for value, text in colors.items():
        parts = bytes.fromhex(text.removeprefix("#"))
        known[value] = [*parts[:3], 255][:samples]
    return known


def _equal_parts(image: SelectedImage) -> Iterator[tuple[SelectedImage, str]]:
    """The image, or each of its frames if their sizes differ, with a file name."""
    frames = image.frames
    stem = image.name
    if len(frames) == 1 and not image.path:
        name = str(next(iter(frames.values())).get("name") or stem)
        stem = str(PurePosixPath(name).with_suffix(""))
    if not any(f.get("size") for f in frames.values()):
        yield image, stem
        return
    for t in range(*image.span("t")):
        spans = {**image.spans, "t": (t, t + 1)}
        plane = next(replace(image, spans=spans).planes())
        spans |= {"y": plane.y, "x": plane.x}
        if "t" not in image.spans:
            del spans["t"]
        if plane.height and plane.width:
            yield replace(image, spans=spans), f"{stem}/{plane.stem}"
