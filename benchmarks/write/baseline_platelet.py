"""The baseline of a conversion of platelet-em: decode, levels, compress, write, without a library.

    python baseline_platelet.py FOLDER DEST [--threads 2]

Images are mapped TIFFs of 16 bits; labels are texts of runs in JSON, which are painted into volumes.
The codecs and chunks are those that this package chooses for these files. Means make the levels of
images, votes of four pixels those of labels. No metadata, no tables, no checksums. Prints seconds of
the work alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tifffile
from baseline import halved
from numcodecs import blosc, zstd
from numpy.typing import NDArray

#: Planes of one object, and its chunks.
DEPTH, CHUNK = 16, (8, 200, 200)
LEVELS = 3


def labels_of(path: Path) -> tuple[tuple[int, ...], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Shape of a label volume; starts, lengths and values of its runs in order."""
    content = msgspec.json.decode(path.read_bytes())
    shape = tuple(content.pop(".info")["shape"])
    runs = {int(k): np.fromstring(text, np.int64, sep=" ") for k, text in content.items()}
    starts = np.concatenate([r[0::2] - 1 for r in runs.values()])
    lengths = np.concatenate([r[1::2] for r in runs.values()])
    dtype = np.min_scalar_type(max(runs))
    values = np.repeat(np.array(list(runs), dtype), [r.size // 2 for r in runs.values()])
    order = np.argsort(starts)
    return shape, starts[order], lengths[order], values[order]


def painted(shape: tuple[int, ...], runs: Any, first: int, stop: int) -> NDArray[Any]:
    """Planes ``first`` up to ``stop`` of a label volume."""
    starts, lengths, values = runs
    plane = shape[1] * shape[2]
    low, high = first * plane, stop * plane
    near = slice(*np.searchsorted(starts, [low, high]).tolist())
    begin, ends = starts[near] - low, starts[near] + lengths[near] - low
    gaps = np.diff(np.concatenate(([0], np.stack((begin, ends), 1).ravel(), [high - low])))
    level = np.zeros(2 * begin.size + 1, values.dtype)
    level[1::2] = values[near]
    return np.repeat(level, gaps.clip(0)).reshape(stop - first, *shape[1:])


def voted(block: NDArray[Any]) -> NDArray[Any]:
    """The value that two of four pixels share, or else the first; even sides."""
    a, b, c, d = (block[:, y::2, x::2] for y in (0, 1) for x in (0, 1))
    alone = (a != b) & (a != c) & (a != d)
    return np.where(alone & ((b == c) | (b == d)), b, np.where(alone & (c == d), c, a))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("dest")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    blosc.use_threads = False
    shutil.rmtree(given.dest, ignore_errors=True)
    images = sorted(given.folder.rglob("*-images.tif"))
    labels = sorted(given.folder.rglob("*.json"))
    for path in (*images, *labels):
        for level in range(LEVELS):
            os.makedirs(f"{given.dest}/{path.stem}/{level}")

    def put(name: str, first: int, block: NDArray[Any]) -> None:
        for level in range(LEVELS):
            if level:
                block = voted(block) if name in names else halved(block)
            with open(f"{given.dest}/{name}/{level}/{first}", "wb") as out:
                for z, y, x in product(*map(range, (0, 0, 0), block.shape, CHUNK)):
                    piece = block[z : z + CHUNK[0], y : y + CHUNK[1], x : x + CHUNK[2]]
                    if not piece.any():
                        continue
                    chunk = np.zeros(CHUNK, block.dtype)
                    chunk[tuple(slice(n) for n in piece.shape)] = piece
                    label = name in names
                    out.write(zstd.compress(chunk, 1) if label else lz4(chunk))

    def lz4(chunk: NDArray[Any]) -> bytes:
        return blosc.compress(chunk, b"lz4", 5, 2)

    def image(one: tuple[str, NDArray[Any], int]) -> None:
        name, pixels, first = one
        put(name, first, np.array(pixels[first : first + DEPTH]))

    def label(one: tuple[str, tuple[int, ...], Any, int]) -> None:
        name, shape, runs, first = one
        put(name, first, painted(shape, runs, first, min(first + DEPTH, shape[0])))

    names = {path.stem for path in labels}
    began = time.perf_counter()
    with ThreadPoolExecutor(given.threads) as pool:
        opened = [(p.stem, tifffile.memmap(p, mode="r")) for p in images]
        done = [
            pool.submit(image, (name, pixels, first))
            for name, pixels in opened
            for first in range(0, len(pixels), DEPTH)
        ]
        for path, (shape, *runs) in zip(labels, pool.map(labels_of, labels), strict=True):
            done += [
                pool.submit(label, (path.stem, shape, runs, first))
                for first in range(0, shape[0], DEPTH)
            ]
        for one in done:
            one.result()
    print(f"{time.perf_counter() - began:.4f}")


if __name__ == "__main__":
    main()
