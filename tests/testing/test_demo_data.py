"""The demo: a sample of each dataset, found as what it is, converted whole, and seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import ngff_bio
from ngff_bio.checks import validate
from ngff_bio.cli.app import app
from ngff_bio.sources import open_tree
from ngff_bio.sources.registry import find_source
from ngff_bio.testing.demo_data import SAMPLES, make_sample


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    result = CliRunner().invoke(app, ["demo", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


@pytest.mark.parametrize("name", SAMPLES)
def test_the_sample_of_a_dataset_is_found_as_that_dataset(name: str, demo: Path) -> None:
    assert find_source(open_tree(demo / name)).name == name


@pytest.mark.parametrize("name", SAMPLES)
def test_the_store_of_a_sample_is_valid_and_holds_all_of_it(name: str, demo: Path) -> None:
    assert not [f for f in validate(demo / f"{name}.zarr") if f.level == "error"]
    done = ngff_bio.verify(demo / f"{name}.zarr", next((demo / name).iterdir()))
    assert done.differences == []
    assert done.notes == []
    assert done.instances > 20


@pytest.mark.parametrize("name", SAMPLES)
def test_the_preview_of_a_sample_shows_labels_in_colour(name: str, demo: Path) -> None:
    with Image.open(demo / f"{name}.png") as image:
        colours = image.convert("RGB").quantize(64).convert("RGB").getcolors()
    assert colours is not None
    assert sum(max(rgb) - min(rgb) > 40 for _, rgb in colours) >= 3


def test_a_sample_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    for name in SAMPLES:
        first, second = (make_sample(name, tmp_path / str(k) / name) for k in (1, 2))
        files = [p.relative_to(first) for p in first.rglob("*") if p.is_file()]
        assert files
        assert all((first / f).read_bytes() == (second / f).read_bytes() for f in files)
