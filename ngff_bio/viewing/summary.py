"""What a page about a store shows: images, plates, classes, thumbnails; limited in number."""

from __future__ import annotations

import io
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import ngff_bio.reader as reader
from ngff_bio.errors import NgffBioError
from ngff_bio.parallel import shared_pool
from ngff_bio.viewing.neuroglancer import shown_label

#: Images with a thumbnail, and images that are listed: a page stays below 2 MB.
_THUMBNAILS, _LISTED = 24, 200
_SIZE = 200


@dataclass(frozen=True)
class PlateMap:
    """Number of fields by well; ``wells`` by name of row and column."""

    path: str
    name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    wells: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class Summary:
    """Contents of a store for a page.

    ``classes`` are numbers of annotations by class name; ``thumbnails`` are WebP images as ``data:``
    URLs by path; ``listed`` are the images that the page names.
    """

    dataset: reader.Dataset
    classes: Mapping[str, int]
    plates: tuple[PlateMap, ...]
    thumbnails: Mapping[str, str]
    listed: tuple[str, ...]


def summarize(dataset: reader.Dataset) -> Summary:
    """Read what a page shows: metadata, class names of annotations, few small images."""
    paths = list(dataset)
    step = max(1, -(-len(paths) // _THUMBNAILS))
    drawn = paths[::step]
    made = shared_pool(remote=True).map(lambda p: _thumbnail(dataset[p]), drawn)
    return Summary(
        dataset,
        _classes(dataset),
        tuple(_plate_map(path, plate) for path, plate in dataset.plates.items()),
        {p: t for p, t in zip(drawn, made, strict=True) if t},
        tuple(paths[:_LISTED]),
    )


def _classes(dataset: reader.Dataset) -> dict[str, int]:
    try:
        table = dataset.annotations(columns=["category"], to="pyarrow")
    except NgffBioError:  # no tables, or none with classes
        return {}
    if "category" not in table.column_names:
        return {}
    counts = table["category"].value_counts().to_pylist()
    found = Counter({str(c["values"]): int(c["counts"]) for c in counts if c["values"] is not None})
    return dict(found.most_common())


def _thumbnail(image: reader.Image) -> str | None:
    """An image with its labels as a ``data:`` URL; ``None`` if it cannot be read."""
    try:
        drawn = image.thumbnail(_SIZE, labels=shown_label(image))
    except NgffBioError:
        return None
    file = io.BytesIO()
    drawn.save(file, "WEBP", quality=70)
    return f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}"


def _plate_map(path: str, plate: reader.Plate) -> PlateMap:
    wells = Counter(plate.meta.wells)
    for row, column in wells:
        wells[row, column] = len(plate[f"{row}{column}"])
    return PlateMap(path, plate.name, tuple(plate.meta.rows), tuple(plate.meta.columns), wells)
