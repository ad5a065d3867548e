"""How the bytes of a chunk become pixels: the codecs of Zarr v2 and v3, decoded into a buffer.

Decoders of imagecodecs are used where it has them: they hold no lock, keep no global state and
write into a buffer that is there already. Whatever else numcodecs knows runs through numcodecs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Bytes, and where to put the result if it fits exactly (flat uint8); returns a buffer.
BytesStep = Callable[[Any, "NDArray[np.uint8] | None"], Any]

#: Where codecs are that a plain installation lacks, by the start of their name.
_PACKAGES = {
    "imagecodecs": "imagecodecs",
    "zfpy": "zfpy",
    "pcodec": "pcodec",
    "msgpack2": "msgpack",
    "crc32c": "crc32c",
    "wavpack": "wavpack-numcodecs",
    "flac": "flac-numcodecs",
}


class UnknownCodecError(Exception):
    """A codec that is not known here; ``package`` has it, if that is known."""

    def __init__(self, name: str, package: str | None = None) -> None:
        super().__init__(f"codec {name}")
        self.name, self.package = name, package


@dataclass(frozen=True)
class ChunkCodec:
    """Decodes one chunk.

    ``steps`` run in order on bytes; then ``filters`` on arrays (Zarr v2). ``stored`` is the type
    on disk with its byte order; ``order`` lists the axes in the order in which they are stored.
    """

    steps: tuple[BytesStep, ...]
    stored: np.dtype[Any]
    order: tuple[int, ...] | None = None
    filters: tuple[Callable[[Any], Any], ...] = ()

    @property
    def direct(self) -> bool:
        """Whether decoded bytes are the pixels as NumPy has them in memory."""
        return self.order is None and not self.filters and self.stored.isnative

    def decode(self, data: Any, shape: tuple[int, ...], out: NDArray[Any]) -> NDArray[Any]:
        """Pixels of a chunk of ``shape``; ``out`` is a C-contiguous array of it that may be used.

        Raises
        ------
        ValueError
            If the bytes are not those of such a chunk.
        """
        flat = out.reshape(-1).view(np.uint8) if self.direct else None
        last = len(self.steps) - 1
        for number, step in enumerate(self.steps):
            data = step(data, flat if number == last else None)
        if data is flat:
            return out
        for decode in self.filters:
            data = decode(data)
        if isinstance(data, np.ndarray):
            found = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        else:
            found = np.frombuffer(data, np.uint8)
        expected = math.prod(shape) * self.stored.itemsize
        if found.nbytes != expected:
            raise ValueError(f"{found.nbytes} bytes where {expected} were expected")
        pixels = found.view(self.stored)
        if self.order is not None:
            pixels = pixels.reshape([shape[i] for i in self.order])
            return pixels.transpose(np.argsort(self.order))
        return pixels.reshape(shape)


def v3_codec(codecs: Sequence[dict[str, Any]], dtype: np.dtype[Any]) -> ChunkCodec:
    """A codec of a Zarr v3 chain: [transpose,] bytes, compressors.

    Raises
    ------
    UnknownCodecError
        If a part of the chain is not known.
    """
    stored, order, steps = dtype, None, list[BytesStep]()
    seen_bytes = False
    for codec in codecs:
        name, config = codec["name"], codec.get("configuration") or {}
        if name == "transpose" and not seen_bytes and order is None:
            order = tuple(int(i) for i in config["order"])
        elif name == "bytes" and not seen_bytes:
            seen_bytes = True
            if dtype.itemsize > 1:
                stored = dtype.newbyteorder(">" if config.get("endian") == "big" else "<")
        elif seen_bytes:
            steps.append(_v3_step(name, config))
        else:
            raise UnknownCodecError(name)
    return ChunkCodec(tuple(reversed(steps)), _native(stored), order)


def _v3_step(name: str, config: dict[str, Any]) -> BytesStep:
    if name in ("blosc", "zstd", "gzip", "crc32c"):
        return _STEPS[name]
    if name.startswith("numcodecs."):
        return _numcodecs_step({**config, "id": name.removeprefix("numcodecs.")})
    raise UnknownCodecError(name, _package(name))


def v2_codec(
    compressor: dict[str, Any] | None,
    filters: Sequence[dict[str, Any]] | None,
    stored: np.dtype[Any],
    axes: Sequence[int] | None,
) -> ChunkCodec:
    """A codec of Zarr v2: a compressor, then filters that were applied before it.

    ``axes`` is the order in which axes are stored, ``None`` for C order.

    Raises
    ------
    UnknownCodecError
        If one of them is not known.
    """
    steps: list[BytesStep] = []
    if compressor is not None:
        name = compressor["id"]
        steps.append(_STEPS[name] if name in _STEPS_V2 else _numcodecs_step(compressor))
    made = tuple(_numcodecs(f).decode for f in reversed(filters or ()))
    return ChunkCodec(tuple(steps), _native(stored), None if axes is None else tuple(axes), made)


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder("=") if dtype.isnative else dtype


def _numcodecs(config: dict[str, Any]) -> Any:
    import numcodecs
    from numcodecs.registry import codec_registry

    name = config["id"]
    if name.startswith("imagecodecs_") and name not in codec_registry:
        import imagecodecs.numcodecs

        imagecodecs.numcodecs.register_codecs(verbose=False)
    try:
        return numcodecs.get_codec(dict(config))
    except (ValueError, ImportError) as error:
        raise UnknownCodecError(
            name, _package(name) or "the package it was written with"
        ) from error


def _numcodecs_step(config: dict[str, Any]) -> BytesStep:
    return partial(_run_numcodecs, _numcodecs(config))


def _run_numcodecs(codec: Any, data: Any, out: NDArray[np.uint8] | None) -> Any:
    return codec.decode(data)


def _package(name: str) -> str | None:
    word = name.removeprefix("numcodecs.")
    return next((p for start, p in _PACKAGES.items() if word.startswith(start)), None)


def _decoded(name: str, data: Any, out: NDArray[np.uint8] | None) -> Any:
    import imagecodecs

    decode = getattr(imagecodecs, name)
    return decode(data) if out is None else decode(data, out=out)


def _gzip(data: Any, out: NDArray[np.uint8] | None) -> Any:
    try:
        return _decoded("gzip_decode", data, out)
    except RuntimeError:  # several members one after another: one call decodes only one
        import gzip

        return gzip.decompress(data)


def _crc32c(data: Any, out: NDArray[np.uint8] | None) -> Any:
    import google_crc32c

    body, tail = memoryview(data)[:-4], bytes(memoryview(data)[-4:])
    if google_crc32c.value(bytes(body)).to_bytes(4, "little") != tail:
        raise ValueError("the checksum (CRC-32C) does not fit the bytes")
    return body


_STEPS: dict[str, BytesStep] = {
    "blosc": partial(_decoded, "blosc_decode"),
    "zstd": partial(_decoded, "zstd_decode"),
    "gzip": _gzip,
    "zlib": partial(_decoded, "zlib_decode"),
    "crc32c": _crc32c,
}
_STEPS_V2 = ("blosc", "zstd", "gzip", "zlib")
