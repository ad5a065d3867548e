"""Each rule is broken once, alone, and is found with its id, place and sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attribute_examples import AXES, Spoil, drop, example, metadata_of, put, resolve
from broken_rules import (
    ALL,
    BROKEN,
    BROKEN_AXES,
    MS,
    PART,
    TR,
    axes_at,
    both,
    new_axes,
    second_system,
    spoiled,
)
from test_rule_table import rule_ids_in

import ngff_bio.checks.spec
from ngff_bio.checks.spec.conformance import KINDS, VERSIONS, validate_attributes
from ngff_bio.checks.spec.findings import Finding, find_rule
from ngff_bio.errors import ArgumentError

SCENES_BEFORE = {("0.4", "scene"), ("0.5", "scene")}


def find(attributes: dict[str, Any], version: str, **options: Any) -> list[Finding]:
    return validate_attributes(attributes, version=version, **options)


@pytest.mark.parametrize(
    ("version", "kind"),
    # Scenes came with 0.6.
    [(version, kind) for version in ALL for kind in KINDS if (version, kind) not in SCENES_BEFORE],
)
def test_the_examples_break_no_rule(version: str, kind: str) -> None:
    assert validate_attributes(example(version, kind), kind=kind, strict=True) == []


@pytest.mark.parametrize(
    ("rule", "version", "kind", "spoil"),
    [
        pytest.param(rule, version, kind, spoil, id=f"{rule}-{version}-{number}")
        for number, (rule, kind, versions, spoil) in enumerate(BROKEN)
        for version in versions
    ],
)
def test_a_broken_rule_is_found_alone(rule: str, version: str, kind: str, spoil: Spoil) -> None:
    findings = find(spoiled(version, kind, spoil), version)
    assert {finding.rule for finding in findings} == {rule}


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize(("rule", "kinds"), BROKEN_AXES)
def test_number_and_order_of_axes_follow_their_types(
    version: str, rule: str, kinds: list[str | None]
) -> None:
    attributes = spoiled(version, "image", put(axes_at(version), new_axes(*kinds)))
    rules = {finding.rule for finding in find(attributes, version) if finding.level == "error"}
    assert rule in rules
    # Nothing but what follows from the number of axes is an error too.
    assert rules <= {rule, "transformation-length", "axes-channel-count", "axes-space-count"}


@pytest.mark.parametrize("version", ALL)
def test_three_spatial_axes_are_wanted_as_zyx(version: str) -> None:
    axes = [*AXES[:2], AXES[4], AXES[3], AXES[2]]
    findings = find(spoiled(version, "image", put(axes_at(version), axes)), version)
    assert [(finding.rule, finding.level) for finding in findings] == [("axes-zyx", "warning")]


def test_a_system_of_array_axes_has_no_others() -> None:
    def verdict(*kinds: str) -> set[str]:
        attributes = spoiled("0.6", "image", put(axes_at("0.6"), new_axes(*kinds)))
        return {finding.rule for finding in find(attributes, "0.6")}

    assert verdict(*["array"] * 5) == set()
    assert "axes-array-only" in verdict("time", "array", "array", "array", "array")


def test_every_rule_on_attributes_is_broken_by_some_test_here() -> None:
    rules = rule_ids_in(Path(ngff_bio.checks.spec.__file__).parent)
    tested = {rule for rule, *_ in BROKEN} | {rule for rule, _ in BROKEN_AXES}
    elsewhere = {
        "axes-zyx",
        "axes-array-only",
        "label-image-label",
        "ome-namespace",
        "well-image-acquisition-needed",
        "well-image-acquisition-known",
    }
    assert rules == tested | elsewhere


@pytest.mark.parametrize(("rule", "kind", "versions", "spoil"), BROKEN)
def test_a_finding_has_place_value_sentence_and_hint(
    rule: str, kind: str, versions: tuple[str, ...], spoil: Spoil
) -> None:
    version = versions[0]
    attributes = spoiled(version, kind, spoil)
    for finding in find(attributes, version, group="A/1/0"):
        # What is missing has no place of its own, but what it is missing from has.
        assert isinstance(resolve(attributes, finding.pointer.rpartition("/")[0]), dict | list)
        assert finding.path == f"A/1/0#{finding.pointer}"
        authority = find_rule(finding.rule).authority or f"OME-Zarr {version}"
        assert finding.source.startswith(f"{authority}, ")
        assert finding.found
        assert finding.hint
        assert finding.sentence in str(finding)
        assert finding.to_json()["path"] == finding.path


def test_a_place_inside_the_attributes_is_a_json_pointer() -> None:
    attributes = example("0.5", "image")
    attributes["ome"]["multiscales"][0]["axes"][3]["unit"] = "micron"
    (finding,) = validate_attributes(attributes)
    assert resolve(attributes, finding.pointer) == "micron"


def test_all_findings_are_listed_not_only_the_first() -> None:
    attributes = example("0.5", "plate")
    plate = attributes["ome"]["plate"]
    plate["rows"][0]["name"] = "A-1"
    plate["wells"].append({"path": "C/9", "rowIndex": 7, "columnIndex": 0})
    plate["acquisitions"][0]["id"] = -1
    del plate["name"]
    rules = {finding.rule for finding in validate_attributes(attributes)}
    assert rules >= {
        "row-name",
        "well-path-names",
        "well-index-range",
        "acquisition-id",
        "plate-name",
    }


def test_strict_makes_every_recommendation_an_error() -> None:
    attributes = spoiled("0.5", "image", both(drop(f"{MS}/axes/0/unit"), drop(f"{MS}/name")))
    assert {finding.level for finding in find(attributes, "0.5")} == {"warning"}
    assert {finding.level for finding in find(attributes, "0.5", strict=True)} == {"error"}
    as_cases = {
        finding.rule: finding.level
        for finding in find(attributes, "0.5", strict=True, as_cases=True)
    }
    # The published strict schemas ask for a name, and for no unit.
    assert as_cases == {"axis-unit": "warning", "multiscale-name": "error"}


@pytest.mark.parametrize(
    ("rule", "version", "kind", "spoil"),
    [
        ("well-path-swapped", "0.4", "plate", put("/plate/wells/0/path", "2/A")),
        ("well-path-swapped", "0.6", "plate", put("/plate/wells/0/path", "2/A")),
        ("transformation-length", "0.4", "image", put(f"{TR}/0/scale", [0.1, 0.1])),
        ("transformation-length", "0.6", "image",
         put(f"{TR}/0/transformations/0/scale", [0.1, 0.1])),
        ("dataset-input-path", "0.6", "image", put(f"{TR}/0/input/path", "s0")),
        ("plate-version", "0.4", "plate", drop("/plate/version")),
        ("label-multiscales", "0.5", "label", drop("/multiscales")),
        ("by-dimension-covered", "0.6", "image",
         second_system({"type": "byDimension", "transformations": [PART]})),
        ("transformation-name-unique", "0.6", "scene",
         put("/scene/coordinateTransformations/0/name", "right to world")),
    ],
)  # fmt: skip
def test_where_the_published_cases_are_milder_both_judgements_can_be_had(
    rule: str, version: str, kind: str, spoil: Spoil
) -> None:
    attributes = spoiled(version, kind, spoil)
    (by_text,) = find(attributes, version)
    (as_case,) = find(attributes, version, as_cases=True)
    assert (by_text.rule, by_text.level) == (rule, "error")
    assert (as_case.rule, as_case.level) == (rule, "warning")


def test_a_well_path_that_is_swapped_is_an_error_in_0_5_however_it_is_judged() -> None:
    attributes = spoiled("0.5", "plate", put("/plate/wells/0/path", "2/A"))
    assert [finding.level for finding in find(attributes, "0.5", as_cases=True)] == ["error"]


@pytest.mark.parametrize("version", ALL)
def test_images_of_a_well_name_their_acquisition_where_the_plate_has_several(version: str) -> None:
    plate = example(version, "plate")
    well = example(version, "well")
    images = metadata_of(well)["well"]["images"]
    assert validate_attributes(well, plate=plate) == []
    images[0]["acquisition"] = 1
    assert [f.rule for f in validate_attributes(well, plate=plate)] == [
        "well-image-acquisition-known"
    ]
    del images[0]["acquisition"]
    assert [f.rule for f in validate_attributes(well, plate=plate)] == [
        "well-image-acquisition-needed"
    ]
    del metadata_of(plate)["plate"]["acquisitions"][0]
    assert validate_attributes(well, plate=plate) == []


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("kind", ["image", "label", "plate", "well"])
def test_the_version_is_detected_from_the_data(version: str, kind: str) -> None:
    attributes = example(version, kind)
    metadata_of(attributes)["well"] = {"images": []}
    finding = validate_attributes(attributes)[-1]
    assert finding.source.startswith(f"OME-Zarr {version}, ")


@pytest.mark.parametrize("named", ["0.9", "0.6.dev3", "0.4", 0.5, None])
def test_a_version_that_is_not_known_is_a_finding(named: Any) -> None:
    attributes = example("0.6", "image")
    attributes["ome"]["version"] = named
    assert [finding.rule for finding in validate_attributes(attributes)] == ["ome-version"]


def test_the_release_candidate_counts_as_the_release() -> None:
    attributes = example("0.6", "image")
    attributes["ome"]["version"] = "0.6rc0"
    assert validate_attributes(attributes) == []


def test_metadata_at_the_top_is_not_0_5() -> None:
    findings = validate_attributes(example("0.4", "image"), version="0.5")
    assert [finding.rule for finding in findings] == ["ome-namespace"]


@pytest.mark.parametrize("version", ALL)
def test_a_group_that_should_be_of_a_kind_must_be(version: str) -> None:
    (finding,) = validate_attributes(example(version, "well"), kind="plate")
    assert (finding.rule, finding.level) == ("group-kind", "error")
    (finding,) = validate_attributes(example(version, "image"), kind="label")
    assert (finding.rule, finding.level) == ("label-image-label", "warning")


def test_channels_without_an_image_are_no_image() -> None:
    attributes = example("0.5", "image")
    del attributes["ome"]["multiscales"]
    assert [finding.rule for finding in validate_attributes(attributes)] == ["multiscales-list"]


@pytest.mark.parametrize(
    ("options", "choice"), [({"version": "0.3"}, VERSIONS[0]), ({"kind": "picture"}, KINDS[0])]
)
def test_an_unknown_version_or_kind_is_an_error_with_the_known_ones(
    options: dict[str, str], choice: str
) -> None:
    with pytest.raises(ArgumentError, match=choice):
        validate_attributes({}, **options)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="mapping"):
        validate_attributes([])  # type: ignore[arg-type]
