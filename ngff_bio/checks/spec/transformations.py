"""Coordinate transformations of 0.6: the parameters of each type, and the dimensions they map.

Each check takes the number of axes on either side, where known, and returns the number of axes that
the transformation maps to, so that a sequence can be followed from link to link.
"""

from __future__ import annotations

from collections.abc import Callable

from ngff_bio.checks.spec.node import NOT_EMPTY, Node, duplicates

#: How far a rotation written with rounded numbers may be from an orthonormal matrix.
_ORTHONORMAL = 1e-5
#: The text says "bspline-cubic" where the schema says "cubic"; neither list is meant as complete.
_INTERPOLATIONS = ("nearest", "linear", "cubic", "bspline-cubic")


def check_transformation(node: Node, into: int | None, out: int | None) -> int | None:
    """Check the type and the parameters of a transformation.

    ``into`` and ``out`` are the numbers of axes of the systems that it maps from and to, None where
    not known. Returns the number of axes that it maps to, None where not known.
    """
    if node.as_object("transformation-object") is None:
        return out
    if "name" in node:
        node["name"].as_text("transformation-name")
    kind = node["type"].value
    check = _TYPES.get(kind) if isinstance(kind, str) else None
    if check is None:
        node["type"].breaks("transformation-type")
        return out
    return check(node, into, out)


def _fits(node: Node, mapped: int, into: int | None, needs: int) -> bool:
    """Whether a transformation that takes ``needs`` axes can follow a system of ``into``."""
    if into is None or into == needs:
        return True
    node.breaks("transformation-dimensions", f"maps {needs} to {mapped} axes, the input has {into}")
    return False


def _reaches(node: Node, mapped: int | None, out: int | None) -> int | None:
    if mapped is not None and out is not None and mapped != out:
        node.breaks("transformation-dimensions", f"maps to {mapped} axes, the output has {out}")
        return out
    return mapped if out is None else out


def _identity(node: Node, into: int | None, out: int | None) -> int | None:
    return _reaches(node, into, out)


def _vector(node: Node, into: int | None, out: int | None) -> int | None:
    key = node["type"].value
    values = node[key].as_numbers("transformation-parameters")
    sides = {side for side in (into, out) if side is not None}
    if values is not None:
        if key == "scale" and any(value <= 0 for value in values):
            node[key].breaks("scale-positive")
        if sides - {len(values)}:
            shown = " and ".join(map(str, sorted(sides)))
            node[key].breaks("transformation-length", f"{len(values)} numbers on {shown} axes")
    if len(sides) == 1:
        return sides.pop()
    return out if values is None or sides else len(values)


def _map_axis(node: Node, into: int | None, out: int | None) -> int | None:
    order = node["mapAxis"].as_integers("transformation-parameters")
    if order is None:
        return out
    if sorted(order) != list(range(len(order))) or not order:
        node["mapAxis"].breaks(
            "transformation-parameters", f"{order} does not name each axis from 0 on once"
        )
        return out
    _fits(node, len(order), into, len(order))
    return _reaches(node, len(order), out)


def _project_axis(node: Node, into: int | None, out: int | None) -> int | None:
    if "droppedInputs" not in node and "createdOutputs" not in node:
        node.breaks("transformation-parameters", 'neither "droppedInputs" nor "createdOutputs"')
        return out
    dropped = _axis_indices(node, "droppedInputs", into)
    created = _axis_indices(node, "createdOutputs", out)
    if into is None or dropped is None or created is None:
        return out
    return _reaches(node, into - len(dropped) + len(created), out)


def _axis_indices(node: Node, key: str, axes: int | None) -> list[int] | None:
    if key not in node:
        return []
    indices = node[key].as_integers("transformation-parameters")
    if indices is None:
        return None
    limit = 5 if axes is None else axes
    if not indices or duplicates(indices) or not all(0 <= index < limit for index in indices):
        node[key].breaks(
            "transformation-parameters", f"{indices} is not a choice of axes from 0 to {limit - 1}"
        )
        return None
    return indices


def _affine(node: Node, into: int | None, out: int | None) -> int | None:
    matrix = _matrix_or_path(node, "affine")
    if matrix is None:
        return out
    _fits(node, len(matrix), into, len(matrix[0]) - 1)
    return _reaches(node, len(matrix), out)


def _rotation(node: Node, into: int | None, out: int | None) -> int | None:
    matrix = _matrix_or_path(node, "rotation")
    if matrix is None:
        return _reaches(node, into, out)
    size = len(matrix)
    if len(matrix[0]) != size:
        node["rotation"].breaks("transformation-parameters", f"{size} rows of {len(matrix[0])}")
        return out
    import numpy as np  # only here: a program that checks single cases starts in half the time

    array = np.array(matrix)
    off = float(np.abs(array @ array.T - np.eye(size)).max())
    if off > _ORTHONORMAL or np.linalg.det(array) < 0:
        node["rotation"].breaks("rotation-orthonormal")
    _fits(node, size, into, size)
    return _reaches(node, size, out)


def _matrix_or_path(node: Node, key: str) -> list[list[float]] | None:
    """The matrix; None where it is stored in an array, or is wrong."""
    if "path" in node and key in node:
        node.breaks("transformation-parameters", f'both "path" and {key!r}')
        return None
    if "path" in node:
        node["path"].as_text("transformation-parameters", pattern=NOT_EMPTY)
        return None
    matrix = node[key].as_matrix("transformation-parameters")
    if matrix is not None and not matrix[0]:
        node[key].breaks("transformation-parameters")
        return None
    return matrix


def _sequence(node: Node, into: int | None, out: int | None) -> int | None:
    links = node["transformations"].as_list("transformation-parameters", at_least=1) or []
    axes = into
    for number, link in enumerate(links, start=1):
        axes = check_transformation(link, axes, out if number == len(links) else None)
    return out if out is not None else axes


def _by_dimension(node: Node, into: int | None, out: int | None) -> int | None:
    parts = node["transformations"].as_objects("transformation-parameters", at_least=1)
    if parts is None:
        return out
    covered: list[int] = []
    for part in parts:
        taken = part["inputAxes"].as_integers("transformation-parameters")
        given = part["outputAxes"].as_integers("transformation-parameters")
        if taken is not None and into is not None and not set(taken) <= set(range(into)):
            part["inputAxes"].breaks("transformation-dimensions", f"{taken} of {into} axes")
        covered += given or []
        check_transformation(
            part["transformation"],
            None if taken is None else len(taken),
            None if given is None else len(given),
        )
    node.check_unique("by-dimension-once", covered, "axis ")
    axes = len(set(covered)) if out is None else out
    beyond = sorted(set(covered) - set(range(axes)))
    missed = sorted(set(range(axes)) - set(covered))
    if beyond and out is not None:
        node.breaks("transformation-dimensions", f"axes {beyond} of an output of {axes} axes")
    if missed:
        node.breaks("by-dimension-covered", f"axes {missed} of {axes} in no outputAxes")
    return axes


def _bijection(node: Node, into: int | None, out: int | None) -> int | None:
    there = check_transformation(node["forward"], into, out)
    check_transformation(node["inverse"], there, into)
    return _reaches(node, into, out)


def _field(node: Node, into: int | None, out: int | None) -> int | None:
    node["path"].as_text("transformation-parameters", pattern=NOT_EMPTY)
    if "interpolation" in node:
        method = node["interpolation"].as_text("transformation-parameters")
        if method is not None and method not in _INTERPOLATIONS:
            node["interpolation"].breaks("transformation-interpolation")
    # A displacement is added to its point and so stays in as many dimensions.
    return _reaches(node, into, out) if node["type"].value == "displacements" else out


_TYPES: dict[str, Callable[[Node, int | None, int | None], int | None]] = {
    "identity": _identity,
    "scale": _vector,
    "translation": _vector,
    "mapAxis": _map_axis,
    "projectAxis": _project_axis,
    "affine": _affine,
    "rotation": _rotation,
    "sequence": _sequence,
    "byDimension": _by_dimension,
    "bijection": _bijection,
    "displacements": _field,
    "coordinates": _field,
}
