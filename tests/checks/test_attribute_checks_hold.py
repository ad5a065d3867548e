"""Whatever stands in the attributes, checking them ends with findings and never with an error."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from attribute_examples import AXES, example, metadata_of
from hypothesis import given, settings
from hypothesis import strategies as st

from ngff_bio.checks.spec.conformance import KINDS, VERSIONS, validate_attributes

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
ODD = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "type", "path", "scale", "0"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place inside a JSON value."""
    children: Any = []
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def rich(version: str, kind: str) -> dict[str, Any]:
    """An example with every type of transformation in it."""
    attributes = example(version, kind)
    metadata = metadata_of(attributes)
    if version == "0.6" and "multiscales" in metadata:
        listed = metadata["multiscales"][0]
        listed["coordinateSystems"].append({"name": "other", "axes": copy.deepcopy(AXES)})
        eye = [[float(i == j) for j in range(6)] for i in range(5)]
        links = [
            {"type": "rotation", "rotation": [row[:5] for row in eye]},
            {"type": "affine", "affine": eye},
            {"type": "mapAxis", "mapAxis": [0, 1, 2, 4, 3]},
            {"type": "projectAxis", "droppedInputs": [0], "createdOutputs": [0]},
            {
                "type": "byDimension",
                "transformations": [
                    {
                        "transformation": {"type": "identity"},
                        "inputAxes": [0, 1, 2, 3, 4],
                        "outputAxes": [0, 1, 2, 3, 4],
                    }
                ],
            },
            {
                "type": "bijection",
                "forward": {"type": "displacements", "path": "a", "interpolation": "linear"},
                "inverse": {"type": "coordinates", "path": "b"},
            },
        ]
        listed["coordinateTransformations"] = [
            {
                "type": "sequence",
                "transformations": links,
                "input": {"name": "physical"},
                "output": {"name": "other"},
            }
        ]
    return attributes


@pytest.mark.parametrize("version", VERSIONS)
def test_the_rich_example_is_valid(version: str) -> None:
    assert validate_attributes(rich(version, "image")) == []


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_odd_values_anywhere_are_findings_and_no_errors(data: st.DataObject) -> None:
    version = data.draw(st.sampled_from(VERSIONS))
    kind = data.draw(st.sampled_from(["image", "label", "plate", "well", "labels", "scene"]))
    attributes = rich(version, kind)
    place = data.draw(st.sampled_from(list(places(attributes))))
    holder: Any = attributes
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = data.draw(ODD)
    validate_attributes(attributes, plate=rich(version, "plate"))
    validate_attributes(rich(version, "well"), plate=attributes)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["ome", "multiscales", "image-label", "labels", "plate", "well", "series", "omero"]
        ),
        st.dictionaries(
            st.sampled_from(["version", "multiscales", "scene", "well", "plate"]), ODD, max_size=3
        )
        | ODD,
        max_size=3,
    ),
    st.sampled_from([None, *VERSIONS]),
    st.sampled_from([None, *KINDS]),
)
def test_odd_attributes_are_findings_and_no_errors(
    attributes: dict[str, Any], version: str | None, kind: str | None
) -> None:
    before = copy.deepcopy(attributes)
    findings = validate_attributes(attributes, version=version, kind=kind)
    assert all(finding.level in ("error", "warning") for finding in findings)
    assert repr(attributes) == repr(before)
