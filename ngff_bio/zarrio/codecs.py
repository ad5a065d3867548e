"""Codecs, both ways: pixels of a chunk to its bytes and back, and how the metadata names them.

Zarr v2 (https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html) and v3 (.../v3/core/v3.0.html),
as far as this package reads and writes chunks itself: native little-endian pixels in C order or
transposed, then blosc, zstd, gzip, zlib, crc32c. Chunks encoded in another way are left to
zarr-python: :mod:`ngff_bio.zarrio.zarr_python`.

imagecodecs and numcodecs wrap the same libraries. The first loads in milliseconds, holds no lock,
keeps no global state and writes into a given buffer; the second takes a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ngff_bio.checksums import crc32c
from ngff_bio.errors import ArgumentError, StoreError
from ngff_bio.model import PixelArray, SampleType

Shuffle = Literal["noshuffle", "shuffle", "bitshuffle"]
_SHUFFLES: tuple[Shuffle, ...] = ("noshuffle", "shuffle", "bitshuffle")
_CNAMES = ("zstd", "lz4", "lz4hc", "zlib", "blosclz")


class UnsupportedLayoutError(StoreError):
    """The array is stored in a way that only zarr-python reads."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A compressor: ``blosc`` around ``cname``, plain ``zstd``, ``gzip``, ``zlib``, or ``none``; or
    a checksum, ``crc32c``.

    ``block`` is how many bytes blosc compresses together, in a chunk of more; 0 lets it decide.
    ``checked`` adds zstd's own checksum to what is encoded (RFC 8878, "Content_Checksum"): every
    decoder verifies it without being asked to, so the metadata does not name it. numcodecs has a
    field for it, with which tensorstore does not open a Zarr v2 array.
    ``auto`` stands for a codec that is still to be chosen by trying, see
    :mod:`ngff_bio.engine.write.codec_selection`.
    """

    name: Literal["blosc", "zstd", "gzip", "zlib", "crc32c", "none", "auto"] = "blosc"
    cname: str = "zstd"
    level: int = 5
    shuffle: Shuffle = "shuffle"
    block: int = 0
    checked: bool = False

    def __post_init__(self) -> None:
        """Refuse what blosc does not take: codecs are also read from state files."""
        if not 0 <= self.block < 1 << 31:
            raise ValueError(f"not a block size of blosc: {self.block}")
        if self.name == "blosc" and self.cname not in (*_CNAMES, "snappy"):
            raise ValueError(f"not a compressor of blosc: {self.cname[:40]!r}")

    def __str__(self) -> str:
        if self.name == "blosc":
            block = f"-{self.block >> 10}k" if self.block else ""
            return f"blosc-{self.cname}-{self.level}-{self.shuffle}{block}"
        return self.name if self.name in ("crc32c", "none", "auto") else f"{self.name}-{self.level}"

    def encode(self, data: PixelArray | bytes) -> bytes:
        """Encode a C-contiguous little-endian array, or bytes."""
        import imagecodecs

        match self.name:
            case "blosc":
                # One thread each: chunks are compressed side by side already.
                return cast(
                    "bytes",
                    imagecodecs.blosc_encode(
                        cast("bytes", data),  # any buffer will do
                        level=self.level,
                        compressor=self.cname,
                        shuffle=_SHUFFLES.index(self.shuffle),
                        typesize=data.itemsize if isinstance(data, np.ndarray) else 1,
                        blocksize=self.block,
                        numthreads=1,
                    ),
                )
            case "zstd" if self.checked:
                from numcodecs.zstd import compress as checked  # imagecodecs has no such option

                return cast("bytes", checked(data, self.level, True))
            case "zstd" | "gzip" | "zlib":
                compress = getattr(imagecodecs, f"{self.name}_encode")
                return cast("bytes", compress(data, level=self.level))
            case "crc32c":
                raw = bytes(data)
                return raw + crc32c_bytes(raw)
            case "none":
                return bytes(data)
        raise ValueError("the codec has not been chosen yet")

    def decode(self, data: Any, out: NDArray[np.uint8] | None = None) -> object:
        """The bytes that were encoded, as a buffer: ``out`` itself where they went into it.

        Raises
        ------
        Exception
            Whatever the library raises on damaged bytes.
        """
        if self.name == "crc32c":
            if crc32c(data) != _CRC32C_OF_CHECKED:
                raise ValueError("the checksum (CRC-32C) does not match the bytes")
            return memoryview(data)[:-4]
        if self.name in ("none", "auto"):
            return data
        import imagecodecs

        decompress = getattr(imagecodecs, f"{self.name}_decode")
        try:
            return decompress(data) if out is None else decompress(data, out=out)
        except RuntimeError:
            if self.name != "gzip":
                raise
            import gzip  # several members one after another: imagecodecs decodes one at a time

            return gzip.decompress(data)

    def v3(self, itemsize: int) -> dict[str, object]:
        """The codec in the chain of a Zarr v3 array."""
        match self.name:
            case "blosc":
                config = {
                    "typesize": itemsize,
                    "cname": self.cname,
                    "clevel": self.level,
                    "shuffle": self.shuffle,
                    "blocksize": self.block,
                }
            case "zstd":
                config = {"level": self.level, "checksum": False}
            case "gzip":
                config = {"level": self.level}
            case "crc32c":
                return {"name": "crc32c"}
            case _:
                raise ValueError(f"Zarr v3 has no codec {self.name}")
        return {"name": self.name, "configuration": config}

    def v2(self) -> dict[str, object]:
        """The codec as the ``compressor`` of a Zarr v2 array."""
        if self.name == "blosc":
            return {
                "id": "blosc",
                "cname": self.cname,
                "clevel": self.level,
                "shuffle": _SHUFFLES.index(self.shuffle),
                "blocksize": self.block,
            }
        if self.name in ("zstd", "gzip", "zlib"):
            return {"id": self.name, "level": self.level}
        raise ValueError(f"Zarr v2 has no compressor {self.name}")


BLOSC = Codec()
ZSTD = Codec("zstd", level=3)
AUTO = Codec("auto")
CRC32C = Codec("crc32c")

#: CRC-32C of any bytes with their own CRC-32C behind them: the residue of the polynomial.
_CRC32C_OF_CHECKED = 0x48674BC7


def crc32c_bytes(data: bytes | memoryview) -> bytes:
    """CRC-32C of bytes as Zarr stores it: four bytes, little-endian."""
    return crc32c(data).to_bytes(4, "little")


def codec_from(name: object, config: Mapping[str, Any]) -> Codec:
    """A bytes-to-bytes codec from its name and configuration in the metadata of v2 or v3.

    Raises
    ------
    UnsupportedLayoutError
        If it is one that only zarr-python knows.
    """
    match name:
        case "blosc":
            shuffle = config.get("shuffle", "shuffle")
            if isinstance(shuffle, int):
                # -1 is numcodecs' choice between the other two; a reader need not know which.
                shuffle = _SHUFFLES[shuffle] if shuffle >= 0 else "shuffle"
            block = min(max(int(config.get("blocksize") or 0), 0), (1 << 31) - 1)
            level, cname = int(config.get("clevel", 5)), config.get("cname", "lz4")
            # These are not copied to others.
            if cname not in (*_CNAMES, "snappy") or shuffle not in _SHUFFLES:
                raise UnsupportedLayoutError(f"blosc of {str((cname, shuffle))[:80]}")
            return Codec("blosc", cname, level, shuffle, block)
        case "zstd" | "gzip" | "zlib":
            return Codec(cast("Any", name), level=int(config.get("level", 1)))
        case "crc32c":
            return CRC32C
    raise UnsupportedLayoutError(f"codec {name}")


@dataclass(frozen=True, slots=True)
class CodecPipeline:
    """All codecs of an array in the order of encoding: pixels, bytes, and bytes made of bytes.

    ``order`` lists the axes in the order in which they are stored; ``None`` is their own.
    """

    codecs: tuple[Codec, ...] = ()
    order: tuple[int, ...] | None = None

    def encode(self, chunk: PixelArray) -> list[bytes]:
        """Bytes of one whole chunk in pieces: a checksum at the end is one of its own, not a copy."""
        if self.order is not None:
            chunk = chunk.transpose(self.order)
        data: Any = np.ascontiguousarray(chunk, chunk.dtype.newbyteorder("<"))
        checked = self.codecs[-1:] == (CRC32C,)
        for codec in self.codecs[:-1] if checked else self.codecs:
            data = codec.encode(data)
        whole = data if isinstance(data, bytes) else cast("bytes", data.tobytes())
        return [whole, crc32c_bytes(whole)] if checked else [whole]

    def decode(self, data: Any, out: PixelArray) -> PixelArray:
        """Pixels of a chunk; ``out`` is a C-contiguous array of its shape and type to be used.

        Returns ``out`` or another array of its shape.

        Raises
        ------
        ValueError
            If the bytes are not those of such a chunk; and whatever a library raises on damage.
        """
        flat = out.reshape(-1).view(np.uint8)
        direct = flat if self.order is None else None
        last = len(self.codecs) - 1
        for number, codec in enumerate(reversed(self.codecs)):
            data = codec.decode(data, direct if number == last else None)
        if data is flat:
            return out
        found = np.frombuffer(data, np.uint8)
        if found.nbytes != flat.nbytes:
            raise ValueError(f"{found.nbytes} bytes where {flat.nbytes} were expected")
        pixels = found.view(out.dtype)
        if self.order is None:
            return pixels.reshape(out.shape)
        stored = pixels.reshape([out.shape[i] for i in self.order])
        return stored.transpose(np.argsort(self.order))

    def v3(self, dtype: SampleType) -> list[dict[str, object]]:
        """The chain of codecs of a Zarr v3 array."""
        chain: list[dict[str, object]] = []
        if self.order is not None:
            chain.append({"name": "transpose", "configuration": {"order": list(self.order)}})
        chain.append({"name": "bytes"})
        if dtype.itemsize > 1:
            chain[-1]["configuration"] = {"endian": "little"}
        return chain + [codec.v3(dtype.itemsize) for codec in self.codecs]


def pipeline_v3(chain: Sequence[Mapping[str, Any]], dtype: SampleType) -> CodecPipeline:
    """A chain of Zarr v3: [transpose,] bytes, then bytes to bytes.

    Raises
    ------
    UnsupportedLayoutError
        If only zarr-python reads it.
    """
    order, codecs, seen_bytes = None, list[Codec](), False
    for one in chain:
        name, config = one["name"], one.get("configuration") or {}
        if seen_bytes:
            codecs.append(codec_from(name, config))
        elif name == "transpose" and order is None:
            order = tuple(int(i) for i in config["order"])
        elif name == "bytes":
            seen_bytes = True
            if dtype.itemsize > 1 and config.get("endian", "little") != "little":
                raise UnsupportedLayoutError("big-endian pixels")
        else:
            raise UnsupportedLayoutError(f"codec {name}")
    if any(codec.name == "zlib" for codec in codecs) or not seen_bytes:
        raise UnsupportedLayoutError("no chain of Zarr v3")
    return CodecPipeline(tuple(codecs), order)


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
        if words[0] == "blosc" and words[1] in _CNAMES:
            level = int(words[2]) if len(words) > 2 else 5
            shuffle = words[3] if len(words) > 3 else "shuffle"
            block = _block_size(words[4]) if len(words) > 4 else 0
            if shuffle in _SHUFFLES and 0 <= level <= 9 and len(words) <= 5:
                return Codec("blosc", words[1], level, shuffle, block)
    except (ValueError, IndexError):
        pass
    raise ArgumentError(
        "unknown codec",
        expected="auto, blosc-zstd-5-shuffle, blosc-lz4-5-bitshuffle, zstd-3 or none",
        found=text,
    )


def _block_size(text: str) -> int:
    if not text.endswith("k") or int(text[:-1]) < 1:
        raise ValueError(text)
    return int(text[:-1]) << 10
