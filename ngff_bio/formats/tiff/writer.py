"""Stacks of planes as calibrated TIFF: ImageJ hyperstacks, OME-TIFF, or colors for labels.

Units are written if they are known. OME-TIFF reads a size without unit as micrometers, so a size of
unknown unit is written in ``reference frame``, which is the OME schema's term for "no unit".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ngff_bio.model import PixelArray, SampleType
from ngff_bio.units import LENGTHS, SYMBOLS, TIMES, unit_factor

_IMAGEJ_UNITS = {"micrometer": "micron", "nanometer": "nm", "millimeter": "mm", "centimeter": "cm"}
_MAX_IMAGEJ = 1 << 32  # an ImageJ hyperstack cannot be a BigTIFF


@dataclass(frozen=True, slots=True)
class Step:
    """Distance of two neighbors along an axis; ``None`` if it is unknown."""

    size: float | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Stack:
    """The contents of a TIFF.

    Parameters
    ----------
    axes
        Letters of t, c, z, y, x in the order of `shape`; ``s`` at the end for color samples.
    planes
        Each (y, x) or (y, x, s), the leading axes in C order.
    steps
        By axis.
    elapsed_hours
        Time of each frame, if they are irregular.
    """

    axes: str
    shape: tuple[int, ...]
    dtype: SampleType
    planes: Iterable[PixelArray]
    name: str
    steps: Mapping[str, Step]
    channels: Sequence[str] = ()
    elapsed_hours: Sequence[float] = ()

    @property
    def nbytes(self) -> int:
        """Size of all pixels."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def write_ome_tiff(path: Path, stack: Stack) -> None:
    """Write an OME-TIFF with physical sizes, time increment and channel names."""
    metadata: dict[str, object] = {"axes": stack.axes.upper(), "Name": stack.name}
    for axis in "xyz":
        step = stack.steps.get(axis, Step())
        if axis in stack.axes and step.size is not None:
            metadata[f"PhysicalSize{axis.upper()}"] = step.size
            unit = SYMBOLS.get(step.unit or "", "reference frame")
            metadata[f"PhysicalSize{axis.upper()}Unit"] = unit
    time = stack.steps.get("t", Step())
    if "t" in stack.axes and time.size is not None and time.unit in TIMES:
        metadata["TimeIncrement"] = time.size
        metadata["TimeIncrementUnit"] = SYMBOLS[time.unit]
    if stack.channels and "c" in stack.axes:
        metadata["Channel"] = {"Name": list(stack.channels)}
    if stack.elapsed_hours:
        metadata["Plane"] = _plane_times(stack)
    _write(path, stack, metadata, ome=True, compression="zlib", bigtiff=stack.nbytes > 1 << 31)


def _write(path: Path, stack: Stack, metadata: dict[str, object], **how: Any) -> None:
    tifffile.imwrite(
        path,
        _iterated(stack),
        shape=stack.shape,
        dtype=stack.dtype,
        metadata=metadata,
        photometric=_photometric(stack),
        **how,
    )


def _plane_times(stack: Stack) -> dict[str, object]:
    """Elapsed time of each plane, in the order of planes."""
    outer = [(a, n) for a, n in zip(stack.axes, stack.shape, strict=True) if a not in "yxs"]
    index = np.indices([n for _, n in outer]).reshape(len(outer), -1)
    at = index[[a for a, _ in outer].index("t")]
    hours = [float(stack.elapsed_hours[i]) for i in at]
    return {"DeltaT": hours, "DeltaTUnit": ["h"] * len(hours)}


def write_plain_tiff(path: Path, stack: Stack) -> None:
    """Write a stack without OME-XML: an ImageJ hyperstack if it can hold them, else a plain TIFF stack.

    ImageJ does not have 32-bit integers.
    """
    resolution, unit = _resolution(stack)
    fits = stack.dtype in (np.dtype("u1"), np.dtype("u2")) and stack.nbytes < _MAX_IMAGEJ
    metadata: dict[str, object] = {"axes": stack.axes.upper()}
    if fits:
        if unit is not None:
            metadata["unit"] = _IMAGEJ_UNITS.get(unit, unit)
        deep = stack.steps.get("z", Step())
        if "z" in stack.axes and deep.size is not None:
            metadata["spacing"] = _converted(deep, unit)
        time = stack.steps.get("t", Step())
        if "t" in stack.axes and time.size is not None and time.unit in TIMES:
            metadata["finterval"] = time.size * TIMES[time.unit]
    _write(
        path,
        stack,
        metadata,
        imagej=fits,
        resolution=resolution,
        resolutionunit="NONE" if fits or resolution is None else "CENTIMETER",
        compression=None if fits else "zlib",
        bigtiff=not fits and stack.nbytes > 1 << 31,
    )


def _converted(step: Step, unit: str | None) -> float:
    """A step in another unit; ImageJ has one for all axes."""
    factor = unit_factor(step.unit or "", unit or "")
    return float(step.size or 1.0) * (1.0 if factor is None else factor)


def _resolution(stack: Stack) -> tuple[tuple[float, float] | None, str | None]:
    """Pixels per unit along x and y, and the unit; for plain TIFFs, pixels per centimeter."""
    x, y = stack.steps.get("x", Step()), stack.steps.get("y", Step())
    if x.size is None or y.size is None:
        return None, None
    imagej = stack.dtype in (np.dtype("u1"), np.dtype("u2"))
    if imagej:
        return (1 / x.size, 1 / _converted(y, x.unit)), x.unit
    if x.unit in LENGTHS and y.unit in LENGTHS:
        return (0.01 / (x.size * LENGTHS[x.unit]), 0.01 / (y.size * LENGTHS[y.unit])), x.unit
    return None, None


def write_color_tiff(path: Path, stack: Stack, colors: NDArray[np.uint8]) -> None:
    """Write label values as colors: uint8 (page, y, x, samples).

    Parameters
    ----------
    colors
        uint8 (n, samples), the color of each label value from 0.
    """
    samples = colors.shape[1]
    tifffile.imwrite(
        path,
        (colors[plane] for plane in _iterated(stack)),
        shape=(*stack.shape, samples),
        dtype=np.uint8,
        photometric="rgb",
        extrasamples=["unassalpha"] if samples == 4 else None,
        compression="zlib",
        metadata=None,
        bigtiff=stack.nbytes * samples > 1 << 31,
    )


def _photometric(stack: Stack) -> str:
    return "rgb" if stack.axes.endswith("s") else "minisblack"


def _iterated(stack: Stack) -> Iterator[PixelArray]:
    for plane in stack.planes:
        yield np.ascontiguousarray(plane, dtype=stack.dtype)
