from __future__ import annotations

import importlib.util
import json
import logging
import math
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from masks import drawn_shape, mask_of
from PIL import Image, ImageDraw

from ngff_bio.errors import SourceError
from ngff_bio.raster.shapes import rasterize_shapes


def drawn_whole(shape, points, shape_type):
    """The drawing calls of labelme.utils.shape_to_mask on a mask as large as the image."""
    image = Image.fromarray(np.zeros(shape, np.uint8))
    draw = ImageDraw.Draw(image)
    xy = [tuple(point) for point in points]
    if shape_type in ("circle", "point"):
        (x, y), radius = xy[0], 5
        if shape_type == "circle":
            radius = math.sqrt((x - xy[1][0]) ** 2 + (y - xy[1][1]) ** 2)
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=1, fill=1)
    elif shape_type == "rectangle":
        low, high = np.sort(xy, axis=0)
        draw.rectangle([tuple(low), tuple(high)], outline=1, fill=1)
    elif shape_type in ("line", "linestrip"):
        draw.line(xy=xy, fill=1, width=10)
    else:
        draw.polygon(xy=xy, outline=1, fill=1)
    return np.array(image, dtype=bool)


KINDS = {
    "circle": 2,
    "rectangle": 2,
    "line": 2,
    "linestrip": 4,
    "point": 1,
    "polygon": 7,
    "points": 5,
    None: 3,
}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_window_changes_no_pixel_of_random_shapes(kind):
    rng = np.random.default_rng(11)
    for _ in range(250):
        shape = (int(rng.integers(1, 90)), int(rng.choice([40, 90, 3000])))
        spread = rng.choice([3, 20, 80])
        points = rng.uniform(-15, np.array(shape[::-1]) + 15) + rng.normal(
            0, spread, (KINDS[kind], 2)
        )
        points = points.round(rng.choice([0, 1, 6])).tolist()
        expected = drawn_whole(shape, points, kind)
        assert np.array_equal(drawn_shape(shape, points, kind), expected), (shape, points)


NUMBERS = st.one_of(st.floats(-30, 90), st.integers(-10, 70))


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(list(KINDS)), st.data())
def test_a_window_changes_no_pixel_of_any_shape(kind, data):
    size = KINDS[kind]
    points = data.draw(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=size, max_size=size))
    expected = drawn_whole((50, 60), points, kind)
    assert np.array_equal(drawn_shape((50, 60), points, kind), expected)


@pytest.fixture(scope="module")
def labelme_shape_to_mask():
    """labelme's own function, from its file alone: the package asks for a window system."""
    package = importlib.util.find_spec("labelme")
    if package is None:
        pytest.skip("labelme is not installed")
    folder = Path(package.submodule_search_locations[0])
    logger = types.ModuleType("labelme.logger")
    logger.logger = logging.getLogger("labelme")
    spec = importlib.util.spec_from_file_location("labelme_shape", folder / "utils" / "shape.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "labelme", types.ModuleType("labelme"))
        patch.setitem(sys.modules, "labelme.logger", logger)
        spec.loader.exec_module(module)
    return module.shape_to_mask


@pytest.mark.parametrize("kind", ["circle", "rectangle", "line", "linestrip", "point", "polygon"])
def test_shapes_are_those_of_labelme_itself(labelme_shape_to_mask, kind):
    rng = np.random.default_rng(2)
    for _ in range(60):
        points = rng.uniform(-10, 80, (KINDS[kind], 2))
        if kind == "rectangle":
            points.sort(axis=0)
        expected = labelme_shape_to_mask((64, 72), points.tolist(), kind)
        assert np.array_equal(drawn_shape((64, 72), points.tolist(), kind), expected)


def test_a_large_image_costs_no_large_mask():
    points = [[9000.4, 9000.2], [9030.1, 9004.0], [9010.7, 9040.9]]
    table = rasterize_shapes(
        [{"points": points, "shape_type": kind} for kind in ("polygon", "linestrip")], (9122, 9163)
    )
    for index, kind in enumerate(("polygon", "linestrip")):
        expected = drawn_whole((9122, 9163), points, kind)
        assert np.array_equal(table.bboxes()[index, 0], np.argwhere(expected).min(axis=0))
        assert table.areas()[index] == expected.sum()


@pytest.mark.parametrize("corner", [(2, 3), (-1, -2), (8, 9)])
def test_a_mask_fills_its_box_corners_included_and_is_cut_by_the_border(corner):
    mask = np.random.default_rng(0).random((4, 5)) < 0.5
    x, y = corner
    padded = np.zeros((30, 30), bool)
    padded[10 + y : 14 + y, 10 + x : 15 + x] = mask
    ours = drawn_shape((10, 12), [[x, y], [x + 4, y + 3]], "mask", mask)
    assert np.array_equal(ours, padded[10:20, 10:22])


@pytest.mark.parametrize(
    ("kind", "points", "what"),
    [
        ("polygon", [[1, 1], [2, 2]], "wrong number of points"),
        ("circle", [[1, 1]], "wrong number of points"),
        ("point", [], "wrong number of points"),
        ("polygon", [[1, 1], [2, float("nan")], [3, 1]], "out of range"),
        ("polygon", [[1, 1], [2], [3, 1]], "not a pair"),
        ("star", [[1, 1], [2, 2], [3, 1]], "not a labelme shape"),
        ("mask", [[1, 1], [2, 2]], "size of its box"),
    ],
)
def test_a_shape_that_cannot_be_drawn_names_its_place(kind, points, what):
    fine = {"points": [[1, 1]], "shape_type": "point"}
    with pytest.raises(SourceError, match=what) as caught:
        rasterize_shapes([fine, {"points": points, "shape_type": kind}], (10, 10))
    assert caught.value.record == "shape 1"


@pytest.mark.parametrize(
    "name", ["primitives/primitives", "bbox_detection/data_annotated/2011_000003"]
)
def test_real_shapes_are_drawn_as_on_the_whole_image(samples: Path, name):
    found = json.loads((samples / f"labelme/{name}.json").read_text())
    shape = (found["imageHeight"], found["imageWidth"])
    table = rasterize_shapes(found["shapes"], shape)
    assert len(table) == len(found["shapes"]) > 0
    for index, one in enumerate(found["shapes"]):
        ours = mask_of(table, index)
        assert np.array_equal(ours, drawn_whole(shape, one["points"], one["shape_type"]))
        assert ours.any()
