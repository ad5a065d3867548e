"""How a store is to be written. The same settings and source give the same bytes, anywhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from ngff_bio.engine.codecs import BLOSC, ZSTD, Codec
from ngff_bio.engine.pyramid import Method
from ngff_bio.errors import ArgumentError
from ngff_bio.ngff import VERSIONS, ZARR_FORMAT, Version


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides the bytes of a store.

    Parameters
    ----------
    version
        Version of the OME-Zarr specification. 0.5 is what today's viewers read and can shard; 0.4
        is for tools that know only Zarr v2.
    chunk_bytes
        Raw size that a chunk stays below: about what one network round trip moves at no extra cost.
    chunk
        Explicit (z, y, x) or (y, x) chunk shape instead.
    shard_bytes
        Raw size that a shard stays below: few objects, and a work unit that fits into memory some
        times over. Ignored by 0.4, which has no shards.
    codec, label_codec
        Compressor of images and of labels. Labels are long runs of equal values: plain zstd is as
        small as blosc there and needs one pass.
    levels
        Number of levels; ``None`` for as many as it takes until a plane fits into a chunk.
    method
        Reduction of image levels.
    label_method
        Reduction of label levels; never one that makes new values.
    consolidated
        Whether the root carries all metadata, so that one request opens the store.
    """

    version: Version = "0.5"
    chunk_bytes: int = 1 << 20
    chunk: tuple[int, ...] | None = None
    shard_bytes: int = 32 << 20
    codec: Codec = BLOSC
    label_codec: Codec = ZSTD
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

    @property
    def zarr_format(self) -> Literal[2, 3]:
        """The Zarr format below the version of the specification."""
        return ZARR_FORMAT[self.version]

    def to_json(self) -> dict[str, Any]:
        """All settings as JSON values."""
        return asdict(self)

    def changed(self) -> dict[str, Any]:
        """Only what differs from the defaults, as JSON values."""
        default = Settings()
        return {
            f.name: str(value) if isinstance(value, Codec) else value
            for f in fields(self)
            if (value := getattr(self, f.name)) != getattr(default, f.name)
        }
