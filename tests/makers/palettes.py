"""Colours of label images without ids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Semantic colours of the older platelet-em archive and of the figures on its page, by id.
PLATELET_OLD = {
    1: (1, 1, 224),
    2: (1, 171, 254),
    3: (1, 254, 1),
    4: (255, 224, 0),
    5: (250, 94, 0),
    6: (245, 0, 203),
}
#: Semantic colours of its RGBA archive: the jet colour map at id / 6.
PLATELET_JET = {
    1: (0, 40, 255),
    2: (0, 212, 255),
    3: (124, 255, 121),
    4: (255, 229, 0),
    5: (255, 70, 0),
    6: (127, 0, 0),
}

# The jet colour map: (position, value) of red, green and blue.
_JET = (
    ((0.0, 0.35, 0.66, 0.89, 1.0), (0.0, 0.0, 1.0, 1.0, 0.5)),
    ((0.0, 0.125, 0.375, 0.64, 0.91, 1.0), (0.0, 0.0, 1.0, 1.0, 0.0, 0.0)),
    ((0.0, 0.11, 0.34, 0.65, 1.0), (0.5, 1.0, 1.0, 0.0, 0.0)),
)


def jet(count: int = 256) -> NDArray[np.uint8]:
    """The jet colour map in `count` steps: (count, 3) uint8, byte = value * 255 cut off."""
    at = np.linspace(0, 1, count)
    channels = [np.interp(at, position, value) for position, value in _JET]
    table: NDArray[np.uint8] = (np.stack(channels, axis=1) * 255).astype(np.uint8)
    return table


def distinct(count: int) -> NDArray[np.uint8]:
    """`count` colours, all different, none black: (count, 3) uint8."""
    # A step that is odd, so it visits each of the 2**24 colours once; 0 is never reached.
    mixed = (np.arange(1, count + 1, dtype=np.uint64) * 0x9E3779) & 0xFFFFFF
    return np.stack([mixed >> 16, (mixed >> 8) & 255, mixed & 255], axis=1).astype(np.uint8)


def coloured(
    labels: NDArray[np.integer], colours: dict[int, tuple[int, ...]], channels: int
) -> NDArray[np.uint8]:
    """`labels` as an image with a last axis of 3 or 4 `channels`; 0 becomes 0 in all of them."""
    table = np.zeros((int(labels.max(initial=0)) + 1, channels), np.uint8)
    for value, colour in colours.items():
        if value < len(table):
            table[value, :3] = colour
            table[value, 3:] = 255
    img: NDArray[np.uint8] = table[labels]
    return img
