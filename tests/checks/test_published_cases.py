"""The specification's own cases, and the program for its runner."""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import conformance_cli
import pytest

from ngff_bio.checks.spec.conformance import validate_attributes

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(os.environ.get("NGFF_BIO_CONFORMANCE", ROOT.parent / "shared" / "conformance"))
PROGRAM = ROOT / "tests" / "conformance_cli.py"
#: Cases of 0.5 that are judged the other way elsewhere: see the rule "well-path-swapped".
CORRECTED_IN_05 = {"plate/well_path_has_column_before_row"}

Case = tuple[str, bool, dict[str, Any], bool]


@pytest.fixture
def cases() -> list[Case]:
    """Name, whether strict, attributes, and verdict of each case of 0.5."""
    if not CASES.is_dir():
        pytest.skip(f"the published cases are not on this machine: no folder {CASES}")
    return [
        (f"{suite.stem}: {test['formerly']}", "strict" in suite.stem, test["data"], test["valid"])
        for suite in sorted((CASES / "0.5").glob("*_suite.json"))
        for test in json.loads(suite.read_text())["tests"]
    ]


def verdict(attributes: dict[str, Any], *, strict: bool) -> tuple[bool, list[str]]:
    findings = validate_attributes(attributes, strict=strict, as_cases=True)
    errors = [str(finding) for finding in findings if finding.level == "error"]
    return not errors, errors


def test_all_cases_of_0_5_agree(cases: list[Case]) -> None:
    assert len(cases) == 86
    disagreed = [
        (name, valid, errors)
        for name, strict, attributes, valid in cases
        for found, errors in [verdict(attributes, strict=strict)]
        if found != valid
    ]
    assert disagreed == []


def test_all_cases_of_0_4_agree() -> None:
    folder = Path(__file__).with_name("published_cases") / "0.4"
    disagreed, count = [], 0
    for suite in sorted(folder.glob("*_suite.json")):
        for test in json.loads(suite.read_text())["tests"]:
            found, errors = verdict(test["data"], strict="strict" in suite.stem)
            count += 1
            if found != test["valid"]:
                disagreed.append((suite.stem, test["formerly"], errors))
    assert (count, disagreed) == (86, [])


def test_all_cases_of_0_6_agree() -> None:
    found = sorted((CASES / "0.6").glob("*/*/*/*.json"))
    if not found:
        pytest.skip(f"the published cases of 0.6 are not on this machine: no folder {CASES}/0.6")
    disagreed = []
    for path in found:
        strict, valid = path.parts[-4] == "strict", path.parts[-3] == "valid"
        good, errors = verdict(json.loads(path.read_text()), strict=strict)
        if good != valid:
            disagreed.append((path.relative_to(CASES / "0.6").as_posix(), errors))
    assert disagreed == []


def as_04(attributes: dict[str, Any], *, strict: bool) -> dict[str, Any]:
    """The same metadata as 0.4 has it; with the versions that its strict schemas ask for."""
    metadata = copy.deepcopy(attributes.get("ome", attributes))
    metadata.pop("version", None)
    if strict:
        holders = [*metadata.get("multiscales", [])]
        holders += [metadata[key] for key in ("image-label", "plate", "well") if key in metadata]
        for holder in holders:
            holder["version"] = "0.4"
    return metadata


def as_06(attributes: dict[str, Any]) -> dict[str, Any]:
    """The same metadata as 0.6 has it: axes in a coordinate system, one transformation a level."""
    metadata = copy.deepcopy(attributes.get("ome", attributes))
    for image in metadata.get("multiscales", []):
        if "axes" in image:
            image["coordinateSystems"] = [{"name": "intrinsic", "axes": image.pop("axes")}]
        for dataset in image.get("datasets", []):
            _one_transformation(dataset)
        _between_systems(image)
    return {"ome": {**metadata, "version": "0.6"}}


def _one_transformation(dataset: dict[str, Any]) -> None:
    listed = dataset.get("coordinateTransformations")
    if not listed:
        return
    one = listed[0] if len(listed) == 1 else {"type": "sequence", "transformations": listed}
    ends = {"input": {"path": dataset.get("path")}, "output": {"name": "intrinsic"}}
    dataset["coordinateTransformations"] = [{**one, **ends}]


def _between_systems(image: dict[str, Any]) -> None:
    listed = image.get("coordinateTransformations")
    if listed is None:
        return
    world = copy.deepcopy(image["coordinateSystems"][0])
    image["coordinateSystems"].append({**world, "name": "world"})
    ends = {"input": {"name": "intrinsic"}, "output": {"name": "world"}}
    image["coordinateTransformations"] = [{**one, **ends} for one in listed]


@pytest.mark.parametrize("version", ["0.4", "0.6"])
def test_what_the_cases_say_of_0_5_holds_in_the_other_versions(
    cases: list[Case], version: str
) -> None:
    disagreed = []
    for name, strict, attributes, valid in cases:
        moved = as_04(attributes, strict=strict) if version == "0.4" else as_06(attributes)
        found, errors = verdict(moved, strict=strict)
        if found != valid and name.split(": ")[1] not in CORRECTED_IN_05:
            disagreed.append((name, valid, errors))
    assert disagreed == []


def run(path: Path | str, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, os.fspath(PROGRAM), *options, os.fspath(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.fspath(ROOT)},
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def plate() -> dict[str, Any]:
    return {
        "ome": {
            "version": "0.6",
            "plate": {
                "rows": [{"name": "A"}],
                "columns": [{"name": "1"}],
                "wells": [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}],
            },
        }
    }


def test_the_program_prints_its_verdict_and_the_reason(
    tmp_path: Path, plate: dict[str, Any]
) -> None:
    path = tmp_path / "case.json"
    path.write_text(json.dumps(plate))
    assert run(path) == {"valid": True, "message": "valid"}
    strict = run(path, "--strict", "--version", "0.6", "--kind", "plate")
    assert strict["valid"] is False
    assert strict["message"] == "plate-name at #/ome/plate: no name"


def test_the_program_takes_a_case_that_calls_itself_strict_so(
    tmp_path: Path, plate: dict[str, Any]
) -> None:
    marked = tmp_path / "marked.json"
    marked.write_text(json.dumps({**plate, "_conformance": {"strict": True}}))
    assert run(marked)["valid"] is False
    lying = tmp_path / "strict" / "invalid" / "plate" / "missing_name.json"
    lying.parent.mkdir(parents=True)
    lying.write_text(json.dumps(plate))
    assert run(lying)["valid"] is False


def test_the_program_opens_a_group_of_either_zarr_format(
    tmp_path: Path, plate: dict[str, Any]
) -> None:
    (tmp_path / "zarr.json").write_text(
        json.dumps({"zarr_format": 3, "node_type": "group", "attributes": plate})
    )
    assert run(tmp_path)["valid"] is True
    (tmp_path / "zarr.json").unlink()
    (tmp_path / ".zattrs").write_text(json.dumps({"plate": plate["ome"]["plate"]}))
    assert run(tmp_path, "--version", "0.4")["valid"] is True
    assert run(tmp_path, "--by-text")["message"].startswith("plate-version at #/plate")


WELL = b'{"ome": {"version": "0.6", "well": {"images": [{"path": "0"}]}}}'
DEEP = b'{"ome": {"version": "0.6", "x": ' + b'{"a": ' * 900 + b"1" + b"}" * 902


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "the attributes are not a JSON object"),
        (b'{"node_type": "group", "attributes": 3}', "the attributes are not a JSON object"),
        (b"", "not JSON"),
        (WELL[:-1], "not JSON"),
        (b"\xef\xbb\xbf" + WELL, "not JSON"),
        (WELL.decode().encode("utf-16"), "not JSON"),
        (b'{"a": "\xe9"}', "not JSON"),
        (WELL[:-1] + b', "a": NaN}', "not JSON: NaN"),
        (WELL[:-1] + b', "a": {"b": 1, "b": 2}}', "not JSON: an object has a key twice"),
        (WELL[:-1] + b', "a": %s}' % (b"9" * 5000), "not JSON"),
        (DEEP, "metadata-nesting at #: more than 200 levels"),
        (None, "cannot be read"),
    ],
)
def test_the_program_answers_for_any_file(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "case.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    options = {"strict": False, "version": None, "kind": None, "by_text": False}
    valid, answer = conformance_cli.verdict(argparse.Namespace(case=str(path), **options))
    assert not valid
    assert answer.startswith(message)


def test_the_program_takes_the_text_of_a_case(plate: dict[str, Any]) -> None:
    assert run(json.dumps(plate)) == {"valid": True, "message": "valid"}
    assert run(json.dumps({"ome": {"version": "0.6"}}))["valid"] is False


@pytest.mark.parametrize("text", ['{"ome": ', "[1, 2", "[" * 100_000, '{"a": \\ud800}', "nothing"])
def test_the_program_answers_where_a_case_is_not_json(text: str) -> None:
    answer = run(text)
    assert answer["valid"] is False
    assert answer["message"].startswith(("not JSON", "cannot be read"))


def test_the_program_states_where_the_cases_are_milder_than_the_text() -> None:
    # As in the published case "image_omero": a transformation from a system that is not defined.
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    scale = {"type": "scale", "scale": [1.0, 1.0]}
    image = {
        "coordinateSystems": [{"name": name, "axes": axes} for name in ("world", "physical")],
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [
                    {**scale, "input": {"path": "0"}, "output": {"name": "physical"}}
                ],
            }
        ],
        "coordinateTransformations": [
            {**scale, "input": {"name": "intrinsic"}, "output": {"name": "world"}}
        ],
    }
    case = json.dumps({"ome": {"version": "0.6", "multiscales": [image]}})
    answer = run(case)
    assert answer["valid"] is True
    assert "not by the text: transformation-reference-known at" in answer["message"]
    assert run(case, "--by-text")["valid"] is False


def test_the_rules_of_the_specification_load_no_array_library() -> None:
    code = (
        "import sys, ngff_bio.checks.spec.conformance; "
        "print({'zarr', 'dask', 'numpy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
