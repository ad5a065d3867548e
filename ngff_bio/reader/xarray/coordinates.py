"""Lazy physical coordinates: an axis of a million pixels costs as much as one of ten.

A coordinate is the world position of each pixel's centre, ``origin + index * step``. Nothing is
computed before somebody looks at the values, and slicing keeps it so.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from xarray.core.indexes import PandasIndex
from xarray.core.indexing import IndexSelResult
from xarray.indexes import CoordinateTransform, CoordinateTransformIndex, Index

from ngff_bio.reader.xarray.units import magnitude

#: Two positions are one if they differ by less than this part of a pixel.
_SAME = 1e-6


class PixelTransform(CoordinateTransform):
    """Index to world along one axis: ``origin + (first + index * stride) * step``.

    First and stride are kept apart from origin and step, so that a slice of a slice names exactly
    the positions that the whole axis names.
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
        """Distance of neighbours."""
        return self.step * self.stride

    def world(self, index: Any) -> Any:
        """World positions of indices."""
        return self.origin + (self.first + index * self.stride) * self.step

    def index(self, world: Any) -> Any:
        """Fractional indices of world positions."""
        return ((world - self.origin) / self.step - self.first) / self.stride

    def forward(self, dim_positions: dict[str, Any]) -> dict[Hashable, Any]:
        """World positions of indices."""
        return {self.coord_names[0]: self.world(np.asarray(dim_positions[self.dim]))}

    def reverse(self, coord_labels: dict[Hashable, Any]) -> dict[str, Any]:
        """Fractional indices of world positions."""
        return {self.dim: self.index(np.asarray(coord_labels[self.coord_names[0]]))}

    def equals(self, other: CoordinateTransform, **kwargs: Any) -> bool:
        """Whether both name the same positions."""
        if not isinstance(other, PixelTransform) or other.size != self.size:
            return False
        return not self.size or self.offset(other) == 0

    def offset(self, other: PixelTransform) -> int | None:
        """Index here of the other's first pixel, if both lie on one grid; it may be negative."""
        near = _SAME * abs(self.spacing)
        apart = abs(other.spacing - self.spacing) * max(self.size, other.size, 1)
        start = float(self.index(other.world(0)))
        if apart > near or abs(start - round(start)) > _SAME:
            return None
        return round(start)

    def part(self, start: int, size: int, step: int = 1) -> PixelTransform:
        """The positions of a slice; ``start`` may lie outside."""
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

    A slice takes the pixels whose centres lie in it, both ends included; a value must be a pixel's
    centre unless ``method="nearest"`` is said, and must not lie beyond the outermost pixels. Values
    may carry a unit: ``"12.5 um"``.
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
        places = np.asarray(indexer)
        if places.ndim != 1:
            return None
        dim = str(indexer.dims[0]) if isinstance(indexer, xr.Variable) else self.dim
        values = pd.Index(self.transform.world(places), name=self.dim)
        made: Index = PandasIndex(values, dim)
        return made

    def sel(
        self, labels: dict[Any, Any], method: str | None = None, tolerance: Any = None
    ) -> IndexSelResult:
        """Indices of world positions."""
        label = labels[self.dim]
        if isinstance(label, slice):
            return IndexSelResult({self.dim: self._sliced(label)})
        if isinstance(label, xr.DataArray | xr.Variable):
            places = self._placed(np.asarray(label.values, np.float64), method, tolerance)
            made = xr.Variable(label.dims, places)
            if isinstance(label, xr.DataArray):
                coords = {k: v for k, v in label._coords.items() if k not in labels}
                return IndexSelResult({self.dim: xr.DataArray(made, coords=coords)})
            return IndexSelResult({self.dim: made})
        unit = self.transform.unit
        if np.ndim(label) == 0:
            place = self._placed(np.float64(magnitude(label, unit)), method, tolerance)
            return IndexSelResult({self.dim: int(place)})
        values = np.array([magnitude(v, unit) for v in np.asarray(label).ravel()])
        return IndexSelResult({self.dim: self._placed(values, method, tolerance)})

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

    def _placed(self, values: Any, method: str | None, tolerance: Any) -> Any:
        exact = self.transform.index(values)
        places = np.rint(exact)
        if method not in (None, "nearest"):
            raise ValueError(f"positions are exact or nearest, not {method!r}")
        if method is None:
            limit = _SAME
        elif tolerance is None:
            limit = 0.5 + _SAME
        else:
            near = magnitude(tolerance, self.transform.unit)
            limit = min(near / abs(self.transform.spacing), 0.5) + _SAME
        outside = (places < 0) | (places >= self.transform.size)
        if np.any(outside | (abs(exact - places) > limit)):
            ends = self.transform.world(0), self.transform.world(self.transform.size - 1)
            hint = "" if method else "; say method='nearest' for the pixel that holds a position"
            raise KeyError(
                f"not all of {values} are pixels of {self.dim}, "
                f"which goes from {ends[0]:g} to {ends[1]:g} in steps of "
                f"{self.transform.spacing:g}{hint}"
            )
        return places.astype(np.intp)

    def join(self, other: Any, how: str = "inner") -> PixelIndex:
        """Positions of both (or of either) where the two lie on one grid."""
        start = self.transform.offset(other.transform) if isinstance(other, PixelIndex) else None
        if start is None:
            raise ValueError(
                f"pixels along {self.dim} do not lie on one grid: they differ in size or are "
                "shifted by a part of a pixel"
            )
        stop, size = start + other.transform.size, self.transform.size
        low, high = (max(0, start), min(size, stop)) if how == "inner" else (
            min(0, start), max(size, stop)
        )  # fmt: skip
        return PixelIndex(self.transform.part(low, max(high - low, 0)))

    def reindex_like(self, other: Any) -> dict[Hashable, Any]:
        """Index here of each of the other's pixels, -1 where there is none."""
        start = self.transform.offset(other.transform)
        if start is None:
            raise ValueError(f"pixels along {self.dim} do not lie on one grid")
        places = np.arange(start, start + other.transform.size)
        places[(places < 0) | (places >= self.transform.size)] = -1
        return {self.dim: places}

    @classmethod
    def concat(
        cls,
        indexes: Sequence[Any],
        dim: Hashable,
        positions: Any = None,
    ) -> Any:
        """Neighbours join to one; anything else becomes a list of positions."""
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
        values = self.transform.world(np.arange(self.transform.size))
        made: pd.Index = pd.Index(values, name=self.dim)
        return made

    def _repr_inline_(self, max_width: int) -> str:
        t = self.transform
        return f"{type(self).__name__} ({t.world(0):g}, step {t.spacing:g}, {t.size} pixels)"


def pixel_coordinates(
    name: str, size: int, scale: float, translation: float, unit: str | None
) -> xr.Coordinates:
    """The lazy coordinate of an axis: ``index * scale + translation``."""
    index = PixelIndex(PixelTransform(name, size, translation, scale, unit=unit))
    made = xr.Coordinates.from_xindex(index)
    if unit is not None:
        made[name].attrs["units"] = unit
    return made
