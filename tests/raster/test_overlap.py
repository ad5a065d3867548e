from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from masks import masks_of, table_of

from ngff_bio.errors import ArgumentError
from ngff_bio.model import MAX_HIDDEN
from ngff_bio.raster import overlap
from ngff_bio.raster.boxes import fill_boxes
from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.overlap import IN_TABLE, paint_instances
from ngff_bio.raster.polygons import rasterize_polygons


def by_hand(masks, values):
    """The overlap rule, said as plainly as it can be."""
    areas = [int(mask.sum()) for mask in masks]
    labels = np.zeros(masks.shape[1:], np.int64)
    for index in sorted(range(len(masks)), key=lambda i: (-areas[i], i)):
        labels[masks[index]] = values[index]
    cut = [i for i, m in enumerate(masks) if not (labels[m] == values[i]).all()]
    meets = {i: sum((masks[i] & masks[j]).any() for j in cut if j != i) for i in cut}
    layers = []
    layer = [0] * len(masks)
    for index in sorted(cut, key=lambda i: (-meets[i], i)):
        mask = masks[index]
        free = [number for number, hidden in enumerate(layers) if not hidden[mask].any()]
        if not free:
            free = [len(layers)]
            layers.append(np.zeros_like(labels))
        layers[free[0]][mask] = values[index]
        layer[index] = free[0] + 1
    return labels, layers, layer


def painted_by_us(table, values, dtype=np.uint16):
    """What `paint_instances` returns, and the labels that it paints over what is there."""
    labels = np.full(table.shape, 9, dtype)
    return paint_instances(table, values, labels), labels


def hidden_labels(painted, shape):
    hidden = np.zeros((len(painted.hidden), *shape), np.uint32)
    for layer, labels in zip(painted.hidden, hidden, strict=True):
        layer.paint(labels)
    return hidden


def assert_by_the_rule(masks, table, values):
    painted, found = painted_by_us(table, values)
    labels, layers, layer = by_hand(masks, values)
    assert np.array_equal(found, labels)
    assert painted.layer.tolist() == layer
    assert len(painted.hidden) == len(layers)
    for ours, expected in zip(hidden_labels(painted, labels.shape), layers, strict=True):
        assert np.array_equal(ours, expected)
    assert painted.areas.tolist() == [int(mask.sum()) for mask in masks]


STACKS = st.one_of(
    hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=7)),
    hnp.arrays(np.bool_, hnp.array_shapes(min_dims=4, max_dims=4, min_side=1, max_side=5)),
)


@settings(deadline=None)
@given(STACKS, st.data())
def test_any_masks_are_painted_by_the_rule(masks, data):
    values = data.draw(
        st.lists(st.integers(1, 60_000), min_size=len(masks), max_size=len(masks), unique=True)
    )
    assert_by_the_rule(masks, table_of(masks, masks.shape[1:]), values)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_frames_of_crowded_polygons_are_painted_by_the_rule(seed):
    rng = np.random.default_rng(seed)
    segmentations = []
    for _ in range(40):
        angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        xy = rng.uniform(0, 60, 2) + rng.uniform(1, 12) * np.stack(
            [np.cos(angle), np.sin(angle)], 1
        )
        segmentations.append([xy.round(2).ravel().tolist()])
    table = rasterize_polygons(segmentations, (50, 64))
    values = rng.permutation(1000)[:40] + 1
    assert_by_the_rule(np.array(masks_of(table)), table, values)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_boxes_in_a_volume_are_painted_by_the_rule(seed):
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.integers(0, 11, (12, 2, 3)), axis=1)
    masks = np.zeros((12, 10, 10, 10), bool)
    for mask, (low, high) in zip(masks, corners, strict=True):
        mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    assert_by_the_rule(masks, fill_boxes(corners, (10, 10, 10)), np.arange(1, 13))


def test_every_instance_is_whole_in_exactly_the_layer_that_is_named():
    rng = np.random.default_rng(0)
    masks = rng.random((30, 12, 12)) < 0.2
    painted, labels = painted_by_us(table_of(masks, (12, 12)), np.arange(1, 31))
    planes = [labels, *hidden_labels(painted, (12, 12))]
    for index, mask in enumerate(masks):
        whole = [np.array_equal(plane == index + 1, mask) for plane in planes]
        assert whole == [number == painted.layer[index] for number in range(len(planes))]


def test_equal_instances_each_get_a_layer_of_their_own_while_there_are_any():
    square = np.zeros((6, 6), bool)
    square[1:4, 1:4] = True
    painted, labels = painted_by_us(table_of([square] * 70, (6, 6)), np.arange(1, 71))
    assert labels.max() == 70
    assert painted.layer.tolist() == [*range(1, 17), *[IN_TABLE] * 53, 0]


def test_instances_apart_need_no_hidden_layer():
    boxes = [[[0, 0], [3, 3]], [[0, 3], [3, 6]], [[3, 0], [6, 6]]]
    painted, labels = painted_by_us(fill_boxes(boxes, (6, 6)), [5, 6, 7])
    assert painted.hidden == ()
    assert painted.layer.tolist() == [0, 0, 0]
    assert np.unique(labels, return_counts=True)[1].tolist() == [9, 9, 18]


def test_a_small_instance_stays_visible_on_a_large_one_whatever_their_order():
    boxes = np.array([[[2, 2], [4, 4]], [[0, 0], [6, 6]]])
    for order in ([0, 1], [1, 0]):
        painted, labels = painted_by_us(fill_boxes(boxes[order], (6, 6)), np.array([1, 2])[order])
        assert (labels == 1).sum() == 4
        assert painted.layer[order.index(1)] == 1
        assert painted.hidden[0].values.tolist() == [2]


@pytest.mark.parametrize("values", [[1, 1], [0, 1], [-1, 1], [1], [1.0, 2.0]])
def test_values_that_do_not_separate_instances_are_refused(values):
    with pytest.raises(ArgumentError):
        painted_by_us(table_of(np.ones((2, 2, 2), bool), (2, 2)), values)


def test_a_value_beyond_the_type_is_refused():
    with pytest.raises(ArgumentError, match="does not fit"):
        painted_by_us(table_of(np.ones((1, 2, 2), bool), (2, 2)), [300], np.uint8)


def test_instances_of_another_frame_are_refused():
    with pytest.raises(ArgumentError, match="another frame"):
        paint_instances(InstanceRuns.empty((2, 2), 0), [], np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize("pairs", [overlap._PAIRS, 0])
def test_instances_beyond_the_last_hidden_label_image_are_in_none(pairs, monkeypatch):
    """Also where overlaps are too many to be listed in pairs."""
    monkeypatch.setattr(overlap, "_PAIRS", pairs)
    rng = np.random.default_rng(7)
    boxes = [(y, x, y + 9, x + 9) for y, x in rng.integers(0, 12, (80, 2)).tolist()]
    masks = np.zeros((len(boxes), 24, 24), np.bool_)
    for mask, (y0, x0, y1, x1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    values = np.arange(1, 81)
    painted, visible = painted_by_us(table_of(masks, (24, 24)), values)
    hidden = hidden_labels(painted, (24, 24))
    assert len(hidden) == MAX_HIDDEN
    assert IN_TABLE in painted.layer
    for value, mask, layer in zip(values, masks, painted.layer, strict=True):
        for number, labels in enumerate([visible, *hidden]):
            if number == layer:
                assert np.array_equal(labels == value, mask)
            elif number:
                assert value not in labels
        if layer == IN_TABLE:  # there was no place in any
            assert all(labels[mask].any() for labels in hidden)
