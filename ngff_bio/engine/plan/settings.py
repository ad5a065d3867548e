"""How a store is written. The same settings and source give the same bytes, anywhere."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from ngff_bio.errors import ArgumentError
from ngff_bio.ngff.metadata import VERSIONS, ZARR_FORMAT, Version
from ngff_bio.zarrio.codecs import AUTO, Codec

#: How a level is made from the one before it.
Method = Literal["mean", "gaussian", "mode", "nearest"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides the bytes of a store. The number of workers and their memory do not: they are
    arguments of the runner.

    Parameters
    ----------
    version
        Version of the OME-Zarr specification. 0.5 can shard, and current viewers read it; 0.4 is for
        tools that read only Zarr v2.
    chunk_bytes
        Maximum raw size of a chunk. 1 MiB is about what one network round trip transfers at no extra
        cost; smaller chunks need more requests, larger ones more bytes for a small view.
    chunk
        Explicit (z, y, x) or (y, x) chunk shape instead.
    sharded
        Whether chunks are packed into shards. If not, every chunk is an object of its own, for readers
        that do not support shards. 0.4 has none.
    shard_bytes
        Maximum raw size of a shard, and of what a worker reads at a time. 32 MiB: few objects, and a
        unit of work that fits into memory several times.
    shard
        Explicit (z, y, x) or (y, x) shard shape instead, to match other stores.
    frames
        Maximum number of frames of a shard. ``None`` for as many as fit: fewest objects. 1 for a
        series that grows frame by frame: frames can only be appended after the end of a shard.
    codec, label_codec
        Compressor of images and of labels. ``auto`` tries several on the first pixels and takes the
        cheapest within 3 % of the smallest, since no single codec suits phase contrast, 16-bit noise
        and color alike.
    checksums
        Whether each chunk carries a checksum, so that a flipped bit is an error and not a pixel: the
        codec ``crc32c`` after the compressor in Zarr v3; in Zarr v2, which has no such codec, that
        of zstd, where that is the compressor.
    levels
        Number of levels; ``None`` for as many as needed until a plane fits into a chunk, so that a
        viewer can show all of it after one request. A store that is converted keeps its levels, unless
        there is a number, or ``make``: then they are made anew from level 0.
    method
        Reduction of image levels. ``mean`` keeps the total intensity and needs no neighbors, so that
        all levels are made in one pass; ``gaussian`` is smoother and is made level by level;
        ``nearest`` and ``mode`` keep values that are not intensities.
    label_method
        Reduction of label levels; both keep to existing values. ``mode`` preserves shapes;
        ``nearest`` is faster, but thin objects survive by chance.
    consolidated
        Whether the root contains all metadata, so that one request opens the store.
    """

    version: Version = "0.5"
    chunk_bytes: int = 1 << 20
    chunk: tuple[int, ...] | None = None
    sharded: bool = True
    shard_bytes: int = 32 << 20
    shard: tuple[int, ...] | None = None
    frames: int | None = None
    codec: Codec = AUTO
    label_codec: Codec = AUTO
    checksums: bool = True
    levels: int | Literal["make"] | None = None
    method: Method = "mean"
    label_method: Literal["mode", "nearest"] = "mode"
    consolidated: bool = True

    def __post_init__(self) -> None:
        if self.version not in VERSIONS:
            raise ArgumentError(
                "unknown version of OME-Zarr",
                expected=", ".join(VERSIONS),
                found=self.version,
            )
        if self.method not in get_args(Method):
            raise ArgumentError(
                "unknown method of downsampling",
                expected=", ".join(get_args(Method)),
                found=self.method,
            )
        for name in ("chunk_bytes", "shard_bytes", "frames", "levels"):
            if isinstance(value := getattr(self, name), int) and value < 1:
                raise ArgumentError(f"{name} is too small", expected="1 or more", found=value)
        if self.zarr_format == 2:  # it has no shards: settings state what is written
            object.__setattr__(self, "sharded", False)

    @property
    def level_count(self) -> int | None:
        """Number of levels; ``None`` for as many as needed."""
        return None if self.levels == "make" else self.levels

    @property
    def zarr_format(self) -> Literal[2, 3]:
        """The Zarr format below the version of the specification."""
        return ZARR_FORMAT[self.version]

    def to_json(self) -> dict[str, Any]:
        """All settings as JSON values."""
        return {f.name: _as_json(getattr(self, f.name)) for f in fields(self)}

    def changed(self) -> dict[str, Any]:
        """Settings that differ from the defaults of the version, as JSON values."""
        default = Settings(version=self.version)
        written = self.to_json()
        return {
            f.name: written[f.name]
            for f in fields(self)
            if getattr(self, f.name) != getattr(default, f.name)
            or (f.name == "version" and self.version != Settings().version)
        }


def _as_json(value: Any) -> Any:
    if isinstance(value, Codec):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
