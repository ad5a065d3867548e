"""The baseline of a conversion: decode, levels, compress, write, without a library.

    python baseline.py SOURCE DEST [--threads 2] [--codec blosc-zstd-5-shuffle]

A lower bound for converters on the same machine with the same codec: the source is mapped into memory,
levels are 2x2 means, every chunk is compressed by one of the threads and written as a file. No
metadata. Prints the seconds of the work, without the start of the interpreter.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import tifffile
from layouts import layout_of
from numcodecs import blosc
from numpy.typing import NDArray

#: Rows and columns of a plane that one piece of work covers.
SIDE = 4096

SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


class Source:
    """A TIFF that is not compressed, mapped: strips as an array, tiles one by one."""

    def __init__(self, path: str) -> None:
        with tifffile.TiffFile(path) as tiff:
            series = tiff.series[0]
            self.shape, self.dtype = tuple(series.shape), np.dtype(series.dtype)
            page = tiff.pages.first
            self.tile = page.tilelength if page.is_tiled else 0
            self.offsets = [p.dataoffsets for p in series.pages]
        self.mapped = np.memmap(path, "u1", "r")

    def read(self, plane: int, y: int, x: int) -> NDArray[Any]:
        """A block of a plane."""
        height, width = self.shape[-2:]
        bottom, right = min(y + SIDE, height), min(x + SIDE, width)
        size = self.dtype.itemsize
        if not self.tile:
            first = self.offsets[0][0] + plane * height * width * size
            whole = self.mapped[first : first + height * width * size].view(self.dtype)
            return np.ascontiguousarray(whole.reshape(height, width)[y:bottom, x:right])
        out = np.empty((bottom - y, right - x), self.dtype)
        across = width // self.tile
        for j, i in product(range(y, bottom, self.tile), range(x, right, self.tile)):
            first = self.offsets[plane][j // self.tile * across + i // self.tile]
            tile = self.mapped[first : first + self.tile * self.tile * size].view(self.dtype)
            out[j - y : j - y + self.tile, i - x : i - x + self.tile] = tile.reshape(self.tile, -1)
        return out


def halved(block: NDArray[Any]) -> NDArray[Any]:
    """Mean of 2x2, rounded half up; an odd edge is left out."""
    height, width = (n // 2 * 2 for n in block.shape[-2:])
    wide = {1: "u2", 2: "u4"}[block.dtype.itemsize]
    pairs = np.ascontiguousarray(block[..., :height, :width]).view(wide)
    bits = pairs.dtype.type(8 * block.dtype.itemsize)
    sums = (pairs >> bits) + (pairs & ((pairs.dtype.type(1) << bits) - pairs.dtype.type(1)))
    total = sums[..., ::2, :] + sums[..., 1::2, :]
    total += total.dtype.type(2)
    total >>= total.dtype.type(2)
    return total.astype(block.dtype)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("dest")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--codec", default="blosc-zstd-5-shuffle")
    given = parser.parse_args()
    _, cname, level, shuffle = given.codec.split("-")
    blosc.use_threads = False
    shutil.rmtree(given.dest, ignore_errors=True)
    layout, source = layout_of(given.source), Source(given.source)
    for number in range(layout.levels):
        os.makedirs(f"{given.dest}/{number}")
    planes = int(np.prod(source.shape[:-2]))
    depth = layout.chunk[-3] if layout.axes == "zyx" else 1
    height, width = source.shape[-2:]
    # Levels on which a piece of work owns whole chunks; the others are made of all pieces, last.
    own = [n for n in range(layout.levels) if (SIDE >> n) % layout.chunk[-1] == 0]
    tops: dict[tuple[int, int, int], NDArray[Any]] = {}

    def put(number: int, first: int, y: int, x: int, block: NDArray[Any]) -> None:
        side = layout.chunk[-1]
        for j, i in product(range(0, block.shape[-2], side), range(0, block.shape[-1], side)):
            chunk = np.zeros((depth, side, side), block.dtype)
            piece = block[:, j : j + side, i : i + side]
            chunk[tuple(slice(n) for n in piece.shape)] = piece
            data = blosc.compress(chunk, cname.encode(), int(level), SHUFFLES[shuffle])
            name = f"{first}.{(y + j) // side}.{(x + i) // side}"
            handle = os.open(f"{given.dest}/{number}/{name}", os.O_WRONLY | os.O_CREAT)
            os.write(handle, data)
            os.close(handle)

    def piece(place: tuple[int, int, int]) -> None:
        first, y, x = place
        block = np.stack([source.read(p, y, x) for p in range(first, min(first + depth, planes))])
        for number in own:
            block = halved(block) if number else block
            put(number, first, y >> number, x >> number, block)
        if own[-1] < layout.levels - 1:
            tops[place] = block

    def top(first: int) -> None:
        rows = sorted({y for f, y, _ in tops if f == first})
        columns = sorted({x for f, _, x in tops if f == first})
        strips = [np.concatenate([tops[first, y, x] for x in columns], -1) for y in rows]
        block = np.concatenate(strips, -2)
        for number in range(own[-1] + 1, layout.levels):
            block = halved(block)
            put(number, first, 0, 0, block)

    began = time.perf_counter()
    places = product(range(0, planes, depth), range(0, height, SIDE), range(0, width, SIDE))
    with ThreadPoolExecutor(given.threads) as pool:
        list(pool.map(piece, places))
        list(pool.map(top, sorted({first for first, _, _ in tops})))
    print(f"{time.perf_counter() - began:.4f}")


if __name__ == "__main__":
    main()
