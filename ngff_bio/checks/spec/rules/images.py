"""Images: what a multiscales entry says beside its axes and transformations; channels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ngff_bio.checks.spec.findings import ALL_VERSIONS, Rule
from ngff_bio.checks.spec.node import Node, duplicates, is_number

_MULTISCALES = '"multiscales" metadata'
_OMERO = '"omero" metadata'

MULTISCALES_LIST = Rule(
    "multiscales-list",
    "MUST",
    _MULTISCALES,
    '"multiscales" contains a list of objects, each of which describes a multiscale image',
    "list at least one multiscale image",
)
MULTISCALES_UNIQUE = Rule(
    "multiscales-unique",
    "MUST",
    _MULTISCALES,
    'no two entries of "multiscales" are the same (image.schema)',
    "drop the repeated entry",
)
MULTISCALE_NAME = Rule(
    "multiscale-name",
    "SHOULD",
    _MULTISCALES,
    'each "multiscales" object SHOULD contain the field "name"',
    "name the image",
    in_strict_schema=ALL_VERSIONS,
)
MULTISCALE_NAME_TEXT = Rule(
    "multiscale-name-text",
    "MUST",
    _MULTISCALES,
    "the name of a multiscale image is a string (image.schema)",
    "write the name as a string",
)
MULTISCALE_TYPE = Rule(
    "multiscale-type",
    "SHOULD",
    _MULTISCALES,
    'each "multiscales" object SHOULD contain the field "type", the downscaling method',
    'tell the method, as "type": "local mean"',
    in_strict_schema=ALL_VERSIONS,
)
MULTISCALE_METADATA = Rule(
    "multiscale-metadata",
    "SHOULD",
    _MULTISCALES,
    'each "multiscales" object SHOULD contain the field "metadata" on the downscaling method',
    "tell with which program and arguments the levels were made",
    in_strict_schema=ALL_VERSIONS,
)
DATASETS_LIST = Rule(
    "datasets-list",
    "MUST",
    _MULTISCALES,
    'each "multiscales" object MUST contain the field "datasets", a list of objects',
    "list the arrays, the largest first",
)
DATASET_PATH = Rule(
    "dataset-path",
    "MUST",
    _MULTISCALES,
    'each object in "datasets" MUST contain the field "path", the path of an array as a string',
    "write the array's path relative to this group",
)
DATASET_PATH_UNIQUE = Rule(
    "dataset-path-unique",
    "MUST",
    _MULTISCALES,
    'the "path"s MUST be ordered from largest to smallest: an array is not smaller than itself',
    "list each array once",
)
DATASETS_ORDER = Rule(
    "datasets-order",
    "MUST",
    _MULTISCALES,
    'the "path"s MUST be ordered from largest (highest resolution) to smallest',
    "sort the datasets by their scale, the finest first",
)
OMERO_CHANNELS = Rule(
    "omero-channels",
    "MUST",
    _OMERO,
    'if present, "omero" MUST contain the field "channels", a list of objects',
    'list the channels, or leave "omero" out',
)
OMERO_COLOR = Rule(
    "omero-color",
    "MUST",
    _OMERO,
    'the field "color" of a channel is a string of 6 hexadecimal digits (MUST be there before 0.6)',
    'write the colour as "FF0000"',
)
OMERO_WINDOW = Rule(
    "omero-window",
    "MUST",
    _OMERO,
    'the field "window" of a channel is an object (MUST be there before 0.6)',
    'add "window" with min, max, start and end',
)
OMERO_WINDOW_LIMITS = Rule(
    "omero-window-limits",
    "MUST",
    _OMERO,
    'a window MUST contain the numbers "start" and "end" (before 0.6 also "min" and "max")',
    "give the limits as numbers",
)
OMERO_WINDOW_RANGE = Rule(
    "omero-window-range",
    "SHOULD",
    _OMERO,
    'image.schema asks for "min" and "max" in a window; the text does not',
    "give min and max too",
)
OMERO_FIELD = Rule(
    "omero-field",
    "MUST",
    _OMERO,
    '"label" and "family" of a channel are strings, "active" is a boolean (image.schema)',
    "write the value in its type",
)

#: Two scales that differ by less than this are the same: they were computed, not typed.
_SAME_SCALE = 1e-9


def check_descriptions(multiscale: Node) -> None:
    """Check name, downscaling method and its metadata of a multiscale image."""
    if "name" not in multiscale:
        multiscale.breaks(MULTISCALE_NAME, "no name")
    elif not isinstance(multiscale["name"].value, str):
        multiscale["name"].breaks(MULTISCALE_NAME_TEXT)
    if "type" not in multiscale:
        multiscale.breaks(MULTISCALE_TYPE, "no type")
    if "metadata" not in multiscale:
        multiscale.breaks(MULTISCALE_METADATA, "no metadata")


def multiscale_images(metadata: Node) -> list[Node]:
    """The entries of ``multiscales`` that are objects."""
    listed = metadata["multiscales"]
    entries = listed.as_objects(MULTISCALES_LIST, at_least=1)
    if entries is None:
        return []
    if duplicates([entry.value for entry in entries]):
        listed.breaks(MULTISCALES_UNIQUE, "two entries are the same")
    return entries


def datasets_of(multiscale: Node) -> list[Node]:
    """The datasets of a multiscale image, their paths checked."""
    listed = multiscale["datasets"]
    entries = listed.as_objects(DATASETS_LIST, at_least=1)
    if entries is None:
        return []
    paths = [entry["path"].as_text(DATASET_PATH, pattern="(?s).+") for entry in entries]
    for path in duplicates([path for path in paths if path is not None]):
        listed.breaks(DATASET_PATH_UNIQUE, f"{path!r} more than once")
    return entries


def check_level_order(datasets: Sequence[Node], scales: Sequence[list[float] | None]) -> None:
    """Check that no level is finer than the one before it, on any axis.

    Parameters
    ----------
    datasets
        The datasets as they are listed.
    scales
        Pixel size of each on each axis; None where it is not known.
    """
    for (_, finer), (dataset, coarser) in pairwise(zip(datasets, scales, strict=True)):
        if finer is None or coarser is None or len(finer) != len(coarser):
            continue
        if any(b < a - abs(a) * _SAME_SCALE for a, b in zip(finer, coarser, strict=True)):
            dataset.breaks(DATASETS_ORDER, f"scale {coarser} after scale {finer}")


def check_omero(metadata: Node) -> None:
    """Check the rendering settings of the channels, if there are any."""
    omero = metadata["omero"]
    if omero.missing or omero.as_object(OMERO_CHANNELS) is None:
        return
    needed = omero.report.version != "0.6"
    for channel in omero["channels"].as_objects(OMERO_CHANNELS) or []:
        if needed or "color" in channel:
            channel["color"].as_text(OMERO_COLOR, pattern="[0-9a-fA-F]{6}")
        if needed or "window" in channel:
            _check_window(channel["window"], needed=needed)
        for key, kind in (("label", str), ("family", str), ("active", bool)):
            if key in channel and not isinstance(channel[key].value, kind):
                channel[key].breaks(OMERO_FIELD)


def _check_window(window: Node, *, needed: bool) -> None:
    if window.as_object(OMERO_WINDOW) is None:
        return
    for key in ("start", "end", "min", "max"):
        if key in window or needed or key in ("start", "end"):
            if not is_number(window[key].value):
                window[key].breaks(OMERO_WINDOW_LIMITS)
        else:
            window.breaks(OMERO_WINDOW_RANGE, f"no {key!r}")
