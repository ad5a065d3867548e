"""What a page about a store shows: images, plates, classes, thumbnails; limited in number."""

from __future__ import annotations

import io
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import ngff_bio.reader as reader
from ngff_bio.errors import NgffBioError
from ngff_bio.parallel import WorkerPool, shared_pool
from ngff_bio.reader.tables.tables import TablePart, annotation_parts
from ngff_bio.viewing.neuroglancer import shown_label

if TYPE_CHECKING:
    import pyarrow as pa

#: Images with a thumbnail, and images that are listed: a page stays below 2 MB.
_THUMBNAILS, _LISTED = 24, 200
_SIZE = 200

#: Thumbnails that are drawn at a time: large planes take much memory.
_AT_A_TIME = 2


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
    URLs by path; ``listed`` are the images that the page names; ``problems`` state what of it could
    not be read.
    """

    dataset: reader.Dataset
    classes: Mapping[str, int]
    plates: tuple[PlateMap, ...]
    thumbnails: Mapping[str, str]
    listed: tuple[str, ...]
    problems: tuple[str, ...] = ()

    def opened_instead(self, url: str | None) -> str:
        """What viewers open of several plates, whose root says nothing to them; else nothing."""
        paths = [f"{url}/{path}" if url else path for path in self.dataset.plates if path]
        more = [f"{len(paths) - 10} more"] if len(paths) > 10 else []
        return " or ".join([*paths[:10], *more])


def summarize(dataset: reader.Dataset, classes: Mapping[str, int] | None = None) -> Summary:
    """Read what a page shows: metadata, classes of annotations unless given, few small images."""
    paths = list(dataset)
    step = max(1, -(-len(paths) // _THUMBNAILS))
    drawn = paths[::step]
    problems: list[str] = []
    made: list[str | None] = []
    for at in range(0, len(drawn), _AT_A_TIME):
        some = drawn[at : at + _AT_A_TIME]
        made += pool_of(dataset).map(lambda p: _thumbnail(dataset[p], problems), some)
    return Summary(
        dataset,
        _classes(dataset, problems) if classes is None else classes,
        tuple(_plate_map(path, plate) for path, plate in dataset.plates.items()),
        {p: t for p, t in zip(drawn, made, strict=True) if t},
        tuple(paths[:_LISTED]),
        tuple(sorted(problems)),
    )


def pool_of(dataset: reader.Dataset) -> WorkerPool:
    """Threads that read a dataset: many where each request takes its time."""
    return shared_pool(remote=dataset.nodes.storage.locality == "network")


def count_classes(tables: Iterable[pa.Table]) -> dict[str, int]:
    """Number of rows by class, most frequent first, of tables that may have the column ``category``."""
    found: Counter[str] = Counter()
    for table in tables:
        if "category" in table.column_names:
            for count in table["category"].value_counts().to_pylist():
                if count["values"] is not None:
                    found[str(count["values"])] += int(count["counts"])
    return dict(found.most_common())


def _classes(dataset: reader.Dataset, problems: list[str]) -> dict[str, int]:
    parts = annotation_parts(dataset, ["category"])
    read = pool_of(dataset).imap(partial(_column, part, problems) for part in parts)
    return count_classes(table for table in read if table is not None)


def _column(part: TablePart, problems: list[str]) -> pa.Table | None:
    try:
        return part.read()
    except NgffBioError as error:
        problems.append(f"table {part.image.below(f'tables/{part.name}')}: {error.what}")
        return None


def _thumbnail(image: reader.Image, problems: list[str]) -> str | None:
    """An image with its labels as a ``data:`` URL; ``None`` if it cannot be read."""
    try:
        drawn = image.thumbnail(_SIZE, labels=shown_label(image))
    except NgffBioError as error:
        problems.append(f"image {image.path or '/'}: {error.what}")
        return None
    file = io.BytesIO()
    drawn.save(file, "WEBP", quality=70)
    return f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}"


def _plate_map(path: str, plate: reader.Plate) -> PlateMap:
    wells = Counter(plate.meta.wells)
    for row, column in wells:
        wells[row, column] = len(plate[f"{row}{column}"])
    return PlateMap(path, plate.name, tuple(plate.meta.rows), tuple(plate.meta.columns), wells)
