"""Units of length and time: their names, symbols, spellings and sizes."""

from __future__ import annotations

#: Symbol and power of ten of each SI prefix.
_PREFIXES = {
    "yotta": ("Y", 24), "zetta": ("Z", 21), "exa": ("E", 18), "peta": ("P", 15), "tera": ("T", 12),
    "giga": ("G", 9), "mega": ("M", 6), "kilo": ("k", 3), "hecto": ("h", 2), "deca": ("da", 1),
    "": ("", 0), "deci": ("d", -1), "centi": ("c", -2), "milli": ("m", -3), "micro": ("µ", -6),
    "nano": ("n", -9), "pico": ("p", -12), "femto": ("f", -15), "atto": ("a", -18),
    "zepto": ("z", -21), "yocto": ("y", -24),
}  # fmt: skip

#: Length in meters of each unit of length, by its name.
LENGTHS: dict[str, float] = {
    **{f"{prefix}meter": float(f"1e{power}") for prefix, (_, power) in _PREFIXES.items()},
    "angstrom": 1e-10,
    "inch": 0.0254,
    "foot": 0.3048,
    "yard": 0.9144,
    "mile": 1609.344,
    "parsec": 3.0856775814913673e16,
}

#: Duration in seconds of each unit of time, by its name.
TIMES: dict[str, float] = {
    **{f"{prefix}second": float(f"1e{power}") for prefix, (_, power) in _PREFIXES.items()},
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
}

#: Symbol of each unit in the OME schema, by its name.
SYMBOLS: dict[str, str] = {
    **{f"{prefix}meter": f"{symbol}m" for prefix, (symbol, _) in _PREFIXES.items()},
    **{f"{prefix}second": f"{symbol}s" for prefix, (symbol, _) in _PREFIXES.items()},
    "angstrom": "Å",
    "inch": "in",
    "foot": "ft",
    "yard": "yd",
    "mile": "mi",
    "parsec": "pc",
    "minute": "min",
    "hour": "h",
    "day": "d",
}

#: Name of a unit by each of its spellings: name, plural, British name, symbol, and a few of ImageJ's.
_SPELLINGS: dict[str, str] = {
    **{name: name for name in SYMBOLS},
    **{f"{name}s": name for name in SYMBOLS},
    **{name.removesuffix("er") + "re": name for name in SYMBOLS if name.endswith("meter")},
    **{symbol: name for name, symbol in SYMBOLS.items()},
    "um": "micrometer", "micron": "micrometer", "microns": "micrometer", "us": "microsecond",
    "inches": "inch", "feet": "foot", "sec": "second", "msec": "millisecond", "hr": "hour",
}  # fmt: skip


def unit_name(text: str) -> str | None:
    """The name of a unit of length or time, however it is spelled; ``None`` if it is unknown.

    Symbols are case-sensitive (``Mm`` is a megameter); names in capitals are recognized too.
    """
    text = text.strip().replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}")
    return _SPELLINGS.get(text) or _SPELLINGS.get(text.lower())


def unit_factor(unit: str, into: str) -> float | None:
    """How many `into` one `unit` is, both by their names.

    ``None`` if one of them is unknown, or one is a length and the other a duration.
    """
    for sizes in (LENGTHS, TIMES):
        if unit in sizes and into in sizes:
            return sizes[unit] / sizes[into]
    return None
