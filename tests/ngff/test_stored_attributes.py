"""Attributes of a stored group have the types of their schema where they are read."""

from __future__ import annotations

from typing import Any

import pytest

from ngff_bio.errors import StoreError
from ngff_bio.ngff.attributes import (
    CategoryEntry,
    Converter,
    DatasetAttributes,
    FrameEntry,
    LabelAttributes,
    RootImageAttributes,
)
from ngff_bio.ngff.stored_attributes import _Attributes, _Category, _Frame, own_attributes

RECORD = {"any": [1, None, {"x": "y"}]}
DATASET = DatasetAttributes(
    name="a",
    source="coco",
    converter=Converter(name="ngff_bio", version="1"),
    options={"limit": 3},
    licence="CC0",
    splits=("train",),
    images=2,
    groups=("a", "b"),
    attributes=RECORD,
)
FRAME = FrameEntry(name="a", t=3, size=(2, 5), elapsed_hours=0.5, splits=("train",), record=RECORD)
WHOLE = (
    DATASET,
    RootImageAttributes(name="b", frames=(FRAME,), attributes=RECORD, dataset=DATASET),
    LabelAttributes(
        layer="cell",
        values="instance",
        categories=(CategoryEntry(id="1", name="c", color=(1, 2, 3, 4), record=RECORD),),
        table="../../tables/cell",
        hidden=("cell 2",),
        tracked=True,
        attributes=RECORD,
    ),
)


@pytest.mark.parametrize("model", WHOLE, ids=lambda model: model.kind)
def test_what_the_models_write_is_read_as_it_is(model: Any) -> None:
    own = model.to_json()
    assert own_attributes({"ngff_bio": own}, "a.zarr") == own


def test_each_key_of_the_models_has_its_type_or_is_not_read() -> None:
    written = {name for model in WHOLE for name in type(model).model_fields}
    assert written - {*_Attributes.__struct_fields__} == {"version", "color_rule", "overlap"}
    assert {*FrameEntry.model_fields} == {*_Frame.__struct_fields__}
    assert {*CategoryEntry.model_fields} == {*_Category.__struct_fields__}


def lists_and_objects() -> list[tuple[dict[str, Any], str]]:
    return [
        (own, key)
        for own in (model.to_json() for model in WHOLE)
        for key, value in own.items()
        if isinstance(value, list | dict)
    ]


@pytest.mark.parametrize(("own", "key"), lists_and_objects(), ids=lambda v: v if v else "")
@pytest.mark.parametrize("other", [7, "x", [7]], ids=str)
def test_values_of_other_types_are_one_error_that_names_the_group(
    own: dict[str, Any], key: str, other: object
) -> None:
    with pytest.raises(StoreError, match="cannot be understood") as error:
        own_attributes({"ngff_bio": {**own, key: other}}, "a.zarr/b")
    assert error.value.file == "a.zarr/b"
    assert key in str(error.value)


def test_what_a_newer_version_has_changed_is_left_out() -> None:
    own = {**WHOLE[2].to_json(), "version": "2.0", "hidden": {"new": "form"}}
    found = own_attributes({"ngff_bio": own}, "a.zarr")
    assert found == {key: value for key, value in own.items() if key != "hidden"}


@pytest.mark.parametrize("own", [7, "x", [1], {"\ud800": 1}])
def test_what_is_no_object_of_texts_is_an_error(own: object) -> None:
    with pytest.raises(StoreError):
        own_attributes({"ngff_bio": own}, "a.zarr")
