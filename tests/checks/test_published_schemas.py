"""The JSON Schemas that the specification publishes refuse nothing that our rules let pass."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attribute_examples import example
from broken_rules import BROKEN, spoiled
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from test_attribute_checks_hold import ODD, places, rich

from ngff_bio.checks.spec.conformance import validate_attributes

SCHEMAS = Path(__file__).with_name("published_schemas")
VERSIONS = ("0.4", "0.5", "0.6")
#: The schema of each kind; there is none for lists of labels, and that for series checks only its key.
NAMES = {
    "image": "image",
    "label": "label",
    "plate": "plate",
    "well": "well",
    "collection": "bf2raw",
    "scene": "scene",
}
#: Rules of which a schema makes an error where the text only recommends: our finding is a warning.
STRICTER = {
    "axis-type": "image.schema requires it; the text has SHOULD",
    "axis-type-known": "axes.schema of 0.6 refuses an empty type; the text has SHOULD",
    "label-image-label": "label.schema requires image-label; the text has SHOULD",
    "transformation-interpolation": "the schema lists the methods; the text does not limit them",
    "omero-window-range": "image.schema of 0.6 requires min and max; the text does not",
}
CASES = [(v, k) for v in VERSIONS for k in NAMES if k != "scene" or v == "0.6"]


@cache
def validator(version: str, kind: str, *, strict: bool) -> Draft202012Validator:
    """The validator of a kind of group; the strict one where there is one."""
    folder = SCHEMAS / version
    loaded = [json.loads(path.read_text()) for path in sorted(folder.glob("*.schema"))]
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], DRAFT202012.create_resource(schema)) for schema in loaded
    )
    path = folder / f"{'strict_' if strict else ''}{NAMES[kind]}.schema"
    path = path if path.is_file() else folder / f"{NAMES[kind]}.schema"
    return Draft202012Validator(json.loads(path.read_text()), registry=registry)


def errors(attributes: dict[str, Any], version: str, kind: str, *, strict: bool) -> list[str]:
    """Rules that make attributes invalid, here or for the schemas."""
    found = validate_attributes(attributes, version=version, kind=kind, strict=strict)
    return [f.rule for f in found if f.level == "error" or f.rule in STRICTER]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("version", "kind"), CASES)
def test_the_examples_are_valid_for_both(version: str, kind: str, strict: bool) -> None:
    attributes = example(version, kind)
    validator(version, kind, strict=strict).validate(attributes)
    assert errors(attributes, version, kind, strict=strict) == []


@pytest.mark.parametrize("strict", [False, True])
def test_what_they_refuse_of_the_broken_examples_we_find(strict: bool) -> None:
    refused = 0
    for rule, kind, versions, spoil in BROKEN:
        for version in versions:
            if (version, kind) in CASES:
                attributes = spoiled(version, kind, spoil)
                if not validator(version, kind, strict=strict).is_valid(attributes):
                    refused += 1
                    assert errors(attributes, version, kind, strict=strict), (rule, version)
    assert refused > 100


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("version", "kind"), CASES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_they_refuse_with_odd_values_or_without_a_field_we_find(
    version: str, kind: str, strict: bool, data: st.DataObject
) -> None:
    attributes = copy.deepcopy(rich(version, kind))
    place = data.draw(st.sampled_from(list(places(attributes))))
    holder: Any = attributes
    for key in place[:-1]:
        holder = holder[key]
    if data.draw(st.booleans()):
        del holder[place[-1]]
    else:
        holder[place[-1]] = data.draw(ODD)
    if not validator(version, kind, strict=strict).is_valid(attributes):
        assert errors(attributes, version, kind, strict=strict)
