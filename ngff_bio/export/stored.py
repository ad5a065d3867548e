"""An image of a store as exports read it: planes of pixels, Arrow tables, attributes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ngff_bio.errors import NgffBioError, StoreError
from ngff_bio.model import PixelArray
from ngff_bio.ngff.tables import typed_table
from ngff_bio.reader import Image
from ngff_bio.reader.access.nodes import NodeTree
from ngff_bio.reader.tables.tables import damaged_table
from ngff_bio.zarrio.tables import read_parquet

if TYPE_CHECKING:
    import pyarrow as pa
    import xarray as xr

#: Bytes of one array to keep in memory while its planes are read in order.
_CACHE_BYTES = 1 << 28


class StoredImage(Image):
    """An image of a store, read plane by plane.

    The last block of each array is cached: reading the planes of a stack decodes each chunk once.
    """

    def __init__(self, nodes: NodeTree, path: str) -> None:
        super().__init__(nodes, path)
        self._cached: dict[str | None, tuple[tuple[int, ...], PixelArray]] = {}

    def size(self, axis: str) -> int:
        """Size along an axis, 1 where it has none."""
        return self.sizes.get(axis, 1)

    def source_attributes(self, layer: str | None = None) -> Mapping[str, Any]:
        """Attributes that the source states of the image (``None``) or of a label layer."""
        about = self.attributes if layer is None else self.label_attributes(layer)
        return about.get("attributes") or {}

    @cached_property
    def _level0(self) -> xr.Dataset:
        return self.level(0)

    def variable(self, name: str | None) -> xr.DataArray:
        """The image (``None``) or a label image."""
        key = "image" if name is None else name
        if key not in self._level0:
            raise StoreError(
                "a label image is listed but cannot be read",
                file=self.url,
                record=key,
                hint="select other label layers, or run `ngff-bio validate` on the store",
            )
        found = self._level0[key]
        axes = set(map(str, found.dims))
        if not {"y", "x"} <= axes <= set("tczyx"):
            raise StoreError(
                "an image with these axes cannot be exported",
                file=self.url,
                record=key,
                expected="y and x, and none but t, c and z beside them",
                found=", ".join(map(str, found.dims)),
                hint="select other images with --image, or other label layers with --labels",
            )
        return found

    def axes_of(self, name: str | None) -> str:
        """Letters of the axes of the image (``None``) or of a label image."""
        return "".join(map(str, self.variable(name).dims))

    def plane(self, name: str | None, t: int, z: int) -> PixelArray:
        """One plane of the image (``None``) or a label image: (y, x), or (c, y, x)."""
        variable = self.variable(name)
        outer = [(a, i) for a, i in (("t", t), ("z", z)) if a in variable.dims]
        size = variable.dtype.itemsize * int(np.prod(variable.shape[-2:]))
        limit = max(1, _CACHE_BYTES // max(size * variable.sizes.get("c", 1), 1))
        spans = [_block(variable, a, i, limit if a == outer[-1][0] else 1) for a, i in outer]
        key = tuple(start for start, _ in spans)
        cached = self._cached.get(name)
        if cached is None or cached[0] != key:
            where = {a: slice(*s) for (a, _), s in zip(outer, spans, strict=True)}
            order = ("t", "z", "c", "y", "x")
            block = variable.isel(where).transpose(*(a for a in order if a in variable.dims))
            cached = self._cached[name] = (key, np.asarray(block.data.compute()))
        plane: PixelArray = cached[1][
            tuple(i - s[0] for (_, i), s in zip(outer, spans, strict=True))
        ]
        return plane

    def forget(self) -> None:
        """Free the cached blocks."""
        self._cached.clear()
        self.__dict__.pop("_level0", None)

    def table(self, layer: str) -> pa.Table | None:
        """Arrow table of a layer, ``None`` if it has none."""
        import pyarrow as pa

        if layer not in self.tables:
            return None
        path = self.below(f"tables/{layer}")
        data = self.storage.get(f"{path}/table.parquet")
        if data is None:
            return None
        try:
            found = read_parquet(pa.BufferReader(data), self.nodes.url(path))
            found.validate(full=True)
            return typed_table(found)
        except NgffBioError:  # too large
            raise
        except (pa.ArrowException, OSError, ValueError, TypeError) as error:
            raise damaged_table(self.nodes.url(path), error) from error


def _block(variable: xr.DataArray, axis: str, index: int, limit: int) -> tuple[int, int]:
    """Range along an axis of the stored block of an index, at most `limit` planes of it."""
    start = 0
    for size in variable.chunksizes[axis]:
        if index < start + size:
            begin = start + (index - start) // limit * limit
            return begin, min(begin + limit, start + size)
        start += size
    return index, index + 1
