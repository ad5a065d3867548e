"""Pixel size, time interval and channel names that the user gives, for any source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ngff_bio.errors import ArgumentError
from ngff_bio.model import Channel, Notice, SourceDataset, SourceImage
from ngff_bio.units import LENGTHS, TIMES, unit_name

#: Options of every source, and their help text.
CALIBRATION = {
    "pixel_size": "size of a pixel with its unit: 0.65um, or Y,X or Z,Y,X as in 2,0.65,0.65um",
    "time_interval": "time between two frames with its unit: 30s, 5min, 24h",
    "channel_names": "names of the channels, separated by commas: DAPI,GFP",
}

_QUANTITY = re.compile(r"\s*(\d+\.?\d*(?:e-?\d+)?|\.\d+)\s*([^\d\s.,]*)\s*", re.IGNORECASE)

_Scale = tuple[float, str]


def calibrated(dataset: SourceDataset, given: Mapping[str, object]) -> SourceDataset:
    """The dataset with the calibration of options in `CALIBRATION`; others are ignored.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If a value cannot be parsed, or does not fit an image.
    """
    notices: list[Notice] = []
    scales: dict[str, _Scale] = {}
    if given.get("pixel_size") is not None:
        scales |= _pixel_size(given["pixel_size"])
    if given.get("time_interval") is not None:
        (scales["t"],) = _quantities(given["time_interval"], "time_interval", TIMES, (1,))
    for axis in scales:
        if not any(axis in image.axis_names for image in dataset.images):
            raise ArgumentError(
                f"no image has the axis {axis}",
                file=dataset.origin,
                expected=f"images with axis {axis}, to give it a step",
                found=f"axes {', '.join(sorted({i.axis_names for i in dataset.images}))}",
                hint="give the size of y and x alone, as in --pixel-size 0.65um" if axis == "z" else
                "join numbered files along t with --series t, or leave out --time-interval",
            )  # fmt: skip
    images: Iterable[SourceImage] = dataset.images
    if scales:
        images = [_scaled(image, scales, notices.append) for image in images]
    if given.get("channel_names") is not None:
        names = _names(given["channel_names"])
        images = [with_channel_names(image, names) for image in images]
    return replace(dataset, images=tuple(images), notices=(*dataset.notices, *notices))


def _pixel_size(given: object) -> dict[str, _Scale]:
    found = _quantities(given, "pixel_size", LENGTHS, (1, 2, 3))
    return dict(
        zip("zyx"[-max(len(found), 2) :], found if len(found) > 1 else found * 2, strict=True)
    )


def _quantities(
    given: object, option: str, units: Mapping[str, float], counts: Sequence[int]
) -> list[_Scale]:
    """Numbers with units; a unit at the end is that of all."""
    parts = [_QUANTITY.fullmatch(part) for part in str(given).split(",")]
    found = []
    last = parts[-1]
    for part in parts:
        unit = unit_name(part[2] or (last[2] if last else "")) if part else None
        if (
            part is None
            or unit is None
            or unit not in units
            or float(part[1]) <= 0
            or len(parts) not in counts
        ):
            raise ArgumentError(
                f"the {option.replace('_', ' ')} cannot be understood",
                expected=CALIBRATION[option],
                found=given,
            )
        found.append((float(part[1]), unit))
    return found


def _scaled(
    image: SourceImage, scales: Mapping[str, _Scale], report: Callable[[Notice], None]
) -> SourceImage:
    if "t" in scales and any(f.elapsed_hours is not None for f in image.frames):
        raise ArgumentError(
            "the source gives the time of each frame",
            file=image.name,
            hint="leave out --time-interval",
        )
    axes = []
    for axis in image.axes:
        scale = scales.get(axis.name)
        if scale is not None and axis.scale is not None and (axis.scale, axis.unit) != scale:
            report(
                Notice(
                    "note",
                    f"the source gives {axis.scale:g} {axis.unit or '(no unit)'} along {axis.name}; "
                    f"{scale[0]:g} {scale[1]} is stored, as the options say",
                    file=image.name,
                )
            )
        axes.append(axis if scale is None else replace(axis, scale=scale[0], unit=scale[1]))
    translation = image.translation
    if translation is not None:  # in steps of the axes
        translation = tuple(
            at / old.step * new.step
            for at, old, new in zip(translation, image.axes, axes, strict=True)
        )
    return replace(image, axes=tuple(axes), translation=translation)


def _names(given: Any) -> list[str]:
    names = [n.strip() for n in (given.split(",") if isinstance(given, str) else map(str, given))]
    if not all(names) or len(set(names)) < len(names):
        raise ArgumentError(
            "names of channels are empty or occur twice",
            expected=CALIBRATION["channel_names"],
            found=given,
        )
    return names


def with_channel_names(image: SourceImage, names: Sequence[str]) -> SourceImage:
    """The image with the names; what is known of the display of its channels is kept."""
    count = image.pixels.shape[image.axis_names.index("c")] if "c" in image.axis_names else 1
    if count != len(names):
        raise ArgumentError(
            "the names of channels are not as many as the channels of an image",
            file=image.name,
            expected=f"{count} names",
            found=f"{len(names)}: {', '.join(names)}",
        )
    known = image.channels or (Channel(""),) * count
    return replace(image, channels=tuple(map(_renamed, known, names)))


def _renamed(channel: Channel, name: str) -> Channel:
    return replace(channel, name=name)
