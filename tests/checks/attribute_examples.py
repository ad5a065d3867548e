"""Valid attributes of each kind of group, as every test here starts from; and how to spoil them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

AXES = [
    {"name": "t", "type": "time", "unit": "hour"},
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]
OMERO = {
    "channels": [
        {
            "label": "DAPI",
            "color": "0000FF",
            "active": True,
            "window": {"min": 0, "max": 255, "start": 0, "end": 255},
        }
    ]
}
IMAGE_LABEL = {
    "colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}, {"label-value": 2}],
    "properties": [{"label-value": 1, "class": "cell"}, {"label-value": 2, "class": "debris"}],
    "source": {"image": "../../"},
}
PLATE = {
    "name": "plate",
    "field_count": 2,
    "rows": [{"name": "A"}, {"name": "B"}],
    "columns": [{"name": "1"}, {"name": "2"}, {"name": "3"}],
    "acquisitions": [
        {"id": 0, "name": "day 1", "maximumfieldcount": 2, "starttime": 1343731272},
        {"id": 3, "name": "day 2", "maximumfieldcount": 1, "description": "after medium change"},
    ],
    "wells": [
        {"path": "A/2", "rowIndex": 0, "columnIndex": 1},
        {"path": "B/3", "rowIndex": 1, "columnIndex": 2},
    ],
}
WELL = {"images": [{"path": "0", "acquisition": 0}, {"path": "1", "acquisition": 3}]}


def scale_translation(factor: float) -> list[Json]:
    return [
        {"type": "scale", "scale": [1, 1, 0.5, 0.1 * factor, 0.1 * factor]},
        {"type": "translation", "translation": [0, 0, 0, 3.5, -2]},
    ]


def level_06(path: str, factor: float, output: str = "physical") -> Json:
    return {
        "path": path,
        "coordinateTransformations": [
            {
                "type": "sequence",
                "input": {"path": path},
                "output": {"name": output},
                "transformations": scale_translation(factor),
            }
        ],
    }


def multiscale(version: str) -> Json:
    described = {"name": "image", "type": "local mean", "metadata": {"method": "mean"}}
    if version == "0.6":
        return {
            **described,
            "coordinateSystems": [{"name": "physical", "axes": copy.deepcopy(AXES)}],
            "datasets": [level_06("0", 1), level_06("1", 2)],
        }
    return {
        **described,
        **({"version": "0.4"} if version == "0.4" else {}),
        "axes": copy.deepcopy(AXES),
        "datasets": [
            {"path": "0", "coordinateTransformations": scale_translation(1)},
            {"path": "1", "coordinateTransformations": scale_translation(2)},
        ],
    }


def wrapped(version: str, metadata: Json) -> Json:
    """Put metadata keys where a version has them."""
    if version == "0.4":
        for key in ("image-label", "plate", "well"):
            if key in metadata:
                metadata[key] = {**metadata[key], "version": "0.4"}
        return metadata
    return {"ome": {"version": version, **metadata}}


def example(version: str, kind: str) -> Json:
    """Valid attributes, by the text and strictly, of a group of a kind."""
    metadata: Json = {
        "image": {"multiscales": [multiscale(version)], "omero": OMERO},
        "label": {"multiscales": [multiscale(version)], "image-label": IMAGE_LABEL},
        "labels": {"labels": ["cell", "nested/nucleus"]},
        "plate": {"plate": PLATE},
        "well": {"well": WELL},
        "collection": {"bioformats2raw.layout": 3},
        "series": {"series": ["0", "1"]},
        "scene": {"scene": _scene()},
    }[kind]
    return wrapped(version, copy.deepcopy(metadata))


def _scene() -> Json:
    return {
        "coordinateSystems": [
            {
                "name": "world",
                "axes": [
                    {"name": "y", "type": "space", "unit": "micrometer"},
                    {"name": "x", "type": "space", "unit": "micrometer"},
                ],
            }
        ],
        "coordinateTransformations": [
            {
                "type": "translation",
                "name": f"{path} to world",
                "translation": [0, offset],
                "input": {"name": "physical", "path": path},
                "output": {"name": "world"},
            }
            for path, offset in (("left", 0), ("right", 704))
        ],
    }


def metadata_of(attributes: Json) -> Json:
    """The object that holds the metadata keys."""
    return attributes.get("ome", attributes)


def resolve(attributes: Any, pointer: str) -> Any:
    """What a JSON pointer leads to."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        attributes = attributes[int(key)] if isinstance(attributes, list) else attributes[key]
    return attributes


Spoil = Callable[[Json], Any]


def put(pointer: str, value: Any) -> Spoil:
    """A change that sets what stands at a pointer below the metadata object."""

    def change(metadata: Json) -> None:
        parent, _, last = pointer.rpartition("/")
        holder = resolve(metadata, parent)
        holder[int(last) if isinstance(holder, list) else last] = copy.deepcopy(value)

    return change


def drop(pointer: str) -> Spoil:
    """A change that removes what stands at a pointer below the metadata object."""

    def change(metadata: Json) -> None:
        parent, _, last = pointer.rpartition("/")
        holder = resolve(metadata, parent)
        del holder[int(last) if isinstance(holder, list) else last]

    return change


def again(pointer: str) -> Spoil:
    """A change that repeats the first entry of a list."""

    def change(metadata: Json) -> None:
        listed = resolve(metadata, pointer)
        listed.append(copy.deepcopy(listed[0]))

    return change
