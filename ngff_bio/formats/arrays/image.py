"""An image or label image in a file of arrays, whatever the format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ngff_bio.model import Axis, Pixels


@dataclass(frozen=True, slots=True)
class ArrayImage:
    """Pixels, their axes in the order of OME-Zarr, and other metadata of the file."""

    pixels: Pixels
    axes: tuple[Axis, ...]
    attributes: Mapping[str, object] = field(default_factory=dict)

    @property
    def letters(self) -> str:
        """Names of the axes."""
        return "".join(a.name for a in self.axes)
