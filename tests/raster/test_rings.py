from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask
from scipy.ndimage import label
from skimage.draw import polygon as fill_polygon
from skimage.segmentation import find_boundaries

from ngff_bio.raster.coco_rle import rle_from_window
from ngff_bio.raster.rings import joined_ring, outlines, polygons_of_rings, rings_of_mask

#: Busy machines are slow: no test fails by the clock.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans())


def filled(points, shape):
    """Even-odd filling by crossings of horizontal edges: for corners on pixel edges only."""
    out = np.zeros(shape, np.bool_)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y0 == y1:
            out[y0:, min(x0, x1) : max(x0, x1)] ^= True
    return out


@unhurried
@given(masks)
def test_rings_cover_the_mask_exactly(mask):
    covered = np.zeros(mask.shape, np.bool_)
    for ring in rings_of_mask(mask):
        covered ^= filled(ring.points, mask.shape)
    np.testing.assert_array_equal(covered, mask)


@unhurried
@given(masks)
def test_a_polygon_is_a_component_with_its_holes(mask):
    polygons = polygons_of_rings(rings_of_mask(mask))
    components, count = label(mask)
    assert len(polygons) == count
    areas = [p[0].area - sum(hole.area for hole in p[1:]) for p in polygons]
    assert sorted(areas) == sorted(np.bincount(components.ravel())[1:].tolist())


@unhurried
@given(masks)
def test_pycocotools_draws_outer_rings_to_the_pixel(mask):
    for outer, *_ in polygons_of_rings(rings_of_mask(mask)):
        flat = outer.points.ravel().astype(float).tolist()
        drawn = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([flat], *mask.shape)))
        np.testing.assert_array_equal(drawn, filled(outer.points, mask.shape))


@unhurried
@given(masks)
def test_joined_rings_are_one_ring_of_the_same_pixels(mask):
    rings = rings_of_mask(mask)
    if not rings:
        return
    points = joined_ring(rings)
    # Off the edges, so that no pixel centre lies on one.
    rows, columns = fill_polygon(points[:, 1] - 0.5, points[:, 0] - 0.5, mask.shape)
    drawn = np.zeros(mask.shape, np.bool_)
    drawn[rows, columns] = True
    np.testing.assert_array_equal(drawn, mask)


def test_corners_alone_are_kept():
    mask = np.ones((30, 40), np.bool_)
    (ring,) = rings_of_mask(mask, (5, 7))
    assert ring.points.tolist() == [[5, 7], [45, 7], [45, 37], [5, 37]]
    assert ring.area == 1200


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (4, 4)])
def test_nothing_has_no_ring(shape):
    assert rings_of_mask(np.zeros(shape, np.bool_)) == []


@unhurried
@given(masks, st.integers(0, 4), st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))
def test_the_rle_of_a_window_is_that_of_the_whole_image(mask, left, top, right, below):
    whole = np.pad(mask, ((top, below), (left, right)))
    expected = coco_mask.encode(np.asfortranarray(whole, np.uint8))
    found = rle_from_window(mask, (left, top), whole.shape)
    assert found["size"] == list(expected["size"])
    assert found["counts"] == expected["counts"].decode()


PLANES = arrays(
    np.uint16,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8),
    elements=st.integers(0, 3),
)


@given(PLANES)
def test_outlines_are_the_inner_boundaries_of_scikit_image(labels):
    expected = find_boundaries(labels, connectivity=1, mode="inner", background=0)
    assert np.array_equal(outlines(labels), expected)
