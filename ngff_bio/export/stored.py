"""An image of a store as exports read it: planes of pixels, Arrow tables, attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.reader import Image

#: Bytes of one array to keep in memory while its planes are read in order.
_CACHE_BYTES = 1 << 28


@dataclass
class StoredImage:
    """An image of a store.

    The last block of each array is cached: reading the planes of a stack decodes each chunk once.
    """

    image: Image
    _kept: dict[str | None, tuple[tuple[int, ...], NDArray[Any]]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Path of its group."""
        return self.image.path

    @property
    def axes(self) -> str:
        """Letters of its axes."""
        return self.image.axes

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """Attributes of the image under the key ``ngff_bio``."""
        return self.image.attributes

    def size(self, axis: str) -> int:
        """Size along an axis, 1 where it has none."""
        return self.image.shape[self.axes.index(axis)] if axis in self.axes else 1

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Names of its label layers, without hidden label images."""
        return tuple(n for n in self.image.labels if not self.layer(n).get("hides"))

    def source_attributes(self, layer: str | None = None) -> Mapping[str, Any]:
        """Attributes that the source states of the image (``None``) or of a label layer."""
        about = self.attributes if layer is None else self.layer(layer)
        return about.get("attributes") or {}

    def layer(self, name: str) -> Mapping[str, Any]:
        """Attributes of a label image under the key ``ngff_bio``."""
        return self.image.label_attributes(name)

    def hidden(self, name: str) -> tuple[str, ...]:
        """Hidden label images with the overlapped instances of a layer."""
        return tuple(self.layer(name).get("hidden") or ())

    def is_semantic(self, name: str) -> bool:
        """Whether label values of a layer are classes."""
        return self.layer(name).get("values") == "semantic"

    @cached_property
    def _variables(self) -> Any:
        return self.image.level(0)

    def _variable(self, name: str | None) -> Any:
        return self._variables["image" if name is None else name]

    def dtype(self, name: str | None) -> np.dtype[Any]:
        """Data type of the image (``None``) or of a label image."""
        found: np.dtype[Any] = self._variable(name).dtype
        return found

    def label_axes(self, name: str) -> str:
        """Letters of a label image's axes."""
        return "".join(self._variable(name).dims)

    def plane(self, name: str | None, t: int, z: int) -> NDArray[Any]:
        """One plane of the image (``None``) or a label image: (y, x), or (c, y, x)."""
        variable = self._variable(name)
        outer = [(a, i) for a, i in (("t", t), ("z", z)) if a in variable.dims]
        size = variable.dtype.itemsize * int(np.prod(variable.shape[-2:]))
        most = max(1, _CACHE_BYTES // max(size * variable.sizes.get("c", 1), 1))
        spans = [self._chunk(variable, a, i, most if a == outer[-1][0] else 1) for a, i in outer]
        key = tuple(start for start, _ in spans)
        kept = self._kept.get(name)
        if kept is None or kept[0] != key:
            where = {a: slice(*s) for (a, _), s in zip(outer, spans, strict=True)}
            order = ("t", "z", "c", "y", "x")
            block = variable.isel(where).transpose(*(a for a in order if a in variable.dims))
            kept = self._kept[name] = (key, np.asarray(block.data.compute()))
        plane: NDArray[Any] = kept[1][
            tuple(i - s[0] for (_, i), s in zip(outer, spans, strict=True))
        ]
        return plane

    @staticmethod
    def _chunk(variable: Any, axis: str, index: int, most: int) -> tuple[int, int]:
        """Range along an axis of the stored block of an index, at most `most` planes of it."""
        start = 0
        for size in variable.chunks[variable.dims.index(axis)]:
            if index < start + size:
                begin = start + (index - start) // most * most
                return begin, min(begin + most, start + size)
            start += size
        return index, index + 1

    def forget(self) -> None:
        """Free the cached blocks."""
        self._kept.clear()
        self.__dict__.pop("_variables", None)

    def table(self, layer: str) -> Any | None:
        """Arrow table of a layer, ``None`` if it has none."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if layer not in self.image.tables:
            return None
        key = f"{self.path}/tables/{layer}/table.parquet".lstrip("/")
        data = self.image.storage.get(key)
        return None if data is None else pq.read_table(pa.BufferReader(data))
