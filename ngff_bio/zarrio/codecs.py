"""Codecs: how a chunk becomes bytes, and how the metadata says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import ArgumentError

Shuffle = Literal["noshuffle", "shuffle", "bitshuffle"]
_SHUFFLE: dict[Shuffle, int] = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


@dataclass(frozen=True, slots=True)
class Codec:
    """A compressor: ``blosc`` around ``cname``, plain ``zstd``, or ``none``.

    ``block`` is how many bytes blosc compresses together, in a chunk of more; 0 lets it decide.
    ``auto`` is none yet: it is replaced by one that is chosen by trying, see
    :mod:`ngff_bio.engine.write.codec_selection`.
    """

    name: Literal["blosc", "zstd", "none", "auto"] = "blosc"
    cname: str = "zstd"
    level: int = 5
    shuffle: Shuffle = "shuffle"
    block: int = 0

    def __str__(self) -> str:
        if self.name == "blosc":
            block = f"-{self.block >> 10}k" if self.block else ""
            return f"blosc-{self.cname}-{self.level}-{self.shuffle}{block}"
        return f"zstd-{self.level}" if self.name == "zstd" else self.name

    def encode(self, chunk: NDArray[Any]) -> bytes:
        """Bytes of one C-contiguous chunk in little-endian order."""
        if chunk.dtype.byteorder == ">":
            chunk = chunk.astype(chunk.dtype.newbyteorder("<"))
        # imagecodecs and numcodecs wrap the same libraries; the first loads in milliseconds, the
        # second takes a tenth of a second.
        if self.name == "blosc":
            from imagecodecs import blosc_encode

            # One thread each: chunks are compressed side by side already.
            packed = blosc_encode(
                cast("bytes", chunk),  # any buffer will do
                level=self.level,
                compressor=self.cname,
                shuffle=_SHUFFLE[self.shuffle],
                typesize=chunk.itemsize,
                blocksize=self.block,
                numthreads=1,
            )
            return cast("bytes", packed)
        if self.name == "zstd":
            from imagecodecs import zstd_encode

            return cast("bytes", zstd_encode(cast("bytes", chunk), level=self.level))
        self._known()
        return chunk.tobytes()

    def decode(self, data: Any) -> Any:
        """The bytes that were encoded, as a buffer."""
        if self.name == "blosc":
            from imagecodecs import blosc_decode

            return blosc_decode(data, numthreads=1)
        if self.name == "zstd":
            from imagecodecs import zstd_decode

            return zstd_decode(data)
        self._known()
        return data

    def _known(self) -> None:
        if self.name == "auto":
            raise ValueError("the codec has not been chosen yet")

    def v3(self, dtype: np.dtype[Any]) -> list[dict[str, Any]]:
        """Zarr v3 codec chain (bytes-to-bytes part after ``bytes``)."""
        bytes_codec: dict[str, Any] = {"name": "bytes"}
        if dtype.itemsize > 1:
            bytes_codec["configuration"] = {"endian": "little"}
        if self.name == "blosc":
            config = {
                "typesize": dtype.itemsize,
                "cname": self.cname,
                "clevel": self.level,
                "shuffle": self.shuffle,
                "blocksize": self.block,
            }
            return [bytes_codec, {"name": "blosc", "configuration": config}]
        if self.name == "zstd":
            zstd_config = {"level": self.level, "checksum": False}
            return [bytes_codec, {"name": "zstd", "configuration": zstd_config}]
        self._known()
        return [bytes_codec]

    def v2(self) -> dict[str, Any] | None:
        """Zarr v2 ``compressor``."""
        if self.name == "blosc":
            return {
                "id": "blosc",
                "cname": self.cname,
                "clevel": self.level,
                "shuffle": _SHUFFLE[self.shuffle],
                "blocksize": self.block,
            }
        self._known()
        return {"id": "zstd", "level": self.level} if self.name == "zstd" else None


BLOSC = Codec()
ZSTD = Codec("zstd", level=3)
AUTO = Codec("auto")


def parse_codec(text: str) -> Codec:
    """A codec by its name: ``blosc-zstd-5-shuffle``, ``blosc-lz4-1-bitshuffle-512k`` (in blocks of
    512 KiB), ``zstd-3``, ``none``, ``auto``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the name is not of that form.
    """
    words = text.lower().split("-")
    try:
        if words == ["none"]:
            return Codec("none")
        if words == ["auto"]:
            return AUTO
        if words[0] == "zstd":
            return Codec("zstd", level=int(words[1]) if len(words) > 1 else 3)
        if words[0] == "blosc" and words[1] in ("zstd", "lz4", "lz4hc", "zlib", "blosclz"):
            level = int(words[2]) if len(words) > 2 else 5
            shuffle = words[3] if len(words) > 3 else "shuffle"
            block = _block(words[4]) if len(words) > 4 else 0
            if shuffle in _SHUFFLE and 0 <= level <= 9 and len(words) <= 5:
                return Codec("blosc", words[1], level, shuffle, block)
    except (ValueError, IndexError):
        pass
    raise ArgumentError(
        "this codec is not known",
        expected="auto, blosc-zstd-5-shuffle, blosc-lz4-5-bitshuffle, zstd-3 or none",
        found=text,
    )


def _block(text: str) -> int:
    if not text.endswith("k") or int(text[:-1]) < 1:
        raise ValueError(text)
    return int(text[:-1]) << 10
