"""Folders of images with label images: Cellpose, StarDist, nnU-Net."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import tifffile

from ngff_bio.errors import ArgumentError
from ngff_bio.export.annotations import LayerRows
from ngff_bio.export.classes import Classes
from ngff_bio.export.formats import label_files
from ngff_bio.export.label_layers import report_losses
from ngff_bio.export.output import place_below, unused_name, write_json
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.model import PixelArray
from ngff_bio.model.splits import standard_split


def write_cellpose(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write ``a.tif`` with ``a_cp_masks.tif`` (or PNG) beside it."""
    if not selection.named_layers and label_files.can_write(selection, place, "cellpose"):
        label_files.write(selection, place, report)
        return
    for image, name, pixels, labels in _pairs(selection, place, report, "Cellpose"):
        stem = str(PurePosixPath(name).with_suffix(""))
        write_tiff(place_below(place / _split(image), f"{stem}.tif"), pixels)
        write_tiff(place_below(place / _split(image), f"{stem}_cp_masks.tif"), labels)


def write_stardist(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write ``images/a.tif`` and ``masks/a.tif``, below ``train`` and ``test`` if there are splits."""
    for image, name, pixels, labels in _pairs(selection, place, report, "StarDist"):
        file = str(PurePosixPath(name).with_suffix(".tif"))
        write_tiff(place_below(place / _split(image) / "images", file), pixels)
        write_tiff(place_below(place / _split(image) / "masks", file), labels)


def write_nnunet(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write ``imagesTr/CASE_0000.tif`` for each channel, ``labelsTr/CASE.tif`` and ``dataset.json``.

    Values of label images are classes, numbered from 1 on: those of a semantic layer, or the classes
    of instances.
    """
    if not selection.named_layers and label_files.can_write(selection, place, "nnunet"):
        label_files.write(selection, place, report)
        return
    classes = Classes(selection, report)
    names: list[str] = []
    cases = 0
    for image, name, pixels, labels in _pairs(selection, place, report, "nnU-Net", semantic=True):
        case = str(PurePosixPath(name).with_suffix(""))
        part = "Ts" if _split(image) == "test" else "Tr"
        channels = np.moveaxis(pixels, -1, 0) if pixels.ndim == labels.ndim + 1 else pixels[None]
        for number, channel in enumerate(channels):
            write_tiff(place_below(place, f"images{part}/{case}_{number:04}.tif"), channel)
        names = [c.label or str(i) for i, c in enumerate(image.stored.meta.channels)]
        names = names if len(names) == len(channels) else [str(i) for i in range(len(channels))]
        write_tiff(
            place_below(place, f"labels{part}/{case}.tif"), _as_classes(image, labels, classes)
        )
        cases += part == "Tr"
    about = {
        "channel_names": {str(i): n for i, n in enumerate(names)},
        "labels": {"background": 0, **{c.name: classes.number(c) + 1 for c in classes.all()}},
        "numTraining": cases,
        "file_ending": ".tif",
    }
    write_json(place_below(place, "dataset.json"), about)


def _as_classes(image: SelectedImage, labels: PixelArray, classes: Classes) -> PixelArray:
    """Label values as numbers of classes."""
    (layer,) = image.layers[:1]
    table: dict[int, int] = {}
    known = {c.name: classes.number(c) + 1 for c in classes.all()}
    if image.stored.is_semantic(layer):
        for one in image.stored.label_attributes(layer).get("categories") or ():
            table[int(one["id"])] = known[str(one["name"])]
    else:
        for plane in image.planes():
            for one in LayerRows(image, layer).on(plane):
                table[one.instance.value] = classes.number(classes.of(one)) + 1
    values = np.unique(labels)
    lookup = np.array([0 if v == 0 else table.get(int(v), int(v)) for v in values])
    found = lookup[np.searchsorted(values, labels)]
    return found.astype(np.uint8 if lookup.max(initial=0) < 256 else np.uint16)


def _pairs(
    selection: Selection, place: Path, report: ExportReport, format: str, *, semantic: bool = False
) -> Iterator[tuple[SelectedImage, str, PixelArray, PixelArray]]:
    """Each image (frame by frame) with its name, its pixels and the labels of one layer."""
    used: set[str] = set()
    for image in selection.images:
        layers = list(image.layers)
        if not semantic and not selection.named_layers:
            layers = [n for n in layers if not image.stored.is_semantic(n)]
        if not layers:
            report.skip("images without label layers", record=image.name)
            continue
        chosen = layers[0]
        for left in [n for n in image.layers if n != chosen]:
            report.skip("further label layers: choose one with --labels", record=f"{left}")
        report_hidden(image, chosen, report)
        one = SelectedImage(image.stored, image.spans, (chosen,), image.whole)
        frames = zip(image_frames(one, None), image_frames(one, chosen), strict=True)
        for t, (pixels, labels) in enumerate(frames, image.span("t")[0]):
            frame = image.frames.get(t, {})
            single = image.stored.size("t") == 1 and frame.get("name") and not image.path
            name = str(frame["name"]) if single else image.name
            name = name if image.stored.size("t") == 1 else f"{name}_t{t:04}"
            report.instances += len(np.unique(labels[labels != 0]))
            yield one, unused_name(f"{_flat(name, image)}.tif", used), pixels, labels
            report.images += 1
        image.stored.forget()
    if not used:
        raise ArgumentError(
            f"nothing can be exported for {format}: the selection has no label layer",
            file=selection.url,
            hint="select another image with --image, or semantic layers with --labels, or add label "
            "images with `ngff-bio labels add`",
        )
    if not semantic:
        report_losses(selection, report, format)


def image_frames(image: SelectedImage, name: str | None) -> Iterator[PixelArray]:
    """The image (``None``) or a label image frame by frame: (z, y, x) or (y, x), then channels."""
    stored = image.stored
    y, x = slice(*image.span("y")), slice(*image.span("x"))
    for t in range(*image.span("t")):
        planes = [stored.plane(name, t, z)[..., y, x] for z in range(*image.span("z"))]
        block = np.stack(planes) if stored.size("z") > 1 else planes[0]
        if name is None and "c" in stored.axes:  # (c, y, x) or (z, c, y, x)
            block = np.moveaxis(block, -3, -1)
            block = block[..., 0] if block.shape[-1] == 1 else block
        yield block


def _flat(name: str, image: SelectedImage) -> str:
    """A name without folders: tools look for files in one. Those that the layout has are dropped."""
    *folders, last = name.split("/")
    split = _split(image)
    kept = [
        f
        for f in folders
        if f.lower() not in ("images", "image") and not (split and standard_split(f) == split)
    ]
    return "_".join([*kept, str(PurePosixPath(last).with_suffix(""))])


def _split(image: SelectedImage) -> str:
    """``train``, ``val`` or ``test`` if the frames say so, else no folder."""
    named = {s for f in image.frames.values() for s in f.get("splits") or ()}
    found = {standard_split(s) for s in named} - {None}
    return str(found.pop()) if len(found) == 1 else ""


def report_hidden(image: SelectedImage, layer: str, report: ExportReport) -> None:
    """Report a layer with instances that others cover."""
    if image.stored.layers[layer]:
        report.skip(
            "pixels of instances that others cover: a label image has one value for each pixel",
            record=f"{image.name}: {layer}",
        )


def write_tiff(file: Path, pixels: PixelArray) -> None:
    """Write a plane, a stack, or colors (the last axis)."""
    color = pixels.ndim == 3 and pixels.shape[-1] in (3, 4) and pixels.dtype == np.uint8
    if not color and pixels.ndim == 3 and pixels.shape[-1] <= 4 < pixels.shape[0]:
        pixels = np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(
        file,
        np.ascontiguousarray(pixels),
        photometric="rgb" if color else "minisblack",
        compression="zlib",
        metadata=None,
    )
