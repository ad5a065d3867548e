"""The Cell Tracking Challenge: its own layout again, or tracked layers of any store as results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ngff_bio.errors import ArgumentError
from ngff_bio.export.documents import skip_added
from ngff_bio.export.formats.label_folders import image_frames, report_hidden, write_tiff
from ngff_bio.export.label_layers import report_losses
from ngff_bio.export.output import place_below
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.formats.cell_tracks import Track, tracks_text

#: Folder of each layer beside that of the movie, start of the names of files, list of tracks.
_LAYERS = {
    "gt-seg": ("_GT/SEG", "man_seg", None),
    "gt-tra": ("_GT/TRA", "man_track", "man_track.txt"),
    "st-seg": ("_ST/SEG", "man_seg", None),
    "st-tra": ("_ST/TRA", "man_track", "man_track.txt"),
    "err-seg": ("_ERR_SEG", "mask", None),
    "res": ("_RES", "mask", "res_track.txt"),
}
_NUMBER = re.compile(r"t(\d+)\.\w+$")


def write(selection: Selection, place: Path, report: ExportReport) -> None:
    """Write the folders of the source; of other stores or chosen layers results: ``01_RES``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there is no tracked layer, or a label value is above 65535.
    """
    whole = not (selection.named_layers or selection.masks or selection.cuts_planes)
    if selection.source == "cell-tracking" and whole:
        skip_added(selection, report)
        for image in selection.images:
            _write_source(image, place, report, with_images=bool(selection.with_images))
            image.stored.forget()
        report.images = len(selection.images)
        return
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
            names = {t: f"{i:03}" for i, t in enumerate(range(*image.span("t")))}
            _write_layer(image, layer, place, folder, "mask", "res_track.txt", names, report)
            if selection.with_images:
                for t, frame in enumerate(image_frames(image, None)):
                    write_tiff(place_below(place, f"{number:02}/t{t:03}.tif"), frame)
        image.stored.forget()
    if not number:
        raise ArgumentError(
            "the selection has no tracked label layer",
            file=selection.url,
            expected="a layer whose label values are objects over time",
            hint="convert with --tracked, or export to label-tiff"
            if any(image.layers for image in selection.images)
            else "convert images and their label images with --tracked",
        )
    report.images = number
    report_losses(selection, report, "the Cell Tracking Challenge")


def _write_source(
    image: SelectedImage, place: Path, report: ExportReport, *, with_images: bool
) -> None:
    """Folders of truth and results beside that of a movie, with the numbers of its frames."""
    frames = {t: str(frame.get("name", "")) for t, frame in image.selected_frames}
    movie = next(iter(frames.values()), "").rpartition("/")[0] or image.name
    names = {
        t: match[1] if (match := _NUMBER.search(name)) else f"{t:03}" for t, name in frames.items()
    }
    for layer in image.layers:
        if layer not in _LAYERS:
            report.skip("layers that the challenge does not have", record=layer)
            continue
        folder, start, tracks = _LAYERS[layer]
        _write_layer(image, layer, place, f"{movie}{folder}", start, tracks, names, report)
    if with_images:
        for number, frame in zip(names.values(), image_frames(image, None), strict=True):
            write_tiff(place_below(place, f"{movie}/t{number}.tif"), frame)


def _write_layer(
    image: SelectedImage,
    layer: str,
    place: Path,
    folder: str,
    start: str,
    tracks: str | None,
    names: Mapping[int, str],
    report: ExportReport,
) -> None:
    """A label image for each frame (or plane) that is annotated, and the list of tracks."""
    report_hidden(image, layer, report)
    about = image.stored.label_attributes(layer).get("attributes") or {}
    annotated = about.get("annotated_frames")
    planes = about.get("annotated_planes") or ()
    spans: dict[int, tuple[int, int]] = {}
    count = 0
    for (t, number), labels in zip(names.items(), image_frames(image, layer), strict=True):
        most = int(labels.max(initial=0))
        if most > np.iinfo(np.uint16).max:
            raise ArgumentError(
                "a label value does not fit the format",
                record=f"{image.name}: {layer}",
                expected="at most 65535",
                found=most,
                hint="export to label-tiff",
            )
        values = [v for v in np.unique(labels).tolist() if v]
        count += len(values)
        for value in values:
            spans[value] = (spans.get(value, (int(number),))[0], int(number))
        single = [z for at, z in planes if at == t]
        if single:
            for z in single:
                file = f"{folder}/{start}_{number}_{z:03}.tif"
                write_tiff(place_below(place, file), labels[z].astype(np.uint16))
        elif annotated is None or t in annotated:
            write_tiff(
                place_below(place, f"{folder}/{start}{number}.tif"), labels.astype(np.uint16)
            )
    report.instances += len(spans) if tracks else count
    if tracks is None:
        return
    parents = _parents(image, layer)
    listed = []
    for value, (first, last) in sorted(spans.items()):
        parent = parents.get(value, 0)
        if parent and spans.get(parent, (0, first))[1] >= first:
            report.skip("parents that are not before their part in the region", record=str(value))
            parent = 0
        listed.append(Track(value, first, last, parent))
    place_below(place, f"{folder}/{tracks}").write_text(tracks_text(listed))


def _parents(image: SelectedImage, layer: str) -> dict[int, int]:
    """Label value of the parent of each label value."""
    table = image.stored.table(layer)
    if table is None or "parent_id" not in table.column_names:
        return {}
    names = ("label", "source_id", "parent_id")
    rows = list(zip(*(table.column(n).to_pylist() for n in names), strict=True))
    values = {own: label for label, own, _ in rows}
    return {label: values[parent] for label, _, parent in rows if parent in values}
