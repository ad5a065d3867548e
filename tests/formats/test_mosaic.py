"""A mosaic is its tiles side by side, whatever part of it is read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngff_bio.errors import ArgumentError
from ngff_bio.formats.images.composed import Mosaic
from ngff_bio.model import ArrayPixels

WHOLE = np.random.default_rng(0).integers(1, 255, (3, 8, 10), np.uint8)


def mosaic(absent: int = -1) -> Mosaic:
    places = [(0, 0), (4, 0), (0, 5), (4, 5)]
    tiles = [
        (ArrayPixels(WHOLE[:, y : y + 4, x : x + 5]), (0, y, x))
        for k, (y, x) in enumerate(places)
        if k != absent
    ]
    return Mosaic(tuple(tiles), (3, 8, 10))


spans = [st.tuples(st.integers(0, n), st.integers(0, n)).map(sorted) for n in WHOLE.shape]


@settings(max_examples=100, deadline=None)
@given(st.tuples(*spans))
def test_any_region_is_that_of_the_whole(region: tuple[list[int], ...]) -> None:
    block = mosaic().read(tuple((a, b) for a, b in region))
    np.testing.assert_array_equal(block, WHOLE[tuple(slice(*r) for r in region)])


def test_what_no_tile_covers_is_0() -> None:
    block = mosaic(absent=3).read(((0, 3), (0, 8), (0, 10)))
    expected = WHOLE.copy()
    expected[:, 4:, 5:] = 0
    np.testing.assert_array_equal(block, expected)


def test_tiles_of_different_types_are_refused() -> None:
    one, other = np.zeros((1, 2, 2), np.uint8), np.zeros((1, 2, 2), np.uint16)
    with pytest.raises(ArgumentError):
        Mosaic(((ArrayPixels(one), (0, 0, 0)), (ArrayPixels(other), (0, 0, 2))), (1, 2, 4))
