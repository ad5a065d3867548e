"""The layout that each input is written in where tools are compared at equal codec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: blosc-zstd 5 with byte shuffle: what all of the tools can be told to write.
LEVEL = 5


@dataclass(frozen=True)
class Layout:
    """Axes, number of levels, chunk of one object, and shard with its inner chunk."""

    axes: str
    levels: int
    chunk: tuple[int, ...]
    inner: tuple[int, ...]
    shard: tuple[int, ...]


LAYOUTS = {
    "plane": Layout("yx", 6, (1024, 1024), (512, 512), (4096, 4096)),
    "volume": Layout("zyx", 4, (16, 256, 256), (16, 256, 256), (64, 1024, 1024)),
    "stack": Layout("czyx", 5, (1, 1, 1024, 1024), (1, 1, 512, 512), (1, 1, 4096, 4096)),
}


def layout_of(path: str | Path) -> Layout:
    """Layout of an input, by its name."""
    return LAYOUTS[Path(path).name.partition(".")[0]]
