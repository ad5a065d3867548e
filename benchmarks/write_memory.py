"""Peak memory against the size of the input: a source that makes its pixels, a store that forgets.

    python benchmarks/write_memory.py [GIGABYTES ...]      # 4.3 and 43 if none are given

Two channels of 4096 x 4096 planes of 16 bits, as many planes as it takes. Nothing is read and nothing
kept, so that what remains is what the conversion itself holds.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.engine import ThreadRunner, write_dataset
from ngff_bio.model import Region, SourceDataset, SourceImage, axes_from
from ngff_bio.storage import MemoryStorage
from ngff_bio.storage.base import Buffer

SIDE = 4096
NOISE = np.random.default_rng(0).integers(0, 64, 1 << 20, dtype="u2")


@dataclass(frozen=True)
class Made:
    """Pixels that are made when they are read: a ramp with noise that differs from plane to plane."""

    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype("u2")

    @property
    def read_block_shape(self) -> tuple[int, ...]:
        return (1, 1, SIDE, SIDE)

    def read(self, region: Region) -> NDArray[Any]:
        out = np.empty([b - a for a, b in region], "u2")
        rows = np.arange(SIDE, dtype="u2")[:, None]
        for at in np.ndindex(out.shape[:2]):
            first = 977 * (sum(at) + region[1][0])
            places = (first + np.arange(0, SIDE * SIDE, SIDE)) % (NOISE.size - SIDE)
            for row, place in enumerate(places):
                np.add(rows[row], NOISE[place : place + SIDE], out=out[at][row])
        return out


class Forgetful(MemoryStorage):
    """A storage that keeps the state of the conversion, and of the rest the keys alone."""

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        if key.startswith((".ngff_bio", "ngff_bio")) or key.endswith(".json"):
            return super().put(key, data)
        parts = [data] if isinstance(data, bytes | bytearray | memoryview) else data
        self.objects[key] = b""
        return sum(map(len, parts))


def convert(gigabytes: float) -> None:
    planes = round(gigabytes * 1e9 / (2 * SIDE * SIDE * 2))
    image = SourceImage("", "made", axes_from("czyx"), Made((2, planes, SIDE, SIDE)))
    began = time.monotonic()
    report = write_dataset(
        SourceDataset("made", "made", "", "image", (image,)), Forgetful(), runner=ThreadRunner(2)
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = report.bytes_raw / 1e6 / (time.monotonic() - began)
    codec = report.codecs["/"]
    print(f"| {report.bytes_raw / 1e9:.1f} | {peak:.0f} | {rate:.0f} | {codec} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--one":
        convert(float(sys.argv[2]))
    else:
        print("| input, GB | peak memory, MB | MB/s | codec |\n|---|---|---|---|", flush=True)
        for size in sys.argv[1:] or ("4.3", "43"):
            subprocess.run([sys.executable, __file__, "--one", size], check=True)
