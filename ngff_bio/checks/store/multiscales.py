"""What a multiscale says, of any version, for those who compare: nothing here complains.

What cannot be understood is left out; the metadata rules have told of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.checks.spec.node import is_number

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
    """Axes and levels of one multiscale of a group, and how it says that levels were made."""

    pointer: str
    axes: tuple[str, ...]
    types: tuple[str | None, ...]
    units: tuple[str | None, ...]
    levels: tuple[Level, ...]
    method: str | None


def multiscales(content: dict[str, Any], start: str) -> Iterator[Multiscale]:
    """All multiscales of a group.

    Parameters
    ----------
    content
        What OME-Zarr says of the group: the content of ``ome``, or all attributes in 0.4.
    start
        JSON pointer to it: ``/ome``, or nothing.
    """
    listed = content.get("multiscales")
    for number, entry in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(entry, dict):
            yield _multiscale(entry, f"{start}/multiscales/{number}")


def _multiscale(entry: dict[str, Any], pointer: str) -> Multiscale:
    listed = entry.get("datasets")
    datasets = [d for d in listed if isinstance(d, dict)] if isinstance(listed, list) else []
    axes = _axes(entry, datasets)
    outer = _steps(entry.get("coordinateTransformations")) if "axes" in entry else []
    levels = []
    for number, dataset in enumerate(datasets):
        if isinstance(dataset.get("path"), str):
            scale, translation = _apply(
                [*_steps(dataset.get("coordinateTransformations")), *outer], len(axes)
            )
            levels.append(Level(number, dataset["path"].strip("/"), scale, translation))
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


def _steps(transformations: Any) -> list[dict[str, Any]]:
    """Transformations in order, those inside a sequence too."""
    found: list[dict[str, Any]] = []
    for step in transformations if isinstance(transformations, list) else []:
        if isinstance(step, dict):
            inner = step.get("transformations")
            found += _steps(inner) if step.get("type") == "sequence" else [step]
    return found


def _apply(steps: list[dict[str, Any]], axes: int) -> tuple[Vector | None, Vector | None]:
    """Scale and translation that the steps amount to; ``None`` where one is of another kind."""
    scale, translation = np.ones(axes), np.zeros(axes)
    for step in steps:
        kind = step.get("type")
        vector = step.get(kind) if kind in ("scale", "translation") else None
        if kind == "identity":
            continue
        if not isinstance(vector, list) or len(vector) != axes or not all(map(is_number, vector)):
            return None, None
        if kind == "scale":
            scale, translation = scale * vector, translation * vector
        else:
            translation = translation + vector
    return scale, translation
