"""From a region in world coordinates or in pixels to a level and to index ranges of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Literal, Protocol, SupportsFloat, runtime_checkable

from ngff_bio.errors import ArgumentError
from ngff_bio.ngff import AxisMeta
from ngff_bio.reader.access.multiscale import Multiscale
from ngff_bio.units import unit_factor, unit_name

_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s]*)\s*")


@runtime_checkable
class Quantity(Protocol):
    """A number with a unit, as pint has it."""

    @property
    def magnitude(self) -> SupportsFloat:
        """The number."""
        ...

    @property
    def units(self) -> object:
        """The unit, whose text is its name."""
        ...


#: A position or length: a number in the unit of the axis, or with a unit of its own.
Position = SupportsFloat | str | Quantity

#: A position less than this part of a pixel from the border of a pixel counts as on it.
_SAME = 1e-6

#: ``"world"``: positions in the unit of an axis; ``"pixel"``: pixels of level 0.
Units = Literal["world", "pixel"]

#: Part of an axis: (start, stop), a slice, or a single position.
Span = slice | tuple[Position | None, Position | None] | list[Position | None] | Position | None


def choose_level(
    pixels: Multiscale, level: int | None, resolution: Position | None, units: Units
) -> int:
    """A level, or else the coarsest one whose pixels (along x and y) are not larger than a size.

    ``resolution`` is a size in the unit of each axis, or in pixels of level 0; level 0 if ``None``,
    or if even its pixels are larger.
    """
    if units not in ("world", "pixel"):
        raise ArgumentError("unknown units", expected="world or pixel", found=units)
    if level is not None or resolution is None:
        return level or 0
    axes = [a for a in pixels.axes if a.name in ("y", "x")] or list(pixels.axes[-1:])
    base = pixels.scale(0)
    found = 0
    for number in pixels.present():
        scale = pixels.scale(number)
        fits = True
        for axis in axes:
            limit = magnitude(resolution, axis.unit if units == "world" else None)
            if limit <= 0:
                raise ArgumentError("a resolution must be larger than 0", found=resolution)
            size = scale[axis.name] if units == "world" else scale[axis.name] / base[axis.name]
            fits &= abs(size) <= limit * (1 + _SAME)
        if fits:
            found = number
    return found


def index_region(
    pixels: Multiscale, number: int, spans: Mapping[str, Span], units: Units
) -> dict[str, slice | int]:
    """Indices of a region at one level, by axis, for the axes that are given.

    Parameters
    ----------
    number
        The level.
    spans
        Along x, y and z (start, stop): pixels whose centre is in start <= position < stop, at
        least one; a single value: the pixel that contains it. Other axes have no positions: indices.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the region is outside the image or empty, or the image has no such axis.
    """
    found: dict[str, slice | int] = {}
    for name, span in spans.items():
        axis = next((a for a in pixels.axes if a.name == name), None)
        if axis is None:
            if span not in (None, 0):
                raise ArgumentError(
                    f"the image has no axis {name}",
                    file=pixels.url,
                    expected=", ".join(pixels.names),
                )
        elif span is not None and name in ("x", "y", "z"):
            found[name] = _pixel_span(pixels, number, axis, span, world=units == "world")
        elif span is not None:
            found[name] = _frame_span(name, pixels.sizes(number)[name], span)
    return found


def _pixel_span(
    pixels: Multiscale, number: int, axis: AxisMeta, span: Span, *, world: bool
) -> slice | int:
    name, size = axis.name, pixels.sizes(number)[axis.name]
    base = pixels.scale(0)[name], pixels.translation(0)[name]
    scale, shift = pixels.scale(number)[name], pixels.translation(number)[name]

    def index(value: Position) -> float:
        if world:
            position = magnitude(value, axis.unit)
        else:
            position = magnitude(value, None) * base[0] + base[1]
        return (position - shift) / scale

    def outside() -> ArgumentError:
        last = pixels.sizes(0)[name] - 1
        unit = (axis.unit or "") if world else "pixels"
        first, end = (base[1], base[1] + last * base[0]) if world else (0, last)
        return ArgumentError(
            "the region is outside the image",
            file=pixels.url,
            record=name,
            expected=f"{first:g} to {end:g} {unit}".strip(),
            found=_text(span),
        )

    if isinstance(span, slice):
        if span.step not in (None, 1):
            raise ArgumentError(
                "a region has no step",
                found=span.step,
                hint="leave the step out: resolution=... or level=... reads fewer pixels",
            )
        span = (span.start, span.stop)
    if not isinstance(span, tuple | list):
        at = 0 if span is None else round(index(span))
        if not 0 <= at < size:
            raise outside()
        return at
    if len(span) != 2:
        raise ArgumentError("a span must be (start, stop)", record=name, found=span)
    low, high = (None if v is None else index(v) for v in span)
    if low is not None and high is not None:
        low, high = (high, low) if scale < 0 else (low, high)
        if low >= high:
            raise ArgumentError("a region is empty", record=name, found=_text(span))
    start = 0 if low is None else math.ceil(low - _SAME)
    stop = size if high is None else math.ceil(high - _SAME)
    if stop <= start and low is not None and high is not None:
        start = round((low + high) / 2)  # between two centres: the pixel that contains the middle
        stop = start + 1
    start, stop = max(start, 0), min(stop, size)
    if start >= stop:
        raise outside()
    return slice(start, stop)


def _frame_span(name: str, size: int, span: Span) -> slice | int:
    chosen = slice(*span) if isinstance(span, tuple | list) else span
    found = f"{chosen.start} to {chosen.stop}" if isinstance(chosen, slice) else chosen
    if isinstance(chosen, slice):
        if range(size)[chosen]:
            return chosen
    elif -size <= (at := int(chosen)) < size:  # type: ignore[arg-type]  # an index is a number
        return at % size
    raise ArgumentError(
        "the region is outside the image", record=name, expected=f"0 to {size - 1}", found=found
    )


def _text(span: Span) -> object:
    return f"{span[0]} to {span[1]}" if isinstance(span, tuple | list) else span


def factor(unit: str, into: str) -> float:
    """Number of ``into`` in one ``unit``.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If one of them is unknown, or one is a length and the other a time.
    """
    names = [unit_name(unit), unit_name(into)]
    if None in names:
        raise ArgumentError(
            "unknown unit",
            expected="such as micrometer, nm, s",
            found=(unit, into)[names.index(None)],
        )
    found = unit_factor(str(names[0]), str(names[1]))
    if found is None:
        raise ArgumentError(
            "a length cannot be converted to a time, or a time to a length",
            expected=into,
            found=unit,
        )
    return found


def magnitude(value: Position, unit: str | None) -> float:
    """A quantity as a number in the unit of an axis.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the value has a unit and the axis has none, or they cannot be converted.
    """
    if isinstance(value, Quantity):
        number, own = float(value.magnitude), str(value.units)
    elif isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        if match is None:
            raise ArgumentError("this is not a quantity", expected="such as '12.5 um'", found=value)
        number, own = float(match[1]), match[2]
    else:
        return float(value)
    if not own:
        return number
    if unit is None:
        raise ArgumentError(
            "the axis has no unit, so a quantity with a unit has no position on it",
            expected="a number in pixels",
            found=value,
        )
    return number * factor(own, unit)
