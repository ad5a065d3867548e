"""Multiscales of any version, as far as they can be understood.

For comparisons with arrays and other groups; what is wrong is a finding of the metadata rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.ngff.decoding import compose, flat_steps

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Level:
    """One dataset of a multiscale: its place in the list, path, scale and translation."""

    number: int
    path: str
    scale: Vector | None
    translation: Vector | None


@dataclass(frozen=True, slots=True)
class Multiscale:
    """Axes and levels of one multiscale of a group, and the method by which levels were made."""

    pointer: str
    axes: tuple[str, ...]
    types: tuple[str | None, ...]
    units: tuple[str | None, ...]
    levels: tuple[Level, ...]
    method: str | None


def multiscales(content: dict[str, Any], start: str) -> Iterator[Multiscale]:
    """All multiscales of a group.

    ``content`` is what stands below ``ome``, or all attributes in 0.4; ``start`` is the JSON pointer
    to it.
    """
    listed = content.get("multiscales")
    for number, entry in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(entry, dict):
            yield _multiscale(entry, f"{start}/multiscales/{number}")


def _multiscale(entry: dict[str, Any], pointer: str) -> Multiscale:
    listed = entry.get("datasets")
    datasets = [d for d in listed if isinstance(d, dict)] if isinstance(listed, list) else []
    axes = _axes(entry, datasets)
    outer = entry.get("coordinateTransformations") or [] if "axes" in entry else []
    levels = []
    for number, dataset in enumerate(datasets):
        if isinstance(dataset.get("path"), str):
            inner = dataset.get("coordinateTransformations") or []
            placement = _placement(inner, outer, len(axes))
            levels.append(Level(number, dataset["path"].strip("/"), *placement))
    return Multiscale(
        pointer,
        tuple(str(a.get("name")) for a in axes),
        tuple(a.get("type") for a in axes),
        tuple(a.get("unit") for a in axes),
        tuple(levels),
        method if isinstance(method := entry.get("type"), str) else None,
    )


def _axes(entry: dict[str, Any], datasets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Axes of 0.4 and 0.5, or those of the coordinate system that the datasets lead to (0.6)."""
    axes = entry.get("axes")
    systems = entry.get("coordinateSystems")
    if not isinstance(axes, list) and isinstance(systems, list) and systems:
        named = {str(s.get("name")): s.get("axes") for s in systems if isinstance(s, dict)}
        steps = datasets[0].get("coordinateTransformations") if datasets else None
        step = steps[0] if isinstance(steps, list) and steps else None
        output = step.get("output") if isinstance(step, dict) else None
        name = output.get("name") if isinstance(output, dict) else None
        axes = named.get(str(name), next(iter(named.values()), None))
    return [a for a in axes if isinstance(a, dict)] if isinstance(axes, list) else []


def _placement(inner: Any, outer: Any, ndim: int) -> tuple[Vector | None, Vector | None]:
    """Scale and translation; ``None`` where a transformation is of another kind, or wrong."""
    try:
        scale, translation = map(np.array, compose(flat_steps([*inner, *outer]), ndim))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None, None
    finite = np.isfinite(scale).all() and np.isfinite(translation).all()
    return (scale, translation) if finite else (None, None)
