from __future__ import annotations

import base64
import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from ngff_bio.errors import SourceError
from ngff_bio.model import Box, Instance, Polygons, Rle, Shape
from ngff_bio.raster import limits
from ngff_bio.raster.filled import rasterize_filled
from ngff_bio.raster.geometries import rasterize_geometries
from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.polygons import rasterize_centers, rasterize_polygons

SIZE = (20_000, 20_000)


def zigzag(turns, along):
    """An outline that goes from side to side so often, along x (0) or y (1)."""
    xy = np.empty((turns, 2))
    xy[:, along] = np.tile([0, SIZE[0] - 1], turns // 2)
    xy[:, 1 - along] = np.linspace(0, SIZE[0] - 1, turns)
    return xy.ravel().tolist()


FULL = Polygons(((0.0, 0.0, 20_000.0, 0.0, 20_000.0, 20_000.0, 0.0, 20_000.0),))


@pytest.mark.parametrize(
    ("draw", "along"),
    [(rasterize_polygons, 0), (rasterize_centers, 1), (rasterize_filled, 0), (rasterize_filled, 1)],
)
def test_an_outline_that_goes_from_side_to_side_is_refused_before_it_is_drawn(draw, along):
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="than allowed"):
            draw([[zigzag(20_000, along)]], SIZE)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "geometry",
    [FULL, Box(0, 0, 20_000, 20_000), Rle(SIZE, [0, SIZE[0] * SIZE[1]])],
    ids=["outline", "box", "run length"],
)
def test_instances_on_top_of_each_other_are_refused_before_they_are_drawn(geometry):
    instances = [Instance(i + 1, geometry) for i in range(5_000)]
    with pytest.raises(SourceError, match="than allowed"):
        rasterize_geometries(instances, SIZE)


def test_instances_are_drawn_until_there_are_too_many_and_the_others_are_named(monkeypatch):
    monkeypatch.setattr(limits, "_PIXELS", 100)
    monkeypatch.setattr(limits, "_COVERAGE", 0)
    instances = [Instance(i, Box(1, 1, 7, 7)) for i in range(1, 5)]
    named = []
    drawn = rasterize_geometries(instances, (10, 10), lambda i, _: named.append(i.value))
    assert drawn.areas().tolist() == [36, 36, 0, 0]
    assert named == [3, 4]


def test_outlines_drawn_in_batches_are_those_drawn_at_once(monkeypatch):
    random = np.random.default_rng(5)
    outlines = [[(random.random(14) * 40).tolist()] * 2 for _ in range(30)]
    outlines[3] = []
    for draw in (rasterize_polygons, rasterize_centers):
        monkeypatch.setattr(limits, "_BATCH", 1 << 20)
        whole = draw(outlines, (40, 30))
        monkeypatch.setattr(limits, "_BATCH", 70)
        parts = draw(outlines, (40, 30))
        for name in ("offsets", "starts", "lengths"):
            assert np.array_equal(getattr(whole, name), getattr(parts, name))


def test_runs_down_columns_turn_into_rows_without_a_list_of_their_pixels():
    width = 10_000
    columns = np.arange(width)
    table = InstanceRuns.from_owners(
        (width, width), 1, np.zeros(width, np.int64), columns, np.full(width, width), step=width
    )
    tracemalloc.start()
    try:
        rows = table.row_major()
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    assert (rows.starts.tolist(), rows.lengths.tolist()) == ([0], [width * width])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_mask_in_a_shape_is_not_decoded_if_it_is_huge():
    out = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(out, "PNG")
    text = base64.b64encode(out.getvalue()).decode()
    shape = Shape("mask", ((0.0, 0.0), (11_999.0, 11_999.0)), text)
    with pytest.raises(SourceError, match="not an image file"):
        rasterize_geometries([Instance(1, shape)], (24, 30))
