"""What files state about the display of their channels: ImageJ's ranges, tables and mode; alpha."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

import ngff_bio
from ngff_bio.checks.source.verify import verify

PIXELS = (np.arange(3 * 20 * 30) % 4000).astype(np.uint16).reshape(3, 20, 30)


def table(color: tuple[int, int, int]) -> np.ndarray:
    """An ImageJ table of 256 colors from black to one."""
    return (np.arange(256)[None] * np.array(color)[:, None] // 255).astype(np.uint8)


def convert(folder: Path, **given: Any) -> tuple[ngff_bio.Dataset, ngff_bio.ConversionReport]:
    store = folder.with_suffix(".zarr")
    report = ngff_bio.convert(folder, store, **given)
    assert verify(store, folder).equal
    return ngff_bio.open(store), report


def imagej(folder: Path, pixels: np.ndarray = PIXELS, **metadata: Any) -> Path:
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", pixels, imagej=True, metadata={"axes": "CYX", **metadata})
    return folder


LUTS = [table((255, 0, 255)), table((0, 255, 0)), table((255, 255, 255))]
RANGES = [(10.0, 200.0), (0.0, 4095.0), (7.0, 8.0)]


def test_imagej_ranges_tables_and_mode_are_those_of_the_channels(tmp_path: Path) -> None:
    folder = imagej(tmp_path / "in", LUTs=LUTS, Ranges=sum(RANGES, ()), mode="composite")
    channels = convert(folder)[0][""].rendering
    assert [(c["window"]["start"], c["window"]["end"]) for c in channels] == RANGES
    assert [c["color"] for c in channels] == ["FF00FF", "00FF00", "FFFFFF"]
    assert [c["active"] for c in channels] == [True, True, True]


@pytest.mark.parametrize(("mode", "color"), [("color", "FF00FF"), ("grayscale", "FFFFFF")])
def test_a_mode_of_one_channel_at_a_time_shows_the_first(
    tmp_path: Path, mode: str, color: str
) -> None:
    channels = convert(imagej(tmp_path / "in", LUTs=LUTS, mode=mode))[0][""].rendering
    assert [c["active"] for c in channels] == [True, False, False]
    assert channels[0]["color"] == color


def test_the_range_of_an_image_of_one_channel_is_kept(tmp_path: Path) -> None:
    folder = imagej(tmp_path / "in", PIXELS[0], axes="YX", min=50.0, max=77.0)
    (one,) = convert(folder)[0][""].rendering
    assert (one["window"]["start"], one["window"]["end"]) == (50, 77)


def test_the_real_file_is_shown_in_its_ranges(samples: Path, tmp_path: Path) -> None:
    folder, store = samples / "generic" / "display_ranges", tmp_path / "o.zarr"
    ngff_bio.convert(folder, store)
    with tifffile.TiffFile(next(folder.glob("*.tif"))) as tiff:
        ranges = (tiff.imagej_metadata or {})["Ranges"]
    channels = ngff_bio.open(store)[""].rendering
    found = [c["window"][end] for c in channels for end in ("start", "end")]
    assert found == list(ranges)


def test_a_z_spacing_of_exactly_1_has_the_unit_of_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    tifffile.imwrite(
        folder / "a.tif", PIXELS, imagej=True, resolution=(2, 2),
        metadata={"axes": "ZYX", "unit": "micron"},
    )  # fmt: skip
    convert(folder)
    attributes = zarr.open_group(str(tmp_path / "in.zarr"), mode="r").attrs
    multiscale = dict(attributes)["ome"]["multiscales"][0]
    assert [a.get("unit") for a in multiscale["axes"]] == ["micrometer"] * 3
    assert multiscale["datasets"][0]["coordinateTransformations"][0]["scale"] == [1, 0.5, 0.5]


def rgba(alpha: np.ndarray | int) -> np.ndarray:
    image = np.full((20, 30, 4), 9, np.uint8)
    image[..., 3] = alpha
    return image


def write_png(folder: Path, *images: np.ndarray) -> Path:
    folder.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{'ab'[i]}.png")
    return folder


def test_an_alpha_that_is_opaque_everywhere_is_not_stored_and_this_is_reported(
    tmp_path: Path,
) -> None:
    opened, report = convert(write_png(tmp_path / "in", rgba(255)))
    assert [c["label"] for c in opened[""].rendering] == ["red", "green", "blue"]
    assert opened[""].sizes["c"] == 3
    assert any("alpha" in n.what for n in report.notices)


def test_the_opaque_alpha_of_a_tiff_is_not_stored(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    colors = np.random.default_rng(0).integers(0, 60000, (20, 30, 4)).astype(np.uint16)
    colors[..., 3] = 65535
    for name, more in (("a.tif", {"metadata": None}), ("b.ome.tif", {"ome": True})):
        tifffile.imwrite(
            tmp_path / "in" / name, colors, photometric="rgb", extrasamples=["unassalpha"], **more
        )
    opened, report = convert(tmp_path / "in")
    for image in opened.values():
        assert [c["label"] for c in image.rendering] == ["red", "green", "blue"]
        assert (np.asarray(image.level(0)["image"]) == np.moveaxis(colors[..., :3], -1, 0)).all()
    assert any("alpha" in n.what for n in report.notices)
    assert ngff_bio.verify(opened.url, tmp_path / "in").equal


def test_a_gray_image_loses_its_opaque_alpha(tmp_path: Path) -> None:
    opened, _ = convert(write_png(tmp_path / "in", rgba(255)[..., [0, 3]]))
    assert "c" not in opened[""].sizes


def test_an_alpha_that_has_a_meaning_is_stored_and_not_shown(tmp_path: Path) -> None:
    opened, _ = convert(write_png(tmp_path / "in", rgba(np.arange(30, dtype=np.uint8)), rgba(255)))
    for image in opened.values():
        assert [c["active"] for c in image.rendering] == [True, True, True, False]
        assert image.rendering[3]["color"] == "FFFFFF"
