"""Numbers as people read them."""

from __future__ import annotations


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
