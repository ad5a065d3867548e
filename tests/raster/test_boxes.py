from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from masks import mask_of
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from ngff_bio.errors import SourceError
from ngff_bio.raster.boxes import coco_boxes, fill_boxes, labelme_boxes

NUMBERS = st.one_of(
    st.floats(-15, 40), st.integers(-30, 80).map(lambda n: n / 2), st.integers(-9, 40)
)
FRAMES = st.tuples(st.integers(1, 30), st.integers(1, 30))


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), FRAMES)
def test_a_coco_box_covers_what_pycocotools_makes_of_it(box, shape):
    expected = coco_mask.decode(coco_mask.frPyObjects(np.array([box], np.float64), *shape))[..., 0]
    assert np.array_equal(mask_of(fill_boxes(coco_boxes([box], shape), shape)), expected)


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), FRAMES)
def test_a_labelme_rectangle_covers_what_pillow_draws(corners, shape):
    x0, y0, x1, y1 = corners
    image = Image.new("L", shape[::-1])
    ordered = [(min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1))]
    ImageDraw.Draw(image).rectangle(ordered, outline=1, fill=1)
    ours = mask_of(fill_boxes(labelme_boxes([[(x0, y0), (x1, y1)]], shape), shape))
    assert np.array_equal(ours, np.asarray(image))


BOXES = st.lists(st.integers(-3, 9), min_size=6, max_size=6).map(
    lambda n: np.array(n).reshape(2, 3)
)


@given(st.lists(BOXES, max_size=6), st.sampled_from([2, 3]))
def test_filled_boxes_cover_their_slices(boxes, axes):
    shape = (4, 5, 6)[-axes:]
    table = fill_boxes([box[:, -axes:] for box in boxes], shape)
    assert len(table) == len(boxes)
    for index, box in enumerate(boxes):
        expected = np.zeros(shape, bool)
        low, high = np.maximum(box[:, -axes:], 0)
        expected[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
        assert np.array_equal(mask_of(table, index), expected)


@pytest.mark.parametrize("rule", [coco_boxes, labelme_boxes])
def test_no_box_is_no_instance(rule):
    assert len(fill_boxes(rule([], (4, 4)), (4, 4))) == 0


@pytest.mark.parametrize("rule", [coco_boxes, labelme_boxes])
def test_a_number_out_of_range_names_its_box(rule):
    with pytest.raises(SourceError, match="out of range") as caught:
        rule([[1, 1, 2, 2], [1, 1, float("nan"), 2]], (10, 10))
    assert caught.value.record == "box 1"
    with pytest.raises(SourceError, match="four numbers"):
        rule([[1, 1, 2]], (10, 10))
