"""Label layers as run-length JSON: one file a layer, and one for each label image that completes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ngff_bio.errors import ArgumentError
from ngff_bio.export.output import place_below
from ngff_bio.export.registry import Exporter
from ngff_bio.export.report import Report
from ngff_bio.export.selection import Picture, Selection
from ngff_bio.formats.rle.writer import RunLengthWriter


def write(selection: Selection, place: Path, report: Report) -> None:
    """Write every label layer that is wanted."""
    jobs = [
        (p, name, layer)
        for p in selection.pictures
        for layer in p.layers
        for name in _images(p, layer)
    ]
    if not jobs:
        raise ArgumentError(
            "there is no label layer to write", file=selection.url, hint="choose another image"
        )
    if not place.is_dir() and len(jobs) > 1:
        raise ArgumentError(
            "one file of run-length JSON holds one label image",
            found=f"{len(jobs)} label images: " + ", ".join(n for _, n, _ in jobs[:5]),
            hint="name a folder, or choose with --image and --labels",
        )
    for picture, name, layer in jobs:
        target = (
            place if not place.is_dir() else place_below(place, file_name(picture, layer, name))
        )
        data = _encoded(picture, name, layer, report)
        target.write_bytes(data)
    _name_losses(selection, report)


def _images(picture: Picture, layer: str) -> tuple[str, ...]:
    return (layer, *picture.stored.hidden(layer))


def file_name(picture: Picture, layer: str, name: str) -> str:
    """The source's own file of a layer where it was of this format, else image and layer."""
    listed = (picture.stored.layer(layer).get("attributes") or {}).get("files") or ()
    own = [f for f in listed if str(f).endswith(".json")]
    if own and name == layer:
        return str(own[0])
    return f"{picture.name}/{name}.json"


def _encoded(picture: Picture, name: str, layer: str, report: Report) -> bytes:
    stored = picture.stored
    axes = list(stored.label_axes(name))
    shape = tuple(b - a for a, b in (picture.span(axis) for axis in axes))
    about = stored.layer(layer).get("attributes") or {}
    written = about.get("run_length") if picture.whole and name == layer else None
    writer = RunLengthWriter(shape)
    number = 0
    (y0, y1), (x0, x1) = picture.span("y"), picture.span("x")
    for t in range(*picture.span("t")) if "t" in axes else (0,):
        for z in range(*picture.span("z")) if "z" in axes else (0,):
            block = stored.plane(name, t, z)[y0:y1, x0:x1]
            writer.add(block, number * block.size)
            number += 1
    ids = source_ids(picture, layer)
    report.instances += writer.count
    return writer.finish(ids, written, str(stored.dtype(name)))


def source_ids(picture: Picture, layer: str) -> dict[int, str]:
    """Id of the source by label value, where the layer has whole numbers for them."""
    table = picture.stored.table(layer)
    if table is None or "source_id" not in table.column_names or "t" in table.column_names:
        return {}
    values = np.asarray(table.column("label")).tolist()
    known: list[Any] = table.column("source_id").to_pylist()
    found = {v: i for v, i in zip(values, known, strict=True) if _is_whole(i)}
    return found if len(found) == len(values) else {}


def _is_whole(text: Any) -> bool:
    try:
        int(text)
    except (TypeError, ValueError):
        return False
    return True


def _name_losses(selection: Selection, report: Report) -> None:
    native = selection.source == "platelet-em"
    for picture in selection.pictures:
        for layer in picture.layers:
            hidden = picture.stored.hidden(layer)
            if hidden:
                report.warn(
                    "instances overlap: those that are covered are in files of their own",
                    record=f"{picture.name}: {', '.join(hidden)}",
                )
            table = picture.stored.table(layer)
            if not native and table is not None and "record" in table.column_names:
                report.skip(
                    "run-length JSON holds label values alone: no classes, boxes, outlines, source "
                    "ids or other attributes",
                    count=table.num_rows,
                )


RLE_JSON = Exporter(
    name="rle-json",
    title="run-length JSON of label volumes, as platelet-em has it",
    suffixes=(".json",),
    write=write,
)
