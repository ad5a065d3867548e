"""Neutral model of OME-Zarr metadata, the same for every version of the specification."""

from __future__ import annotations

import colorsys
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Version = Literal["0.4", "0.5", "0.6"]
VERSIONS: tuple[Version, ...] = ("0.4", "0.5", "0.6")

#: The Zarr format of each version of the specification.
ZARR_FORMAT: dict[Version, Literal[2, 3]] = {"0.4": 2, "0.5": 3, "0.6": 3}

Rgba = tuple[int, int, int, int]


def rule_color(value: int) -> tuple[int, int, int]:
    """Red, green, blue of a label value that has no colour of its own.

    Hues of neighbouring values differ by the golden angle.
    """
    r, g, b = colorsys.hsv_to_rgb((value * 0.618034) % 1, 0.75, 1)
    return round(r * 255), round(g * 255), round(b * 255)


@dataclass(frozen=True, slots=True)
class AxisMeta:
    """An axis: name, type (``space``, ``time``, ``channel`` or anything), unit."""

    name: str
    type: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class LevelMeta:
    """One resolution level: array path, and index to world as ``index * scale + translation``."""

    path: str
    scale: tuple[float, ...]
    translation: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class MultiscaleMeta:
    """A multi-resolution image.

    ``method`` is the downscaling method (``mean``, ``mode``), ``metadata`` describes it further.
    """

    axes: tuple[AxisMeta, ...]
    levels: tuple[LevelMeta, ...]
    name: str | None = None
    method: str | None = None
    metadata: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class ChannelMeta:
    """How a viewer shows a channel: ``color`` is as it is stored; the window is in pixel values.

    ``label`` is ``""`` if the channel has no name.
    """

    label: str
    color: str
    minimum: float
    maximum: float
    start: float
    end: float
    active: bool = True

    @property
    def rgb(self) -> str:
        """The colour as RRGGBB; white if it is none, which ``validate`` reports."""
        is_color = len(self.color) == 6 and set(self.color) <= set(string.hexdigits)
        return self.color.upper() if is_color else "FFFFFF"


@dataclass(frozen=True, slots=True)
class LabelMeta:
    """Meaning of a label image's values; ``source`` is the relative path of its image."""

    colors: Mapping[int, Rgba] = field(default_factory=dict)
    properties: tuple[Mapping[str, Any], ...] = ()
    source: str | None = "../../"


@dataclass(frozen=True, slots=True)
class PlateMeta:
    """An HCS plate. ``wells`` are (row, column) names of the wells that hold images."""

    name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    wells: tuple[tuple[str, str], ...]
    field_count: int
    acquisitions: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class WellMeta:
    """Fields of view of a well: their paths, and the acquisition each belongs to."""

    images: tuple[str, ...]
    acquisitions: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupMeta:
    """OME-Zarr metadata of one group; most parts are absent in most groups."""

    multiscales: tuple[MultiscaleMeta, ...] = ()
    channels: tuple[ChannelMeta, ...] = ()
    label: LabelMeta | None = None
    labels: tuple[str, ...] | None = None
    plate: PlateMeta | None = None
    well: WellMeta | None = None
    collection: bool = False
    series: tuple[str, ...] | None = None
    version: str | None = None
