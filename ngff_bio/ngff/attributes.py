"""The namespaced attribute ``ngff_bio``: what OME-Zarr has no place for.

It stands beside ``ome`` (or beside the top-level keys of 0.4). Each kind has a version of its own and
a JSON Schema in ``schemas/``, generated from these models.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ngff_bio.ngff.schema_version import KEY, VERSION

__all__ = [
    "KEY",
    "KINDS",
    "VERSION",
    "CategoryEntry",
    "Converter",
    "DatasetAttributes",
    "FrameEntry",
    "ImageAttributes",
    "LabelAttributes",
    "RootImageAttributes",
    "json_schemas",
    "problems",
    "write_schemas",
]

Json = Any
Id = int | str


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, serialize_by_alias=True, defer_build=True
    )

    def to_json(self) -> dict[str, Any]:
        """JSON values, without what is not given."""
        return self.model_dump(mode="json", exclude_none=True)


class Converter(_Part):
    """Which program made the store."""

    name: Annotated[str, Field(description="Name of the program.", examples=["ngff_bio"])]
    version: Annotated[str, Field(description="Its version.", examples=["0.1.0"])]


class CategoryEntry(_Part):
    """A class that instances or pixels belong to."""

    id: Annotated[Id, Field(description="The source's own id.", examples=[1])]
    name: Annotated[str, Field(description="The source's own name.", examples=["cell"])]
    color: Annotated[
        tuple[int, int, int, int] | None,
        Field(description="Red, green, blue, alpha in 0..255.", examples=[[1, 1, 224, 255]]),
    ] = None
    record: Annotated[
        dict[str, Json] | None, Field(description="What else the source says of it.")
    ] = None


class FrameEntry(_Part):
    """One source image: a time point of the image, or the image itself."""

    name: Annotated[str, Field(description="The source's own file name.")]
    t: Annotated[int, Field(description="Index along the t axis.", ge=0)] = 0
    size: Annotated[
        tuple[int, int] | None,
        Field(description="True height and width, where smaller than the plane."),
    ] = None
    elapsed_hours: Annotated[
        float | None, Field(description="Hours since the start of the experiment.")
    ] = None
    splits: Annotated[
        tuple[str, ...] | None,
        Field(description="Splits or annotation files that it belongs to.", examples=[["train"]]),
    ] = None
    record: Annotated[
        dict[str, Json] | None, Field(description="What else the source says of it.")
    ] = None


class DatasetAttributes(_Part):
    """Root of a store: where the data comes from and what made the store."""

    kind: Literal["dataset"] = "dataset"
    version: Annotated[str, Field(description="Version of this kind.")] = VERSION
    name: Annotated[str, Field(description="Name of the dataset.", examples=["platelet-em"])]
    source: Annotated[
        str, Field(description="Name of the source format.", examples=["platelet-em"])
    ]
    converter: Converter
    options: Annotated[
        dict[str, Json], Field(description="Options that differ from their defaults.")
    ] = {}
    licence: Annotated[str | None, Field(description="Terms of use, as the source has them.")] = (
        None
    )
    citation: Annotated[str | None, Field(description="How to cite the data.")] = None
    splits: Annotated[tuple[str, ...] | None, Field(description="All splits of the dataset.")] = (
        None
    )
    images: Annotated[int, Field(description="Number of images in the store.", ge=0)]
    groups: Annotated[
        tuple[str, ...] | None,
        Field(
            description="Paths of the plates and collections below a root that is none itself.",
            examples=[["A172", "BV2"]],
        ),
    ] = None
    attributes: Annotated[
        dict[str, Json] | None, Field(description="What else the source says of itself.")
    ] = None


class ImageAttributes(_Part):
    """An image: its source name and its frames."""

    kind: Literal["image"] = "image"
    version: Annotated[str, Field(description="Version of this kind.")] = VERSION
    name: Annotated[str, Field(description="The source's own name of the image.")]
    frames: Annotated[
        tuple[FrameEntry, ...], Field(description="Source images, in order of t.")
    ] = ()
    attributes: Annotated[
        dict[str, Json] | None, Field(description="What else the source says of it.")
    ] = None


class RootImageAttributes(ImageAttributes):
    """An image that is the whole store: it also says what the root of a store says."""

    dataset: Annotated[
        DatasetAttributes | None,
        Field(description="Where the data comes from, where the image is the root of the store."),
    ] = None


class LabelAttributes(_Part):
    """A label image: what its values are, and where the rest of the annotation lies."""

    kind: Literal["labels"] = "labels"
    version: Annotated[str, Field(description="Version of this kind.")] = VERSION
    layer: Annotated[str, Field(description="Name of the layer; hidden label images carry it too.")]
    values: Annotated[
        Literal["instance", "semantic"],
        Field(description="Whether a value is an object or a class."),
    ]
    categories: Annotated[
        tuple[CategoryEntry, ...], Field(description="Classes, in the source's order.")
    ] = ()
    table: Annotated[
        str | None,
        Field(description="Path, from the label image, of the table with a row per instance."),
    ] = None
    hidden: Annotated[
        tuple[str, ...] | None,
        Field(description="Label images with the instances that are covered by others."),
    ] = None
    hides: Annotated[
        str | None, Field(description="On a hidden label image: the label image it completes.")
    ] = None
    overlap: Annotated[
        str | None,
        Field(description="Which instance shows where several cover a pixel."),
    ] = None
    tracked: Annotated[
        bool | None, Field(description="Whether a value is one object over time.")
    ] = None
    tracks: Annotated[
        str | None,
        Field(description="Path, from the label image, of the graph (GEFF) of its tracks."),
    ] = None
    attributes: Annotated[
        dict[str, Json] | None, Field(description="What else the source says of the layer.")
    ] = None


KINDS: dict[str, type[_Part]] = {
    "dataset": DatasetAttributes,
    "image": RootImageAttributes,
    "labels": LabelAttributes,
}


def problems(own: Any) -> list[tuple[str, str]]:
    """Where attributes do not hold to the schema of their kind: JSON pointers, and what is wrong.

    Keys that a newer minor version has added are passed over.
    """
    kind = KINDS.get(str(own.get("kind"))) if isinstance(own, dict) else None
    if kind is None:
        return [("/kind", f"{own.get('kind') if isinstance(own, dict) else own!r} is no kind")]
    newer = _minor(own.get("version")) > _minor(VERSION)
    try:
        # As JSON, so that lists are tuples and no text is a number.
        kind.model_validate_json(json.dumps(own), strict=True)
    except ValidationError as error:
        return [
            ("".join(f"/{part}" for part in one["loc"]), one["msg"])
            for one in error.errors()
            if not (newer and one["type"] == "extra_forbidden")
        ]
    return []


def _minor(version: Any) -> int:
    minor = str(version).partition(".")[2]
    return int(minor) if minor.isdecimal() else 0


def json_schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema of each kind, by file name."""
    schemas = {}
    for kind, model in KINDS.items():
        schema = model.model_json_schema()
        schemas[f"{kind}-{VERSION}.schema.json"] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **schema,
        }
    return schemas


def write_schemas(folder: Path) -> None:
    """Write the JSON Schema of each kind into a folder."""
    for name, schema in json_schemas().items():
        (folder / name).write_text(json.dumps(schema, indent=2) + "\n")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
