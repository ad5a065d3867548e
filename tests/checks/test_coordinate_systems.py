"""0.6: the ways in which images are mapped to coordinate systems that the specification allows."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from attribute_examples import AXES, OMERO, example

from ngff_bio.checks.spec.conformance import validate_attributes

YX = AXES[3:]
CYX = [AXES[1], *YX]
CZYX = AXES[1:]
ARRAY = [{"name": "dim_0", "type": "array", "discrete": True}, {"name": "dim_1", "type": "array"}]
LEFT = math.cos(0.3), math.sin(0.3)


def image(
    transformation: dict[str, Any],
    *between: dict[str, Any],
    axes: list[dict[str, Any]] | None = None,
    **others: list[dict[str, Any]],
) -> dict[str, Any]:
    """One level, its way to the system "physical", and further systems by name."""
    systems = {"physical": YX if axes is None else axes, **others}
    ends = {"input": {"path": "s0"}, "output": {"name": "physical"}}
    multiscale = {
        "name": "image",
        "type": "mean",
        "metadata": {},
        "coordinateSystems": [
            {"name": name, "axes": copy.deepcopy(listed)} for name, listed in systems.items()
        ],
        "datasets": [{"path": "s0", "coordinateTransformations": [{**ends, **transformation}]}],
    }
    if between:
        multiscale["coordinateTransformations"] = list(between)
    return {"ome": {"version": "0.6", "multiscales": [multiscale]}}


def edge(start: str, end: str, /, **parameters: Any) -> dict[str, Any]:
    return {"input": {"name": start}, "output": {"name": end}, **parameters}


SCALE = {"type": "scale", "scale": [2.0, 3.0]}
SHIFT = {"type": "translation", "translation": [-1.5, 4]}
VALID = {
    "a scale": image(SCALE),
    "an identity": image({"type": "identity", "name": "pixels are the unit"}),
    "a scale and a translation": image({"type": "sequence", "transformations": [SCALE, SHIFT]}),
    "array axes, and the way on by dimension": image(
        {"type": "identity"},
        edge(
            "physical",
            "world",
            type="byDimension",
            transformations=[
                {
                    "transformation": {"type": "scale", "scale": [2]},
                    "inputAxes": [0],
                    "outputAxes": [1],
                },
                {
                    "transformation": {"type": "translation", "translation": [-10]},
                    "inputAxes": [1],
                    "outputAxes": [0],
                },
            ],
        ),
        axes=ARRAY,
        world=YX,
    ),
    "a way from the other system": image(SCALE, edge("world", "physical", **SCALE), world=YX),
    "an affine in JSON": image(
        SCALE,
        edge("physical", "sheared", type="affine", affine=[[3, 0.4, 30], [0, 2, 20]]),
        sheared=YX,
    ),
    "an affine in an array": image(
        SCALE, edge("physical", "sheared", type="affine", path="shear"), sheared=YX
    ),
    "an affine into more dimensions": image(
        SCALE,
        edge("physical", "world", type="affine", affine=[[0, 0, 1], [1, 0, 0], [0, 1, 0]]),
        world=AXES[2:],
    ),
    "a rotation": image(
        SCALE,
        edge("physical", "r", type="rotation", rotation=[[LEFT[0], -LEFT[1]], [LEFT[1], LEFT[0]]]),
        r=YX,
    ),
    "a permutation": image(SCALE, edge("physical", "p", type="mapAxis", mapAxis=[1, 0]), p=YX),
    "axes that are added": image(
        SCALE, edge("physical", "w", type="projectAxis", createdOutputs=[0, 1]), w=CZYX
    ),
    "an axis that is dropped and one that is added": image(
        {"type": "scale", "scale": [1, 2, 2]},
        edge("physical", "w", type="projectAxis", createdOutputs=[0], droppedInputs=[0]),
        axes=CYX,
        w=AXES[2:],
    ),
    "a sequence through a dropped axis": image(
        {"type": "scale", "scale": [1, 2, 2]},
        edge(
            "physical",
            "w",
            type="sequence",
            transformations=[
                {"type": "projectAxis", "droppedInputs": [0]},
                SCALE,
                {"type": "affine", "affine": [[1, 0, 0], [0, 1, 0]]},
            ],
        ),
        axes=CYX,
        w=YX,
    ),
    "a bijection of fields": image(
        SCALE,
        edge(
            "physical",
            "warped",
            type="bijection",
            forward={"type": "displacements", "path": "there", "interpolation": "linear"},
            inverse={"type": "coordinates", "path": "back", "interpolation": "bspline-cubic"},
        ),
        warped=YX,
    ),
    "a chain of systems": image(
        SCALE, edge("physical", "a", **SHIFT), edge("b", "physical", **SHIFT), a=YX, b=YX
    ),
    "a way to the labels": image(
        SCALE,
        {
            "type": "sequence",
            "transformations": [SCALE, SHIFT],
            "input": {"name": "physical", "path": None},
            "output": {"name": "physical", "path": "labels/cell"},
        },
    ),
}


@pytest.mark.parametrize("way", VALID)
def test_what_the_specification_allows_is_valid(way: str) -> None:
    assert validate_attributes(VALID[way], strict=True) == []


def test_channels_may_say_as_little_as_they_like() -> None:
    attributes = example("0.6", "image")
    attributes["ome"]["omero"] = {"channels": [{}, {"label": "red"}, OMERO["channels"][0]]}
    assert validate_attributes(attributes) == []


def test_a_scene_may_hang_together_through_its_images() -> None:
    attributes = example("0.6", "scene")
    scene = attributes["ome"]["scene"]
    del scene["coordinateSystems"]
    ends = [("a", "physical", "b", "physical"), ("c", "raw", "b", "raw")]
    scene["coordinateTransformations"] = [
        {
            "type": "affine",
            "path": "coordinateTransformations/registration",
            "input": {"path": path, "name": name},
            "output": {"path": to_path, "name": to_name},
        }
        for path, name, to_path, to_name in ends
    ]
    assert validate_attributes(attributes) == []
    scene["coordinateTransformations"][1]["output"]["path"] = "d"
    (finding,) = validate_attributes(attributes)
    assert finding.rule == "coordinate-systems-connected"


def test_systems_of_a_scene_are_not_bound_to_the_axes_of_images() -> None:
    attributes = example("0.6", "scene")
    world = attributes["ome"]["scene"]["coordinateSystems"][0]
    world["axes"] = [{"name": f"q{n}", "type": "wavevector"} for n in range(2)]
    levels = {finding.level for finding in validate_attributes(attributes)}
    assert levels == {"warning"}


def test_a_broken_link_of_a_sequence_is_found_at_the_link() -> None:
    attributes = image(
        SCALE,
        edge(
            "physical",
            "w",
            type="sequence",
            transformations=[{"type": "projectAxis", "createdOutputs": [0]}, SCALE],
        ),
        w=AXES[2:],
    )
    (finding,) = validate_attributes(attributes)
    assert finding.rule == "transformation-length"
    assert finding.pointer.endswith("/coordinateTransformations/0/transformations/1/scale")
