"""``export``: write a store, or a part of it, to files of another format."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ngff_bio.deprecation import renamed_keywords
from ngff_bio.errors import ArgumentError
from ngff_bio.export.output import output_at, shown
from ngff_bio.export.registry import find_exporter
from ngff_bio.export.report import ExportReport
from ngff_bio.export.selection import Masks, Region, select
from ngff_bio.storage import Storage, storage_at
from ngff_bio.zarrio.documents import store_errors


@renamed_keywords(pictures="images")
def export(
    store: str | os.PathLike[str] | Storage,
    out: str | os.PathLike[str],
    *,
    to: str,
    image: str | Sequence[str] | None = None,
    region: str | Region | None = None,
    labels: str | Sequence[str] | None = None,
    images: bool | None = None,
    masks: Masks | None = None,
    storage_options: Mapping[str, object] | None = None,
    out_options: Mapping[str, object] | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Export a store, some of its images, or a region of them.

    Parameters
    ----------
    store
        The store, or a group inside it.
    out
        File or folder to write, on this machine or in a bucket. It appears when it is complete; of a
        folder in a bucket, the files appear one after the other.
    to
        Name of the format: one of :func:`ngff_bio.export.exporters`.
    image
        Path of an image, plate or well, or the name of an image or of its source file, or several;
        ``None`` for all.
    region
        Half-open pixel ranges of level 0 by axis: ``{"y": (0, 512), "z": 3}`` or
        ``"y=0:512,z=3"``; ``None`` for whole images.
    labels
        Label layers to export; ``None`` for all that the format can represent.
    images
        Whether to write image files beside the annotations; ``None`` if the format requires them.
    masks
        Encoding of instances without an outline of their own: ``rle`` (COCO), ``mask`` (labelme) or
        ``polygons``; ``None`` for a lossless one.
    storage_options, out_options
        Options of the bucket of the store, and of that of `out`, as in
        :class:`ngff_bio.storage.BucketStorage`.
    overwrite
        Whether to replace an existing `out`.

    Returns
    -------
    ExportReport
        What was written, and in ``notices`` what the format cannot represent.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the format, the region or an option is not valid, or there is nothing to write.
    ngff_bio.errors.NameNotFoundError
        If the store has no such image or label layer.
    ngff_bio.errors.StoreExistsError
        If `out` exists and `overwrite` is false.
    ngff_bio.errors.StoreError
        If the store is not valid.
    """
    began = time.monotonic()
    exporter = find_exporter(to)
    selection = select(
        storage_at(store, storage_options),
        image=image,
        region=region,
        labels=labels,
        images=images,
        masks=masks,
    )
    report = ExportReport(store=selection.url, format=exporter.name, destination=shown(out))
    if selection.edited:
        report.note("annotations were edited in the store: files are new, not those of the source")
    with output_at(out, out_options, overwrite=overwrite, store=selection.url) as beside:
        if not exporter.is_file(Path(out)):
            beside.mkdir()
        with store_errors("the annotations of the store cannot be exported", file=selection.url):
            exporter.write(selection, beside, report)
        files = [beside] if beside.is_file() else [f for f in beside.rglob("*") if f.is_file()]
        if not files:
            raise ArgumentError(
                f"nothing can be exported to {exporter.name}: the selection has no annotations",
                file=selection.url,
                hint="select other images with --image"
                + (", or add --images" if not images else ""),
            )
        report.files, report.bytes = len(files), sum(f.stat().st_size for f in files)
    report.images = report.images or len(selection.images)
    report.seconds = time.monotonic() - began
    return report
