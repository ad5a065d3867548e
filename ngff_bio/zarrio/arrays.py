"""Array documents: ``zarr.json`` (Zarr v3) and ``.zarray`` (Zarr v2), understood once and written.

Also how an array is cut: which object and which part of it holds a chunk, and what its key is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ngff_bio.model import SampleType
from ngff_bio.zarrio.codecs import (
    CodecPipeline,
    UnsupportedLayoutError,
    codec_from,
    pipeline_v3,
)
from ngff_bio.zarrio.documents import Document, attributes_of, node_key, store_errors

#: Bytes of one entry of a shard index: offset and length, each uint64.
_ENTRY = 16

#: Sizes beyond this are not those of an array: they overflow where they are multiplied.
_MAX_SIZE = 1 << 62

#: Chunks of a shard: more have an index of more than 64 MiB, which is read before the first of them.
_MAX_CHUNKS = 1 << 22


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """How the chunks of a shard are found (Zarr v3, codec ``sharding_indexed``).

    ``checked`` says whether a CRC-32C of four bytes follows the index; ``at_start`` whether the
    index comes before the chunks.
    """

    checked: bool = True
    at_start: bool = False


@dataclass(frozen=True)
class ArrayMeta:
    """An array: its shape, how it is cut into objects and chunks, how a chunk is encoded.

    Parameters
    ----------
    path
        Path of the array in its store.
    shape
        Size along each axis.
    dtype
        Type of a pixel, in native byte order.
    chunk
        Shape of what is decoded at once.
    shard
        Shape of the object that holds several chunks; ``None`` where each chunk is an object.
    fill
        Value of pixels in chunks that are not stored.
    pipeline
        The codecs; ``None`` where only zarr-python reads the array.
    index
        How chunks are found in a shard.
    separator, prefix
        Parts of the keys of objects below the array: ``c/0/1``, ``0.1``.
    dimension_names
        Names of the axes; ``None`` where the document has none.
    """

    path: str
    zarr_format: int
    shape: tuple[int, ...]
    dtype: SampleType
    chunk: tuple[int, ...]
    shard: tuple[int, ...] | None = None
    fill: object = 0
    pipeline: CodecPipeline | None = CodecPipeline()
    index: ShardIndex = ShardIndex()
    separator: str = "/"
    prefix: str = ""
    dimension_names: tuple[str | None, ...] | None = None

    @property
    def object_shape(self) -> tuple[int, ...]:
        """Shape of one stored object: a shard, or a chunk where there are none."""
        return self.shard or self.chunk

    @cached_property
    def shard_grid(self) -> tuple[int, ...]:
        """Number of chunks of an object along each axis."""
        return tuple(o // c for o, c in zip(self.object_shape, self.chunk, strict=True))

    @cached_property
    def index_nbytes(self) -> int:
        """Bytes of a shard's index, with its checksum."""
        return math.prod(self.shard_grid) * _ENTRY + (4 if self.index.checked else 0)

    @cached_property
    def chunk_nbytes(self) -> int:
        """Bytes of a decoded chunk."""
        return math.prod(self.chunk) * self.dtype.itemsize

    def key(self, index: tuple[int, ...]) -> str:
        """Key of an object, by its position in the grid of objects."""
        parts = [self.prefix, *map(str, index)] if self.prefix else map(str, index)
        return node_key(self.path, self.separator.join(parts) or "0")

    def index_of(self, key: str) -> tuple[int, ...] | None:
        """Index of the object of a key below the array's path; ``None`` if it is not on the grid."""
        name = key[len(self.path) :].lstrip("/")
        if self.prefix:
            head, _, name = name.partition(self.separator)
            if head != self.prefix:
                return None
        parts = name.split(self.separator) if self.shape else []
        if len(parts) != len(self.shape) or not all(p.isdecimal() for p in parts):
            return None
        index = tuple(map(int, parts))
        grid = [-(-n // c) for n, c in zip(self.shape, self.object_shape, strict=True)]
        return index if all(i < n for i, n in zip(index, grid, strict=True)) else None

    def document(self) -> Document:
        """The array's ``zarr.json`` or ``.zarray``.

        Raises
        ------
        ValueError
            If the array is not one that this package writes.
        """
        if self.pipeline is None:
            raise ValueError("the codecs of the array are not known")
        names = self.dimension_names
        if self.zarr_format == 2:
            codecs = self.pipeline.codecs
            return {
                "zarr_format": 2,
                "shape": list(self.shape),
                "chunks": list(self.chunk),
                "dtype": self.dtype.newbyteorder("<").str,
                "compressor": codecs[0].v2() if codecs else None,
                "fill_value": fill_json(self.fill),
                "order": "C" if self.pipeline.order is None else "F",
                "filters": None,
                "dimension_separator": self.separator,
                **({} if names is None else {"attributes": {"_ARRAY_DIMENSIONS": list(names)}}),
            }
        codecs_v3 = self.pipeline.v3(self.dtype)
        if self.shard is not None:
            codecs_v3 = [self._sharding(codecs_v3)]
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": self.dtype.name,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": list(self.object_shape)},
            },
            "chunk_key_encoding": {
                "name": "default" if self.prefix else "v2",
                "configuration": {"separator": self.separator},
            },
            "fill_value": fill_json(self.fill),
            "codecs": codecs_v3,
            "attributes": {},
            **({} if names is None else {"dimension_names": list(names)}),
        }

    def _sharding(self, codecs: list[dict[str, object]]) -> dict[str, object]:
        little = {"name": "bytes", "configuration": {"endian": "little"}}
        return {
            "name": "sharding_indexed",
            "configuration": {
                "chunk_shape": list(self.chunk),
                "codecs": codecs,
                "index_codecs": [little, {"name": "crc32c"}] if self.index.checked else [little],
                "index_location": "start" if self.index.at_start else "end",
            },
        }


def zero(dtype: SampleType) -> object:
    """0 of a type as JSON has it: the fill value of the arrays that this package writes."""
    return dtype.type(0).item()


def fill_json(value: object) -> object:
    """A fill value as the metadata spells it, in v2 and v3."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, complex):
        return [fill_json(plain.real), fill_json(plain.imag)]
    if isinstance(plain, float) and not math.isfinite(plain):
        return "NaN" if plain != plain else "Infinity" if plain > 0 else "-Infinity"
    return plain


def parse_array(
    document: Mapping[str, object], zarr_format: int, path: str, store: str = ""
) -> ArrayMeta:
    """Understand the document of an array.

    Parameters
    ----------
    path
        Path of the array.
    store
        URL of its store, for errors.

    Raises
    ------
    UnsupportedLayoutError
        If shape, type or chunks cannot be understood without zarr-python.
    ngff_bio.errors.StoreError
        If the document is not that of an array.
    """
    expected = f"an array of Zarr v{zarr_format}"
    file = node_key(store, path)
    with store_errors("the metadata of an array is invalid", file=file, expected=expected):
        parse = _parse_v3 if zarr_format == 3 else _parse_v2
        return _checked(parse(document, path))


def _checked(meta: ArrayMeta) -> ArrayMeta:
    if not len(meta.shape) == len(meta.chunk) == len(meta.object_shape):
        raise ValueError(f"shape {meta.shape} and chunks {meta.chunk} differ in number of axes")
    if any(n < 0 for n in meta.shape) or any(n < 1 for n in meta.chunk):
        raise ValueError(f"shape {meta.shape}, chunks {meta.chunk}")
    if any(o % c or o < c for o, c in zip(meta.object_shape, meta.chunk, strict=True)):
        raise ValueError(f"shards of {meta.shard} do not hold whole chunks of {meta.chunk}")
    if (count := math.prod(meta.shard_grid)) > _MAX_CHUNKS:
        raise ValueError(f"{count:,} chunks in a shard; at most {_MAX_CHUNKS:,} are read")
    if max(math.prod(meta.shape), math.prod(meta.object_shape)) * meta.dtype.itemsize > _MAX_SIZE:
        raise ValueError(f"shape {meta.shape}, chunks {meta.object_shape} are too large")
    order = meta.pipeline.order if meta.pipeline is not None else None
    if order is not None and sorted(order) != list(range(len(meta.shape))):
        raise ValueError(f"transpose order {order} for {len(meta.shape)} axes")
    return meta


def _sizes(value: object) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or not all(type(n) is int for n in value):
        raise TypeError(f"sizes are integers, not {value!r}"[:100])
    return tuple(value)


def _dtype(name: object) -> SampleType:
    if not isinstance(name, str):
        raise UnsupportedLayoutError(f"data type {name}")
    try:
        return np.dtype(name)
    except TypeError:
        raise UnsupportedLayoutError(f"data type {name}") from None


def _names(value: Any) -> tuple[str | None, ...] | None:
    if value is None:
        return None
    if not all(n is None or isinstance(n, str) for n in value):
        raise TypeError("names of axes are texts")
    return tuple(value)


def _parse_v3(document: Mapping[str, Any], path: str) -> ArrayMeta:
    if document.get("node_type", "array") != "array":
        raise ValueError("it is a group")
    grid, keys = document["chunk_grid"], document["chunk_key_encoding"]
    if grid["name"] != "regular" or document.get("storage_transformers"):
        raise UnsupportedLayoutError(f"chunk grid {grid['name']}")
    prefix, separator = _key_encoding(keys)
    dtype = _dtype(document["data_type"])
    chunk, shard = _sizes(grid["configuration"]["chunk_shape"]), None
    chain, index, direct = list(document["codecs"]), ShardIndex(), True
    for codec in chain:
        if codec["name"] == "sharding_indexed":
            inner = codec["configuration"]
            chunk, shard = _sizes(inner["chunk_shape"]), chunk
            direct = codec is chain[0] and len(chain) == 1
            parts = [(c["name"], c.get("configuration") or {}) for c in inner["index_codecs"]]
            names = [name for name, _ in parts]
            direct &= names in (["bytes"], ["bytes", "crc32c"])
            direct &= parts[0][1].get("endian", "little") == "little"
            index = ShardIndex("crc32c" in names, inner.get("index_location", "end") == "start")
            chain = list(inner["codecs"])
            break
    fill, pipeline = None, None
    if direct and dtype.kind in "biufc":
        try:
            fill, pipeline = _fill(document.get("fill_value"), dtype), pipeline_v3(chain, dtype)
        except UnsupportedLayoutError:
            pipeline = None
    return ArrayMeta(
        path,
        3,
        _sizes(document["shape"]),
        dtype,
        chunk,
        shard,
        fill,
        pipeline,
        index,
        separator,
        prefix,
        _names(document.get("dimension_names")),
    )


def _key_encoding(keys: Any) -> tuple[str, str]:
    """Prefix and separator of chunk keys (Zarr v3, "chunk key encoding")."""
    name, default = (keys, "/") if isinstance(keys, str) else (keys["name"], None)
    config: Mapping[str, object] = {} if default else keys.get("configuration") or {}
    if name not in ("default", "v2"):
        raise UnsupportedLayoutError(f"chunk key encoding {name}")
    separator = config.get("separator", "/" if name == "default" else ".")
    return ("c" if name == "default" else ""), _separator(separator)


def _separator(value: object) -> Literal["/", "."]:
    if value not in ("/", "."):
        raise ValueError(f"separator {value!r} of chunk keys")
    return "/" if value == "/" else "."


def _parse_v2(document: Mapping[str, Any], path: str) -> ArrayMeta:
    stored = _dtype(document["dtype"])
    dtype = stored.newbyteorder("=")
    fill, pipeline = None, None
    order, filters, shape = document.get("order", "C"), document.get("filters"), document["shape"]
    if dtype.kind in "biufc" and stored.str[0] in "<|" and order in ("C", "F") and not filters:
        compressor = document.get("compressor")
        try:
            fill = _fill(document.get("fill_value"), dtype)
            codecs = () if compressor is None else (codec_from(compressor["id"], compressor),)
            turned = order == "F" and len(shape) > 1
            pipeline = CodecPipeline(codecs, tuple(range(len(shape)))[::-1] if turned else None)
        except UnsupportedLayoutError:
            pipeline = None
    return ArrayMeta(
        path,
        2,
        _sizes(shape),
        dtype,
        _sizes(document["chunks"]),
        fill=fill,
        pipeline=pipeline,
        separator=_separator(document.get("dimension_separator") or "."),
        dimension_names=_names(attributes_of(dict(document)).get("_ARRAY_DIMENSIONS")),
    )


_FLOATS = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


def _fill(value: object, dtype: SampleType) -> object:
    """The value of pixels in a chunk that is not stored; 0 where the document gives none."""
    if value is None:
        return dtype.type(0)
    if isinstance(value, str) and value in _FLOATS and dtype.kind == "f":
        return dtype.type(_FLOATS[value])
    if isinstance(value, str) and value.startswith("0x") and dtype.kind == "f":
        # The bits of a float (Zarr v3, "fill value").
        bits = np.array(int(value, 16), f"u{dtype.itemsize}")
        return bits.view(dtype)[()]
    if isinstance(value, str | list):
        raise UnsupportedLayoutError(f"fill value {value!r}"[:100])
    return dtype.type(value)
