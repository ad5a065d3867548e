"""The command line as a user meets it: run as a process, judged by what it prints and leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from makers import make_platelet_em
from PIL import Image

import ngff_bio


def run(
    *arguments: object, cwd: Path | None = None, columns: str | None = "200"
) -> subprocess.CompletedProcess[str]:
    width = {} if columns is None else {"COLUMNS": columns}
    program = "import sys; from ngff_bio.cli import main; sys.argv[0] = 'ngff-bio'; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
        env={**os.environ, **width, "TERM": "dumb", "NO_COLOR": "1"},
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    truth = make_platelet_em(folder, size="tiny")
    ngff_bio.convert(truth.root, folder / "out.zarr")
    return folder / "out.zarr"


def test_convert_prints_what_it_wrote_and_writes_a_report(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny")
    done = run("convert", truth.root, tmp_path / "out.zarr", "--report", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    assert "2 images" in done.stdout
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["images"] == 2
    assert report["objects"] == sum(len(f) for *_, f in os.walk(tmp_path / "out.zarr"))


def test_convert_refuses_a_destination_that_exists_without_overwrite(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["24"])
    assert run("convert", truth.root, tmp_path / "out.zarr").returncode == 0
    again = run("convert", truth.root, tmp_path / "out.zarr", "--codec", "none")
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
    assert "Traceback" not in again.stderr
    assert run("convert", truth.root, tmp_path / "out.zarr", "--overwrite").returncode == 0


def test_the_same_command_again_ends_well_and_writes_nothing(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["24"])
    command = ("convert", truth.root, tmp_path / "out.zarr")
    assert run(*command).returncode == 0
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out.zarr").rglob("*") if p.is_file()}
    again = run(*command)
    assert again.returncode == 0, again.stderr
    assert "already converted" in again.stdout
    files = [p for p in (tmp_path / "out.zarr").rglob("*") if p.is_file()]
    assert {p: p.stat().st_mtime_ns for p in files} == before
    image = next(p for p in truth.root.rglob("*") if p.suffix.startswith(".tif"))
    content = image.read_bytes()
    image.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # of the same size
    changed = run(*command)
    assert changed.returncode == 2
    assert "already contains a store" in changed.stderr


def test_labels_are_added_and_removed(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["24"])
    out = tmp_path / "out.zarr"
    ngff_bio.convert(truth.root, out)
    path, image = next(iter(ngff_bio.open(out).items()))
    values = np.zeros(image.shape, "u2")
    values[..., 1:9, 2:7] = 5
    np.save(tmp_path / "values.npy", values)
    tifffile.imwrite(tmp_path / "values.tif", values)
    place = path or "/"
    assert run("labels", "add", out, place, "mine", tmp_path / "values.npy").returncode == 0
    done = run("labels", "add", out, place, "kinds", tmp_path / "values.tif", "--class", "5=a")
    assert done.returncode == 0, done.stderr
    planes = [tmp_path / f"plane {z}.png" for z in range(len(values))]
    for plane, file in zip(values, planes, strict=True):
        Image.fromarray(plane).save(file)
    done = run("labels", "add", out, place, "planes", *planes)
    assert done.returncode == 0, done.stderr
    Image.fromarray(values[0, 1:]).save(planes[1])
    other = run("labels", "add", out, place, "other", *planes)
    assert (other.returncode, planes[1].name in other.stderr) == (2, True)
    image = ngff_bio.open(out)[path]
    for name in ("mine", "kinds", "planes"):
        np.testing.assert_array_equal(image.label(name).array(0)[:], values)
    again = run("labels", "add", out, place, "mine", tmp_path / "values.npy")
    assert (again.returncode, "--overwrite" in again.stderr) == (2, True)
    assert run("verify", out).returncode == 0
    assert run("remove", out, place, "labels/mine").returncode == 0
    assert run("remove", out, place, "labels/mine").returncode == 2
    assert "mine" not in ngff_bio.open(out)[path].labels
    assert run("verify", out).returncode == 0


def test_label_values_of_a_png_are_added_and_measured_with_every_property(tmp_path: Path) -> None:
    values = np.zeros((40, 50), "u2")
    values[5:15, 5:15], values[20:25, 10:40] = 3, 700
    (tmp_path / "raw").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, values.shape, "u1")
    Image.fromarray(pixels).save(tmp_path / "raw" / "a.png")
    ngff_bio.convert(tmp_path / "raw", tmp_path / "out.zarr")
    Image.fromarray(values).save(tmp_path / "labels.png")
    Image.fromarray(np.zeros((40, 50, 3), "u1")).save(tmp_path / "colours.png")
    (path,) = ngff_bio.open(tmp_path / "out.zarr")
    place = ("labels", "add", tmp_path / "out.zarr", path or "/", "mine")
    colours = run(*place, tmp_path / "colours.png")
    assert (colours.returncode, "colours, not label values" in colours.stderr) == (2, True)
    assert run(*place, tmp_path / "labels.png").returncode == 0
    names = ["--properties", "solidity,extent", "--properties", "eccentricity"]
    done = run("measure", tmp_path / "out.zarr", *names, "-o", tmp_path / "m.csv")
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(tmp_path / "m.csv")
    assert rows["label"].tolist() == [3, 700]
    assert rows["area"].tolist() == [100, 150]
    assert {"solidity", "extent", "eccentricity"} <= set(rows)


def test_overwrite_never_removes_what_is_no_store(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["24"])
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("do not lose me")
    done = run("convert", truth.root, mine, "--overwrite")
    assert done.returncode == 2
    assert (mine / "thesis.txt").read_text() == "do not lose me"


def test_a_destination_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["24"])
    (tmp_path / "file").write_text("")
    done = run("convert", truth.root, tmp_path / "file" / "out.zarr")
    assert done.returncode == 2
    assert "out.zarr" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = run("convert", tmp_path / "nothing", tmp_path / "out.zarr", "--debug")
    assert "Traceback" in done.stderr


def test_an_unknown_format_names_those_that_are_known(tmp_path: Path) -> None:
    done = run("convert", tmp_path, tmp_path / "out.zarr", "--format", "nonsense")
    assert done.returncode == 2
    assert "platelet-em" in done.stderr


def test_info_shows_images_levels_chunks_labels_and_sizes(store: Path) -> None:
    shown = run("info", store).stdout
    for word in ("50", "z6 y48 x64", "uint16", "labels/semantic", "tables/instance-cell"):
        assert word in shown
    found = json.loads(run("info", store, "--json").stdout)
    assert found["objects"] == sum(len(f) for *_, f in os.walk(store))
    below = store / "50" / "labels" / "semantic" / "0"
    size = sum(Path(d, n).stat().st_size for d, _, f in os.walk(below) for n in f)
    (image,) = [i for i in found["images"] if i["path"] == "50"]
    (semantic,) = [lb for lb in image["labels"] if lb["name"] == "semantic"]
    assert semantic["bytes"] == size


def test_validate_accepts_our_store_and_exits_1_for_a_broken_one(
    store: Path, tmp_path: Path
) -> None:
    import shutil

    assert run("validate", store).returncode == 0
    broken = tmp_path / "broken.zarr"
    shutil.copytree(store, broken)
    file = broken / "50" / "zarr.json"
    content = json.loads(file.read_text())
    del content["attributes"]["ome"]["multiscales"][0]["axes"]
    file.write_text(json.dumps(content))
    done = run("validate", broken, "--json")
    assert done.returncode == 1
    assert any(f["group"] == "50" for f in json.loads(done.stdout))


def test_preview_draws_the_classes_where_the_labels_are(store: Path, tmp_path: Path) -> None:
    done = run(
        "preview",
        store,
        "-o",
        tmp_path / "p.png",
        "--image",
        "50",
        "-z",
        3,
        "--fill",
        1,
        "--width",
        64,
    )
    assert done.returncode == 0, done.stderr
    img = np.asarray(Image.open(tmp_path / "p.png"))
    labels = ngff_bio.open(store)["50"].level(0)["semantic"].isel(z=3).values
    colors = {1: (1, 1, 224), 3: (1, 254, 1), 4: (255, 224, 0)}
    shown = img[: labels.shape[0], : labels.shape[1]]
    for value, color in colors.items():
        np.testing.assert_array_equal(np.all(shown == color, axis=-1), labels == value)
    assert img.shape[0] > labels.shape[0]  # the legend


def test_preview_of_an_index_outside_is_an_error_with_the_range(
    store: Path, tmp_path: Path
) -> None:
    done = run("preview", store, "-o", tmp_path / "p.png", "--image", "50", "-z", 99)
    assert done.returncode == 2
    assert "0 to 5" in done.stderr
    assert not (tmp_path / "p.png").exists()


def test_formats_lists_every_source() -> None:
    from ngff_bio.sources import sources

    shown = run("formats").stdout
    assert all(name in shown for name in sources())


def test_help_imports_nothing_heavy() -> None:
    heavy = (
        "{'numpy', 'zarr', 'dask', 'xarray', 'pandas', 'pyarrow', 'tifffile', 'ome_zarr_models'}"
    )
    program = (
        "import sys\nfrom ngff_bio.cli.app import app\n"
        "try:\n    app(args=['convert', '--help'])\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert "HEAVY []" in done.stdout
    assert "--overwrite" in done.stdout


def test_a_conversion_into_a_bucket_is_verified_there(tmp_path: Path, bucket_server: Any) -> None:
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["24"])
    options = [f"--storage-option={k}={v}" for k, v in bucket_server.options.items()]
    done = run("convert", truth.root, "s3://bench/proved-there.zarr", "--verify", *options)
    assert done.returncode == 0, done.stderr
    assert "verified" in done.stdout
    assert bucket_server.options["secret_access_key"] not in done.stdout + done.stderr


@pytest.fixture
def long_store(tmp_path: Path) -> Path:
    """A store whose path alone is wider than 80 columns."""
    truth = make_platelet_em(tmp_path, size="tiny", volumes=["24"])
    store = tmp_path / ("a long name " * 10) / "out.zarr"
    ngff_bio.convert(truth.root, store)
    return store


@pytest.mark.parametrize("columns", ["80", None])
def test_info_in_a_pipe_is_not_cut(
    long_store: Path, columns: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    shown = run("info", long_store, columns=columns).stdout
    (title, *lines) = shown.splitlines()
    assert str(long_store) in title
    assert title.endswith(("B", "kB", "MB"))
    pixels = next(line for line in lines if "uint16" in line)
    assert pixels.count("nanometer") == 3
    assert pixels.endswith("kB")
    assert not any(line.endswith((" ", "…")) for line in lines)


def test_an_old_name_of_an_option_works_and_names_the_new_one(store: Path) -> None:
    old = run("info", store, "--most=1")
    new = run("info", store, "--limit", "1")
    assert old.returncode == 0
    assert old.stdout == new.stdout
    assert old.stderr == "note: --most is deprecated: use --limit\n"
    assert not new.stderr
    assert "--most" not in run("info", "--help").stdout


def test_every_renamed_option_has_a_present_name() -> None:
    from typer.main import get_command

    from ngff_bio.cli import RENAMED
    from ngff_bio.cli.app import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    for command, names in RENAMED.items():
        known = {n for p in commands[command].params for n in (*p.opts, *p.secondary_opts)}
        assert set(names.values()) <= known
        assert not set(names) & known
