"""What one worker measures: an image, a block of it, or some of its instances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ngff_bio.model import Region
from ngff_bio.reader import Image
from ngff_bio.reader.analysis.measures import (
    Columns,
    Sums,
    block_sums,
    columns_of,
    completed,
    frame_of,
    image_sums,
    read_pixels,
)
from ngff_bio.reader.analysis.shapes import Group, groups_of, shape_properties
from ngff_bio.reader.tables.tables import classes_of
from ngff_bio.reader.xarray.world import Units

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Measurement:
    """What is measured."""

    level: int
    intensity: bool
    properties: tuple[str, ...]
    units: Units


@dataclass(frozen=True)
class MeasuredPiece:
    """An image, or a block of one of its label images, or instances of one for scikit-image."""

    image: Image
    labels: tuple[tuple[str, str], ...]
    nbytes: int
    region: Region | None = None
    group: Group | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is all labels of an image."""
        return self.region is None and self.group is None

    @property
    def name(self) -> str:
        """Path of the image."""
        return self.image.path or "image"


@dataclass(frozen=True)
class Measured:
    """What was measured of a batch: all rows of whole images, and what each other piece gave."""

    rows: pd.DataFrame | None
    parts: list[pd.DataFrame | Sums | None]


def measure_batch(how: Measurement, batch: list[MeasuredPiece]) -> Measured:
    """Measure pieces; the rows of whole images become one table, since small ones cost most."""
    rows: list[Columns] = []
    parts: list[pd.DataFrame | Sums | None] = []
    for piece in batch:
        if piece.is_whole:
            rows += _whole_image(piece, how)
            parts.append(None)
        else:
            parts.append(_part(piece, how))
    return Measured(completed(frame_of(rows)) if rows else None, parts)


def _part(piece: MeasuredPiece, how: Measurement) -> pd.DataFrame | Sums:
    ((_, one),) = piece.labels
    if piece.group is not None:
        return _shapes(piece.image, one, how, piece.group)
    assert piece.region is not None
    where = (piece.image, one, how.level, piece.region)
    return block_sums(*where, read_pixels(*where) if how.intensity else None)


def _whole_image(piece: MeasuredPiece, how: Measurement) -> Iterator[Columns]:
    image = piece.image
    classes = {layer: classes_of(image, layer) for layer, _ in piece.labels}
    layers = {one: layer for layer, one in piece.labels}
    for one, sums in image_sums(image, layers, how.level, how.intensity):
        layer = layers[one]
        groups = groups_of(image, one, how.level, sums) if how.properties else ()
        shapes = [_shapes(image, one, how, g) for g in groups]
        yield joined(image, layer, one, how, sums, classes[layer], shapes)


def _shapes(image: Image, one: str, how: Measurement, group: Group) -> pd.DataFrame:
    return shape_properties(image, one, how.level, group, how.properties, how.intensity, how.units)


def joined(
    image: Image,
    layer: str,
    one: str,
    how: Measurement,
    sums: Sums,
    classes: Mapping[int, str],
    shapes: Sequence[pd.DataFrame],
) -> Columns:
    """Statistics and scikit-image's properties of one label image."""
    columns = columns_of(image, layer, one, how.level, sums, how.units, classes)
    if not shapes:
        return columns
    import pandas as pd

    more = pd.concat(shapes, ignore_index=True)
    more = more[["t", "label", *(c for c in more if c not in columns)]]
    table = pd.DataFrame(columns).merge(more, on=["t", "label"], how="left", validate="one_to_one")
    return {str(name): values.to_numpy() for name, values in table.items()}


def whole_table(parts: Sequence[Columns]) -> pd.DataFrame:
    """All label images of an image together, an instance once."""
    return completed(frame_of(parts))
