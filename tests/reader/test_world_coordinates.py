"""Coordinates are lazy and right at every level; a world region cuts image and labels equally."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from written_stores import HOURS, SCALE, by_hand, example_pixels, our_image, our_plate

import ngff_bio
from ngff_bio.errors import ArgumentError
from ngff_bio.reader.xarray.coordinates import PixelIndex, PixelTransform, pixel_coordinates
from ngff_bio.reader.xarray.world import factor, magnitude
from ngff_bio.storage import MemoryStorage


@pytest.fixture(scope="module")
def plate() -> ngff_bio.reader.Dataset:
    storage = MemoryStorage()
    our_plate(storage)
    return ngff_bio.open(storage)


@pytest.fixture(scope="module")
def colours() -> ngff_bio.reader.Image:
    storage = MemoryStorage()
    our_image(storage)
    return ngff_bio.open(storage)[""]


def axis(n: int = 10, step: float = 0.5, origin: float = 3.0, unit: str | None = "micrometer"):
    values = np.arange(n)
    return xr.Dataset({"a": ("x", values)}, coords=pixel_coordinates("x", n, step, origin, unit))


def test_an_axis_of_ten_million_million_pixels_costs_nothing() -> None:
    size = 10**13
    made = xr.Dataset(coords=pixel_coordinates("x", size, 0.1, 0.0, "nanometer"))
    assert made.sizes["x"] == size
    cut = made.isel(x=slice(10**12, 10**12 + 3)).sel(x=slice(1e11 + 0.1, None))
    np.testing.assert_allclose(cut["x"].values, [1e11 + 0.1, 1e11 + 0.2])
    assert made["x"].attrs["units"] == "nanometer"
    assert "10000000000000" in repr(made)


@given(
    n=st.integers(1, 50),
    step=st.floats(0.01, 100) | st.floats(-100, -0.01),
    origin=st.floats(-1e3, 1e3),
    data=st.data(),
)
def test_slices_keep_exact_positions(n: int, step: float, origin: float, data: Any) -> None:
    made = axis(n, step, origin, None)
    positions = np.arange(n) * step + origin
    np.testing.assert_array_equal(made["x"].values, positions)
    for _ in range(2):
        cut = slice(
            data.draw(st.integers(-n, n)),
            data.draw(st.integers(-n, n)),
            data.draw(st.sampled_from([1, 2, 3, -1, -2])),
        )
        made, positions = made.isel(x=cut), positions[cut]
        np.testing.assert_allclose(made["x"].values, positions, rtol=1e-12, atol=1e-9)
        assert isinstance(made.xindexes["x"], PixelIndex)
        n = len(positions)
        if not n:
            break


def test_a_selection_by_position_takes_what_pandas_takes() -> None:
    made = axis()
    plain = made.assign_coords(x=made["x"].values)
    for cut in (slice(4, 6), slice(None, 4.2), slice(4.01, 4.49), slice(100, 200), slice(0, 99)):
        assert made.sel(x=cut)["a"].values.tolist() == plain.sel(x=cut)["a"].values.tolist()
    assert made.sel(x=4.5)["a"] == plain.sel(x=4.5)["a"]
    assert made.sel(x=4.6, method="nearest")["a"] == plain.sel(x=4.6, method="nearest")["a"]
    assert made.sel(x=[3.0, 7.5])["a"].values.tolist() == [0, 9]
    points = xr.DataArray([3.1, 4.9], dims="p", coords={"p": [7, 8]})
    assert made.sel(x=points, method="nearest")["a"].values.tolist() == [0, 4]


def test_positions_may_carry_units() -> None:
    made = axis(unit="micrometer")
    assert made.sel(x="4000 nm")["a"] == 2
    assert made.sel(x=slice("0.0035 mm", "4.5 um"))["a"].values.tolist() == [1, 2, 3]
    with pytest.raises(ArgumentError, match="no unit"):
        axis(unit=None).sel(x="4 um")
    with pytest.raises(ArgumentError, match="length cannot be converted to a time"):
        made.sel(x="4 s")


@pytest.mark.parametrize("value", [4.6, 2.4, 99.0])
def test_a_position_between_pixels_or_outside_is_an_error(value: float) -> None:
    with pytest.raises(KeyError, match=r"from 3 to 7\.5 in steps of 0\.5"):
        axis().sel(x=value)


def test_a_position_beyond_the_outermost_pixel_is_not_the_nearest_one() -> None:
    assert axis().sel(x=7.7, method="nearest")["a"] == 9
    with pytest.raises(KeyError):
        axis().sel(x=7.8, method="nearest")
    with pytest.raises(KeyError):
        axis().sel(x=7.7, method="nearest", tolerance=0.1)


def test_parts_of_one_grid_align_and_others_are_refused() -> None:
    made = axis()
    left, right = made.isel(x=slice(0, 6)), made.isel(x=slice(4, 10))
    assert (left + right)["x"].values.tolist() == [5.0, 5.5]
    outer = xr.align(left, right, join="outer")[0]
    assert outer["x"].values.tolist() == made["x"].values.tolist()
    assert np.isnan(outer["a"].values[-1])
    joined = xr.concat([made.isel(x=slice(0, 4)), made.isel(x=slice(4, 10))], "x")
    assert joined.equals(made)
    assert isinstance(joined.xindexes["x"], PixelIndex)
    apart = xr.concat([made.isel(x=slice(0, 2)), made.isel(x=slice(5, 7))], "x")
    assert apart["x"].values.tolist() == [3.0, 3.5, 5.5, 6.0]
    with pytest.raises(ValueError, match=r"one grid|align"):
        left + axis(origin=3.2)


def test_an_index_is_kept_by_pickling_and_renaming() -> None:
    import pickle

    made = pickle.loads(pickle.dumps(axis()))
    assert made.equals(axis())
    assert axis().rename(x="w").sel(w=4.5)["a"] == 3
    assert PixelTransform("x", 3, 0.0, 1.0).offset(PixelTransform("x", 3, 2.0, 1.0)) == 2


def test_pixel_centres_are_right_at_every_level(colours: ngff_bio.reader.Image) -> None:
    """The centre of a pixel of level n is the mean of the centres that it was made from."""
    finest = colours.level(0)
    for number in (1, 2):
        level, step = colours.level(number), 2**number
        for name in "yx":
            expected = finest[name].values.reshape(-1, step).mean(1)
            np.testing.assert_allclose(level[name].values, expected)
            assert level[name].attrs["units"] == "micrometer"
    assert finest["c"].values.tolist() == ["DAPI", "GFP"]
    assert "units" not in finest["c"].attrs


def test_t_is_elapsed_time_where_it_is_known(plate: ngff_bio.reader.Dataset) -> None:
    level = plate["B/7/1"].level(1)
    assert level["t"].values.tolist() == list(HOURS)
    assert level["t"].attrs["units"] == "hour"
    assert level.sel(t=7.5)["image"].ndim == 2
    assert level["x"].values[0] == 30 + SCALE / 2


def test_attributes_are_carried(colours: ngff_bio.reader.Image) -> None:
    level = colours.level(0)
    assert [c["label"] for c in level["image"].attrs["omero"]["channels"]] == ["DAPI", "GFP"]
    assert level["image"].attrs["ngff_bio"]["kind"] == "image"
    assert level["cell"].attrs["ngff_bio"]["hidden"] == ["cell-hidden-1"]


@pytest.mark.parametrize(
    ("resolution", "level"),
    [(None, 0), (0.1, 0), (0.25, 0), (0.49, 0), (0.5, 1), ("1 um", 2), (9, 2)],
)
def test_the_coarsest_level_that_is_fine_enough_is_taken(
    colours: ngff_bio.reader.Image, resolution: Any, level: int
) -> None:
    assert colours.region(resolution=resolution).attrs["level"] == level
    if isinstance(resolution, float):
        in_pixels = colours.region(resolution=resolution / SCALE, units="pixel")
        assert in_pixels.attrs["level"] == level


def test_a_region_in_the_world_is_the_same_place_at_each_level(
    colours: ngff_bio.reader.Image,
) -> None:
    for number in range(3):
        part = colours.region(x=(5, 12), y=("3 um", "10 um"), level=number)
        whole = colours.level(number)
        inside = (whole["x"] >= 5) & (whole["x"] < 12)
        assert part["x"].values.tolist() == whole["x"].values[inside.values].tolist()
        np.testing.assert_array_equal(
            part["image"].values, whole["image"].sel(x=part["x"], y=part["y"]).values
        )
        assert part["cell"].shape == part["image"].shape[1:]


def test_a_region_in_pixels_is_a_slice(colours: ngff_bio.reader.Image) -> None:
    part = colours.region(x=(7, 31), y=slice(2, 50), c="GFP", units="pixel")
    np.testing.assert_array_equal(part["image"].values, example_pixels()[1, 2:50, 7:31])
    half = colours.region(x=(8, 32), y=slice(2, 50), level=1, units="pixel", labels=[])
    np.testing.assert_array_equal(half["image"].values, colours.pixels.array(1)[:, 1:25, 4:16])
    one = colours.region(x=7, y=3, c=0, units="pixel")
    assert one["image"].values == example_pixels()[0, 3, 7]


def test_frames_are_counted(plate: ngff_bio.reader.Dataset) -> None:
    image = plate["C/7/0"]
    assert image.region(t=1)["image"].values.tolist() == example_pixels(2, (3, 96, 120))[1].tolist()
    assert image.region(t=(1, 3)).sizes["t"] == 2
    assert image.region(t=-1)["t"] == HOURS[-1]


@pytest.mark.parametrize(
    "wanted",
    [
        {"x": (30.1, 40)},
        {"x": (-9, -1)},
        {"y": 99},
        {"x": (200, 300), "units": "pixel"},
        {"c": 2},
        {"t": 1},
        {"c": "Cy5"},
        {"x": (3, 3)},
        {"x": (5, 3)},
        {"x": (0, 5, 2)},
        {"x": "four"},
        {"resolution": 0},
        {"level": 3},
    ],
)
def test_a_region_outside_or_without_sense_is_refused(
    colours: ngff_bio.reader.Image, wanted: Any
) -> None:
    with pytest.raises((ArgumentError, ngff_bio.errors.NameNotFoundError)):
        colours.region(**wanted)


def test_a_region_that_reaches_out_is_cut_off(colours: ngff_bio.reader.Image) -> None:
    assert colours.region(x=(-50, 1)).sizes["x"] == 4
    assert colours.region(x=(29, 100)).sizes["x"] == 4
    assert colours.region(x=(1.01, 1.02)).sizes["x"] == 1


def test_labels_of_another_pixel_size_lie_on_the_image(tmp_path: Path) -> None:
    """A label image at half the resolution and one of a part of the levels."""
    by_hand("/")["image"](tmp_path / "a")
    import json

    import zarr

    group = tmp_path / "a" / "labels" / "cell"
    content = json.loads((group / ".zattrs").read_text())
    datasets = content["multiscales"][0]["datasets"]
    halves = np.kron(np.arange(1, 48 * 60 + 1, dtype=np.uint16).reshape(48, 60), 1)[
        None, None, None
    ]
    zarr.open_array(group / "s1", mode="r+")[...] = halves
    shift = {"type": "translation", "translation": [0, 0, 0, SCALE / 2, SCALE / 2]}
    datasets[1]["coordinateTransformations"].append(shift)
    content["multiscales"][0]["datasets"] = [datasets[1]]
    (group / ".zattrs").write_text(json.dumps(content))
    image = ngff_bio.open(tmp_path / "a")[""]
    doubled = np.kron(halves[0, 0, 0], np.ones((2, 2), np.uint16))
    np.testing.assert_array_equal(image.level(0)["cell"].values.squeeze(), doubled)
    part = image.region(x=(11, 57), y=(3, 30), units="pixel", chunks=None)
    np.testing.assert_array_equal(part["cell"].values.squeeze(), doubled[3:30, 11:57])
    coarse = image.level(2)["cell"].values.squeeze()
    assert coarse.shape == image.level_shape(2)[-2:]
    assert (coarse[:, 1:] > coarse[:, :-1]).all()


@given(st.floats(1e-3, 1e6))
def test_units_convert_both_ways(value: float) -> None:
    assert factor("micrometer", "nanometer") == pytest.approx(1000)
    assert factor("h", "minute") == pytest.approx(60)
    assert magnitude(f"{value} um", "millimeter") == pytest.approx(value / 1000)
    assert magnitude(value, None) == value
