"""Summary of a store: everything that ``info`` prints, from metadata and sizes of objects."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

from ngff_bio.errors import StorageError
from ngff_bio.reader.access.multiscale import Multiscale
from ngff_bio.reader.access.nodes import NodeTree
from ngff_bio.reader.dataset import Dataset
from ngff_bio.reader.image import Image
from ngff_bio.storage import Storage, storage_at


def describe(
    place: str | os.PathLike[str] | Storage, sizes: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Images, labels, tables, levels and sizes of a store, as JSON values.

    Parameters
    ----------
    place
        The store.
    sizes
        Size of each object in bytes, where the store cannot be listed. Without them, and without a
        listing, ``objects`` and ``bytes`` are ``None``.

    Raises
    ------
    ngff_bio.errors.NgffBioError
        If there is no complete OME-Zarr store.
    """
    storage = storage_at(place)
    nodes = NodeTree.open(storage)
    dataset = Dataset(nodes, Image)
    known = _Sizes(storage, sizes)
    images = []
    for path in dataset:
        image = dataset[path]
        labels = []
        for name in image.labels:
            meta = image.label_meta(name).multiscales[0]
            place = image.label_path(name)
            labels.append(
                {
                    "name": name,
                    "values": image.label_attributes(name).get("values"),
                    **_array(Multiscale(nodes, place, meta), known),
                }
            )
        images.append(
            {
                "path": path,
                "name": image.multiscale.name,
                **_array(image.pixels, known),
                **({"further_multiscales": list(image.further)} if image.further else {}),
                "labels": labels,
                "tables": list(image.tables),
            }
        )
    first = dataset[dataset.first_path]
    root = nodes.meta("")
    return {
        "url": storage.url,
        "version": first.meta.version,
        "dataset": dataset.attributes,
        "objects": len(known.keys) if known.listed else None,
        "bytes": sum(known.values) if known.listed else None,
        # A root that is neither a plate nor a collection says nothing to other programs.
        "open_in_viewers": [] if root is not None else dataset.attributes.get("groups") or [],
        "images": images,
    }


class _Sizes:
    """Sizes of all objects, sorted by key: those below a prefix are one slice."""

    def __init__(self, storage: Storage, sizes: Mapping[str, int] | None) -> None:
        self.listed = True
        try:
            listed = sorted(storage.list() if sizes is None else sizes.items())
        except StorageError:  # a web server
            listed, self.listed = [], False
        self.keys = [k for k, _ in listed]
        self.values = [v for _, v in listed]

    def below(self, prefix: str) -> int:
        """Bytes of all objects below a prefix."""
        first = bisect_left(self.keys, f"{prefix}/")
        stop = bisect_left(self.keys, f"{prefix}0")  # "0" is the character after "/"
        return sum(self.values[first:stop])


def _array(pixels: Multiscale, sizes: _Sizes) -> dict[str, Any]:
    levels: list[dict[str, Any]] = []
    total, dtype, present = 0, "", set(pixels.present())
    for number, level in enumerate(pixels.meta.levels):
        total += sizes.below(pixels.place(number))
        said: dict[str, Any] = {"path": level.path, "shape": [], "chunks": [], "shards": None}
        if number in present:
            meta = pixels.array(number).meta
            dtype = meta.dtype.name
            said |= {"shape": list(meta.shape), "chunks": list(meta.chunk)}
            said["shards"] = None if meta.shard is None else list(meta.shard)
        levels.append(said)
    return {
        "axes": "".join(pixels.names),
        "units": [a.unit for a in pixels.axes],
        "scale": list(pixels.meta.levels[0].scale),
        "dtype": dtype,
        "bytes": total if sizes.listed else None,
        "levels": levels,
    }
