"""One image: its levels, its labels, its annotations; nothing is read until asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ngff_bio.errors import NameNotFoundError, StoreError
from ngff_bio.ngff import GroupMeta, LevelMeta, MultiscaleMeta
from ngff_bio.reader.nodes import NodeTree

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: Name of the image's own variable beside those of its labels.
IMAGE = "image"


class Image:
    """A multi-resolution image of a store.

    Parameters
    ----------
    nodes
        Metadata of the store.
    path
        Path of the image's group, ``""`` for the root.
    """

    def __init__(self, nodes: NodeTree, path: str) -> None:
        meta = nodes.meta(path)
        if meta is None or not meta.multiscales:
            raise StoreError("there is no image at this path", file=f"{nodes.storage.url}/{path}")
        self._nodes = nodes
        self.path = path
        self.meta: GroupMeta = meta

    def _below(self, name: str) -> str:
        return f"{self.path}/{name}".lstrip("/")

    @property
    def multiscale(self) -> MultiscaleMeta:
        """Axes and levels."""
        return self.meta.multiscales[0]

    @property
    def axes(self) -> str:
        """Letters of the axes."""
        return "".join(a.name for a in self.multiscale.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of level 0 along each axis."""
        return self.level_shape(0)

    def level_shape(self, level: int) -> tuple[int, ...]:
        """Size of a level along each axis; from metadata alone."""
        document = self._nodes.document(self._below(self.multiscale.levels[level].path))
        if document is None:
            raise StoreError(
                "a level that the metadata names is not there",
                file=f"{self._nodes.storage.url}/{self.path}",
                record=f"level {level}",
            )
        return tuple(document["shape"])

    @property
    def attributes(self) -> dict[str, Any]:
        """What the image says of itself under the key ``ngff_bio``: frames, source name, ..."""
        return dict((self._nodes.attributes(self.path) or {}).get("ngff_bio") or {})

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of its label images, the hidden ones too."""
        meta = self._nodes.meta(self._below("labels"))
        return meta.labels or () if meta is not None else ()

    def label_meta(self, name: str) -> GroupMeta:
        """What OME-Zarr says of a label image."""
        meta = self._nodes.meta(self._below(f"labels/{name}")) if name in self.labels else None
        if meta is None:
            raise NameNotFoundError(
                f"no label image {name!r}",
                file=f"{self._nodes.storage.url}/{self.path}",
                expected=", ".join(self.labels) or "this image has no labels",
            )
        return meta

    def label_attributes(self, name: str) -> dict[str, Any]:
        """What a label image says of itself under the key ``ngff_bio``."""
        attributes = self._nodes.attributes(self._below(f"labels/{name}")) or {}
        return dict(attributes.get("ngff_bio") or {})

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """Names of its tables."""
        return tuple((self._nodes.attributes(self._below("tables")) or {}).get("tables") or ())

    def level(self, number: int = 0) -> xr.Dataset:
        """One level: the image and its labels as dask-backed variables on physical coordinates.

        Labels have no channel axis. A label image with fewer levels than the image is left out on
        the levels that it does not have.
        """
        import xarray as xr

        from ngff_bio.reader.arrays import open_array

        found = self.multiscale
        variables = {IMAGE: self._variable(found, number, self.path, open_array)}
        for name in self.labels:
            meta = self.label_meta(name)
            if number < len(meta.multiscales[0].levels):
                variables[name] = self._variable(
                    meta.multiscales[0], number, self._below(f"labels/{name}"), open_array
                )
        attrs: dict[str, Any] = {"path": self.path, "level": number}
        if found.name is not None:
            attrs["name"] = found.name
        return xr.Dataset(variables, attrs=attrs)

    def _variable(
        self, meta: MultiscaleMeta, number: int, group: str, open_array: Any
    ) -> xr.DataArray:
        import dask.array as da
        import xarray as xr

        level = meta.levels[number]
        array = open_array(self._nodes, f"{group}/{level.path}".lstrip("/"))
        chunks = array.shards or array.chunks
        data = da.from_array(  # type: ignore[no-untyped-call]
            array, chunks=chunks, name=f"{self._nodes.storage.url}/{group}/{number}"
        )
        dims = [a.name for a in meta.axes]
        coords = {
            a.name: (a.name, values, {"units": a.unit} if a.unit else {})
            for a, values in zip(meta.axes, _coordinates(level, array.shape), strict=True)
            if a.type != "channel"
        }
        return xr.DataArray(data, dims=dims, coords=coords)

    def to_datatree(self) -> xr.DataTree:
        """All levels as one tree with a node for each: ``tree["0"]``, ``tree["1"]``, ..."""
        import xarray as xr

        levels = {str(i): self.level(i) for i in range(len(self.multiscale.levels))}
        return xr.DataTree.from_dict(levels, name=self.path or None)

    def annotations(self, table: str | None = None) -> pd.DataFrame:
        """Table of its instances as a DataFrame, a row each; of all tables if none is named.

        With several tables a column ``layer`` says which one a row is from.
        """
        import pandas as pd
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = self.tables if table is None else (table,)
        frames = []
        for name in names:
            key = self._below(f"tables/{name}/table.parquet")
            data = self._nodes.storage.get(key) if name in self.tables else None
            if data is None:
                raise NameNotFoundError(
                    f"no table {name!r}",
                    file=f"{self._nodes.storage.url}/{self.path}",
                    expected=", ".join(self.tables) or "this image has no tables",
                )
            frame = pq.read_table(pa.BufferReader(data)).to_pandas()
            if table is None:
                frame.insert(0, "layer", name)
            frames.append(frame)
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def summary(self) -> str:
        """One line: axes, shape, levels, labels."""
        sizes = " ".join(f"{a}{n}" for a, n in zip(self.axes, self.shape, strict=True))
        labels = f", labels {', '.join(self.labels)}" if self.labels else ""
        return f"{sizes}, {len(self.multiscale.levels)} levels{labels}"

    def __repr__(self) -> str:
        return f"<ngff_bio.Image {self.path or '(root)'}: {self.summary()}>"


def _coordinates(level: LevelMeta, shape: tuple[int, ...]) -> list[Any]:
    """World position of each pixel's centre along each axis: index * scale + translation."""
    offsets = level.translation or (0.0,) * len(shape)
    return [np.arange(n) * s + o for n, s, o in zip(shape, level.scale, offsets, strict=True)]
