"""From a region in the world (or in pixels) to a level and to a part of its pixels."""

from __future__ import annotations

import math
from typing import Any

from ngff_bio.errors import ArgumentError
from ngff_bio.ngff import AxisMeta
from ngff_bio.reader.access.multiscale import Multiscale
from ngff_bio.reader.xarray.units import magnitude

#: A position less than this part of a pixel off a pixel's border counts as on it.
_SAME = 1e-6

Span = slice | tuple[Any, Any] | list[Any] | float | int | str | None


def pick_level(pixels: Multiscale, resolution: Any, *, world: bool) -> int:
    """The coarsest level whose pixels (along x and y) are not larger than a wanted size.

    ``resolution`` is a size in the world, or in pixels of level 0; where even level 0 is coarser,
    level 0 is taken.
    """
    if resolution is None:
        return 0
    axes = [a for a in pixels.axes if a.name in ("y", "x")] or list(pixels.axes[-1:])
    base = pixels.scale(0)
    found = 0
    for number in pixels.present():
        scale = pixels.scale(number)
        sizes = [abs(scale[a.name]) if world else abs(scale[a.name] / base[a.name]) for a in axes]
        limits = [magnitude(resolution, a.unit if world else None) for a in axes]
        if any(limit <= 0 for limit in limits):
            raise ArgumentError("a resolution is more than 0", found=resolution)
        if all(s <= w * (1 + _SAME) for s, w in zip(sizes, limits, strict=True)):
            found = number
    return found


def pixel_span(
    pixels: Multiscale, number: int, axis: AxisMeta, span: Span, *, world: bool
) -> slice | int:
    """Pixels of one level along one axis that a span covers.

    Parameters
    ----------
    number
        The level.
    span
        (start, stop): pixels whose centre lies in start <= position < stop, at least one; a single
        value: the pixel that holds it.
    world
        Whether values are positions in the world, or pixels of level 0.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If no pixel lies there, or the span is empty.
    """
    size = dict(zip(pixels.names, pixels.shape(number), strict=True))[axis.name]
    base = pixels.scale(0)[axis.name], pixels.translation(0)[axis.name]
    scale, shift = pixels.scale(number)[axis.name], pixels.translation(number)[axis.name]

    def index(value: Any) -> float:
        if world:
            position = magnitude(value, axis.unit)
        else:
            position = magnitude(value, None) * base[0] + base[1]
        return (position - shift) / scale

    if span is None:
        return slice(0, size)
    if isinstance(span, slice):
        if span.step not in (None, 1):
            raise ArgumentError(
                "a region has no step", found=span.step, hint="name a resolution instead"
            )
        span = (span.start, span.stop)
    if not isinstance(span, tuple | list):
        at = round(index(span))
        if not 0 <= at < size:
            raise _outside(pixels, axis, span, world)
        return at
    if len(span) != 2:
        raise ArgumentError("a span is (start, stop)", record=axis.name, found=span)
    low = None if span[0] is None else index(span[0])
    high = None if span[1] is None else index(span[1])
    if low is not None and high is not None and scale < 0:
        low, high = high, low
    if low is not None and high is not None and low >= high:
        raise ArgumentError("a region is empty", record=axis.name, found=f"{span[0]} to {span[1]}")
    start = 0 if low is None else math.ceil(low - _SAME)
    stop = size if high is None else math.ceil(high - _SAME)
    if stop <= start and low is not None and high is not None:
        start = round((low + high) / 2)  # between two centres: the pixel that holds the middle
        stop = start + 1
    start, stop = max(start, 0), min(stop, size)
    if start >= stop:
        raise _outside(pixels, axis, span, world)
    return slice(start, stop)


def frame_span(name: str, size: int, span: Any) -> slice | int:
    """Indices along an axis that has no world of its own: t and c are counted.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there is no such index.
    """
    if span is None:
        return slice(0, size)
    if isinstance(span, tuple | list):
        span = slice(*span)
    if isinstance(span, slice):
        wanted = range(size)[span]
        if not len(wanted):
            raise ArgumentError(
                "the region is outside the image",
                record=name,
                expected=f"0 to {size - 1}",
                found=f"{span.start} to {span.stop}",
            )
        return span
    at = int(span)
    if not -size <= at < size:
        raise ArgumentError(
            "the region is outside the image", record=name, expected=f"0 to {size - 1}", found=at
        )
    return at % size


def _outside(pixels: Multiscale, axis: AxisMeta, span: Any, world: bool) -> ArgumentError:
    size = dict(zip(pixels.names, pixels.shape(0), strict=True))[axis.name]
    if world:
        scale, shift = pixels.scale(0)[axis.name], pixels.translation(0)[axis.name]
        ends = f"{shift:g} to {shift + (size - 1) * scale:g} {axis.unit or ''}".strip()
    else:
        ends = f"0 to {size - 1} pixels"
    found = f"{span[0]} to {span[1]}" if isinstance(span, tuple | list) else span
    return ArgumentError(
        "the region is outside the image",
        file=pixels.url,
        record=axis.name,
        expected=ends,
        found=found,
    )
