"""Previews by their pixels: colours of classes, length of scale bars, order of planes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import PIL.ImageFont
import pytest
import tifffile
import zarr
from makers import make_livecell
from typer.testing import CliRunner

import ngff_bio
from ngff_bio.cli.app import app
from ngff_bio.errors import ArgumentError, StoreError
from ngff_bio.ngff import rule_color
from ngff_bio.viewing import sheets
from ngff_bio.viewing.preview import draw_preview, with_legend
from ngff_bio.viewing.sheets import draw_frames, draw_sheet
from ngff_bio.viewing.text import writable


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stack of two planes of 200 x 100 pixels of 0.5 µm, black and white, with two objects."""
    folder = tmp_path_factory.mktemp("drawn")
    source = folder / "images"
    source.mkdir()
    pixels = np.zeros((2, 100, 200), np.uint8)
    pixels[1] = 255
    pixels[0, 0] = np.arange(56, 256)  # few values would be those of labels
    tifffile.imwrite(
        source / "a.ome.tif",
        pixels,
        ome=True,
        photometric="minisblack",
        metadata={
            "axes": "ZYX",
            **{f"PhysicalSize{a}": 0.5 for a in "XY"},
            **{f"PhysicalSize{a}Unit": "µm" for a in "XY"},
        },
    )
    ngff_bio.convert(source, folder / "a.zarr")
    dataset = ngff_bio.open(folder / "a.zarr")
    values = np.zeros((2, 100, 200), np.uint8)
    values[0, 20:40, 20:40], values[0, 60:80, 120:160] = 3, 7
    rows = pd.DataFrame({"label": [3, 7], "category": ["round", "long"]})
    ngff_bio.write_labels(dataset[dataset.first_path], "object", values, table=rows)
    return folder / "a.zarr"


def test_a_plane_that_is_too_large_is_not_drawn(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ngff_bio.reader.analysis.render._MOST_PIXELS", 100 * 200 - 1)
    with pytest.raises(StoreError, match="too large to be drawn"):
        draw_preview(store)


def test_objects_have_the_colour_of_their_class(store: Path) -> None:
    drawn = np.asarray(draw_preview(store, z=0, width=200, fill=1))
    assert tuple(drawn[30, 30]) == rule_color(2)  # classes in alphabetical order: long, round
    assert tuple(drawn[70, 140]) == rule_color(1)
    assert drawn.shape[0] >= 100 + 3 * 22  # a title and two classes


def test_the_scale_bar_is_as_long_as_it_says(store: Path) -> None:
    for width, pixels in ((200, 40), (400, 80)):  # 20 µm of 0.5 µm each, at most a quarter
        drawn = np.asarray(draw_preview(store, z=0, width=width, fill=0))[: width // 2]
        white = (drawn == 255).all(axis=-1)
        assert max(white[-40:].sum(axis=1)) == pixels + 1


def test_outlines_are_wider_in_larger_drawings(store: Path) -> None:
    drawn = np.asarray(draw_preview(store, z=0, width=800, fill=0))
    tinted = (drawn == rule_color(1)).all(axis=-1)
    row = tinted[70 * 4]
    assert np.flatnonzero(row[120 * 4 : 121 * 4]).size >= 1
    plain = np.asarray(draw_preview(store, z=0, width=200, fill=0))
    assert tinted[:400].sum() > (plain == rule_color(1)).all(axis=-1)[:100].sum() * 4


def test_strips_and_animations_have_the_planes_in_order(store: Path, tmp_path: Path) -> None:
    strip = np.asarray(draw_sheet(ngff_bio.open(store), "z", width=240))
    assert strip[10, 100].max() == 0
    assert strip[10, 120 + 100].min() == 255
    for out in (tmp_path / f"a.{kind}" for kind in ("gif", "png", "webp")):
        done = CliRunner().invoke(
            app, ["preview", str(store), "-o", str(out), "--animate", "z", "--width", "100"]
        )
        assert done.exit_code == 0, done.output
        assert ", 2 frames" in done.stdout
        with PIL.Image.open(out) as animated:
            assert animated.n_frames == 2
            assert animated.convert("RGB").getpixel((5, 45)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--animate", "z", "--sheet", "z"], "cannot be animated"),
        (["--animate", "z", "--z", "0"], "leave out -z"),
        (["--sheet", "z", "-z", "0"], "leave out -z"),
        (["--sheet", "images", "-z", "9"], "outside the image"),
    ],
)
def test_options_that_exclude_each_other_are_refused(
    store: Path, tmp_path: Path, options: list[str], expected: str
) -> None:
    done = CliRunner().invoke(app, ["preview", str(store), "-o", str(tmp_path / "a.gif"), *options])
    assert expected in str(done.exception)


def test_a_legend_of_very_many_classes_is_cut() -> None:
    drawn = PIL.Image.new("RGB", (50, 50))
    sheet = with_legend(drawn, "", {str(n): (n % 256, 0, 0) for n in range(10_000)})
    assert sheet.height < 2000


def test_a_plate_map_has_wells_at_their_places(tmp_path: Path) -> None:
    truth = make_livecell(tmp_path, size="tiny")
    ngff_bio.convert(truth.root, tmp_path / "p.zarr")
    dataset = ngff_bio.open(tmp_path / "p.zarr")
    path, plate = next(iter(dataset.plates.items()))
    rows = [row for row, _ in plate.meta.wells]
    span = [r for r in plate.meta.rows if min(rows) <= r <= max(rows)]
    sheet = draw_sheet(dataset, "plate", image=path, width=400)
    assert sheet.height > len(span) * 16
    with pytest.raises(ArgumentError, match="no such plate"):
        draw_sheet(dataset, "plate", image="nowhere")


def test_a_store_without_plates_has_no_plate_map(store: Path) -> None:
    with pytest.raises(ArgumentError, match="no plate"):
        draw_sheet(ngff_bio.open(store), "plate")


def test_letters_that_a_font_lacks_are_replaced() -> None:
    font = PIL.ImageFont.load_default(14)
    assert writable("20 µm of ä\n細", font) == "20 um of a??"
    assert len(writable("x" * 10_000, font)) < 200


def test_drawings_of_any_image_are_bounded(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "images"
    source.mkdir()
    values = np.linspace(0, 1e-12, 3000 * 4, dtype=np.float32).reshape(3000, 4)
    values[0] = np.nan
    tifffile.imwrite(source / "tall.tif", values)
    ngff_bio.convert(source, tmp_path / "tall.zarr")
    drawn = draw_preview(tmp_path / "tall.zarr", width=300)
    assert drawn.height <= 3 * 300 + 32
    column = np.asarray(drawn)[: drawn.height - 40, 0, 0]
    assert column[0] == 0
    assert column[-1] > 200
    monkeypatch.setattr(sheets, "MAX_PIXELS", 2 * 80 * 40)
    count, frames = draw_frames(ngff_bio.open(store), "z", width=300)
    assert count == 2
    assert next(frames).size == (80, 40)


@pytest.mark.parametrize(("axes", "shape"), [("tzx", (2, 3, 4)), ("tyx", (2, 3, 0))])
@pytest.mark.parametrize("draw", [draw_frames, draw_sheet])
def test_images_that_cannot_be_drawn_are_one_error(
    axes: str, shape: tuple[int, ...], draw: Callable[..., object], tmp_path: Path
) -> None:
    group = zarr.create_group(tmp_path, zarr_format=3)
    group.create_array("0", shape=shape, chunks=(1, 1, 1), dtype="uint8")
    scale = {"type": "scale", "scale": [1.0] * 3}
    level = {"path": "0", "coordinateTransformations": [scale]}
    named = [{"name": a, "type": "time" if a == "t" else "space"} for a in axes]
    multiscale = {"axes": named, "datasets": [level]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}
    with pytest.raises(StoreError, match=r"no axes y and x|no pixels"):
        draw(ngff_bio.open(tmp_path), "t")


def test_a_class_has_one_colour_in_a_sheet(tmp_path: Path) -> None:
    source = tmp_path / "images"
    source.mkdir()
    for name in "ab":
        tifffile.imwrite(source / f"{name}.tif", np.zeros((40, 50), np.uint8))
    ngff_bio.convert(source, tmp_path / "s.zarr", format="images")
    for name, classes in (("a", ["cat", "dog"]), ("b", ["bee", "cat"])):
        values = np.zeros((40, 50), np.uint8)
        values[:20], values[20:] = 1, 2
        table = pd.DataFrame({"label": [1, 2], "category": classes})
        ngff_bio.write_labels(ngff_bio.open(tmp_path / "s.zarr")[name], "x", values, table=table)
    sheet = np.asarray(draw_sheet(ngff_bio.open(tmp_path / "s.zarr"), "images", width=200, fill=1))
    first, second = sheet[:40, :50], sheet[:40, 72:122]  # beside each other, with a gap
    colours = [{tuple(c) for c in part.reshape(-1, 3).tolist()} for part in (first, second)]
    assert [len(c) for c in colours] == [2, 2]
    assert colours[0] & colours[1] == {tuple(first[10, 10].tolist())}  # cat
    assert tuple(second[30, 10].tolist()) == tuple(first[10, 10].tolist())
