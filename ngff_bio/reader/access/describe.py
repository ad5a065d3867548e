"""A store in plain words: everything that ``info`` shows, from metadata and a listing."""

from __future__ import annotations

import os
from bisect import bisect_left
from typing import Any

import numpy as np

from ngff_bio.ngff import MultiscaleMeta
from ngff_bio.reader.access.dataset import Dataset
from ngff_bio.reader.access.nodes import NodeTree, open_nodes
from ngff_bio.storage import Storage, storage_at


def describe(place: str | os.PathLike[str] | Storage) -> dict[str, Any]:
    """Images, labels, tables, levels and sizes of a store, as JSON values.

    Raises
    ------
    ngff_bio.errors.NgffBioError
        If there is no whole OME-Zarr store at that place.
    """
    storage = storage_at(place)
    nodes = open_nodes(storage)
    dataset = Dataset(nodes)
    sizes = _Sizes(storage)
    images = []
    for path in dataset:
        image = dataset[path]
        start = f"{path}/" if path else ""
        labels = []
        for name in image.labels:
            meta = image.label_meta(name).multiscales[0]
            labels.append(
                {
                    "name": name,
                    "values": image.label_attributes(name).get("values"),
                    **_array(nodes, f"{start}labels/{name}", meta, sizes),
                }
            )
        images.append(
            {
                "path": path,
                "name": image.multiscale.name,
                **_array(nodes, path, image.multiscale, sizes),
                "labels": labels,
                "tables": list(image.tables),
            }
        )
    first = dataset[next(iter(dataset))]
    return {
        "url": storage.url,
        "version": first.meta.version,
        "dataset": dataset.attributes,
        "objects": len(sizes.keys),
        "bytes": sum(sizes.values),
        "images": images,
    }


class _Sizes:
    """Sizes of all objects, sorted by key, so that what lies below a prefix is one slice."""

    def __init__(self, storage: Storage) -> None:
        listed = sorted(storage.list())
        self.keys = [k for k, _ in listed]
        self.values = [v for _, v in listed]

    def below(self, prefix: str) -> int:
        """Bytes of all objects below a prefix."""
        first = bisect_left(self.keys, f"{prefix}/")
        stop = bisect_left(self.keys, f"{prefix}0")  # "0" is the character after "/"
        return sum(self.values[first:stop])


def _array(nodes: NodeTree, path: str, meta: MultiscaleMeta, sizes: _Sizes) -> dict[str, Any]:
    levels, total, dtype = [], 0, ""
    for level in meta.levels:
        place = f"{path}/{level.path}".lstrip("/")
        document = nodes.document(place) or {}
        chunks, shards = _chunks(document)
        dtype = _dtype_name(document)
        total += sizes.below(place)
        levels.append(
            {
                "path": level.path,
                "shape": document.get("shape", []),
                "chunks": chunks,
                "shards": shards,
            }
        )
    return {
        "axes": "".join(a.name for a in meta.axes),
        "units": [a.unit for a in meta.axes],
        "scale": list(meta.levels[0].scale),
        "dtype": dtype,
        "bytes": total,
        "levels": levels,
    }


def _dtype_name(document: dict[str, Any]) -> str:
    """``uint16``, also where Zarr v2 says ``<u2``."""
    text = str(document.get("data_type", document.get("dtype", "?")))
    return np.dtype(text).name if text[:1] in "<>|" else text


def _chunks(document: dict[str, Any]) -> tuple[list[int], list[int] | None]:
    """Chunk and shard shape of an array's metadata."""
    if "chunks" in document:
        return document["chunks"], None
    outer = document.get("chunk_grid", {}).get("configuration", {}).get("chunk_shape", [])
    for codec in document.get("codecs", ()):
        if codec["name"] == "sharding_indexed":
            return codec["configuration"]["chunk_shape"], outer
    return outer, None
