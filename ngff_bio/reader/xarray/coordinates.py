"""Lazy physical coordinates: an axis of a million pixels costs as much as one of ten.

A coordinate is the world position of the centre of each pixel, ``origin + index * step``. Values are
computed when they are used; slices stay lazy.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

# The result of Index.sel, which custom indexes must return, has no public import path: xarray's
# guide "How to create a custom index" takes it from here. tests/reader/test_world_coordinates.py
# notices if it moves.
from xarray.core.indexing import IndexSelResult
from xarray.indexes import CoordinateTransform, CoordinateTransformIndex, Index, PandasIndex

from ngff_bio.reader.xarray.world import Position, magnitude

#: Two positions are the same if they differ by less than this part of a pixel.
_SAME = 1e-6

Floats: TypeAlias = NDArray[np.float64]
Number = TypeVar("Number", float, Floats)


class PixelTransform(CoordinateTransform):
    """Index to world along one axis: ``origin + (first + index * stride) * step``.

    First and stride are separate from origin and step, so that a slice of a slice has exactly the
    positions of the whole axis.
    """

    def __init__(
        self,
        name: str,
        size: int,
        origin: float,
        step: float,
        *,
        first: int = 0,
        stride: int = 1,
        unit: str | None = None,
    ) -> None:
        super().__init__([name], {name: size}, dtype=np.dtype(np.float64))
        self.origin, self.step, self.first, self.stride = origin, step, first, stride
        self.unit = unit

    @property
    def dim(self) -> str:
        """The dimension."""
        return self.dims[0]

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.dim_size[self.dim]

    @property
    def spacing(self) -> float:
        """Distance between neighbours."""
        return self.step * self.stride

    def world(self, index: Number) -> Number:
        """World positions of indices."""
        return self.origin + (self.first + index * self.stride) * self.step

    def index(self, world: Number) -> Number:
        """Fractional indices of world positions."""
        return ((world - self.origin) / self.step - self.first) / self.stride

    def forward(self, dim_positions: dict[str, Any]) -> dict[Hashable, Floats]:
        """World positions of indices."""
        return {self.coord_names[0]: self.world(np.asarray(dim_positions[self.dim], np.float64))}

    def reverse(self, coord_labels: dict[Hashable, Any]) -> dict[str, Floats]:
        """Fractional indices of world positions."""
        return {self.dim: self.index(np.asarray(coord_labels[self.coord_names[0]], np.float64))}

    def equals(
        self, other: CoordinateTransform, *, exclude: frozenset[Hashable] | None = None
    ) -> bool:
        """Whether both have the same positions."""
        if not isinstance(other, PixelTransform) or other.size != self.size:
            return False
        return not self.size or self.offset(other) == 0

    def offset(self, other: PixelTransform) -> int | None:
        """Index here of the first pixel of the other (may be negative), if both are on one grid."""
        near = _SAME * abs(self.spacing)
        apart = abs(other.spacing - self.spacing) * max(self.size, other.size, 1)
        start = self.index(other.world(0.0))
        if apart > near or abs(start - round(start)) > _SAME:
            return None
        return round(start)

    def part(self, start: int, size: int, step: int = 1) -> PixelTransform:
        """The positions of a slice; ``start`` may be outside."""
        return PixelTransform(
            self.dim,
            size,
            self.origin,
            self.step,
            first=self.first + start * self.stride,
            stride=self.stride * step,
            unit=self.unit,
        )


class PixelIndex(CoordinateTransformIndex):
    """Selection by world position.

    A slice selects the pixels whose centres are in it, both ends included. A single value must be
    the centre of a pixel, or, with ``method="nearest"``, inside a pixel. Values may carry a unit:
    ``"12.5 um"``.
    """

    transform: PixelTransform

    @property
    def dim(self) -> str:
        """The dimension."""
        return self.transform.dim

    def isel(self, indexers: Mapping[Any, Any]) -> Index | None:
        """The index of some of the pixels."""
        indexer = indexers[self.dim]
        if isinstance(indexer, slice):
            wanted = range(self.transform.size)[indexer]
            step = wanted.step if len(wanted) > 1 else 1
            return PixelIndex(self.transform.part(wanted.start, len(wanted), step))
        places = np.asarray(indexer, np.float64)
        if places.ndim != 1:
            return None
        dim = str(indexer.dims[0]) if isinstance(indexer, xr.Variable) else self.dim
        return PandasIndex(pd.Index(self.transform.world(places), name=self.dim), dim)

    def sel(
        self,
        labels: dict[Any, Any],
        method: str | None = None,
        tolerance: Position | None = None,
    ) -> IndexSelResult:
        """Indices of world positions."""
        label = labels[self.dim]
        if isinstance(label, slice):
            return IndexSelResult({self.dim: self._sliced(label)})
        if isinstance(label, xr.DataArray | xr.Variable):
            places = self._placed(np.asarray(label.values, np.float64), method, tolerance)
            if isinstance(label, xr.Variable):
                return IndexSelResult({self.dim: xr.Variable(label.dims, places)})
            coords = {k: v for k, v in label.coords.items() if k not in labels}
            return IndexSelResult({self.dim: xr.DataArray(places, coords, label.dims)})
        values = np.array([magnitude(v, self.transform.unit) for v in np.asarray(label).ravel()])
        places = self._placed(values, method, tolerance)
        return IndexSelResult({self.dim: places if np.ndim(label) else int(places[0])})

    def _sliced(self, label: slice) -> slice:
        unit = self.transform.unit
        ends = [None if v is None else magnitude(v, unit) for v in (label.start, label.stop)]
        found = [None if v is None else float(self.transform.index(v)) for v in ends]
        if self.transform.spacing < 0:
            found = found[::-1]
        start = 0 if found[0] is None else max(math.ceil(found[0] - _SAME), 0)
        stop = self.transform.size
        if found[1] is not None:
            stop = min(max(math.floor(found[1] + _SAME) + 1, 0), stop)
        return slice(min(start, stop), stop, label.step)

    def _placed(
        self, values: Floats, method: str | None, tolerance: Position | None
    ) -> NDArray[np.intp]:
        exact = self.transform.index(values)
        places = np.rint(exact)
        if method not in (None, "nearest"):
            raise ValueError(f"method must be None or 'nearest', not {method!r}")
        if method is None:
            limit = _SAME
        elif tolerance is None:
            limit = 0.5 + _SAME
        else:
            near = magnitude(tolerance, self.transform.unit)
            limit = min(near / abs(self.transform.spacing), 0.5) + _SAME
        outside = (places < 0) | (places >= self.transform.size)
        if np.any(outside | (abs(exact - places) > limit)):
            hint = "" if method else "; method='nearest' selects the pixel that contains a position"
            raise KeyError(
                f"not all of {values} are pixels of {self.dim}, which goes from "
                f"{self.transform.world(0.0):g} to {self.transform.world(self.transform.size - 1.0):g} "
                f"in steps of {self.transform.spacing:g}{hint}"
            )
        return places.astype(np.intp)

    def _span(self, other: Index) -> tuple[int, int]:
        """First and stop index here of the pixels of another index on the same grid."""
        start = self.transform.offset(other.transform) if isinstance(other, PixelIndex) else None
        if start is None or not isinstance(other, PixelIndex):
            raise ValueError(
                f"pixels along {self.dim} are not on one grid: they differ in size or are shifted "
                "by a part of a pixel"
            )
        return start, start + other.transform.size

    def join(self, other: Index, how: str = "inner") -> PixelIndex:
        """Positions of both (or of either), if the two are on one grid."""
        start, stop = self._span(other)
        size = self.transform.size
        if how == "inner":
            low, high = max(0, start), min(size, stop)
        else:
            low, high = min(0, start), max(size, stop)
        return PixelIndex(self.transform.part(low, max(high - low, 0)))

    def reindex_like(self, other: Index) -> dict[Hashable, NDArray[np.intp]]:
        """Index here of each pixel of the other, -1 if there is none."""
        places = np.arange(*self._span(other))
        places[(places < 0) | (places >= self.transform.size)] = -1
        return {self.dim: places}

    @classmethod
    def concat(
        cls,
        indexes: Sequence[Any],
        dim: Hashable,
        positions: Any = None,
    ) -> Any:
        """Adjacent indexes become one; anything else becomes a list of positions."""
        first = indexes[0].transform
        at = 0
        for one in indexes:
            if positions is not None or first.offset(one.transform) != at:
                values = np.concatenate([i.to_pandas_index().values for i in indexes])
                if positions is not None:
                    values = values[np.argsort(np.concatenate(positions))]
                return PandasIndex(pd.Index(values, name=dim), dim)
            at += one.transform.size
        return cls(first.part(0, at))

    def to_pandas_index(self) -> pd.Index:
        """All positions."""
        values = self.transform.world(np.arange(self.transform.size, dtype=np.float64))
        return pd.Index(values, name=self.dim)

    def _repr_inline_(self, max_width: int) -> str:
        t = self.transform
        return f"{type(self).__name__} ({t.world(0.0):g}, step {t.spacing:g}, {t.size} pixels)"


def pixel_coordinates(
    name: str, size: int, scale: float, translation: float, unit: str | None
) -> xr.Coordinates:
    """The lazy coordinate of an axis: ``index * scale + translation``."""
    index = PixelIndex(PixelTransform(name, size, translation, scale, unit=unit))
    made = xr.Coordinates.from_xindex(index)
    if unit is not None:
        made[name].attrs["units"] = unit
    return made
