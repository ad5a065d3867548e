"""ome-zarr-py's ``write_image``:  python by_ome_zarr.py SOURCE DEST [--equal] [--sharded]"""

from __future__ import annotations

import sys

import dask.array as da
import tifffile
import zarr
from layouts import LEVEL, layout_of
from ome_zarr.scale import Methods
from ome_zarr.writer import write_image
from zarr.codecs import BloscCodec

source, dest = sys.argv[1:3]
layout = layout_of(source)
large = len(layout.axes) > 3
pixels = tifffile.imread(source, aszarr=True) if large else tifffile.imread(source)
if large:
    opened = zarr.open(pixels, mode="r")
    pixels = da.from_zarr(opened["0"] if isinstance(opened, zarr.Group) else opened, layout.chunk)
root = zarr.open_group(dest, mode="w", zarr_format=3)
if "--equal" in sys.argv:
    options = {"compressors": BloscCodec(cname="zstd", clevel=LEVEL, shuffle="shuffle")}
    options["chunks"] = layout.inner if "--sharded" in sys.argv else layout.chunk
    if "--sharded" in sys.argv:
        options["shards"] = layout.shard
    factors = [2**n for n in range(1, layout.levels)]
    write_image(
        pixels,
        root,
        axes=layout.axes,
        scale_factors=factors,
        method=Methods.LOCAL_MEAN,
        storage_options=options,
    )
else:
    write_image(pixels, root, axes=layout.axes)
