"""What one worker measures: an image, a block of it, or some of its instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ngff_bio.model import Region
from ngff_bio.reader import Image
from ngff_bio.reader.analysis.measures import (
    Sums,
    block_sums,
    completed,
    merged,
    regions_of,
    table_of,
)
from ngff_bio.reader.analysis.shapes import Group, groups_of, shape_properties
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
    def name(self) -> str:
        """Path of the image."""
        return self.image.path or "image"


def measure_batch(how: Measurement, batch: list[MeasuredPiece]) -> list[pd.DataFrame | Sums]:
    """For each piece a table, or the statistics of a block."""
    return [_measure(piece, how) for piece in batch]


def _measure(piece: MeasuredPiece, how: Measurement) -> pd.DataFrame | Sums:
    image = piece.image
    if piece.group is not None or piece.region is not None:
        ((_, one),) = piece.labels
        if piece.group is not None:
            return _shapes(image, one, how, piece.group)
        assert piece.region is not None
        return block_sums(image, one, how.level, piece.region, how.intensity)
    tables = []
    for layer, one in piece.labels:
        regions = regions_of(image, one, how.level)
        sums = merged(block_sums(image, one, how.level, r, how.intensity) for r in regions)
        groups = groups_of(image, one, how.level, sums) if how.properties else ()
        shapes = [_shapes(image, one, how, g) for g in groups]
        tables.append(joined(image, layer, one, how, sums, shapes))
    return whole_table(tables)


def _shapes(image: Image, one: str, how: Measurement, group: Group) -> pd.DataFrame:
    return shape_properties(image, one, how.level, group, how.properties, how.intensity, how.units)


def joined(
    image: Image, layer: str, one: str, how: Measurement, sums: Sums, shapes: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    """Statistics and scikit-image's properties of one label image."""
    import pandas as pd

    table = table_of(image, layer, one, how.level, sums, how.units)
    if not shapes:
        return table
    more = pd.concat(shapes, ignore_index=True)
    more = more[["t", "label", *(c for c in more if c not in table.columns)]]
    return table.merge(more, on=["t", "label"], how="left", validate="one_to_one")


def whole_table(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All label images of an image together, an instance once."""
    import pandas as pd

    found = [t for t in tables if len(t)]
    if not found:
        return tables[0] if tables else pd.DataFrame()
    return completed(pd.concat(found, ignore_index=True))
