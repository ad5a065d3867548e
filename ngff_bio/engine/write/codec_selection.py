"""The codec ``auto``: candidates are tried on a few chunks, and chosen by size, never by time.

No single codec suits all: on phase-contrast frames blosc-zstd 1 is 3 % larger than 5 and 6 times
faster, on noisy 16-bit stacks only a shuffle helps, on color images a higher level pays. All candidates
compress a chunk as one block: by default, blosc divides it into many at low levels, and level 1 then
takes up to 6 % more space and half as much time again. Of the candidates whose size is within 3 % of
the smallest the cheapest is chosen, by a fixed order of cost, so that the choice is the same on every
machine and in every resumed run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ngff_bio.model import PixelArray
from ngff_bio.parallel import WorkerPool
from ngff_bio.zarrio.codecs import Codec

#: Number of chunks that are tried, and bytes of each: enough to compare candidates, in milliseconds.
CHUNKS = 3
CHUNK_BYTES = 1 << 19

#: How much larger than the smallest a candidate may be.
TOLERANCE = 0.03

#: A shuffle that is this much larger than another at level 1 is not tried at higher levels.
PRUNE_RATIO = 0.10

#: Bytes that blosc compresses together: a whole chunk.
_BLOCK = 1 << 20

#: For images, from cheap to expensive as measured on 8- and 16-bit microscopy (0.2 to 20 ms per MB).
IMAGE_CANDIDATES = tuple(
    Codec("blosc", cname, level, shuffle, _BLOCK)
    for cname, level in (("lz4", 5), ("zstd", 1), ("zstd", 2), ("zstd", 3), ("zstd", 5))
    for shuffle in ("noshuffle", "shuffle", "bitshuffle")
)

#: If there are no pixels to try.
PLAIN = Codec("blosc", "zstd", 1, "shuffle", _BLOCK)

#: For labels: long runs of equal values gain nothing from a shuffle.
LABEL_CANDIDATES = tuple(Codec("zstd", level=level) for level in (1, 3, 5))


@dataclass(slots=True)
class CodecChoice:
    """A codec, and the sizes that the candidates compressed ``raw`` bytes of sample to, by name."""

    codec: Codec
    raw: int = 0
    sizes: dict[str, int] = field(default_factory=dict)


def choose_codec(
    sample: Sequence[PixelArray], role: Literal["image", "label"], pool: WorkerPool
) -> CodecChoice:
    """The cheapest candidate within 3 % of the smallest.

    Parameters
    ----------
    sample
        Some chunks, C-contiguous. Without any (there is nothing but background), zstd at its cheapest
        is chosen.
    role
        Whether they are pixels of images or label values.
    """
    labels = role == "label"
    candidates = LABEL_CANDIDATES if labels else IMAGE_CANDIDATES
    if not sample:
        return CodecChoice(LABEL_CANDIDATES[0] if labels else PLAIN)
    if sample[0].dtype.itemsize == 1:  # bytes of one byte: nothing to shuffle
        candidates = tuple(c for c in candidates if labels or c.shuffle != "shuffle")
    cheap = [c for c in candidates if c.level == 1]
    sizes = _sizes(cheap, sample, pool)
    best = min(sizes.values())
    pruned = {c.shuffle for c in cheap if sizes[c] > best * (1 + PRUNE_RATIO) and not labels}
    rest = [c for c in candidates if c not in sizes and c.shuffle not in pruned]
    sizes |= _sizes(rest, sample, pool)
    limit = min(sizes.values()) * (1 + TOLERANCE)
    chosen = next(c for c in candidates if c in sizes and sizes[c] <= limit)
    raw = sum(c.nbytes for c in sample)
    return CodecChoice(chosen, raw, {str(c): sizes[c] for c in candidates if c in sizes})


def _sizes(
    candidates: list[Codec], sample: Sequence[PixelArray], pool: WorkerPool
) -> dict[Codec, int]:
    tries = [(c, chunk) for c in candidates for chunk in sample]
    found = pool.map(lambda one: len(one[0].encode(one[1])), tries)
    sizes = dict.fromkeys(candidates, 0)
    for (codec, _), size in zip(tries, found, strict=True):
        sizes[codec] += size
    return sizes


def sample_of(chunks: Iterable[PixelArray]) -> list[PixelArray]:
    """A few chunks of a block, spread evenly over those that are not background."""
    filled = [chunk for chunk in chunks if chunk.any()]
    count = min(len(filled), CHUNKS)
    return [_cut(filled[i * len(filled) // count]) for i in range(count)]


def _cut(chunk: PixelArray) -> PixelArray:
    """A leading part of a chunk of at most `CHUNK_BYTES`, C-contiguous."""
    for axis, size in enumerate(chunk.shape):
        if chunk.nbytes <= CHUNK_BYTES:
            break
        keep = max(1, size * CHUNK_BYTES // chunk.nbytes)
        chunk = chunk[(slice(None),) * axis + (slice(keep),)]
    return np.ascontiguousarray(chunk)
