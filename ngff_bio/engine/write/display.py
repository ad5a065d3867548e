"""How viewers show the channels of an image: their colors, and the window of values of each.

A window is the file's own, else it goes from the 0.1th to the 99.9th percentile of the coarsest level.
Each part of the work samples what it wrote of that level; nothing is read again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ngff_bio import ngff
from ngff_bio.engine.write.records import PartRecord
from ngff_bio.model import Channel, PixelArray, SampleType, SourceImage

#: Levels of the quantiles that a part keeps of its values.
_LEVELS = np.array([0, 0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1])

#: Percentiles that become black and white.
_WINDOW = (0.001, 0.999)

#: Values of a channel and a part that quantiles are taken of.
_SAMPLE = 1 << 16

_PRIMARY = {"red": "FF0000", "green": "00FF00", "blue": "0000FF"}
_TINTS = (*_PRIMARY.values(), "00FFFF", "FF00FF", "FFFF00")


def quantiles(block: PixelArray, axes: str) -> list[list[float]]:
    """Quantiles of the finite values of a block, for each index along c; empty without such values."""
    if block.dtype.kind not in "uif":
        return []
    channels = np.moveaxis(block, axes.index("c"), 0) if "c" in axes else block[None]
    return [_quantiles(channel) for channel in channels]


def _quantiles(channel: PixelArray) -> list[float]:
    step = math.ceil(math.sqrt(channel.size / _SAMPLE)) if channel.size else 1
    values = np.sort(channel[..., ::step, ::step], axis=None)
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if not values.size:
        return []
    places = np.ceil(_LEVELS * values.size).astype(int) - 1
    return [float(v) for v in values[np.maximum(places, 0)]]


def channels_of(image: SourceImage, parts: Sequence[PartRecord]) -> tuple[ngff.ChannelMeta, ...]:
    """Rendering settings of each channel; of the only one, if the image has no axis c."""
    count = image.pixels.shape[image.axis_names.index("c")] if "c" in image.axis_names else 1
    channels = image.channels or (Channel(""),) * count
    seen = [_merged(image, parts, {i}) for i in range(len(channels))]
    colors = [i for i, c in enumerate(channels) if c.name in _PRIMARY]
    if len(colors) == 3:  # of one color image: windows of their own would change its colors
        together = _merged(image, parts, set(colors))
        seen = [together if i in colors else s for i, s in enumerate(seen)]
    dtype, found = image.pixels.dtype, []
    for i, channel in enumerate(channels):
        sampled = seen[i]
        full = _full(dtype, sampled)
        window = channel.window or full
        if channel.window is None and sampled and not (len(colors) == 3 and dtype.itemsize == 1):
            window = sampled.start, sampled.end
        if window[0] >= window[1]:
            window = full
        low, high = min(full[0], window[0]), max(full[1], window[1])
        color = _hex(channel, i, len(channels))
        found.append(ngff.ChannelMeta(channel.name, color, low, high, *window, channel.active))
    return tuple(found)


class _Sampled(NamedTuple):
    """Ends of the window and extremes of the values of a channel."""

    minimum: float
    start: float
    end: float
    maximum: float


def _full(dtype: SampleType, seen: _Sampled | None) -> tuple[float, float]:
    """All values of a type of integers, else those that were seen."""
    if dtype.kind in "ui":
        return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return (seen.minimum, seen.maximum) if seen and seen.minimum < seen.maximum else (0.0, 1.0)


def _merged(image: SourceImage, parts: Sequence[PartRecord], channels: set[int]) -> _Sampled | None:
    """What all parts of the coarsest level sampled.

    The distribution of each part is taken as linear between its quantiles.
    """
    axis = image.axis_names.find("c")
    last = max((p.step for p in parts), default=0)
    found: list[tuple[int, list[float]]] = []
    for part in parts:
        first = part.region[axis][0] if axis >= 0 else 0
        size = math.prod(b - a for a, b in part.region)
        found += [
            (size, values)
            for i, values in enumerate(part.quantiles)
            if part.step == last and values and first + i in channels
        ]
    if not found:
        return None
    at = np.unique([v for _, values in found for v in values])
    below = np.zeros(len(at))
    for size, values in found:
        index = np.searchsorted(values, at, "right")
        here, there = np.maximum(index - 1, 0), np.minimum(index, len(values) - 1)
        known = np.array(values)
        run = known[there] - known[here]
        share = np.divide(at - known[here], run, out=np.zeros(len(at)), where=run > 0)
        between = _LEVELS[here] + share * (_LEVELS[there] - _LEVELS[here])
        below += size * np.where(index == 0, 0, between)
    below /= sum(size for size, _ in found)
    low, high = (float(at[min(int(np.searchsorted(below, p)), len(at) - 1)]) for p in _WINDOW)
    return _Sampled(float(at[0]), low, high, float(at[-1]))


def _hex(channel: Channel, index: int, count: int) -> str:
    if channel.color is not None:
        return "{:02X}{:02X}{:02X}".format(*channel.color[:3])
    if channel.name.lower() in _PRIMARY:
        return _PRIMARY[channel.name.lower()]
    return "FFFFFF" if count == 1 else _TINTS[index % len(_TINTS)]
