"""Lengths and times with their units: ``"12.5 um"`` against an axis in nanometers."""

from __future__ import annotations

import re
from typing import Any

from ngff_bio.errors import ArgumentError

#: Names and signs of SI prefixes.
_PREFIXES = {
    "": 0, "yocto": -24, "zepto": -21, "atto": -18, "femto": -15, "pico": -12, "nano": -9,
    "micro": -6, "milli": -3, "centi": -2, "deci": -1, "deca": 1, "hecto": 2, "kilo": 3,
    "mega": 6, "giga": 9, "tera": 12, "peta": 15, "exa": 18, "zetta": 21, "yotta": 24,
}  # fmt: skip
_SIGNS = {"p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "c": -2, "k": 3, "": 0}

_SIZES: dict[str, tuple[str, float]] = {
    **{f"{p}meter": ("length", 10.0**e) for p, e in _PREFIXES.items()},
    **{f"{p}second": ("time", 10.0**e) for p, e in _PREFIXES.items()},
    **{f"{s}m": ("length", 10.0**e) for s, e in _SIGNS.items()},
    **{f"{s}s": ("time", 10.0**e) for s, e in _SIGNS.items()},
    "angstrom": ("length", 1e-10),
    "inch": ("length", 0.0254),
    "foot": ("length", 0.3048),
    "yard": ("length", 0.9144),
    "mile": ("length", 1609.344),
    "parsec": ("length", 3.0856775814913673e16),
    "micron": ("length", 1e-6),
    "minute": ("time", 60.0),
    "min": ("time", 60.0),
    "hour": ("time", 3600.0),
    "h": ("time", 3600.0),
    "day": ("time", 86400.0),
    "d": ("time", 86400.0),
}

_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s]*)\s*")


def factor(unit: str, into: str) -> float:
    """How many ``into`` one ``unit`` is.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If one of them is not known, or one is a length and the other a time.
    """
    found, wanted = _size(unit), _size(into)
    if found[0] != wanted[0]:
        raise ArgumentError("a length and a time do not convert", expected=into, found=unit)
    return found[1] / wanted[1]


def _size(unit: str) -> tuple[str, float]:
    for name in (unit, unit.lower(), unit.rstrip("s"), unit.lower().rstrip("s")):
        if name in _SIZES:
            return _SIZES[name]
    raise ArgumentError("this unit is not known", expected="such as micrometer, nm, s", found=unit)


def magnitude(value: Any, unit: str | None) -> float:
    """A number in the unit of an axis, from a number, a text with a unit, or a pint quantity.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If the value has a unit and the axis has none, or they do not convert.
    """
    if hasattr(value, "magnitude") and hasattr(value, "units"):
        own = str(value.units)
        number = float(value.magnitude)
    elif isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        if match is None:
            raise ArgumentError("this is no quantity", expected="such as '12.5 um'", found=value)
        number, own = float(match[1]), match[2]
    else:
        return float(value)
    if not own:
        return number
    if unit is None:
        raise ArgumentError(
            "the axis has no unit, so that a quantity with one cannot be placed on it",
            expected="a number in pixels",
            found=value,
        )
    return number * factor(own, unit)
