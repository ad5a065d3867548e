"""What the metadata document of a Zarr array says, as far as the direct way of reading goes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ngff_bio.errors import DependencyError, StoreError
from ngff_bio.reader.access.codecs import ChunkCodec, UnknownCodecError, v2_codec, v3_codec

#: Bytes of one entry of a shard index: offset and length, each uint64.
ENTRY = 16


@dataclass(frozen=True)
class ShardMeta:
    """How the chunks of a shard are found (Zarr v3, codec ``sharding_indexed``).

    ``grid`` is the number of chunks along each axis; ``checked`` says whether a CRC-32C of four
    bytes follows the index; ``at_start`` whether the index lies before the chunks.
    """

    grid: tuple[int, ...]
    checked: bool
    at_start: bool

    @property
    def index_size(self) -> int:
        """Bytes of the index, with its checksum."""
        return math.prod(self.grid) * ENTRY + (4 if self.checked else 0)


@dataclass(frozen=True)
class ArrayMeta:
    """An array: its shape, how it is cut into objects and chunks, how a chunk is decoded.

    ``objects`` is the shape of one stored object (a shard, or a chunk where there are no shards);
    ``chunk`` that of what is decoded at once. ``prefix`` and ``separator`` make the keys.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any
    objects: tuple[int, ...]
    chunk: tuple[int, ...]
    prefix: str
    separator: str
    codec: ChunkCodec
    shard: ShardMeta | None = None

    @cached_property
    def chunk_nbytes(self) -> int:
        """Bytes of a decoded chunk."""
        return math.prod(self.chunk) * self.dtype.itemsize

    def key(self, index: tuple[int, ...]) -> str:
        """Key of an object below the array, by its place in the grid."""
        name = self.separator.join(map(str, index)) if index else ("" if self.prefix else "0")
        return f"{self.prefix}{name}" if name else self.prefix.rstrip("./")


class UnsupportedLayoutError(Exception):
    """The array is laid out in a way that only zarr-python reads."""


def parse_array(document: dict[str, Any], zarr_format: int) -> ArrayMeta:
    """Understand a ``zarr.json`` or ``.zarray``.

    Raises
    ------
    UnsupportedLayoutError
        If zarr-python has to read it.
    ngff_bio.errors.DependencyError
        If a codec of it is in a package that is not installed.
    ngff_bio.errors.StoreError
        If the document is not that of an array.
    """
    try:
        return _parse_v3(document) if zarr_format == 3 else _parse_v2(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            "the metadata of an array cannot be understood",
            expected=f"an array as Zarr v{zarr_format} has it",
            found=f"{type(error).__name__}: {error}",
        ) from error


def array_shape(document: dict[str, Any] | None) -> tuple[int, ...]:
    """Shape in a metadata document, without understanding the rest."""
    return tuple(int(n) for n in (document or {}).get("shape") or ())


def array_dtype(document: dict[str, Any]) -> np.dtype[Any]:
    """Type of a pixel in a metadata document, in native byte order.

    Raises
    ------
    UnsupportedLayoutError
        If NumPy has no such type of a fixed size.
    """
    name = document.get("data_type", document.get("dtype"))
    try:
        dtype = np.dtype(name) if isinstance(name, str) else np.dtype(object)
    except TypeError as error:
        raise UnsupportedLayoutError(f"data type {name}") from error
    if dtype.kind not in "biufc":
        raise UnsupportedLayoutError(f"data type {name}")
    return dtype.newbyteorder("=")


def _parse_v3(document: dict[str, Any]) -> ArrayMeta:
    if document.get("node_type", "array") != "array":
        raise StoreError("a group lies where an array is expected")
    grid, keys = document["chunk_grid"], document["chunk_key_encoding"]
    if grid["name"] != "regular" or document.get("storage_transformers"):
        raise UnsupportedLayoutError(grid["name"])
    prefix, separator = _key_style(keys)
    dtype = array_dtype(document)
    objects = tuple(int(n) for n in grid["configuration"]["chunk_shape"])
    codecs, chunk, shard = document["codecs"], objects, None
    if codecs[0]["name"] == "sharding_indexed":
        if len(codecs) > 1:
            raise UnsupportedLayoutError("codecs after sharding")
        inner = codecs[0]["configuration"]
        chunk = tuple(int(n) for n in inner["chunk_shape"])
        index = [c["name"] for c in inner["index_codecs"]]
        endian = inner["index_codecs"][0].get("configuration", {}).get("endian", "little")
        if index not in (["bytes"], ["bytes", "crc32c"]) or endian != "little":
            raise UnsupportedLayoutError(f"shard index codecs {index}")
        if any(o % c for o, c in zip(objects, chunk, strict=True)):
            raise StoreError("a shard does not hold a whole number of chunks", found=objects)
        shard = ShardMeta(
            tuple(o // c for o, c in zip(objects, chunk, strict=True)),
            checked="crc32c" in index,
            at_start=inner.get("index_location", "end") == "start",
        )
        codecs = inner["codecs"]
    shape = tuple(int(n) for n in document["shape"])
    return ArrayMeta(
        shape,
        dtype,
        _fill(document.get("fill_value"), dtype),
        objects,
        chunk,
        prefix,
        separator,
        _codec(v3_codec, codecs, dtype),
        shard,
    )


def _key_style(keys: dict[str, Any]) -> tuple[str, str]:
    """Prefix and separator of chunk keys (Zarr v3, "chunk key encoding")."""
    config = keys.get("configuration") or {}
    if keys["name"] == "default":
        separator = config.get("separator", "/")
        return f"c{separator}", separator
    if keys["name"] == "v2":
        return "", config.get("separator", ".")
    raise UnsupportedLayoutError(f"chunk key encoding {keys['name']}")


def _parse_v2(document: dict[str, Any]) -> ArrayMeta:
    stored = np.dtype(document["dtype"]) if isinstance(document["dtype"], str) else None
    if stored is None or stored.kind not in "biufc":
        raise UnsupportedLayoutError(f"data type {document['dtype']}")
    dtype = array_dtype(document)
    chunk = tuple(int(n) for n in document["chunks"])
    axes = range(len(chunk))[::-1] if document.get("order", "C") == "F" else None
    steps = (document.get("compressor"), document.get("filters"), stored, axes)
    return ArrayMeta(
        tuple(int(n) for n in document["shape"]),
        dtype,
        _fill(document.get("fill_value"), dtype),
        chunk,
        chunk,
        "",
        document.get("dimension_separator", "."),
        _codec(v2_codec, *steps),
    )


def _codec(make: Any, *parts: Any) -> ChunkCodec:
    try:
        made: ChunkCodec = make(*parts)
    except UnknownCodecError as error:
        if error.package is None:
            raise UnsupportedLayoutError(str(error)) from error
        raise DependencyError(
            f"the codec {error.name!r} that the chunks are encoded with is not installed",
            expected=error.package,
            hint=f"install {error.package}",
        ) from error
    return made


_WORDS = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


def _fill(value: Any, dtype: np.dtype[Any]) -> Any:
    """What a chunk that is not there holds; nothing said is 0."""
    if value is None:
        return dtype.type(0)
    if isinstance(value, str):
        if value in _WORDS:
            return dtype.type(_WORDS[value])
        if value.startswith("0x"):  # the bits of a float (Zarr v3, "fill value")
            bits = np.array(int(value, 16), f"u{dtype.itemsize}")
            return bits.view(dtype)[()]
        raise UnsupportedLayoutError(f"fill value {value!r}")
    if isinstance(value, list):
        raise UnsupportedLayoutError(f"fill value {value!r}")
    return dtype.type(value)
