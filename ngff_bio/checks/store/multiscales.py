"""Multiscales of any version with their arrays, as far as they can be understood.

For comparisons with arrays and other groups; what is wrong is a finding of the metadata rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngff_bio.checks.store.documents import Documents, join
from ngff_bio.ngff.decoding import compose, flat_steps
from ngff_bio.zarrio.arrays import ArrayMeta

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CheckedLevel:
    """One dataset of a multiscale.

    Parameters
    ----------
    pointer
        JSON pointer to it.
    name
        Path of its array from the group.
    path
        Path of its array in the store.
    scale, translation
        ``None`` where they cannot be understood.
    array
        ``None`` where there is none, or it cannot be understood.
    """

    pointer: str
    name: str
    path: str
    scale: Vector | None
    translation: Vector | None
    array: ArrayMeta | None


@dataclass(frozen=True, slots=True)
class CheckedMultiscale:
    """Axes and levels of one multiscale of a group, and the method by which levels were made."""

    pointer: str
    axes: tuple[str, ...]
    types: tuple[str | None, ...]
    units: tuple[str | None, ...]
    levels: tuple[CheckedLevel, ...]
    method: str | None

    @property
    def arrays(self) -> list[tuple[CheckedLevel, ArrayMeta]]:
        """Levels whose arrays exist and can be understood."""
        return [(level, level.array) for level in self.levels if level.array is not None]


def multiscales(documents: Documents, path: str) -> Iterator[CheckedMultiscale]:
    """All multiscales of a group."""
    listed = documents.ome(path).get("multiscales")
    for number, entry in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(entry, dict):
            pointer = f"{documents.pointer(path)}/multiscales/{number}"
            yield _multiscale(documents, path, entry, pointer)


def first_multiscale(documents: Documents, path: str) -> CheckedMultiscale | None:
    """The first multiscale of a group, which is the image; ``None`` if there is none."""
    return next(multiscales(documents, path), None)


def _multiscale(
    documents: Documents, path: str, entry: dict[str, object], pointer: str
) -> CheckedMultiscale:
    listed = entry.get("datasets")
    datasets = [d for d in listed if isinstance(d, dict)] if isinstance(listed, list) else []
    axes = _axes(entry, datasets)
    outer = entry.get("coordinateTransformations") or [] if "axes" in entry else []
    levels = []
    for number, dataset in enumerate(datasets):
        if isinstance(dataset.get("path"), str):
            name = dataset["path"].strip("/")
            at = join(path, name)
            inner = dataset.get("coordinateTransformations") or []
            placement = _placement(inner, outer, len(axes))
            place = f"{pointer}/datasets/{number}"
            levels.append(CheckedLevel(place, name, at, *placement, documents.array(at)))
    return CheckedMultiscale(
        pointer,
        tuple(str(a.get("name")) for a in axes),
        tuple(a.get("type") for a in axes),
        tuple(a.get("unit") for a in axes),
        tuple(levels),
        method if isinstance(method := entry.get("type"), str) else None,
    )


def _axes(entry: dict[str, object], datasets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Axes of 0.4 and 0.5, or those of the coordinate system that the datasets lead to (0.6)."""
    axes = entry.get("axes")
    systems = entry.get("coordinateSystems")
    if not isinstance(axes, list) and isinstance(systems, list) and systems:
        named = {str(s.get("name")): s.get("axes") for s in systems if isinstance(s, dict)}
        try:
            name = datasets[0]["coordinateTransformations"][0]["output"]["name"]
        except (LookupError, TypeError):
            name = None
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
