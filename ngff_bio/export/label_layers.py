"""Label layers as files of their own: which label images, their file names, what is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ngff_bio.errors import ArgumentError
from ngff_bio.export.output import check_one_file, target
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import SelectedImage, Selection
from ngff_bio.model import MAX_HIDDEN


class LabelImage(NamedTuple):
    """One label image: that of a layer, or a hidden one with the layer's overlapped instances."""

    image: SelectedImage
    layer: str
    name: str

    @property
    def is_hidden(self) -> bool:
        """Whether it has the overlapped instances of its layer."""
        return self.name != self.layer


def label_images(selection: Selection, report: ExportReport) -> list[LabelImage]:
    """All label images of the selected layers."""
    found = []
    for image in selection.images:
        for layer in image.layers:
            hidden = image.stored.layers[layer]
            if hidden:
                report.warn(
                    "instances overlap: overlapped ones are in separate files",
                    record=f"{image.name}: {', '.join(hidden)}",
                )
            if len(hidden) >= MAX_HIDDEN and (table := image.stored.table(layer)) is not None:
                report.skip(
                    "instances that are in the table only: no label image contains them",
                    record=f"{image.name}: {layer}",
                    count=table.column("label_image").null_count,
                )
            found += [LabelImage(image, layer, name) for name in (layer, *hidden)]
    return found


def label_files(
    selection: Selection, place: Path, report: ExportReport, *suffixes: str
) -> Iterator[tuple[LabelImage, Path]]:
    """All label images of the selected layers, each with the file to write.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there are none, or several for one file.
    """
    labels = label_images(selection, report)
    if not labels:
        raise ArgumentError(
            "the selection has no label layers",
            file=selection.url,
            hint="select another image with --image, or add label images with `ngff-bio labels add`",
        )
    check_one_file(place, [label.name for label in labels], "label images")
    for label in labels:
        yield label, target(place, _file_name(label, *suffixes))
        label.image.stored.forget()


def _file_name(label: LabelImage, *suffixes: str) -> str:
    """The layer's file in the source if it has one of the suffixes, else image and label name."""
    listed = label.image.stored.source_attributes(label.layer).get("files") or ()
    own = [str(f) for f in listed if str(f).lower().endswith(suffixes)]
    return (
        own[0] if own and not label.is_hidden else f"{label.image.name}/{label.name}{suffixes[0]}"
    )


def report_losses(selection: Selection, report: ExportReport, format: str) -> None:
    """Report the instances of which a format stores only label values."""
    for image in selection.images:
        for layer in image.layers:
            table = image.stored.table(layer)
            if table is not None and "record" in table.column_names:
                report.skip(
                    f"{format} stores label values only: no classes, boxes, outlines, source ids or "
                    "other attributes",
                    count=table.num_rows,
                )
