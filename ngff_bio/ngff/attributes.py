"""The attribute ``ngff_bio``, for what OME-Zarr does not define.

It is beside ``ome`` (or beside the keys of 0.4). Each kind has its own version and a JSON Schema in
``schemas/``, generated from these models.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ngff_bio.ngff.schema_version import KEY, VERSION

__all__ = [
    "KEY",
    "KINDS",
    "NOT_READ",
    "SKIPPED",
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

#: Key of the further fields of a dataset: files of the source that are not in the store.
NOT_READ = "files_not_read"

#: Key of the further fields of a dataset: records and images of the source that are not in the store.
SKIPPED = "skipped"

#: Key among the attributes of a label image that was added to a finished store: by, program, time.
ADDED = "added"

#: Key among the attributes of a label image whose annotations were edited in a finished store: a list
#: of by, program, time, and how many objects were added, removed and changed.
EDITED = "edited"

#: Key of the further fields of a dataset: who has described it later, and which fields of it.
DESCRIBED = "described"

Json = Any
Id = int | str


def further_field(own: Mapping[str, Any], key: str) -> Any:
    """A field of those that the source, or who wrote later, has beside the ones named here."""
    fields = own.get("attributes")
    return fields.get(key) if isinstance(fields, dict) else None


def described_fields(own: Mapping[str, Any]) -> list[str]:
    """Fields of a dataset that were described later."""
    later = further_field(own, DESCRIBED)
    fields = later.get("fields") if isinstance(later, dict) else None
    return [f for f in fields if isinstance(f, str)] if isinstance(fields, list) else []


def edits_of(own: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How the annotations of a label image were edited later, the last edit last."""
    edits = further_field(own, EDITED)
    return [e for e in edits if isinstance(e, dict)] if isinstance(edits, list) else []


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, serialize_by_alias=True, defer_build=True
    )

    def to_json(self) -> dict[str, Any]:
        """JSON values, without those that are None."""
        return self.model_dump(mode="json", exclude_none=True)


class Converter(_Part):
    """The program that wrote the store."""

    name: str = Field(description="Name of the program.", examples=["ngff_bio"])
    version: str = Field(description="Its version.", examples=["0.1.0"])


class CategoryEntry(_Part):
    """A class that instances or pixels belong to."""

    id: Id = Field(description="Id in the source.", examples=[1])
    name: str = Field(description="Name in the source.", examples=["cell"])
    color: tuple[int, int, int, int] | None = Field(
        default=None,
        description="Red, green, blue, alpha in 0..255.",
        examples=[[1, 1, 224, 255]],
    )
    record: dict[str, Json] | None = Field(
        default=None, description="Further fields in the source."
    )


class FrameEntry(_Part):
    """One source image: a time point of the image, or the image itself."""

    name: str = Field(description="File name in the source.")
    t: int = Field(default=0, description="Index along the t axis.", ge=0)
    size: tuple[int, int] | None = Field(
        default=None, description="True height and width, where smaller than the plane."
    )
    elapsed_hours: float | None = Field(
        default=None, description="Hours since the start of the experiment."
    )
    splits: tuple[str, ...] | None = Field(
        default=None,
        description="Splits or annotation files that it belongs to.",
        examples=[["train"]],
    )
    record: dict[str, Json] | None = Field(
        default=None, description="Further fields in the source."
    )


class DatasetAttributes(_Part):
    """Root of a store: origin of the data, and the program that wrote the store."""

    kind: Literal["dataset"] = "dataset"
    version: str = Field(default=VERSION, description="Version of this kind.")
    name: str = Field(description="Name of the dataset.", examples=["platelet-em"])
    source: str = Field(description="Name of the source format.", examples=["platelet-em"])
    converter: Converter
    options: dict[str, Json] = Field(
        default={}, description="Options that differ from their defaults."
    )
    licence: str | None = Field(default=None, description="Terms of use, as in the source.")
    citation: str | None = Field(default=None, description="How to cite the data.")
    splits: tuple[str, ...] | None = Field(default=None, description="All splits of the dataset.")
    images: int = Field(description="Number of images in the store.", ge=0)
    groups: tuple[str, ...] | None = Field(
        default=None,
        description="Paths of the plates and collections below a root that is neither.",
        examples=[["A172", "BV2"]],
    )
    attributes: dict[str, Json] | None = Field(
        default=None, description="Further fields of the dataset in the source."
    )


class ImageAttributes(_Part):
    """An image: its name in the source, and its frames."""

    kind: Literal["image"] = "image"
    version: str = Field(default=VERSION, description="Version of this kind.")
    name: str = Field(description="Name of the image in the source.")
    frames: tuple[FrameEntry, ...] = Field(default=(), description="Source images, in order of t.")
    attributes: dict[str, Json] | None = Field(
        default=None, description="Further fields of the image in the source."
    )


class RootImageAttributes(ImageAttributes):
    """An image at the root of a store, with the attributes of the dataset."""

    dataset: DatasetAttributes | None = Field(
        default=None, description="The dataset, where the image is the root of the store."
    )


class LabelAttributes(_Part):
    """A label image: the meaning of its values, and the paths of its table and tracks."""

    kind: Literal["labels"] = "labels"
    version: str = Field(default=VERSION, description="Version of this kind.")
    layer: str = Field(description="Name of the layer; hidden label images have it too.")
    values: Literal["instance", "semantic"] = Field(
        description="Whether a value is an object or a class."
    )
    categories: tuple[CategoryEntry, ...] = Field(
        default=(), description="Classes, in the order of the source."
    )
    color_rule: Literal["golden angle"] | None = Field(
        default=None,
        description="Colour of a value that image-label lists no colour for: in HSV, the hue is the "
        "fraction of value * 0.618034, the saturation 0.75, the value 1.",
    )
    table: str | None = Field(
        default=None,
        description="Path, from the label image, of the table with a row per instance.",
    )
    hidden: tuple[str, ...] | None = Field(
        default=None,
        description="Label images with the instances that are covered by others.",
    )
    hides: str | None = Field(
        default=None, description="On a hidden label image: the label image that it completes."
    )
    overlap: str | None = Field(
        default=None, description="Which instance is visible where several cover a pixel."
    )
    tracked: bool | None = Field(
        default=None, description="Whether a value is one object over time."
    )
    tracks: str | None = Field(
        default=None,
        description="Path, from the label image, of the graph (GEFF) of its tracks.",
    )
    attributes: dict[str, Json] | None = Field(
        default=None, description="Further fields of the layer in the source."
    )


KINDS: dict[str, type[_Part]] = {
    "dataset": DatasetAttributes,
    "image": RootImageAttributes,
    "labels": LabelAttributes,
}


def problems(own: Any) -> list[tuple[str, str]]:
    """Where attributes do not match the schema of their kind: JSON pointers, and what is wrong.

    Keys that a newer minor version has added are ignored.
    """
    named = own.get("kind") if isinstance(own, dict) else own
    kind = KINDS.get(str(named)) if isinstance(own, dict) else None
    if kind is None:
        return [("/kind", f"{named!r} is not one of {', '.join(KINDS)}")]
    newer = _minor(own.get("version")) > _minor(VERSION)
    try:
        # As JSON: there a list is a tuple, and a string is not a number.
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
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {
        f"{kind}-{VERSION}.schema.json": {**dialect, **model.model_json_schema()}
        for kind, model in KINDS.items()
    }


def write_schemas(folder: Path) -> None:
    """Write the JSON Schema of each kind into a folder."""
    for name, schema in json_schemas().items():
        (folder / name).write_text(json.dumps(schema, indent=2) + "\n")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
