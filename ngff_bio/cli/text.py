"""Numbers as people read them."""

from __future__ import annotations

import json
from typing import Any


def size(count: float) -> str:
    """Bytes with a unit: ``1.3 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def shape(axes: str, sizes: tuple[int, ...] | list[int]) -> str:
    """Axes with sizes: ``z50 y800 x800``."""
    return " ".join(f"{a}{n}" for a, n in zip(axes, sizes, strict=True))


def parse_size(text: str, option: str) -> int:
    """Bytes (or pixels) of ``500M``, ``2G``, ``1e9`` or a plain number.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it is no number with such a unit.
    """
    from ngff_bio.errors import ArgumentError

    units = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
    plain = text.strip().upper().removesuffix("B")
    factor = units.get(plain[-1:], 1)
    try:
        return int(float(plain[:-1] if factor > 1 else plain) * factor)
    except ValueError as error:
        raise ArgumentError(
            f"{option} is no size", expected=f"{option} 500M, {option} 2G", found=text
        ) from error


def parse_pairs(pairs: list[str] | None, option: str) -> dict[str, str]:
    """``NAME=VALUE`` options as a dictionary.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If one has no ``=``. Its value is not shown: it may be a secret.
    """
    from ngff_bio.errors import ArgumentError

    found = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ArgumentError(
                f"{option} takes a name and a value",
                expected=f"{option} NAME=VALUE",
                found="no = in it" if not equals else "no name",
            )
        found[name] = value
    return found


def parse_options(pairs: list[str] | None, option: str) -> dict[str, Any]:
    """``NAME=VALUE`` options of a source; a value that is JSON (``true``, ``3``) is taken as such."""
    found: dict[str, Any] = {}
    for name, value in parse_pairs(pairs, option).items():
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
