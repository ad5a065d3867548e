"""Windows and colors in which viewers show channels, where the source states none or some."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ngff_bio
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.model import ArrayPixels, Channel, SourceDataset, SourceImage, axes_from
from ngff_bio.storage import MemoryStorage


def shown(
    pixels: np.ndarray, axes: str, channels: tuple[Channel, ...] = (), **settings: Any
) -> list[dict[str, Any]]:
    image = SourceImage("", "a", axes_from(axes), ArrayPixels(pixels), channels=channels)
    dataset = SourceDataset("a", "test", "", "image", (image,))
    storage = MemoryStorage()
    write_dataset(dataset, storage, Settings(**settings))
    return ngff_bio.open(storage)[""].rendering


def window(channel: dict[str, Any]) -> tuple[float, float]:
    return channel["window"]["start"], channel["window"]["end"]


def noise(shape: tuple[int, ...], high: int = 4000, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(100, high, shape).astype(np.uint16)


def percentiles(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, (0.1, 99.9), method="inverted_cdf")
    return float(low), float(high)


def test_12_bits_in_16_are_shown_from_the_first_to_the_last_permille() -> None:
    pixels = noise((90, 110))
    pixels[0, 0] = 65535  # a hot pixel
    (one,) = shown(pixels, "yx", levels=1)
    assert window(one) == percentiles(pixels)
    assert (one["color"], one["active"]) == ("FFFFFF", True)
    assert (one["window"]["min"], one["window"]["max"]) == (0, 65535)


def test_each_channel_has_a_window_of_its_own() -> None:
    pixels = np.stack([noise((64, 64)), noise((64, 64), 300), noise((64, 64), 60000)])
    found = shown(pixels, "cyx", levels=1)
    assert [window(c) for c in found] == [percentiles(p) for p in pixels]
    assert len({c["color"] for c in found}) == 3


def test_parts_of_the_work_together_give_the_percentiles_of_the_whole() -> None:
    pixels = np.concatenate([noise((1, 64, 64), high) for high in (300, 900, 5000, 20000)])
    frames = shown(pixels, "tyx", levels=1, frames=1, shard_bytes=4096, chunk=(64, 64))
    low, high = window(frames[0])
    assert low == pytest.approx(percentiles(pixels)[0], abs=2)
    assert high == pytest.approx(percentiles(pixels)[1], rel=0.01)


def test_the_window_is_that_of_the_coarsest_level() -> None:
    pixels = noise((256, 256))
    (one,) = shown(pixels, "yx", levels=3, chunk=(64, 64))
    means = pixels.reshape(64, 4, 64, 4).mean((1, 3))
    assert np.array(window(one)) == pytest.approx(percentiles(means), rel=0.02)


def test_a_color_image_keeps_its_colors() -> None:
    colors = tuple(Channel(name) for name in ("red", "green", "blue"))
    bytes_ = noise((3, 40, 40), 200).astype(np.uint8)
    assert {window(c) for c in shown(bytes_, "cyx", colors)} == {(0, 255)}
    deep = noise((3, 40, 40), 9000)
    found = {window(c) for c in shown(deep, "cyx", colors, levels=1)}
    assert len(found) == 1
    assert np.array(found.pop()) == pytest.approx(percentiles(deep), abs=9)


def test_a_window_and_a_color_of_the_source_are_kept() -> None:
    channel = Channel("DAPI", (1, 2, 3, 255), (200.0, 900.0), active=False)
    (one,) = shown(noise((40, 40)), "yx", (channel,))
    assert (one["label"], one["color"], one["active"]) == ("DAPI", "010203", False)
    assert window(one) == (200, 900)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_an_image_of_one_value_has_a_window(dtype: type) -> None:
    (one,) = shown(np.full((20, 20), 7, dtype), "yx")
    assert window(one)[0] < window(one)[1]


def test_values_that_are_not_finite_are_left_out_of_a_window() -> None:
    pixels = noise((60, 60)).astype(np.float32) / 1e5
    expected = percentiles(pixels[:, 3:])
    pixels[:, :2], pixels[:, 2] = np.nan, np.inf
    (one,) = shown(pixels, "yx", levels=1)
    assert window(one) == pytest.approx(expected)
    assert one["window"]["max"] == pytest.approx(pixels[:, 3:].max())
    assert window(shown(np.full((9, 9), np.nan, np.float32), "yx")[0]) == (0, 1)
