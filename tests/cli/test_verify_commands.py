"""``verify`` and ``validate`` as commands: what they say, and their exit codes."""

from __future__ import annotations

import json

import pytest
from makers import make_platelet_em
from typer.testing import CliRunner

import ngff_bio
from ngff_bio.cli.app import app


@pytest.fixture
def converted(tmp_path):
    make_platelet_em(tmp_path / "source")
    ngff_bio.convert(tmp_path / "source", tmp_path / "a.zarr")
    return tmp_path / "source", tmp_path / "a.zarr"


def run(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def damage(store):
    chunk = next(p for p in sorted((store / "50/0/c").rglob("*")) if p.is_file())
    content = bytearray(chunk.read_bytes())
    content[-9] ^= 4
    chunk.write_bytes(bytes(content))
    return chunk.relative_to(store).as_posix()


def test_verify_reports_a_verified_store_and_exits_0(converted):
    _, store = converted
    result = run("verify", store)
    assert result.exit_code == 0
    assert "verified" in result.output
    assert "checked against the manifest" in result.output


def test_verify_with_the_source_reports_what_was_compared(converted):
    source, store = converted
    result = run("verify", store, "--source", source)
    assert result.exit_code == 0
    assert "2 images" in result.output


def test_verify_names_what_is_damaged_and_exits_1(converted):
    _, store = converted
    key = damage(store)
    result = run("verify", store)
    assert result.exit_code == 1
    assert key in result.output
    assert "1 difference" in result.output


def test_verify_as_json_has_every_difference(converted):
    _, store = converted
    key = damage(store)
    (store / "24/zarr.json").unlink()
    result = run("verify", store, "--json", "--quiet")
    printed = json.loads(result.stdout)
    assert not printed["equal"]
    assert {d["path"] for d in printed["differences"]} == {key, "24/zarr.json"}


def test_verify_of_a_sample_reports_the_sample(converted):
    source, store = converted
    result = run("verify", store, "--source", source, "--sample", 2)
    assert result.exit_code == 0
    assert "a sample of 2 blocks" in result.output


def test_validate_decodes_unless_it_is_to_be_quick(converted):
    _, store = converted
    chunk = store / damage(store)
    chunk.write_bytes(b"none")
    assert run("validate", store).exit_code == 1
    assert run("validate", store, "--quick").exit_code == 0


def test_validate_as_json_gives_each_finding_with_rule_path_and_hint(converted):
    _, store = converted
    (store / "24/labels/zarr.json").write_text("{")
    result = run("validate", store, "--json")
    assert result.exit_code == 1
    found = {f["rule"]: f for f in json.loads(result.stdout)}
    assert found["metadata-json"]["path"].startswith("24/labels#")
    assert found["metadata-json"]["hint"]


def test_validate_prints_every_error_and_each_rule_once(converted):
    _, store = converted
    for number in (24, 50):
        (store / f"{number}/labels/zarr.json").write_text("{")
    image = json.loads((store / "24/zarr.json").read_text())
    for axis in image["attributes"]["ome"]["multiscales"][0]["axes"]:
        axis.pop("unit", None)
    (store / "24/zarr.json").write_text(json.dumps(image))
    (store / "zarr.json").write_text(
        json.dumps({**json.loads((store / "zarr.json").read_text()), "consolidated_metadata": None})
    )
    printed = run("validate", store, "--quick").output
    assert "24/labels#" in printed
    assert "50/labels#" in printed
    assert printed.count("error metadata-json at 2 places") == 1
    assert printed.count("restore the document") == 1
    assert printed.index("error") < printed.index("warning axis-unit")
