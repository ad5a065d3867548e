"""What a user could write by hand with tensorstore: arrays and levels, no metadata.

python by_hand.py SOURCE DEST [--sharded]
"""

from __future__ import annotations

import shutil
import sys
from typing import Any

import numpy as np
import tensorstore as ts
import tifffile
from layouts import LEVEL, layout_of


def codecs(itemsize: int) -> list[dict[str, Any]]:
    options = {"cname": "zstd", "clevel": LEVEL, "shuffle": "shuffle", "typesize": itemsize}
    little = {"configuration": {"endian": "little"}} if itemsize > 1 else {}
    return [{"name": "bytes", **little}, {"name": "blosc", "configuration": options}]


def main() -> None:
    source, dest = sys.argv[1:3]
    sharded = "--sharded" in sys.argv
    layout = layout_of(source)
    shutil.rmtree(dest, ignore_errors=True)
    with tifffile.TiffFile(source) as tiff:
        series = tiff.series[0]
        shape, dtype = tuple(series.shape), np.dtype(series.dtype)
        arrays = []
        for number in range(layout.levels):
            chain = codecs(dtype.itemsize)
            outer = layout.shard if sharded else layout.chunk
            if sharded:
                inner = {"chunk_shape": layout.inner, "codecs": chain}
                chain = [{"name": "sharding_indexed", "configuration": inner}]
            size = shape[:-2] + tuple(n >> number for n in shape[-2:])
            metadata = {
                "shape": size,
                "data_type": dtype.name,
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": outer}},
                "codecs": chain,
            }
            spec = {
                "driver": "zarr3",
                "kvstore": {"driver": "file", "path": f"{dest}/{number}"},
                "metadata": metadata,
                "create": True,
            }
            arrays.append(ts.open(spec).result())
        if len(shape) < 4:
            write(arrays, (), series.asarray())
            return
        for page, index in zip(series.pages, np.ndindex(shape[:-2]), strict=True):
            write(arrays, index, page.asarray())


def write(arrays: list[Any], index: tuple[int, ...], block: Any) -> None:
    pending = []
    for number, array in enumerate(arrays):
        if number:
            height, width = (n // 2 * 2 for n in block.shape[-2:])
            cells = block[..., :height, :width].reshape(
                *block.shape[:-2], height // 2, 2, width // 2, 2
            )
            block = (cells.mean((-3, -1), dtype="f4") + 0.5).astype(block.dtype)
        pending.append(array[index].write(block))
    for one in pending:
        one.result()


if __name__ == "__main__":
    main()
