"""Quantities with a unit: ``"12.5 um"`` on an axis in nanometers."""

from __future__ import annotations

import re
from typing import Protocol, SupportsFloat, runtime_checkable

from ngff_bio.errors import ArgumentError
from ngff_bio.model.units import unit_factor, unit_name

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
