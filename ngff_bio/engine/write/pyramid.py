"""Reduction of a block by two along some axes."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from ngff_bio.engine.plan.settings import Method
from ngff_bio.engine.plan.shapes import reduced_shape
from ngff_bio.model import PixelArray

_WIDER = {"u1": "u2", "u2": "u4", "u4": "u8", "i1": "i2", "i2": "i4", "i4": "i8"}

#: Bytes of source that are reduced at once: intermediate sums then stay in the cache.
_SLAB = 1 << 20


def reduce_block(block: PixelArray, factor: tuple[int, ...], method: Method) -> PixelArray:
    """A block reduced by 1 or 2 along each axis.

    ``mean`` rounds half up, and a partial pixel at an odd edge is the mean of what there is.
    ``gaussian`` is for whole arrays here (see :func:`reduce_smooth`).
    ``mode`` takes the value that is most frequent, of equals the first in reading order; ``nearest``
    the first. Both return only values that the block holds.

    Parameters
    ----------
    block
        Any shape; C-contiguous is fastest.
    factor
        1 or 2 for each axis.
    """
    if all(f == 1 for f in factor):
        return block
    if method == "gaussian":
        return reduce_smooth(block, factor)
    if method == "nearest":
        return np.ascontiguousarray(block[tuple(slice(None, None, f) for f in factor)])
    block = _even(block, factor)
    out = np.empty(reduced_shape(block.shape, factor), block.dtype)
    reduce = _mean if method == "mean" else _mode
    for source, target in _slabs(block, out, factor):
        target[...] = reduce(source, factor)
    return out


def reduce_smooth(
    block: PixelArray, factor: tuple[int, ...], halo: tuple[tuple[int, int], ...] | None = None
) -> PixelArray:
    """A block smoothed by the binomial kernel (1, 3, 3, 1) / 8 along each axis and reduced by two.

    The kernel is the shortest Gaussian that is symmetric about the centre of two pixels, so a level
    is placed by the half-pixel rule. Integers are rounded half up; beyond the edge of the array
    the last pixel is repeated.

    Parameters
    ----------
    halo
        Pixels before and after the block along each axis that belong to its neighbours, 0 or 1;
        only axes with factor 2 have any.
    """
    halo = halo or ((0, 0),) * block.ndim
    dtype = block.dtype
    axes = [i for i, f in enumerate(factor) if f == 2]
    if dtype.kind == "f":
        out = block.astype("f4" if dtype.itemsize < 8 else "f8")
    elif dtype.itemsize < 8:
        out = block.astype("i8" if dtype.itemsize == 4 or dtype.kind == "i" else "u4")
    else:  # sums of 64 bits do not fit: rounded to 53
        out = block.astype("f8")
    for axis in axes:
        out = _binomial(out, axis, *halo[axis])
    if dtype.kind == "f":
        return np.asarray(out * out.dtype.type(0.125 ** len(axes))).astype(dtype)
    if out.dtype.kind == "f":
        return np.floor(out * 0.125 ** len(axes) + 0.5).astype(dtype)
    bits = out.dtype.type(3 * len(axes))
    out += out.dtype.type(1) << (bits - out.dtype.type(1))
    return np.asarray(out >> bits).astype(dtype)


def _binomial(block: PixelArray, axis: int, before: int, after: int) -> PixelArray:
    """Sums with weights 1, 3, 3, 1 about every second gap along an axis."""
    size = block.shape[axis] - before - after
    pad = [(0, 0)] * block.ndim
    pad[axis] = (1 - before, size % 2 + 1 - after)
    wide = np.pad(block, pad, mode="edge") if any(pad[axis]) else block
    lead = (slice(None),) * axis
    count = -(-size // 2)
    one, two, three, four = (wide[(*lead, slice(i, i + 2 * count - 1, 2))] for i in range(4))
    middle = two + three
    return np.asarray(middle + middle + middle + one + four)


def _even(block: PixelArray, factor: tuple[int, ...]) -> PixelArray:
    """Repeat the last pixel of odd axes: the mean of a and a, b and b is that of a and b."""
    odd = [(0, n % f) for n, f in zip(block.shape, factor, strict=True)]
    return np.pad(block, odd, mode="edge") if any(o[1] for o in odd) else block


def _slabs(
    block: PixelArray, out: PixelArray, factor: tuple[int, ...]
) -> Iterator[tuple[PixelArray, PixelArray]]:
    """Pairs of views, cut along the first axis that has more than one step to go."""
    axis = next((i for i, n in enumerate(out.shape) if n > 1), 0)
    rows = max(1, int(_SLAB // max(block.nbytes // max(out.shape[axis], 1), 1)))
    lead = (slice(None),) * axis
    for first in range(0, out.shape[axis], rows):
        stop = min(first + rows, out.shape[axis])
        f = factor[axis]
        yield block[(*lead, slice(first * f, stop * f))], out[(*lead, slice(first, stop))]


def _mean(block: PixelArray, factor: tuple[int, ...]) -> PixelArray:
    dtype = block.dtype
    count = int(np.prod(factor))
    if dtype.kind == "f":
        wide = np.dtype("f4") if dtype.itemsize == 2 else dtype
        return (_sum(block.astype(wide, copy=False), factor) / wide.type(count)).astype(dtype)
    if dtype.kind == "b":
        return _sum(block.astype("u1"), factor) * 2 >= count
    bits = count.bit_length() - 1
    wider = _WIDER.get(dtype.str[1:])
    if wider is None:  # 64 bits: whole parts and remainders apart, since the sum may overflow
        whole = _sum(block >> dtype.type(bits), factor)
        rest = _sum(block & dtype.type(count - 1), factor) + dtype.type(count // 2)
        return np.asarray(whole + (rest >> dtype.type(bits)))
    if factor[-1] == 2 and dtype.kind == "u" and block.flags.c_contiguous:
        # Neighbours along x seen as one number of twice the width: sums without strided reads.
        pairs = block.view(wider)
        half = pairs.dtype.type(8 * dtype.itemsize)
        low = pairs & pairs.dtype.type((1 << int(half)) - 1)
        total = _sum(low + (pairs >> half), (*factor[:-1], 1))
    else:
        total = _sum(block.astype(wider), factor)
    total += total.dtype.type(count // 2)
    total >>= total.dtype.type(bits)
    return total.astype(dtype)


def _sum(block: PixelArray, factor: tuple[int, ...]) -> PixelArray:
    for axis, f in enumerate(factor):
        if f == 2:
            lead = (slice(None),) * axis
            block = block[(*lead, slice(0, None, 2))] + block[(*lead, slice(1, None, 2))]
    return block


def _mode(block: PixelArray, factor: tuple[int, ...]) -> PixelArray:
    if _are_squares(block, factor):
        return _mode_of_squares(block, factor)
    corners: list[PixelArray] = [block]
    for axis, f in enumerate(factor):
        if f == 2:
            lead = (slice(None),) * axis
            corners = [
                half
                for c in corners
                for half in (c[(*lead, slice(0, None, 2))], c[(*lead, slice(1, None, 2))])
            ]
    first = np.ascontiguousarray(corners[0])
    if all(np.array_equal(first, c) for c in corners[1:]):  # background, or deep inside an object
        return first
    if len(corners) <= 4:
        return _mode_of_four([first, *corners[1:]])
    votes = [sum((a == b).astype("u1") for b in corners) for a in corners]
    best, most = first.copy(), np.asarray(votes[0])
    for corner, vote in zip(corners[1:], votes[1:], strict=True):
        better = vote > most
        best[better] = corner[better]
        most = np.maximum(most, vote)
    return best


def _are_squares(block: PixelArray, factor: tuple[int, ...]) -> bool:
    """Whether two neighbours along x can be seen as one number, and each is halved with y or z."""
    return (
        sys.byteorder == "little"
        and factor[-1] == 2
        and factor.count(2) == 2
        and block.dtype.str[1:] in ("u1", "u2", "u4")
        and block.flags.c_contiguous
    )


def _mode_of_squares(block: PixelArray, factor: tuple[int, ...]) -> PixelArray:
    """Votes only on those squares that are not of one value: few of a label image are not."""
    lead = (slice(None),) * factor.index(2)
    pairs = block.view(_WIDER[block.dtype.str[1:]])
    top, bottom = pairs[(*lead, slice(0, None, 2))], pairs[(*lead, slice(1, None, 2))]
    bits = top.dtype.type(8 * block.itemsize)
    out = top.astype(block.dtype)  # the left one of each pair
    mixed = top != bottom
    mixed |= out != top >> bits
    upper, lower = top[mixed], bottom[mixed]
    corners = [upper, upper >> bits, lower, lower >> bits]
    out[mixed] = _mode_of_four([corner.astype(block.dtype) for corner in corners])
    return out


def _mode_of_four(corners: list[PixelArray]) -> PixelArray:
    """Of two: the first. Of four: the first that occurs twice or more, or else the first."""
    first = corners[0]
    if len(corners) < 4:
        return first
    _, b, c, d = corners
    alone = (first != b) & (first != c) & (first != d)
    out = first.copy()
    take_b = alone & ((b == c) | (b == d))
    np.copyto(out, b, where=take_b)
    np.copyto(out, c, where=alone & ~take_b & (c == d))
    return out
