from __future__ import annotations

import json

import pytest
import typer
from makers import make_platelet_em
from typer.testing import CliRunner

from ngff_bio import convert
from ngff_bio.cli.export import export
from ngff_bio.errors import ArgumentError, StoreExistsError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    made = make_platelet_em(folder, size=(2, 24, 32))
    convert(made.root, folder / "store.zarr")
    app = typer.Typer()
    app.command()(export)

    def run(*arguments):
        return CliRunner().invoke(app, [str(folder / "store.zarr"), *map(str, arguments)])

    return run


def test_the_command_prints_what_it_wrote_and_what_the_format_cannot_hold(run, tmp_path):
    result = run(tmp_path / "out", "--to", "yolo", "--image", "50", "--report", tmp_path / "r.json")
    assert result.exit_code == 0, result.output
    assert "2 images" in result.output
    assert "not exported: YOLO text stores class and box only" in result.output
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["format"] == "yolo"
    assert report["images"] == 2
    assert {n["kind"] for n in report["notices"]} >= {"skipped"}


def test_options_reach_the_export(run, tmp_path):
    result = run(
        tmp_path / "a.json", "--to", "coco", "--region", "z=0,y=2:20", "--labels",
        "instance-cell", "--masks", "polygons", "--quiet",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.output == ""
    content = json.loads((tmp_path / "a.json").read_text())
    assert {i["height"] for i in content["images"]} == {18}
    assert all(isinstance(a["segmentation"], list) for a in content["annotations"])


def test_errors_are_the_callers_to_show(run, tmp_path):
    assert isinstance(run(tmp_path / "a", "--to", "nothing").exception, ArgumentError)
    (tmp_path / "there").mkdir()
    assert isinstance(run(tmp_path / "there", "--to", "coco").exception, StoreExistsError)
    assert run(tmp_path / "there", "--to", "coco", "--overwrite").exit_code == 0
