"""How each array is converted: its objects as they are, its chunks as they are, or pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ngff_bio.engine.plan.settings import Settings
from ngff_bio.engine.plan.shapes import named_shape, region_shape
from ngff_bio.errors import ArgumentError
from ngff_bio.reader.access.arrays import StoredArray
from ngff_bio.zarrio.arrays import ArrayMeta, ShardIndex
from ngff_bio.zarrio.codecs import AUTO, BLOSC, CRC32C, Codec, CodecPipeline
from ngff_bio.zarrio.documents import Document, attributes_of
from ngff_bio.zarrio.encoded import without_checksum

#: ``objects`` are copied; ``chunks`` are put into other objects as they are encoded; ``pixels`` are
#: decoded and encoded again; of ``whole`` arrays (texts) zarr-python writes all at once.
How = Literal["objects", "chunks", "pixels", "whole"]

#: Name of the axis attribute of arrays of Zarr v2 (xarray).
_DIMENSIONS = "_ARRAY_DIMENSIONS"


@dataclass(frozen=True, slots=True)
class RewrittenArray:
    """An array as it is, as it becomes, and how."""

    source: StoredArray
    new: ArrayMeta
    how: How
    document: Document

    @property
    def old(self) -> ArrayMeta:
        """As it is stored."""
        return self.source.meta


def rewritten_array(
    source: StoredArray,
    document: Document,
    settings: Settings,
    axes: tuple[str, ...] | None = None,
    *,
    label: bool = False,
) -> RewrittenArray:
    """Decide how an array is converted; nothing is read.

    Parameters
    ----------
    source, document
        The array and its metadata document.
    axes
        Names of its axes, if it is a level of an image; other arrays keep their chunks and codecs.
    label
        Whether it is one of a label image.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the wanted chunks or shards do not fit.
    ngff_bio.errors.DependencyError
        If it must be decoded, and a codec is not installed.
    """
    old, zarr_format = source.meta, settings.zarr_format
    letters = _letters(axes, len(old.shape))
    codec = (settings.label_codec if label else settings.codec) if axes is not None else AUTO
    chunk = _chunk(old, letters, settings) if axes is not None else old.chunk
    same_format = old.zarr_format == zarr_format
    shard = None
    if zarr_format == 3 and axes is not None and settings.sharded:
        shard = _shard(old, letters, chunk, settings)
    elif axes is None and same_format:
        shard = old.shard
    names = axes or old.dimension_names
    if same_format and codec == AUTO and (chunk, shard) == (old.chunk, old.shard):
        return RewrittenArray(source, old, "objects", _with_names(document, names, zarr_format))
    if old.pipeline is None and old.dtype.kind not in "biufc":
        return RewrittenArray(source, old, "whole", document)
    kept = None if old.pipeline is None else _kept_pipeline(old, zarr_format, codec)
    how: How = "chunks" if kept is not None and chunk == old.chunk else "pixels"
    if how == "pixels":
        first = old.pipeline.codecs if old.pipeline is not None else ()
        reused = without_checksum(first) if _can_name(without_checksum(first), zarr_format) else ()
        chosen = (reused or (BLOSC,)) if codec == AUTO else (codec,)
        kept = CodecPipeline(tuple(c for c in chosen if c.name != "none"))
        _ = source.direct or source.read(
            tuple((0, 0) for _ in old.shape)
        )  # is the codec installed?
    assert kept is not None
    pipeline = replace(kept, codecs=(*kept.codecs, CRC32C)) if _checked(settings) else kept
    fill = np.dtype(old.dtype).type(0) if old.fill is None else old.fill
    new = ArrayMeta(
        old.path,
        zarr_format,
        old.shape,
        old.dtype,
        chunk,
        shard,
        fill,
        pipeline,
        ShardIndex(),
        "/",
        "c" if zarr_format == 3 else "",
    )
    made = {**new.document(), "attributes": _attributes(document)}
    return RewrittenArray(source, new, how, _with_names(made, names, zarr_format))


def _checked(settings: Settings) -> bool:
    return settings.checksums and settings.zarr_format == 3


def _letters(axes: tuple[str, ...] | None, ndim: int) -> str:
    """A letter for each axis; those of an array whose axes are not known are the last ones."""
    found = "".join(axes or ()).lower()
    if axes is not None and len(set(found) & set("tczyx")) == len(axes) and {*"yx"} <= {*found}:
        return found
    return "tczyx"[-ndim:] if 0 < ndim <= 5 else ""


def _chunk(old: ArrayMeta, axes: str, settings: Settings) -> tuple[int, ...]:
    """Shape of chunks: that of the array along axes that are not given."""
    if settings.chunk is None or not axes:
        return old.chunk
    given = named_shape(settings.chunk, axes, dict(zip(axes, old.shape, strict=True)), "--chunk")
    return tuple(given.get(a, c) for a, c in zip(axes, old.chunk, strict=True))


def _shard(
    old: ArrayMeta, axes: str, chunk: tuple[int, ...], settings: Settings
) -> tuple[int, ...] | None:
    """Shape of shards: as given, as they are, or as many chunks as make one of the usual size."""
    if settings.shard is not None and axes:
        size = dict(zip(axes, old.shape, strict=True))
        given = named_shape(settings.shard, axes, size, "--shard")
        outer = tuple(given.get(a, c) for a, c in zip(axes, chunk, strict=True))
        if any(o < min(c, n) for o, c, n in zip(outer, chunk, old.shape, strict=True)):
            raise ArgumentError(
                "the shards are smaller than the chunks",
                expected=f"--shard of at least {','.join(map(str, chunk))}",
                found=",".join(map(str, outer)),
                hint="name the shape of chunks too, with --chunk",
            )
    elif old.shard is not None and chunk == old.chunk:
        return old.shard
    elif axes:
        one = (1,) * len(axes)
        outer = region_shape(axes, old.shape, chunk, one, old.dtype.itemsize, settings)
    else:
        return None
    # An axis of no pixels has a chunk, too.
    shard = tuple(max(-(-o // c), 1) * c for o, c in zip(outer, chunk, strict=True))
    return None if shard == chunk else shard


def _kept_pipeline(old: ArrayMeta, zarr_format: int, wanted: Codec) -> CodecPipeline | None:
    """The codecs of an array, without a checksum; ``None`` if chunks must be encoded anew."""
    assert old.pipeline is not None
    codecs, order = without_checksum(old.pipeline.codecs), old.pipeline.order
    turned = tuple(range(len(old.shape)))[::-1]
    if zarr_format == 2 and order not in (None, turned):
        return None
    same = wanted == AUTO or codecs == (() if wanted.name == "none" else (wanted,))
    return CodecPipeline(codecs, order) if same and _can_name(codecs, zarr_format) else None


def _can_name(codecs: tuple[Codec, ...], zarr_format: int) -> bool:
    """Whether metadata of a Zarr format can name some codecs."""
    if zarr_format == 2:
        return len(codecs) <= 1 and CRC32C not in codecs
    return all(codec.name != "zlib" for codec in codecs)


def _attributes(document: Document) -> dict[str, Any]:
    return {k: v for k, v in attributes_of(document).items() if k != _DIMENSIONS}


def _with_names(
    document: Document, names: tuple[str | None, ...] | None, zarr_format: int
) -> Document:
    """A document with the names of axes, where its Zarr format has them."""
    made = {k: v for k, v in document.items() if k != "node_type" or zarr_format == 3}
    if names is None:
        return made
    if zarr_format == 3:
        return {**made, "dimension_names": list(names)}
    return {**made, "attributes": {**_attributes(document), _DIMENSIONS: list(names)}}
