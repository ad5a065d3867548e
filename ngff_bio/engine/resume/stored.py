"""What lies in a store that this converter made: its documents, and the layout of its arrays."""

from __future__ import annotations

import json
from typing import Any, Literal, cast

import numpy as np

from ngff_bio import ngff
from ngff_bio.engine.plan.layout import Level, Stored
from ngff_bio.engine.write.nodes import Nodes
from ngff_bio.errors import StoreError, StoreNotFoundError
from ngff_bio.model import SourcePlate
from ngff_bio.storage import Storage
from ngff_bio.zarrio.codecs import Codec, Shuffle

_SHUFFLES: tuple[Shuffle, ...] = ("noshuffle", "shuffle", "bitshuffle")


def read_nodes(storage: Storage) -> tuple[Nodes, bool]:
    """All metadata documents of a store, and whether its root carries them.

    Raises
    ------
    ngff_bio.errors.StoreNotFoundError
        If there is no store.
    """
    if (root := _load(storage, "zarr.json")) is not None:
        below = (root.get("consolidated_metadata") or {}).get("metadata")
        documents = {"": root} | (below if below is not None else _all(storage, "zarr.json"))
        nodes = Nodes(3)
        for path, document in documents.items():
            if document["node_type"] == "array":
                nodes.arrays[path] = document
            else:
                nodes.groups[path] = document.get("attributes") or {}
        return nodes, below is not None
    if _load(storage, ".zgroup") is None:
        raise StoreNotFoundError(
            "there is no store to add to",
            file=storage.url,
            hint="convert without --append to begin one",
        )
    flat = _load(storage, ".zmetadata")
    if flat is not None:
        return _nodes_v2(flat["metadata"]), True
    found = {
        f"{path}/{name}".lstrip("/"): document
        for name in (".zgroup", ".zarray", ".zattrs")
        for path, document in _all(storage, name).items()
    }
    return _nodes_v2(found), False


def _nodes_v2(flat: dict[str, dict[str, Any]]) -> Nodes:
    nodes = Nodes(2)
    for key, document in flat.items():
        path, _, name = key.rpartition("/")
        if name == ".zarray":
            nodes.arrays[path] = document
        elif name == ".zgroup":
            nodes.groups.setdefault(path, {})
        elif name == ".zattrs":
            nodes.groups.setdefault(path, {}).update(document)
    return nodes


def _load(storage: Storage, key: str) -> dict[str, Any] | None:
    data = storage.get(key)
    if data is None:
        return None
    try:
        return cast("dict[str, Any]", json.loads(data))
    except ValueError as error:
        raise StoreError(
            "metadata is not JSON", file=f"{storage.url}/{key}", found=error
        ) from error


def _all(storage: Storage, name: str) -> dict[str, dict[str, Any]]:
    """Documents of one name, by the path of the node that they describe."""
    keys = [key for key, _ in storage.list() if key.rpartition("/")[2] == name]
    found = ((key.rpartition("/")[0], _load(storage, key)) for key in keys)
    return {path: document for path, document in found if document is not None}


def stored_array(nodes: Nodes, path: str, axes: str) -> Stored | None:
    """Layout of a multi-resolution array; ``None`` if there is none at that path.

    Raises
    ------
    ngff_bio.errors.StoreError
        If it is laid out in a way that this converter does not write.
    """
    levels: list[Level] = []
    documents: list[dict[str, Any]] = []
    while (document := nodes.arrays.get(f"{path}/{len(levels)}".lstrip("/"))) is not None:
        shape = tuple(document["shape"])
        before = levels[-1].shape if levels else shape
        factor = tuple(1 if n == b else 2 for n, b in zip(shape, before, strict=True))
        try:
            chunk, shard = _chunks(document)
        except (KeyError, IndexError, TypeError) as error:
            raise _unknown(path, error) from error
        levels.append(Level(str(len(levels)), shape, chunk, shard, factor))
        documents.append(document)
    if not levels:
        return None
    first = documents[0]
    try:
        codec = _codec_v2(first) if nodes.zarr_format == 2 else _codec_v3(first)
        dtype = np.dtype(first["dtype" if nodes.zarr_format == 2 else "data_type"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise _unknown(path, error) from error
    frames = levels[0].shape[axes.index("t")] if "t" in axes else 1
    return Stored(tuple(levels), dtype.str, codec, frames)


def _unknown(path: str, error: Exception) -> StoreError:
    return StoreError(
        "an array is laid out in a way that this converter does not write",
        record=path or "(root)",
        found=error,
        hint="convert everything anew into another destination",
    )


def _chunks(document: dict[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Shape of a chunk, and of the shard that holds it."""
    if document["zarr_format"] == 2:
        return tuple(document["chunks"]), None
    outer = tuple(document["chunk_grid"]["configuration"]["chunk_shape"])
    codec = document["codecs"][0]
    if codec["name"] != "sharding_indexed":
        return outer, None
    return tuple(codec["configuration"]["chunk_shape"]), outer


def _codec_v3(document: dict[str, Any]) -> Codec:
    chain = document["codecs"]
    if chain[0]["name"] == "sharding_indexed":
        chain = chain[0]["configuration"]["codecs"]
    if chain[0]["name"] != "bytes" or len(chain) > 2:
        raise ValueError([c["name"] for c in chain])
    if len(chain) == 1:
        return Codec("none")
    name, config = chain[1]["name"], chain[1].get("configuration") or {}
    if name == "zstd":
        return Codec("zstd", level=int(config["level"]))
    if name == "blosc":
        block = int(config.get("blocksize") or 0)
        return Codec("blosc", config["cname"], int(config["clevel"]), config["shuffle"], block)
    raise ValueError(name)


def _codec_v2(document: dict[str, Any]) -> Codec:
    config = document["compressor"]
    if config is None:
        return Codec("none")
    if config["id"] == "zstd":
        return Codec("zstd", level=int(config["level"]))
    if config["id"] == "blosc":
        shuffle = _SHUFFLES[int(config["shuffle"])]
        block = int(config.get("blocksize") or 0)
        return Codec("blosc", config["cname"], int(config["clevel"]), shuffle, block)
    raise ValueError(config["id"])


def layout_of(nodes: Nodes, version: str) -> Literal["image", "collection", "plates"]:
    """How the images of a store lie in it."""
    root = nodes.groups[""]
    content = root if version == "0.4" else root.get("ome") or {}
    if "multiscales" in content:
        return "image"
    return "collection" if "bioformats2raw.layout" in content else "plates"


def image_paths(nodes: Nodes) -> list[str]:
    """Groups of images (not of label images), in the order of the documents."""
    return [
        path
        for path in nodes.groups
        if (nodes.groups[path].get("ngff_bio") or {}).get("kind") == "image"
    ]


def stored_plates(nodes: Nodes) -> list[SourcePlate]:
    """The plates of a store."""
    found = []
    for path, attributes in nodes.groups.items():
        meta = ngff.decode(attributes)
        if meta is not None and meta.plate is not None:
            plate = meta.plate
            found.append(SourcePlate(path, plate.name, tuple(plate.rows), tuple(plate.columns)))
    return found
