"""Metadata of OME-Zarr 0.1 to 0.3 in the form of 0.4, and what spatialdata adds to that.

0.1 and 0.2 have five axes t, c, z, y, x that are not named, 0.3 has names of axes. None of them has
pixel sizes: the scale of a level is how many pixels of level 0 one of it covers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

#: Versions whose levels have no scales.
OLDER = ("0.1", "0.2", "0.3")

_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}

#: Shape of the array at a path below a group.
ShapeOf = Callable[[str], tuple[int, ...]]


def older_version(attributes: Mapping[str, object]) -> str | None:
    """The version before 0.4 that a part of a group's attributes states; ``None`` if none does."""
    parts = attributes.get("multiscales")
    listed = parts if isinstance(parts, list) else []
    for part in (*listed, *(attributes.get(k) for k in ("plate", "well", "image-label"))):
        version = part.get("version") if isinstance(part, dict) else None
        if version in OLDER:
            return str(version)
    return None


def as_04(attributes: Mapping[str, object], shape_of: ShapeOf) -> dict[str, object]:
    """Attributes of a group in the form of 0.4, where an older version wrote them; else as they are.

    Raises
    ------
    ngff_bio.errors.StoreError
        If an array that gives the scale of a level is missing.
    LookupError, TypeError, ValueError
        If the metadata is not that of such a version.
    """
    found = dict(attributes)
    images = found.get("multiscales")
    if isinstance(images, list) and any(map(_without_scales, images)):
        found["multiscales"] = [_image(m, shape_of) if _without_scales(m) else m for m in images]
    return found


def _without_scales(image: object) -> bool:
    if not isinstance(image, dict) or not isinstance(image.get("datasets"), list):
        return False
    axes = image.get("axes")
    named = isinstance(axes, list) and all(isinstance(a, str) for a in axes)
    return axes is None or named


def _image(image: Mapping[str, Any], shape_of: ShapeOf) -> dict[str, object]:
    datasets = [dict(d) for d in image["datasets"]]
    shapes = [shape_of(d["path"]) for d in datasets]
    names = image.get("axes") or list("tczyx")[-len(shapes[0]) :]
    if any(len(shape) != len(names) for shape in shapes):
        raise ValueError(f"axes {', '.join(names)} of arrays of shape {shapes[0]}")
    for dataset, shape in zip(datasets, shapes, strict=True):
        scale = [_ratio(n, m) for n, m in zip(shapes[0], shape, strict=True)]
        dataset.setdefault("coordinateTransformations", [{"type": "scale", "scale": scale}])
    axes = [{"name": n, **({"type": _TYPES[n]} if n in _TYPES else {})} for n in names]
    return {**image, "axes": axes, "datasets": datasets}


def _ratio(whole: int, part: int) -> float:
    """Pixels of level 0 in one of a level: an integer where a level of that reduction has its size."""
    if not part:
        raise ValueError("a level has no pixels")
    near = round(whole / part)
    fits = part in (whole // near, -(-whole // near)) if near else False
    return float(near) if fits else whole / part


def plain_steps(steps: Iterable[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Transformations of a whole image as scales and translations.

    spatialdata writes one for each coordinate system, of more types than the specification has. That to
    ``global`` (or else the first) is taken, if it neither rotates nor shears; others are left out.
    """
    given = [dict(s) for s in steps]
    if not any("output" in s for s in given):
        return given
    to_global = (s for s in given if (s.get("output") or {}).get("name") == "global")
    return list(_plain(next(to_global, given[0])))


def _plain(step: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    kind = step.get("type")
    if kind == "sequence":
        for inner in step["transformations"]:
            yield from _plain(inner)
    elif kind in ("scale", "translation"):
        yield {"type": kind, kind: step[kind]}
    elif kind == "affine":
        matrix = step["affine"]
        scale, shift = [row[i] for i, row in enumerate(matrix)], [row[-1] for row in matrix]
        if all(v == 0 or i == j for i, row in enumerate(matrix) for j, v in enumerate(row[:-1])):
            yield {"type": "scale", "scale": scale}
            yield {"type": "translation", "translation": shift}
