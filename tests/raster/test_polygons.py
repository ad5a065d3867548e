from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from masks import masks_of
from pycocotools import mask as coco_mask

from ngff_bio.errors import SourceError
from ngff_bio.raster.polygons import rasterize_polygons


def by_pycocotools(parts, height, width):
    """What COCO.annToMask does with a segmentation of polygons."""
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(parts, height, width))) > 0


def masks(segmentations, shape):
    table = rasterize_polygons(segmentations, shape)
    assert len(table) == len(segmentations)
    found = masks_of(table)  # no pixel twice inside an instance: painting and areas count on it
    assert table.areas().tolist() == [int(m.sum()) for m in found]
    return found


def assert_equal_to_pycocotools(segmentations, shape):
    for parts, ours in zip(segmentations, masks(segmentations, shape), strict=True):
        assert np.array_equal(ours, by_pycocotools(parts, *shape)), parts


def random_part(rng):
    """An outline of one of many kinds: smooth cells, noise, grids on which everything ties."""
    points = int(rng.integers(3, 16))
    kind = rng.integers(6)
    if kind == 0:
        xy = rng.uniform(-20, 90, (points, 2))
    elif kind == 1:
        xy = rng.integers(-10, 140, (points, 2)) / 2
    elif kind == 2:
        angle = np.linspace(0, 2 * np.pi, points * 3, endpoint=False)
        ray = rng.uniform(1, 16) * (1 + 0.2 * rng.standard_normal(angle.size))
        xy = rng.uniform(0, 70, 2) + (ray * [np.cos(angle), np.sin(angle)]).T
        xy = xy.round(2)
    elif kind == 3:
        xy = (rng.uniform(0, 70, 2) + rng.normal(0, 1, (points, 2))).round(1)
    elif kind == 4:
        xy = np.repeat(rng.integers(-50, 400, (points, 2)) / 10, rng.integers(1, 3, points), axis=0)
    else:
        xy = rng.integers(0, 350, (points, 2)) / 5 + rng.choice([0, 0.1, -0.1, 0.3], (points, 2))
    if rng.random() < 0.03:
        xy = xy * 40 - rng.integers(0, 1000)
    return xy.ravel().tolist()


def test_thousands_of_random_polygons_are_those_of_pycocotools():
    rng = np.random.default_rng(2024)
    for _ in range(40):
        shape = tuple(int(n) for n in rng.integers(1, 80, 2))
        assert_equal_to_pycocotools(
            [[random_part(rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))] for _ in range(120)],
            shape,
        )


COORDINATES = st.one_of(
    st.floats(-30, 60, allow_nan=False),
    st.integers(-60, 120).map(lambda n: n / 2),
    st.integers(-300, 600).map(lambda n: n / 10),
    st.floats(-1e-6, 1e-6),
)
PARTS = st.lists(COORDINATES, min_size=6, max_size=24)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(PARTS, min_size=1, max_size=3), min_size=1, max_size=4),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_any_polygon_is_that_of_pycocotools(segmentations, shape):
    assert_equal_to_pycocotools(segmentations, shape)


@pytest.mark.parametrize(
    "part",
    [
        [3, 3, 3, 3, 3, 3],
        [3, 3, 9, 9, 3, 3],
        [0, 0, 0, 8, 8, 8, 8, 0],
        [0, 0, 0, 20, 30, 20, 30, 0],
        [-5, -5, -5, 30, 40, 30, 40, -5],
        [2.5, 2.5, 2.5, 7.5, 7.5, 7.5, 7.5, 2.5],
        [1, 1, 9, 9, 9, 1, 1, 9],
        [29.5, 0, 29.5, 20, 35, 20, 35, 0],
        [-9, 4, -3, 4, -3, 9],
        [4, -9, 9, -9, 9, -3],
        [4.1, 4.1, 4.3, 4.1, 4.3, 4.3],
        [0, 0, 10, 0, 10, 10, 5],
    ],
    ids=str,
)
def test_odd_outlines_are_those_of_pycocotools(part):
    assert_equal_to_pycocotools([[part]], (20, 30))


def test_a_step_that_shifting_into_a_window_would_round_otherwise_stays_exact():
    # Steep sides with ties of the walk at every other step, far from the origin.
    rng = np.random.default_rng(5)
    origin = np.array([650.0, 480.0])
    segmentations = []
    for _ in range(300):
        xy = origin + rng.integers(0, 100, (8, 2)) / 10 * [1, 4]
        segmentations.append([xy.ravel().tolist()])
    assert_equal_to_pycocotools(segmentations, (520, 704))


def test_parts_of_an_instance_are_one_mask():
    square = [2, 2, 2, 8, 8, 8, 8, 2]
    beside = [8, 2, 8, 8, 12, 8, 12, 2]
    across = [4, 0, 4, 12, 6, 12, 6, 0]
    assert_equal_to_pycocotools([[square, across, beside], [beside], [square, square]], (14, 16))


def test_instances_without_pixels_keep_their_place():
    square = [[2, 2, 2, 5, 5, 5, 5, 2]]
    table = rasterize_polygons([[], square, [[1.0, 2.0]], [[1, 1, 6, 6]], square, [[]]], (8, 8))
    assert table.areas().tolist() == [0, 9, 0, 0, 9, 0]
    assert table.bboxes()[1].tolist() == [[2, 2], [5, 5]]
    assert table.bboxes()[2].tolist() == [[0, 0], [0, 0]]


def test_a_frame_without_polygons_is_a_table_without_instances():
    assert len(rasterize_polygons([], (8, 8))) == 0


def test_arrays_and_lists_give_the_same():
    rng = np.random.default_rng(8)
    segmentations = [[random_part(rng)] for _ in range(20)]
    arrays = [[np.array(part) for part in parts] for parts in segmentations]
    expected = rasterize_polygons(segmentations, (60, 50))
    table = rasterize_polygons(arrays, (60, 50))
    assert np.array_equal(table.starts, expected.starts)
    assert np.array_equal(table.lengths, expected.lengths)
    assert np.array_equal(table.offsets, expected.offsets)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf"), 1e12])
def test_a_coordinate_out_of_range_names_its_segmentation(wrong):
    fine = [[1.0, 1, 5, 1, 5, 5]]
    with pytest.raises(SourceError, match="coordinate out of range") as caught:
        rasterize_polygons([fine, fine, [[1, 1, 5, 1, wrong, 5]]], (8, 8))
    assert caught.value.record == "segmentation 2"


def test_something_that_is_not_a_number_names_its_segmentation():
    with pytest.raises(SourceError, match="not a number") as caught:
        rasterize_polygons([[[1, 1, 5, 1, 5, 5]], [[1, 1, "left", 1, 5, 5]]], (8, 8))
    assert caught.value.record == "segmentation 1"
