"""bioio-conversion by its own class; its command has no codec:  python by_bioio.py SOURCE DEST"""

from __future__ import annotations

import sys

from bioio_conversion import OmeZarrConverter
from layouts import LEVEL, layout_of
from zarr.codecs import BloscCodec

if __name__ == "__main__":
    source, dest = sys.argv[1:3]
    sharded = "--sharded" in sys.argv
    layout = layout_of(source)
    shapes = {"chunk_shape": layout.inner if sharded else layout.chunk}
    if sharded:
        shapes["shard_shape"] = layout.shard
    if len(layout.axes) > 3:  # its reader adds a t axis
        shapes = {k: (1,) * (5 - len(v)) + v for k, v in shapes.items()}
    codec = BloscCodec(cname="zstd", clevel=LEVEL, shuffle="shuffle")
    OmeZarrConverter(
        source=source, destination=dest, num_levels=layout.levels, compressor=codec, **shapes
    ).convert()
