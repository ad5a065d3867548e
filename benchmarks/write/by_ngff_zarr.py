"""ngff-zarr by its own functions, its fastest method:  python by_ngff_zarr.py SOURCE DEST [--sharded]

Its command has no number of levels; it is what the comparison of defaults runs.
"""

from __future__ import annotations

import sys

import dask.array as da
import ngff_zarr
import tifffile
import zarr
from layouts import LEVEL, layout_of
from zarr.codecs import BloscCodec

if __name__ == "__main__":
    source, dest = sys.argv[1:3]
    sharded = "--sharded" in sys.argv
    layout = layout_of(source)
    chunk = layout.inner if sharded else layout.chunk
    pixels = tifffile.imread(source, aszarr=True) if len(layout.axes) > 3 else None
    if pixels is None:
        pixels = tifffile.imread(source)
    else:
        opened = zarr.open(pixels, mode="r")
        pixels = da.from_zarr(opened["0"] if isinstance(opened, zarr.Group) else opened, chunk)
    factors = [
        {a: 2**n if a in "yx" else 1 for a in layout.axes if a in "zyx"}
        for n in range(1, layout.levels)
    ]
    multiscales = ngff_zarr.to_multiscales(
        ngff_zarr.to_ngff_image(pixels, dims=list(layout.axes)),
        scale_factors=factors,
        chunks=dict(zip(layout.axes, chunk, strict=True)),
        method=ngff_zarr.Methods.DASK_IMAGE_GAUSSIAN
        if "--gaussian" in sys.argv
        else ngff_zarr.Methods.ITKWASM_BIN_SHRINK,
    )
    more = {}
    if sharded:
        per = {a: s // c for a, s, c in zip(layout.axes, layout.shard, chunk, strict=True)}
        more["chunks_per_shard"] = per
    codec = BloscCodec(cname="zstd", clevel=LEVEL, shuffle="shuffle")
    ngff_zarr.to_ngff_zarr(dest, multiscales, version="0.5", compressors=codec, **more)
