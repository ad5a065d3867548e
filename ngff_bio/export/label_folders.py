"""Folders of images with label images: Cell Tracking Challenge, Cellpose, StarDist, nnU-Net."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError
from ngff_bio.export.annotations import LayerRows
from ngff_bio.export.classes import Classes
from ngff_bio.export.label_layers import report_losses
from ngff_bio.export.output import place_below, unused_name, write_json
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.formats.cell_tracks import Track, tracks_text
from ngff_bio.model.splits import standard_split


def write_cell_tracking(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write tracked layers as results: ``01_RES/mask000.tif`` with 16 bits, and ``res_track.txt``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there is no tracked layer, or a label value is above 65535.
    """
    number = 0
    for image in selection.images:
        layers = [n for n in image.layers if image.stored.label_attributes(n).get("tracked")]
        for left in image.layers:
            if left not in layers:
                report.skip("label layers without tracks", record=f"{image.name}: {left}")
        for layer in layers:
            number += 1
            folder = f"{number:02}_RES"
            report.note("folders of results", record=f"{folder}: {image.name}, {layer}")
            _write_results(image, layer, place, folder, report)
            if selection.with_images:
                for t, frame in enumerate(_frames(image, None)):
                    _write(place_below(place, f"{number:02}/t{t:03}.tif"), frame)
        image.stored.forget()
    if not number:
        raise ArgumentError(
            "the selection has no tracked label layer",
            file=selection.url,
            expected="a layer whose label values are objects over time",
            hint="convert with --tracked, or export to label-tiff",
        )
    report.images = number
    report_losses(selection, report, "the Cell Tracking Challenge")


def _write_results(
    image: SelectedImage, layer: str, place: Path, folder: str, report: ExportReport
) -> None:
    _report_hidden(image, layer, report)
    spans: dict[int, tuple[int, int]] = {}
    for t, labels in enumerate(_frames(image, layer)):
        most = int(labels.max(initial=0))
        if most > np.iinfo(np.uint16).max:
            raise ArgumentError(
                "a label value does not fit the format",
                record=f"{image.name}: {layer}",
                expected="at most 65535",
                found=most,
                hint="export to label-tiff",
            )
        for value in np.unique(labels).tolist():
            if value:
                spans[value] = (spans.get(value, (t, t))[0], t)
        _write(place_below(place, f"{folder}/mask{t:03}.tif"), labels.astype(np.uint16))
    report.instances += len(spans)
    parents = _parents(image, layer)
    tracks = []
    for value, (first, last) in sorted(spans.items()):
        parent = parents.get(value, 0)
        if parent and spans.get(parent, (0, first))[1] >= first:
            report.skip("parents that are not before their part in the region", record=str(value))
            parent = 0
        tracks.append(Track(value, first, last, parent))
    place_below(place, f"{folder}/res_track.txt").write_text(tracks_text(tracks))


def _parents(image: SelectedImage, layer: str) -> dict[int, int]:
    """Label value of the parent of each label value."""
    table = image.stored.table(layer)
    if table is None or "parent_id" not in table.column_names:
        return {}
    names = ("label", "source_id", "parent_id")
    rows = list(zip(*(table.column(n).to_pylist() for n in names), strict=True))
    values = {own: label for label, own, _ in rows}
    return {label: values[parent] for label, _, parent in rows if parent in values}


def write_cellpose(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write ``a.tif`` with ``a_cp_masks.tif`` (or PNG) beside it."""
    for image, name, pixels, labels in _pairs(selection, place, report, "Cellpose"):
        stem = str(PurePosixPath(name).with_suffix(""))
        _write(place_below(place / _split(image), f"{stem}.tif"), pixels)
        _write(place_below(place / _split(image), f"{stem}_cp_masks.tif"), labels)


def write_stardist(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write ``images/a.tif`` and ``masks/a.tif``, below ``train`` and ``test`` if there are splits."""
    for image, name, pixels, labels in _pairs(selection, place, report, "StarDist"):
        file = str(PurePosixPath(name).with_suffix(".tif"))
        _write(place_below(place / _split(image) / "images", file), pixels)
        _write(place_below(place / _split(image) / "masks", file), labels)


def write_nnunet(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write ``imagesTr/CASE_0000.tif`` for each channel, ``labelsTr/CASE.tif`` and ``dataset.json``.

    Values of label images are classes, numbered from 1 on: those of a semantic layer, or the classes
    of instances.
    """
    classes = Classes(selection, report)
    names: list[str] = []
    cases = 0
    for image, name, pixels, labels in _pairs(selection, place, report, "nnU-Net", semantic=True):
        case = str(PurePosixPath(name).with_suffix(""))
        part = "Ts" if _split(image) == "test" else "Tr"
        channels = np.moveaxis(pixels, -1, 0) if pixels.ndim == labels.ndim + 1 else pixels[None]
        for number, channel in enumerate(channels):
            _write(place_below(place, f"images{part}/{case}_{number:04}.tif"), channel)
        names = [c.label or str(i) for i, c in enumerate(image.stored.meta.channels)]
        names = names if len(names) == len(channels) else [str(i) for i in range(len(channels))]
        _write(place_below(place, f"labels{part}/{case}.tif"), _as_classes(image, labels, classes))
        cases += part == "Tr"
    about = {
        "channel_names": {str(i): n for i, n in enumerate(names)},
        "labels": {"background": 0, **{c.name: classes.number(c) + 1 for c in classes.all()}},
        "numTraining": cases,
        "file_ending": ".tif",
    }
    write_json(place_below(place, "dataset.json"), about)


def _as_classes(image: SelectedImage, labels: NDArray[Any], classes: Classes) -> NDArray[Any]:
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
) -> Iterator[tuple[SelectedImage, str, NDArray[Any], NDArray[Any]]]:
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
        _report_hidden(image, chosen, report)
        one = SelectedImage(image.stored, image.spans, (chosen,), image.whole)
        frames = zip(_frames(one, None), _frames(one, chosen), strict=True)
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
            hint="select another image with --image, or semantic layers with --labels",
        )
    if not semantic:
        report_losses(selection, report, format)


def _frames(image: SelectedImage, name: str | None) -> Iterator[NDArray[Any]]:
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


def _report_hidden(image: SelectedImage, layer: str, report: ExportReport) -> None:
    if image.stored.layers[layer]:
        report.skip(
            "pixels of instances that others cover: a label image has one value for each pixel",
            record=f"{image.name}: {layer}",
        )


def _write(file: Path, pixels: NDArray[Any]) -> None:
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
