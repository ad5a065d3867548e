"""Metadata of OME-XML and ImageJ: pixel size, units, time interval, channel names.

Nothing is added to what the file contains. The resolution of a plain TIFF is used if it is in pixels
per centimeter and finer than printing resolutions.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from ngff_bio.model import Axis, Channel, Rgba
from ngff_bio.units import LENGTHS, TIMES, unit_factor, unit_name

Scale = tuple[float, str | None]


@dataclass(frozen=True, slots=True)
class TiffMetadata:
    """Metadata of one series.

    Parameters
    ----------
    name
        Name of the image; ``""`` if it has none.
    scales
        Step and unit of each calibrated axis.
    channels
        Names and colors of channels.
    elapsed_hours
        Time of each frame, if the file has a time for each.
    attributes
        Other metadata.
    position, positioned
        Position on the stage and unit of each axis along which that of all planes (along z of the
        first) is one; whether planes have positions.
    """

    name: str = ""
    scales: Mapping[str, Scale] = field(default_factory=dict)
    channels: tuple[Channel, ...] = ()
    elapsed_hours: tuple[float, ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)
    position: Mapping[str, Scale] = field(default_factory=dict)
    positioned: bool = False

    def translation(self, axes: Sequence[Axis]) -> tuple[float, ...] | None:
        """The position along each axis, if that of x and y is one of all planes, in units of length
        as the axes have.
        """
        at = {
            a.name: self.position[a.name][0] * factor
            for a in axes
            if a.name in self.position
            and (factor := unit_factor(self.position[a.name][1] or "", a.unit or "")) is not None
        }
        return tuple(at.get(a.name, 0.0) for a in axes) if {"x", "y"} <= at.keys() else None


def ome_metadata(xml: str) -> list[TiffMetadata]:
    """One entry for each ``Image`` of OME-XML; empty if it cannot be parsed.

    Units default to micrometer and second, as in the schema:
    https://www.openmicroscopy.org/Schemas/OME/2016-06/.
    """
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return []
    found = []
    for image in _below(root, "Image"):
        pixels = next(iter(_below(image, "Pixels")), None)
        if pixels is not None:
            found.append(_ome_image(image, pixels))
    return found


def _ome_image(image: ElementTree.Element, pixels: ElementTree.Element) -> TiffMetadata:
    scales: dict[str, Scale] = {}
    for axis in "zyx":
        step = _positive(pixels.get(f"PhysicalSize{axis.upper()}"))
        if step is not None:
            scales[axis] = (step, _length(pixels.get(f"PhysicalSize{axis.upper()}Unit", "µm")))
    step = _positive(pixels.get("TimeIncrement"))
    if step is not None:
        scales["t"] = (step, _time(pixels.get("TimeIncrementUnit", "s")))
    named = _below(pixels, "Channel")
    channels: tuple[Channel, ...] = ()
    if any(c.get("Name") or c.get("Color") for c in named):
        channels = tuple(
            Channel(c.get("Name") or f"Channel {i}", _ome_color(c.get("Color")))
            for i, c in enumerate(named)
        )
        # A channel of red, green and blue samples becomes three channels.
        if any(int(c.get("SamplesPerPixel", "1")) > 1 for c in named):
            channels = ()
    attributes = {}
    acquired = next((e.text for e in _below(image, "AcquisitionDate") if e.text), None)
    if acquired:
        attributes["acquisition_date"] = acquired
    return TiffMetadata(
        name=image.get("Name") or "",
        scales=scales,
        channels=channels,
        elapsed_hours=_ome_times(pixels),
        attributes=attributes,
        position=_ome_position(pixels),
        positioned=any(p.get("PositionX") or p.get("PositionY") for p in _below(pixels, "Plane")),
    )


def _ome_position(pixels: ElementTree.Element) -> dict[str, Scale]:
    """Positions have no unit of length unless it is stated: the schema's default is another one."""
    found: dict[str, Scale] = {}
    planes = _below(pixels, "Plane")
    for axis in "zyx":
        key = f"Position{axis.upper()}"
        firsts = [p for p in planes if p.get("TheZ", "0") == "0"] if axis == "z" else planes
        stated = {(_number(p.get(key)), _length(p.get(f"{key}Unit", ""))) for p in firsts}
        (value, unit), *others = stated or {(None, None)}
        if value is not None and unit is not None and not others:
            found[axis] = (value, unit)
    return found


def _ome_times(pixels: ElementTree.Element) -> tuple[float, ...]:
    """Hours of each frame since the start, from ``DeltaT`` of its first plane."""
    count = int(pixels.get("SizeT", "1"))
    times: dict[int, float] = {}
    for plane in _below(pixels, "Plane"):
        if plane.get("TheC", "0") == "0" and plane.get("TheZ", "0") == "0" and plane.get("DeltaT"):
            hours = unit_factor(_time(plane.get("DeltaTUnit", "s")) or "", "hour")
            value = _number(plane.get("DeltaT"))
            if hours is not None and value is not None:
                times[int(plane.get("TheT", "0"))] = value * hours
    if count < 2 or len(times) != count or sorted(times) != list(range(count)):
        return ()
    return tuple(times[t] for t in range(count))


def _ome_color(text: str | None) -> tuple[int, int, int, int] | None:
    """A color from a signed 32-bit integer of red, green, blue, alpha."""
    try:
        value = int(text or "") & 0xFFFFFFFF
    except ValueError:
        return None
    return value >> 24, value >> 16 & 255, value >> 8 & 255, 255


def _below(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Children of a name, in any version of the schema."""
    return [e for e in element if e.tag.rpartition("}")[2] == name]


def imagej_metadata(page: tifffile.TiffPage, given: Mapping[str, object]) -> TiffMetadata:
    """Calibration of an ImageJ file, from its resolution tags and its description.

    Parameters
    ----------
    page
        tifffile's first page.
    given
        tifffile's ``imagej_metadata``.
    """
    unit = _imagej_unit(given.get("unit"))
    scales: dict[str, Scale] = {}
    if unit is not None:
        for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
            step = _pixel_size(page, tag)
            named = _imagej_unit(given.get(f"{axis}unit")) or unit
            if step is not None:
                scales[axis] = (step, named)
    # ImageJ writes no spacing that is exactly 1 (ij.io.FileSaver).
    depth = _positive(given.get("spacing", 1))
    if depth is not None and (unit is not None or depth != 1):
        scales["z"] = (depth, _imagej_unit(given.get("zunit")) or unit)
    interval = _positive(given.get("finterval"))
    if interval is not None:
        # Seconds are ImageJ's default.
        scales["t"] = (interval, _time(str(given.get("tunit") or "sec")))
    kept = {
        k: _plain(v)
        for k, v in given.items()
        if k not in _IMAGEJ_KNOWN and not isinstance(v, bytes) and _plain(v) is not None
    }
    return TiffMetadata(
        scales=scales,
        channels=_imagej_channels(given),
        attributes={"imagej": kept} if kept else {},
    )


#: Smallest resolution of a microscope in pixels per centimeter: 10 µm per pixel.
_FINE = 1000.0


def resolution_metadata(page: tifffile.TiffPage) -> TiffMetadata:
    """Calibration of a plain TIFF page, from its resolution tags."""
    unit = page.tags.valueof("ResolutionUnit")
    found = {
        axis: (_pixel_size(page, tag), page.tags.valueof(tag))
        for axis, tag in (("x", "XResolution"), ("y", "YResolution"))
    }
    sizes = [size for size, _ in found.values()]
    if unit == 3 and all(size is not None and 1 / size >= _FINE for size in sizes):
        # Multiplied first, because 1 / 40000 is not exact and 10000 / 40000 is.
        return TiffMetadata(
            scales={a: (1e4 * v[1] / v[0], "micrometer") for a, (_, v) in found.items()}
        )
    if any(size is None for size in sizes) or unit not in (2, 3):
        return TiffMetadata()
    named = {"unit": "inch" if unit == 2 else "centimeter"}
    return TiffMetadata(
        attributes={
            "resolution": named
            | {f"pixels_per_unit_{a}": v[0] / v[1] for a, (_, v) in found.items()}
        }
    )


#: Keys of ImageJ's description that are stored elsewhere, or only affect its display.
_IMAGEJ_KNOWN = {
    *("images", "channels", "slices", "frames", "hyperstack", "dtype", "LUTs", "IJMetadata"),
    *("unit", "xunit", "yunit", "zunit", "tunit", "spacing", "finterval", "mode", "loop", "axes"),
    *("Overlays", "ROI", "Plot"),
}


def _imagej_channels(given: Mapping[str, Any]) -> tuple[Channel, ...]:
    """Channels as ImageJ shows them: colors of ``LUTs``, windows of ``Ranges``, ``mode``."""
    count = int(given.get("channels") or 1)
    windows = _imagej_windows(given, count)
    colors = _imagej_colors(given.get("LUTs"), count)
    if colors is None and windows is None:
        return ()
    # One channel is shown at a time, in mode grayscale without its color; all in mode composite.
    mode = given.get("mode", "composite") if colors is not None and count > 1 else "composite"
    return tuple(
        Channel(
            f"Channel {i + 1}" if count > 1 else "",
            _WHITE if mode == "grayscale" else None if colors is None else colors[i],
            None if windows is None else windows[i],
            active=i == 0 or mode == "composite",
        )
        for i in range(count)
    )


_WHITE = (255, 255, 255, 255)


def _imagej_windows(
    given: Mapping[str, Any], count: int
) -> list[tuple[float, float] | None] | None:
    """The display range of each channel; of the only one, ``min`` and ``max`` are its range too."""
    ranges = given.get("Ranges")
    if ranges is None and count == 1 and "min" in given and "max" in given:
        ranges = (given["min"], given["max"])
    if not isinstance(ranges, tuple | list) or len(ranges) != 2 * count:
        return None
    ends = [_number(r) for r in ranges]
    return [
        None if a is None or b is None or a >= b else (a, b)
        for a, b in zip(ends[::2], ends[1::2], strict=True)
    ]


def _imagej_colors(tables: Any, count: int) -> list[Rgba | None] | None:
    """The last color of each table; ``None`` for one that ends in black (inverted)."""
    if isinstance(tables, np.ndarray) and tables.ndim == 2:  # tifffile unpacks a list of one
        tables = [tables]
    if tables is None or len(tables) != count or any(len(table) < 3 for table in tables):
        return None
    last = [tuple(int(n) for n in table[:3, -1]) for table in tables]
    return [(r, g, b, 255) if r or g or b else None for r, g, b in last]


def _imagej_unit(text: object) -> str | None:
    if not isinstance(text, str):
        return None
    if "\\u" in text:
        text = codecs.decode(text, "unicode_escape")
    return _length(text)


def _length(text: str) -> str | None:
    """Name of a unit of length."""
    return name if (name := unit_name(text)) in LENGTHS else None


def _time(text: str) -> str | None:
    """Name of a unit of time."""
    return name if (name := unit_name(text)) in TIMES else None


def _pixel_size(page: tifffile.TiffPage, tag: str) -> float | None:
    try:
        count, per = page.tags[tag].value
    except (KeyError, TypeError, ValueError):
        return None
    return _positive(per / count) if count else None


def _positive(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _plain(value: object) -> Any:
    """A value that JSON can represent, or ``None``."""
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple | list) and all(_plain(v) is not None for v in value):
        return [_plain(v) for v in value]
    return None


def clean_name(text: str) -> str:
    """The name without control characters."""
    return re.sub(r"[\x00-\x1f]+", " ", text).strip()
