from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from masks import masks_of
from pycocotools import mask as coco_mask

from ngff_bio.errors import SourceError
from ngff_bio.raster.polygons import rasterize_centers, rasterize_polygons


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


def test_centers_of_pixels_are_inside_as_shapely_finds_them():
    rng = np.random.default_rng(3)
    shape = (37, 53)
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    segmentations = []
    for _ in range(60):
        center, angles = rng.uniform(0, 40, 2), np.sort(rng.uniform(0, 2 * np.pi, 9))
        radii = rng.uniform(2, 25, 9)
        rim = center + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        segmentations.append([rim.ravel().tolist(), [50.1, 1, 60, 2, 55, 30]][: rng.integers(1, 3)])
    table = rasterize_centers(segmentations, shape)
    found = masks_of(table)
    assert table.areas().tolist() == [int(m.sum()) for m in found]
    for parts, mask in zip(segmentations, found, strict=True):
        whole = np.zeros(shape, bool)
        for part in parts:
            ring = shapely.make_valid(shapely.Polygon(np.reshape(part, (-1, 2))))
            whole |= shapely.contains_xy(ring, x, y)
        assert np.array_equal(mask, whole)


def imagej_mask(points, shape):
    """``PolygonFiller.getMask`` of ImageJ for whole numbers, line by line."""
    found = np.zeros(shape, bool)
    sides = list(zip(points, [*points[1:], points[0]], strict=True))
    for y in range(shape[0]):
        crossings = []
        for one, other in sides:
            (x1, y1), (x2, y2) = sorted((one, other), key=lambda p: p[1])
            if y1 <= y < y2:
                slope = (x2 - x1) / (y2 - y1)
                crossings.append(x1 + 0.5 * slope + 1e-8 + slope * (y - y1))
        crossings.sort()
        for left, right in zip(crossings[::2], crossings[1::2], strict=True):
            found[y, int(left + 0.5) : int(right + 0.5)] = True
    return found


def test_outlines_of_imagej_are_filled_as_imagej_fills_them():
    rng = np.random.default_rng(4)
    shape = (31, 29)
    for _ in range(80):
        points = rng.integers(0, 29, (int(rng.integers(3, 9)), 2))
        (mask,) = masks_of(rasterize_centers([[points.ravel()]], shape, imagej=True))
        assert np.array_equal(mask, imagej_mask(points.tolist(), shape)), points


def test_a_center_on_an_outline_is_inside_if_the_area_is_to_its_right_or_below():
    parts = [[[2.5, 1.5, 5.5, 1.5, 5.5, 3.5, 2.5, 3.5]], [[0, 0, 3, 0, 0, 3]], [[3, 0, 3, 3, 0, 3]]]
    box, upper, lower = masks_of(rasterize_centers(parts, (4, 7)))
    assert np.argwhere(box).tolist() == [[y, x] for y in (1, 2) for x in (2, 3, 4)]
    # Two halves of a square share no pixel and leave none out.
    assert (upper ^ lower)[:3, :3].all()
    assert not (upper & lower).any()


def test_a_hole_that_a_bridge_joins_is_open():
    ring = [0, 0, 8, 0, 8, 8, 0, 8, 0, 0, 2, 2, 6, 2, 6, 6, 2, 6, 2, 2, 0, 0]
    (mask,) = masks_of(rasterize_centers([[ring]], (8, 8)))
    assert mask.sum() == 64 - 16
    assert not mask[2:6, 2:6].any()


@pytest.mark.parametrize("wrong", [[0, 0, float("nan"), 1, 2, 2], [0, 0, 1e12, 1, 2, 2], ["x"] * 6])
def test_centers_refuse_what_cannot_be_drawn(wrong):
    with pytest.raises(SourceError):
        rasterize_centers([[wrong]], (4, 4))
