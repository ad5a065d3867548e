"""What a store that ngff_bio wrote contains: the layout of its arrays, its images and plates."""

from __future__ import annotations

from typing import Literal

from ngff_bio import ngff
from ngff_bio.engine.plan.layout import LevelPlan, Stored
from ngff_bio.errors import StoreError
from ngff_bio.model import SourcePlate
from ngff_bio.ngff.schema_version import KEY
from ngff_bio.ngff.stored_attributes import own_attributes
from ngff_bio.zarrio.arrays import ArrayMeta, parse_array
from ngff_bio.zarrio.codecs import CRC32C, Codec
from ngff_bio.zarrio.nodes import Nodes


def stored_array(nodes: Nodes, path: str, axes: str) -> Stored | None:
    """Layout of a multi-resolution array; ``None`` if there is none at that path.

    Raises
    ------
    ngff_bio.errors.StoreError
        If it is laid out in a way that ngff_bio does not write.
    """
    levels: list[LevelPlan] = []
    metas: list[ArrayMeta] = []
    while (document := nodes.arrays.get(f"{path}/{len(levels)}".lstrip("/"))) is not None:
        meta = parse_array(document, nodes.zarr_format, f"{path}/{len(levels)}".lstrip("/"))
        before = levels[-1].shape if levels else meta.shape
        factor = tuple(1 if n == b else 2 for n, b in zip(meta.shape, before, strict=True))
        levels.append(LevelPlan(str(len(levels)), meta.shape, meta.chunk, meta.shard, factor))
        metas.append(meta)
    if not levels:
        return None
    pipeline = metas[0].pipeline
    codecs = () if pipeline is None else pipeline.codecs
    # In Zarr v2 a checksum is part of what is encoded: chunks with and without are of one kind.
    checksums = nodes.zarr_format == 2 or codecs[-1:] == (CRC32C,)
    if nodes.zarr_format == 3 and checksums:
        codecs = codecs[:-1]
    if pipeline is None or pipeline.order is not None or len(codecs) > 1:
        raise StoreError(
            "an array is laid out in a way that ngff_bio does not write",
            record=path or "(root)",
            hint="convert the whole source to a new destination",
        )
    codec = codecs[0] if codecs else Codec("none")
    frames = levels[0].shape[axes.index("t")] if "t" in axes else 1
    return Stored(tuple(levels), metas[0].dtype.str, codec, checksums, frames)


def layout_of(nodes: Nodes, version: str) -> Literal["image", "collection", "plates"]:
    """The layout of a store."""
    root = nodes.groups[""]
    ome = root.get("ome")
    content = root if version == "0.4" else ome if isinstance(ome, dict) else {}
    if "multiscales" in content:
        return "image"
    return "collection" if "bioformats2raw.layout" in content else "plates"


def image_paths(nodes: Nodes) -> list[str]:
    """Groups of images (not of label images), in the order of the documents."""
    return [
        path for path in nodes.groups if (nodes.groups[path].get(KEY) or {}).get("kind") == "image"
    ]


def check_groups(nodes: Nodes, url: str) -> None:
    """Find what is wrong in the attributes of groups before anything is written.

    Raises
    ------
    ngff_bio.errors.StoreError
        If any cannot be understood; ``url`` is that of the store, for messages.
    """
    for path, attributes in nodes.groups.items():
        file = f"{url}/{path}".rstrip("/")
        own_attributes(attributes, file)
        try:
            ngff.decode(attributes)
        except StoreError as error:
            raise type(error)(**{**error.parts(), "file": file}) from error


def stored_plates(nodes: Nodes) -> list[SourcePlate]:
    """The plates of a store."""
    found = []
    for path, attributes in nodes.groups.items():
        meta = ngff.decode(attributes)
        if meta is not None and meta.plate is not None:
            plate = meta.plate
            found.append(SourcePlate(path, plate.name, tuple(plate.rows), tuple(plate.columns)))
    return found
