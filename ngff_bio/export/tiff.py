"""Label layers as TIFF, images and labels as OME-TIFF, both with calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError
from ngff_bio.export.output import place_below
from ngff_bio.export.registry import Exporter
from ngff_bio.export.report import Report
from ngff_bio.export.selection import Picture, Selection
from ngff_bio.formats.tiff.writer import (
    Stack,
    Step,
    write_color_tiff,
    write_label_tiff,
    write_ome_tiff,
)


def write_labels(selection: Selection, place: Path, report: Report) -> None:
    """Write each label layer as a TIFF of whole numbers, or of colours where it came as colours."""
    jobs = list(_label_jobs(selection, report))
    if not jobs:
        raise ArgumentError(
            "there is no label layer to write", file=selection.url, hint="choose another image"
        )
    _one_file(place, len(jobs))
    for picture, layer, name in jobs:
        target = _target(place, label_file(picture, layer, name))
        about = picture.stored.layer(layer).get("attributes") or {}
        stack = _stack(picture, name)
        colors = colors_of(picture, layer) if name == layer else None
        if colors is not None:
            write_color_tiff(target, stack, colors)
        else:
            stack = replace(stack, dtype=np.dtype(about.get("dtype") or stack.dtype))
            write_label_tiff(target, stack)
            if stack.dtype.itemsize > 2:
                report.note(
                    "32-bit labels are no ImageJ hyperstack: Fiji reads them by Bio-Formats"
                )
        picture.stored.forget()
    _name_losses(selection, report)


def write_ome(selection: Selection, place: Path, report: Report) -> None:
    """Write each image and each label layer as an OME-TIFF."""
    wanted: list[tuple[Picture, str | None, str | None]] = []
    if selection.with_images is not False and not selection.named_layers:
        wanted += [(p, None, None) for p in selection.pictures]
    labels = list(_label_jobs(selection, report))
    if place.is_dir() or not wanted:
        wanted += labels
    elif labels:
        report.skip("one OME-TIFF holds the image; labels are in files of their own: name a folder")
    _one_file(place, len(wanted))
    for picture, _, name in wanted:
        ending = f".{name}.ome.tif" if name is not None else ".ome.tif"
        for part, stem in _equal_parts(picture):
            write_ome_tiff(_target(place, stem + ending), _stack(part, name))
        picture.stored.forget()
    _name_losses(selection, report)


def _label_jobs(selection: Selection, report: Report) -> Iterator[tuple[Picture, str, str]]:
    for picture in selection.pictures:
        for layer in picture.layers:
            hidden = picture.stored.hidden(layer)
            if hidden:
                report.warn(
                    "instances overlap: those that are covered are in files of their own",
                    record=f"{picture.name}: {', '.join(hidden)}",
                )
            for name in (layer, *hidden):
                yield picture, layer, name


def _one_file(place: Path, count: int) -> None:
    if not place.is_dir() and count != 1:
        raise ArgumentError(
            "one file holds one image or label layer",
            found=f"{count} of them",
            hint="name a folder, or choose with --image and --labels",
        )


def _target(place: Path, name: str) -> Path:
    return place_below(place, name) if place.is_dir() else place


def label_file(picture: Picture, layer: str, name: str) -> str:
    """The source's own file of a layer where it was a TIFF, else image and layer."""
    listed = (picture.stored.layer(layer).get("attributes") or {}).get("files") or ()
    own = [str(f) for f in listed if str(f).lower().endswith((".tif", ".tiff"))]
    return own[0] if own and name == layer else f"{picture.name}/{name}.tif"


def colors_of(picture: Picture, layer: str) -> NDArray[np.uint8] | None:
    """Colour of each label value from 0 on, where the layer came as colours: uint8 (n, samples)."""
    about = picture.stored.layer(layer).get("attributes") or {}
    colors: dict[int, str] = {int(k): v for k, v in (about.get("colors") or {}).items()}
    samples = int(about.get("color_samples") or 0)
    table = picture.stored.table(layer)
    if samples and not colors and table is not None:
        values, ids = table.column("label").to_pylist(), table.column("source_id").to_pylist()
        colors = {v: i for v, i in zip(values, ids, strict=True) if str(i).startswith("#")}
    if not samples:
        return None
    known = np.zeros((max(colors, default=0) + 1, samples), np.uint8)
    for value, text in colors.items():
        parts = bytes.fromhex(text.removeprefix("#"))
        known[value] = [*parts[:3], 255][:samples]
    return known


def _equal_parts(picture: Picture) -> Iterator[tuple[Picture, str]]:
    """The picture, or each of its frames where their sizes differ, with a file name."""
    frames = picture.frames
    stem = picture.name
    if len(frames) == 1 and not picture.path:
        stem = str(
            PurePosixPath(str(next(iter(frames.values())).get("name") or stem)).with_suffix("")
        )
    if not any(f.get("size") for f in frames.values()):
        yield picture, stem
        return
    for t in range(*picture.span("t")):
        plane = next(replace(picture, spans={**picture.spans, "t": (t, t + 1)}).planes())
        spans = {**picture.spans, "y": plane.y, "x": plane.x}
        if "t" in spans:
            spans["t"] = (t, t + 1)
        if plane.height and plane.width:
            yield replace(picture, spans=spans), f"{stem}/{plane.stem.rpartition('/')[2]}"


def _stack(picture: Picture, name: str | None) -> Stack:
    """The image (``None``) or a label image as a stack of planes."""
    stored = picture.stored
    axes = stored.axes if name is None else stored.label_axes(name)
    meta = stored.image.multiscale
    scale = dict(zip(stored.axes, meta.levels[0].scale, strict=True))
    units = {a.name: a.unit for a in meta.axes}
    # A scale of 1 without a unit is what the store says where the source says nothing.
    steps = {a: Step(scale[a], units[a]) for a in axes if units[a] is not None or scale[a] != 1.0}
    channels = [c.label for c in stored.image.meta.channels] if name is None else []
    colour = "c" in axes and [c.lower() for c in channels] == ["red", "green", "blue"]
    if colour:
        axes = axes.replace("c", "") + "s"
    sizes = {a: picture.span(a)[1] - picture.span(a)[0] for a in axes if a != "s"} | {"s": 3}
    hours = [picture.frames.get(t, {}).get("elapsed_hours") for t in range(*picture.span("t"))]
    return Stack(
        axes=axes,
        shape=tuple(sizes[a] for a in axes),
        dtype=stored.dtype(name),
        planes=_planes(picture, name, axes),
        name=picture.stored.own.get("name") or picture.name,
        steps=steps,
        channels=channels,
        elapsed_hours=[h for h in hours if h is not None]
        if None not in hours and "t" in axes
        else [],
    )


def _planes(picture: Picture, name: str | None, axes: str) -> Iterator[NDArray[Any]]:
    """Planes with the leading axes in C order: t, c, z."""
    whole_y, whole_x = slice(*picture.span("y")), slice(*picture.span("x"))

    def read(t: int, z: int) -> NDArray[Any]:
        return picture.stored.plane(name, t, z)[..., whole_y, whole_x]

    for t in range(*picture.span("t")):
        if "c" in axes:
            for c in range(*picture.span("c")):
                for z in range(*picture.span("z")):
                    yield read(t, z)[c]
            continue
        for z in range(*picture.span("z")):
            block = read(t, z)
            yield block.transpose(1, 2, 0) if axes.endswith("s") else block


def _name_losses(selection: Selection, report: Report) -> None:
    for picture in selection.pictures:
        for layer in picture.layers:
            table = picture.stored.table(layer)
            if table is not None and "record" in table.column_names:
                report.skip(
                    "a TIFF holds label values alone: no classes, boxes, outlines, source ids or "
                    "other attributes",
                    count=table.num_rows,
                )
            report.instances += table.num_rows if table is not None else 0


LABEL_TIFF = Exporter(
    name="label-tiff",
    title="label layers as calibrated TIFF (ImageJ hyperstack where it fits)",
    suffixes=(".tif", ".tiff"),
    write=write_labels,
)
OME_TIFF = Exporter(
    name="ome-tiff",
    title="images and label layers as OME-TIFF with physical sizes",
    suffixes=(".tif", ".tiff"),
    write=write_ome,
)
