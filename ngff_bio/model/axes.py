"""Axes of an image, in the order that the OME-Zarr specification gives: t, c, z, y, x."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AxisName = Literal["t", "c", "z", "y", "x"]
AxisType = Literal["time", "channel", "space"]

#: The order of axes (OME-Zarr 0.4 and 0.5, section "axes").
ORDER = "tczyx"

_TYPES: dict[str, AxisType] = {
    "t": "time",
    "c": "channel",
    "z": "space",
    "y": "space",
    "x": "space",
}


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    ``scale`` and ``unit`` are ``None`` if the source does not give them; the store then has 1.0
    without a unit.
    """

    name: str
    scale: float | None = None
    unit: str | None = None

    @property
    def type(self) -> AxisType:
        """Type of the axis in the specification."""
        return _TYPES[self.name]

    @property
    def step(self) -> float:
        """Distance of two neighbours along the axis, in :attr:`unit` or in pixels."""
        return 1.0 if self.scale is None else self.scale


def axes_from(names: str, **scales: tuple[float, str | None]) -> tuple[Axis, ...]:
    """Axes by their letters: ``axes_from("zyx", z=(40, "nanometer"))``."""
    return tuple(
        Axis(n, *scales[n]) if n in scales else Axis(n) for n in sorted(names, key=ORDER.index)
    )
