"""Transformations as 0.4 and 0.5 have them: one scale and perhaps one translation after it."""

from __future__ import annotations

from ngff_bio.checks.spec.findings import Rule
from ngff_bio.checks.spec.node import Node

_MULTISCALES = '"multiscales" metadata'
_TRANSFORMATIONS = '"coordinateTransformations" metadata'

TRANSFORMATIONS_LIST = Rule(
    "transformations-list",
    "MUST",
    _MULTISCALES,
    'each object in "datasets" MUST contain the field "coordinateTransformations", a list of '
    "transformations",
    'add [{"type": "scale", "scale": [...]}]; 1.0 where nothing is known',
)
TRANSFORMATION_TYPE = Rule(
    "transformation-type",
    "MUST",
    _MULTISCALES,
    'the transformation MUST only be of type "translation" or "scale"',
    "express it as a scale and a translation",
)
TRANSFORMATION_PARAMETERS = Rule(
    "transformation-parameters",
    "MUST",
    _TRANSFORMATIONS,
    'a scale has "scale", a translation has "translation", a list of numbers (or "path")',
    "give one number for each axis",
)
TRANSFORMATION_LENGTH = Rule(
    "transformation-length",
    "MUST",
    _MULTISCALES,
    'the length of the scale and translation array MUST be the same as the length of "axes"',
    "give one number for each axis, in the order of the axes",
    # Case "mismatch_axes_units" of the published suite has two factors on three axes and is valid.
    contested=frozenset({"0.4"}),
)
SCALE_ONCE = Rule(
    "scale-once",
    "MUST",
    _MULTISCALES,
    "the transformations MUST contain exactly one scale",
    "merge the scales into one, or add the missing one",
)
TRANSLATION_ONCE = Rule(
    "translation-once",
    "MUST",
    _MULTISCALES,
    "the transformations MAY contain exactly one translation",
    "add the translations up",
)
TRANSLATION_AFTER_SCALE = Rule(
    "translation-after-scale",
    "MUST",
    _MULTISCALES,
    "if a translation is given, it MUST be listed after the scale",
    "list the scale first and give the translation in physical units",
)
SCALE_POSITIVE = Rule(
    "scale-positive",
    "SHOULD",
    _MULTISCALES,
    "a scale specifies a pixel size or a time step, which is more than nothing",
    "give the pixel size; 1.0 where it is not known",
)


def check_scale_translation(listed: Node, axes: int | None) -> list[float] | None:
    """Check a list of transformations.

    Parameters
    ----------
    listed
        The list.
    axes
        Number of axes, None if not known.

    Returns
    -------
    list of float or None
        The factors of the scale, one for each axis, where they can be told.
    """
    entries = listed.as_objects(TRANSFORMATIONS_LIST, at_least=1)
    if entries is None:
        return None
    kinds: list[str] = []
    factors: list[float] | None = None
    for entry in entries:
        kind = entry["type"].value
        if kind not in ("scale", "translation"):
            entry["type"].breaks(TRANSFORMATION_TYPE)
            continue
        kinds.append(kind)
        vector = _check_vector(entry, kind, axes)
        if kind == "scale" and factors is None:
            factors = vector
    if kinds.count("scale") != 1:
        listed.breaks(SCALE_ONCE, f"{kinds.count('scale')} scales")
    if kinds.count("translation") > 1:
        listed.breaks(TRANSLATION_ONCE, f"{kinds.count('translation')} translations")
    if "scale" in kinds and "translation" in kinds[: kinds.index("scale")]:
        listed.breaks(TRANSLATION_AFTER_SCALE, ", ".join(kinds))
    return factors


def _check_vector(entry: Node, kind: str, axes: int | None) -> list[float] | None:
    if kind not in entry and isinstance(entry["path"].value, str):
        return None
    vector = entry[kind].as_numbers(TRANSFORMATION_PARAMETERS)
    if vector is None:
        return None
    if len(vector) < 2:
        # No image has so few axes; told apart because this length is wrong in any case.
        entry[kind].breaks(TRANSFORMATION_PARAMETERS, f"{len(vector)} numbers")
        return None
    if axes is not None and len(vector) != axes:
        entry[kind].breaks(TRANSFORMATION_LENGTH, f"{len(vector)} numbers on {axes} axes")
    if kind == "scale" and any(factor <= 0 for factor in vector):
        entry[kind].breaks(SCALE_POSITIVE)
    return vector
