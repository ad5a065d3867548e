"""Coordinate transformations of 0.6: the parameters of each type, and the dimensions they map.

A check is given the number of axes on either side as far as it is known, and gives the number of
axes that the transformation maps to, so that a sequence can be followed from link to link.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ngff_bio.checks.spec.findings import Rule
from ngff_bio.checks.spec.node import Node, duplicates

_SECTION = '"coordinateTransformations" metadata'
_NEWEST = frozenset({"0.6"})
#: How far a rotation written with rounded numbers may be from an orthonormal matrix.
_ORTHONORMAL = 1e-5
#: The text says "bspline-cubic" where the schema says "cubic"; neither list is meant as complete.
_INTERPOLATIONS = ("nearest", "linear", "cubic", "bspline-cubic")

TRANSFORMATION_OBJECT = Rule(
    "transformation-object",
    "MUST",
    _SECTION,
    "a transformation is a JSON object",
    "write an object",
)
TRANSFORMATION_TYPE = Rule(
    "transformation-type",
    "MUST",
    _SECTION,
    'a transformation has the field "type", one of identity, mapAxis, projectAxis, translation, '
    "scale, affine, rotation, sequence, displacements, coordinates, bijection, byDimension",
    "use one of the types of the specification",
)
TRANSFORMATION_NAME = Rule(
    "transformation-name",
    "MUST",
    _SECTION,
    'the "name" of a transformation is a string',
    "write the name as a string",
)
TRANSFORMATION_NAME_UNIQUE = Rule(
    "transformation-name-unique",
    "MUST",
    _SECTION,
    'the "name" of a transformation is unique',
    "rename one of the transformations",
    # The published scene case gives one name to three transformations and is valid.
    contested=_NEWEST,
)
TRANSFORMATION_PARAMETERS = Rule(
    "transformation-parameters",
    "MUST",
    _SECTION,
    "a transformation has the fields of its type, in the form that the type asks for",
    "see the table of transformation types",
)
TRANSFORMATION_LENGTH = Rule(
    "transformation-length",
    "MUST",
    _SECTION,
    "input and output dimensionality MUST equal the length of the scale or translation array",
    "give one number for each axis, in the order of the axes",
    # Case "mismatch_axes_units" has two factors on three axes and is valid.
    contested=_NEWEST,
)
TRANSFORMATION_DIMENSIONS = Rule(
    "transformation-dimensions",
    "MUST",
    _SECTION,
    "parameter values MUST be compatible with input and output space dimensionality",
    "make the parameters fit the axes on both sides",
)
SCALE_POSITIVE = Rule(
    "scale-positive",
    "MUST",
    _SECTION,
    "scale factors are greater than 0 (coordinate_transformations.schema)",
    "give the pixel size; 1.0 where it is not known; flip an axis with an affine",
)
ROTATION_ORTHONORMAL = Rule(
    "rotation-orthonormal",
    "MUST",
    _SECTION,
    "rotations MUST have determinant equal to one, with orthonormal rows and columns",
    'mend the matrix, or use the type "affine"',
)
BY_DIMENSION_COVERED = Rule(
    "by-dimension-covered",
    "MUST",
    _SECTION,
    "every axis of the output MUST appear in one child transformation's outputAxes",
    "add an identity for the axes that are left",
    # Case "multiscales_transform_additional_transforms" leaves out an axis and is valid.
    contested=_NEWEST,
)
BY_DIMENSION_ONCE = Rule(
    "by-dimension-once",
    "MUST",
    _SECTION,
    "every axis of the output MUST appear in exactly one child transformation's outputAxes",
    "name each output axis once",
)
INTERPOLATION = Rule(
    "transformation-interpolation",
    "SHOULD",
    _SECTION,
    'the interpolation is one of "nearest", "linear", "bspline-cubic"',
    "use one of these, or leave the field out",
)


def check_transformation(node: Node, into: int | None, out: int | None) -> int | None:
    """Check the type and the parameters of a transformation.

    Parameters
    ----------
    node
        The transformation.
    into, out
        Number of axes of the system that it maps from and to, None where not known.

    Returns
    -------
    int or None
        The number of axes that it maps to, as far as it can be told.
    """
    if node.as_object(TRANSFORMATION_OBJECT) is None:
        return out
    if "name" in node:
        node["name"].as_text(TRANSFORMATION_NAME)
    kind = node["type"].value
    check = _TYPES.get(kind) if isinstance(kind, str) else None
    if check is None:
        node["type"].breaks(TRANSFORMATION_TYPE)
        return out
    return check(node, into, out)


def check_names_unique(listed: Node, transformations: list[Node]) -> None:
    """Check that no two transformations of a list have one name."""
    for name in duplicates([entry["name"].value for entry in transformations if "name" in entry]):
        listed.breaks(TRANSFORMATION_NAME_UNIQUE, f"{name!r} more than once")


def _fits(node: Node, mapped: int, into: int | None, needs: int) -> bool:
    """Whether a transformation that takes ``needs`` axes can follow a system of ``into``."""
    if into is None or into == needs:
        return True
    node.breaks(TRANSFORMATION_DIMENSIONS, f"maps {needs} to {mapped} axes, the input has {into}")
    return False


def _reaches(node: Node, mapped: int | None, out: int | None) -> int | None:
    if mapped is not None and out is not None and mapped != out:
        node.breaks(TRANSFORMATION_DIMENSIONS, f"maps to {mapped} axes, the output has {out}")
        return out
    return mapped if out is None else out


def _identity(node: Node, into: int | None, out: int | None) -> int | None:
    return _reaches(node, into, out)


def _vector(node: Node, into: int | None, out: int | None) -> int | None:
    key = node["type"].value
    values = node[key].as_numbers(TRANSFORMATION_PARAMETERS)
    sides = {side for side in (into, out) if side is not None}
    if values is not None:
        if key == "scale" and any(value <= 0 for value in values):
            node[key].breaks(SCALE_POSITIVE)
        if sides - {len(values)}:
            shown = " and ".join(map(str, sorted(sides)))
            node[key].breaks(TRANSFORMATION_LENGTH, f"{len(values)} numbers on {shown} axes")
    if len(sides) == 1:
        return sides.pop()
    return out if values is None or sides else len(values)


def _map_axis(node: Node, into: int | None, out: int | None) -> int | None:
    order = node["mapAxis"].as_integers(TRANSFORMATION_PARAMETERS)
    if order is None:
        return out
    if sorted(order) != list(range(len(order))) or not order:
        node["mapAxis"].breaks(
            TRANSFORMATION_PARAMETERS, f"{order} does not name each axis from 0 on once"
        )
        return out
    _fits(node, len(order), into, len(order))
    return _reaches(node, len(order), out)


def _project_axis(node: Node, into: int | None, out: int | None) -> int | None:
    if "droppedInputs" not in node and "createdOutputs" not in node:
        node.breaks(TRANSFORMATION_PARAMETERS, 'neither "droppedInputs" nor "createdOutputs"')
        return out
    dropped = _axis_indices(node, "droppedInputs", into)
    created = _axis_indices(node, "createdOutputs", out)
    if into is None or dropped is None or created is None:
        return out
    return _reaches(node, into - len(dropped) + len(created), out)


def _axis_indices(node: Node, key: str, axes: int | None) -> list[int] | None:
    if key not in node:
        return []
    indices = node[key].as_integers(TRANSFORMATION_PARAMETERS)
    if indices is None:
        return None
    limit = 5 if axes is None else axes
    if not indices or duplicates(indices) or not all(0 <= index < limit for index in indices):
        node[key].breaks(
            TRANSFORMATION_PARAMETERS, f"{indices} is no choice of axes from 0 to {limit - 1}"
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
        node["rotation"].breaks(TRANSFORMATION_PARAMETERS, f"{size} rows of {len(matrix[0])}")
        return out
    array = np.array(matrix)
    off = float(np.abs(array @ array.T - np.eye(size)).max())
    if off > _ORTHONORMAL or np.linalg.det(array) < 0:
        node["rotation"].breaks(ROTATION_ORTHONORMAL)
    _fits(node, size, into, size)
    return _reaches(node, size, out)


def _matrix_or_path(node: Node, key: str) -> list[list[float]] | None:
    """The matrix; None where it lies in an array of its own, or is wrong."""
    if "path" in node and key in node:
        node.breaks(TRANSFORMATION_PARAMETERS, f'both "path" and {key!r}')
        return None
    if "path" in node:
        node["path"].as_text(TRANSFORMATION_PARAMETERS, pattern="(?s).+")
        return None
    matrix = node[key].as_matrix(TRANSFORMATION_PARAMETERS)
    if matrix is not None and not matrix[0]:
        node[key].breaks(TRANSFORMATION_PARAMETERS)
        return None
    return matrix


def _sequence(node: Node, into: int | None, out: int | None) -> int | None:
    links = node["transformations"].as_list(TRANSFORMATION_PARAMETERS, at_least=1) or []
    axes = into
    for number, link in enumerate(links, start=1):
        axes = check_transformation(link, axes, out if number == len(links) else None)
    return out if out is not None else axes


def _by_dimension(node: Node, into: int | None, out: int | None) -> int | None:
    parts = node["transformations"].as_objects(TRANSFORMATION_PARAMETERS, at_least=1)
    if parts is None:
        return out
    covered: list[int] = []
    for part in parts:
        taken = part["inputAxes"].as_integers(TRANSFORMATION_PARAMETERS)
        given = part["outputAxes"].as_integers(TRANSFORMATION_PARAMETERS)
        if taken is not None and into is not None and not set(taken) <= set(range(into)):
            part["inputAxes"].breaks(TRANSFORMATION_DIMENSIONS, f"{taken} of {into} axes")
        covered += given or []
        check_transformation(
            part["transformation"],
            None if taken is None else len(taken),
            None if given is None else len(given),
        )
    for axis in duplicates(covered):
        node.breaks(BY_DIMENSION_ONCE, f"axis {axis} more than once")
    axes = len(set(covered)) if out is None else out
    beyond = sorted(set(covered) - set(range(axes)))
    missed = sorted(set(range(axes)) - set(covered))
    if beyond and out is not None:
        node.breaks(TRANSFORMATION_DIMENSIONS, f"axes {beyond} of an output of {axes} axes")
    if missed:
        node.breaks(BY_DIMENSION_COVERED, f"axes {missed} of {axes} in no outputAxes")
    return axes


def _bijection(node: Node, into: int | None, out: int | None) -> int | None:
    there = check_transformation(node["forward"], into, out)
    check_transformation(node["inverse"], there, into)
    return _reaches(node, into, out)


def _field(node: Node, into: int | None, out: int | None) -> int | None:
    node["path"].as_text(TRANSFORMATION_PARAMETERS, pattern="(?s).+")
    if "interpolation" in node:
        method = node["interpolation"].as_text(TRANSFORMATION_PARAMETERS)
        if method is not None and method not in _INTERPOLATIONS:
            node["interpolation"].breaks(INTERPOLATION)
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
