"""Run lengths of Label Studio's brush: a stream of bits, of four bytes for each pixel.

Format: ``label_studio_sdk.converter.brush.decode_rle``, after the rle-pack of thi.ng/umbrella: the
number of values (32 bits), bits of a value less 1 (5), bits of four lengths less 1 (4 each); then runs:
a bit for a repeated value, 2 bits for the kind of length, the length less 1, and the value or values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ngff_bio.model import PixelArray


def decode_brush(values: Sequence[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask of a brush region, from the alpha of its pixels.

    Parameters
    ----------
    values
        Bytes of the stream.
    size
        Height and width of the image.

    Raises
    ------
    ValueError
        If the stream does not fit the size, or is truncated.
    """
    height, width = size
    data = bytes(values)
    total = len(data) * 8
    stream = f"{int.from_bytes(data, 'big'):0{total}b}" if data else ""
    at = 0

    def read(bits: int) -> int:
        nonlocal at
        at += bits
        if at > total:
            raise ValueError("the run lengths are truncated")
        return int(stream[at - bits : at], 2)

    count = read(32)
    if count != height * width * 4:
        raise ValueError(f"{count} values for {height} x {width} pixels of 4 bytes")
    if count > total << 16:  # a run has more than one bit, and at most 2 ** 16 values
        raise ValueError(f"{total} bits for {count} values")
    word = read(5) + 1
    lengths = [read(4) + 1 for _ in range(4)]
    out: PixelArray = np.zeros(count, np.uint8)
    i = 0
    while i < count:
        repeated = read(1)
        stop = i + 1 + read(lengths[read(2)])
        if stop > count:
            raise ValueError("the run lengths are longer than the image")
        if repeated:
            out[i:stop] = read(word) & 255
        else:
            words = read(word * (stop - i)).to_bytes(-(-word * (stop - i) // 8), "big")
            bits = np.unpackbits(np.frombuffer(words, np.uint8))[-word * (stop - i) :]
            low = bits.reshape(stop - i, word)[:, -8:]
            out[i:stop] = np.packbits(np.pad(low, ((0, 0), (8 - low.shape[1], 0))), axis=1)[:, 0]
        i = stop
    mask: NDArray[np.bool_] = out.reshape(height, width, 4)[..., 3] > 0
    return mask
