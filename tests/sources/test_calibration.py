"""Pixel size, time interval and channel names that the user gives, and options that a source lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from typer.testing import CliRunner

import ngff_bio
from ngff_bio.checks.source.verify import verify
from ngff_bio.cli.app import app
from ngff_bio.errors import ArgumentError
from ngff_bio.sources.registry import NAMED

GREY = np.full((20, 30), 9, np.uint16)


def stack(folder: Path, axes: str = "TZCYX", **metadata: Any) -> Path:
    folder.mkdir()
    shape = [{"T": 2, "Z": 3, "C": 2, "Y": 20, "X": 30}[a] for a in axes]
    tifffile.imwrite(
        folder / "a.tif",
        np.zeros(shape, np.uint16),
        imagej=True,
        metadata={"axes": axes, **metadata},
    )
    return folder


def steps(store: Path) -> dict[str, tuple[float, str | None]]:
    found = dict(zarr.open_group(str(store), mode="r").attrs)["ome"]["multiscales"][0]
    scale = found["datasets"][0]["coordinateTransformations"][0]["scale"]
    return {a["name"]: (s, a.get("unit")) for a, s in zip(found["axes"], scale, strict=True)}


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_the_command_line_takes_size_interval_and_names(tmp_path: Path) -> None:
    source, store = stack(tmp_path / "in"), tmp_path / "o.zarr"
    done = run(
        "convert", str(source), str(store), "--pixel-size", "2,0.65,0.7um", "--time-interval", "5min",
        "--channel-names", "DAPI, GFP",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert steps(store) == {
        "t": (5, "minute"),
        "c": (1, None),
        "z": (2, "micrometer"),
        "y": (0.65, "micrometer"),
        "x": (0.7, "micrometer"),
    }
    assert [c["label"] for c in ngff_bio.open(store)[""].rendering] == ["DAPI", "GFP"]
    assert verify(store, source).equal


def test_one_number_is_the_size_of_y_and_x(tmp_path: Path) -> None:
    source, store = stack(tmp_path / "in", "ZYX"), tmp_path / "o.zarr"
    ngff_bio.convert(source, store, options={"pixel_size": "650 nm"})
    assert steps(store) == {"z": (1, None), "y": (650, "nanometer"), "x": (650, "nanometer")}


def test_another_size_than_the_file_states_is_reported(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    tifffile.imwrite(
        source / "a.tif", GREY, imagej=True, resolution=(2, 2), metadata={"unit": "um"}
    )
    report = ngff_bio.convert(source, tmp_path / "o.zarr", options={"pixel_size": "0.25um"})
    assert steps(tmp_path / "o.zarr")["x"] == (0.25, "micrometer")
    assert any("0.5 micrometer along x" in n.what for n in report.notices)


@pytest.mark.parametrize(
    "options",
    [
        {"pixel_size": "0.65"},
        {"pixel_size": "0um"},
        {"pixel_size": "1,1,1,1um"},
        {"pixel_size": "1,2,3um"},
        {"pixel_size": "5min"},
        {"time_interval": "5min"},
        {"channel_names": "a,b"},
        {"channel_names": ""},
        {"series": "q"},
    ],
)
def test_what_does_not_fit_is_an_argument_error(tmp_path: Path, options: dict[str, Any]) -> None:
    source = tmp_path / "in"
    source.mkdir()
    Image.fromarray(GREY).save(source / "a.png")
    with pytest.raises(ArgumentError):
        ngff_bio.convert(source, tmp_path / "o.zarr", options=options)


def test_a_source_that_does_not_take_an_option_says_so(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    Image.fromarray(GREY).save(source / "a.png")
    done = run("convert", str(source), str(tmp_path / "o.zarr"), "--stitch")
    assert isinstance(done.exception, ArgumentError)
    assert "does not take --stitch" in str(done.exception)
    assert "--series" in str(done.exception)


def test_every_named_option_is_one_of_convert_and_the_old_spelling_works(tmp_path: Path) -> None:
    shown = run("convert", "--help").output
    assert [n for n in NAMED if f"--{n.replace('_', '-')[:14]}" not in shown] == []
    source = tmp_path / "in"
    source.mkdir()
    for t in range(3):
        Image.fromarray(GREY).save(source / f"a{t}.png")
    for i, given in enumerate((["--series", "t"], ["-O", "series=t"])):
        store = tmp_path / f"{i}.zarr"
        done = run("convert", str(source), str(store), *given)
        assert done.exit_code == 0
        assert steps(store).keys() == {"t", "y", "x"}
        assert ("use --series" in done.output) == (i == 1)
