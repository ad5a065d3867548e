"""``export``: the way from a store to files of another format, in one call."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ngff_bio.deprecation import renamed_keywords
from ngff_bio.export.output import whole_or_nothing
from ngff_bio.export.registry import find_exporter
from ngff_bio.export.report import Report
from ngff_bio.export.selection import Masks, Region, select
from ngff_bio.storage import Storage, storage_at


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
    storage_options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Report:
    """Export a store, some of its images, or a region of them.

    Parameters
    ----------
    store
        The store, or a group inside it.
    out
        File or folder to be made. It appears when it is whole.
    to
        Name of the format: one of :func:`ngff_bio.export.exporters`.
    image
        Path of an image, of a plate or well, or an image's own name; several of them; ``None`` for
        all.
    region
        Half-open pixel ranges of level 0 by axis: ``{"y": (0, 512), "z": 3}`` or
        ``"y=0:512,z=3"``; ``None`` for whole images.
    labels
        Label layers to export; ``None`` for all that the format can hold.
    images
        Whether to write image files beside the annotations; ``None`` if the format requires them.
    masks
        Encoding of instances without an outline of their own: ``rle`` (COCO), ``mask`` (labelme) or
        ``polygons``; ``None`` for a lossless one.
    storage_options
        Options of the bucket of the store, as in :class:`ngff_bio.storage.BucketStorage`.
    overwrite
        Whether what lies at `out` is replaced.

    Returns
    -------
    Report
        What was written, and in ``notices`` what the format cannot hold.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the format, a region or an option is not known; it says what there is to choose from.
    ngff_bio.errors.NameNotFoundError
        If an image or label layer is not in the store.
    ngff_bio.errors.StoreExistsError
        If something lies at `out` and `overwrite` is false.
    ngff_bio.errors.StoreError
        If the store cannot be read.
    """
    begun = time.monotonic()
    exporter = find_exporter(to)
    selection = select(
        storage_at(store, storage_options),
        image=image,
        region=region,
        labels=labels,
        images=images,
        masks=masks,
    )
    place = Path(out)
    report = Report(store=selection.url, format=exporter.name, destination=str(place))
    with whole_or_nothing(place, overwrite=overwrite, store=selection.url) as beside:
        # The name beside ends as the place does not: the exporter is told what it is to make.
        if exporter.is_file(place):
            exporter.write(selection, beside, report)
        else:
            beside.mkdir()
            exporter.write(selection, beside, report)
        files = [beside] if beside.is_file() else [f for f in beside.rglob("*") if f.is_file()]
        report.files, report.bytes = len(files), sum(f.stat().st_size for f in files)
    report.images = report.images or len(selection.pictures)
    report.seconds = time.monotonic() - begun
    return report
