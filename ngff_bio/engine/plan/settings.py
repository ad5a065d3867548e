"""How a store is to be written. The same settings and source give the same bytes, anywhere."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from ngff_bio.engine.write.pyramid import Method
from ngff_bio.errors import ArgumentError
from ngff_bio.ngff.metadata import VERSIONS, ZARR_FORMAT, Version
from ngff_bio.zarrio.codecs import AUTO, Codec


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides the bytes of a store. How many workers make it, and with how much memory, does
    not: that is said to the runner.

    Parameters
    ----------
    version
        Version of the OME-Zarr specification. 0.5 is what today's viewers read and can shard; 0.4
        is for tools that know only Zarr v2.
    chunk_bytes
        Raw size that a chunk stays below. 1 MiB is about what one network round trip moves at no
        extra cost; smaller chunks cost more requests, larger ones more bytes for a small view.
    chunk
        Explicit (z, y, x) or (y, x) chunk shape instead.
    sharded
        Whether chunks are packed into shards. Without, every chunk is an object of its own: for
        readers that know no shards. 0.4 never has any.
    shard_bytes
        Raw size that a shard, and what a worker holds at a time, stays below. 32 MiB: few objects,
        and a work unit that fits into memory some times over.
    shard
        Explicit (z, y, x) or (y, x) shard shape instead, where other stores have to be matched.
    frames
        Most frames of a shard. ``None`` for as many as fit: fewest objects. 1 for a series that
        grows frame by frame: frames can only be appended behind a shard's end.
    codec, label_codec
        Compressor of images and of labels. ``auto`` tries some on the first pixels and takes the
        cheapest that is within 3 % of the smallest, since no one codec is right for phase contrast,
        16-bit noise and colour alike.
    levels
        Number of levels; ``None`` for as many as it takes until a plane fits into a chunk, so that
        a viewer can show the whole from one request.
    method
        Reduction of image levels. ``mean`` keeps the total intensity and needs no neighbours, so a
        level costs one pass; ``gaussian`` is smoother and is made level by level; ``nearest`` and
        ``mode`` keep values that are no intensities.
    label_method
        Reduction of label levels; never one that makes new values. ``mode`` keeps shapes,
        ``nearest`` keeps thin objects no better or worse than chance and is the fastest.
    consolidated
        Whether the root carries all metadata, so that one request opens the store.
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
    levels: int | None = None
    method: Method = "mean"
    label_method: Literal["mode", "nearest"] = "mode"
    consolidated: bool = True

    def __post_init__(self) -> None:
        if self.version not in VERSIONS:
            raise ArgumentError(
                "this version of OME-Zarr is not known",
                expected=", ".join(VERSIONS),
                found=self.version,
            )
        if self.levels is not None and self.levels < 1:
            raise ArgumentError(
                "an image has at least one level", expected="--levels 1 or more", found=self.levels
            )
        for name in ("chunk_bytes", "shard_bytes", "frames"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ArgumentError(f"{name} is too small", expected="1 or more", found=value)
        if self.zarr_format == 2:  # it knows no shards: the settings say what is written
            object.__setattr__(self, "sharded", False)

    @property
    def zarr_format(self) -> Literal[2, 3]:
        """The Zarr format below the version of the specification."""
        return ZARR_FORMAT[self.version]

    def to_json(self) -> dict[str, Any]:
        """All settings as JSON values."""
        return {f.name: _as_json(getattr(self, f.name)) for f in fields(self)}

    def changed(self) -> dict[str, Any]:
        """Only what differs from the defaults of the version, as JSON values."""
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
