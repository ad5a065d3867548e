from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import regionprops

from ngff_bio.errors import ArgumentError
from ngff_bio.raster.runs import (
    clip_runs,
    label_extents,
    paint_many,
    pixel_blocks,
    run_pixels,
    runs_from_mask,
    runs_of_labels,
    union_runs,
)

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=7)
MASKS = hnp.arrays(np.bool_, SHAPES)
LABELS = hnp.arrays(np.uint16, SHAPES, elements=st.integers(0, 3))


@given(MASKS)
def test_a_mask_comes_back_from_its_runs(mask):
    starts, lengths = runs_from_mask(mask)
    assert np.array_equal(run_pixels(starts, lengths), np.flatnonzero(mask))
    assert (lengths > 0).all()
    # Sorted, not overlapping, not even touching.
    assert (starts[1:] > (starts + lengths)[:-1]).all()


@given(LABELS)
def test_labels_come_back_from_their_runs(labels):
    values, starts, lengths = runs_of_labels(labels)
    again = np.zeros_like(labels)
    paint_many(again, starts, lengths, values)
    assert np.array_equal(again, labels)
    for value in (1, 2, 3):
        rows = values == value
        found = np.stack((starts[rows], lengths[rows]))
        assert np.array_equal(found, runs_from_mask(labels == value))


@given(LABELS, st.data())
def test_a_volume_painted_slab_by_slab_is_the_volume_painted_whole(labels, data):
    values, starts, lengths = runs_of_labels(labels)
    lo = data.draw(st.integers(0, labels.size))
    hi = data.draw(st.integers(lo, labels.size))
    piece_starts, piece_lengths, kept = clip_runs(starts, lengths, lo, hi)
    slab = np.zeros(hi - lo, np.uint16)
    paint_many(slab, piece_starts, piece_lengths, values[kept])
    assert np.array_equal(slab, labels.reshape(-1)[lo:hi])


RUNS_IN_100 = st.lists(
    st.tuples(st.integers(0, 99), st.integers(1, 40), st.integers(1, 200)).map(
        lambda run: (run[0], min(run[1], 100 - run[0]), run[2])
    ),
    min_size=1,
    max_size=12,
)


@given(RUNS_IN_100, st.sampled_from([np.uint8, np.uint16, np.uint32]), st.booleans())
def test_painting_many_is_painting_one_after_the_other(rows, dtype, in_order):
    if in_order:
        rows = sorted(rows)
    starts, lengths, values = (np.array(column) for column in zip(*rows, strict=True))
    out = np.full((10, 10), 7, dtype)
    expected = out.copy().reshape(-1)
    for start, length, value in rows:
        expected[start : start + length] = value
    paint_many(out, starts, lengths, values)
    assert np.array_equal(out.reshape(-1), expected)


@given(RUNS_IN_100)
def test_the_union_of_runs_covers_each_of_their_pixels_once(rows):
    starts, lengths, _ = (np.array(column) for column in zip(*rows, strict=True))
    mask = np.zeros(100, bool)
    for start, length in zip(starts, lengths, strict=True):
        mask[start : start + length] = True
    assert np.array_equal(union_runs(starts, starts + lengths), runs_from_mask(mask))


@given(RUNS_IN_100, st.integers(1, 3), st.integers(1, 50))
def test_pieces_of_a_block_hold_the_same_pixels_in_the_same_order(rows, step, block):
    starts, lengths, values = (np.array(column) for column in zip(*rows, strict=True))
    whole = run_pixels(starts, lengths, step)
    pieces = list(pixel_blocks(starts, lengths, step, block))
    assert np.array_equal(np.concatenate([run_pixels(s, n, step) for _, s, n in pieces]), whole)
    assert all(n.sum() <= block for _, _, n in pieces)
    painted = np.concatenate([np.repeat(values[row], n) for row, _, n in pieces])
    assert np.array_equal(painted, np.repeat(values, lengths))


def test_long_disjoint_runs_keep_the_pixels_between_them():
    rng = np.random.default_rng(3)
    volume = rng.integers(0, 3, 700_000).cumsum() // 400 % 5
    values, starts, lengths = runs_of_labels(volume.astype(np.uint32).reshape(7, 100, 1000))
    order = np.argsort(starts)
    out = np.full((7, 100, 1000), 9, np.uint8)
    paint_many(out, starts[order], lengths[order], values[order])
    assert np.array_equal(out.reshape(-1), np.where(volume == 0, 9, volume))


def test_a_value_that_does_not_fit_is_refused_and_not_wrapped():
    out = np.zeros(4, np.uint8)
    with pytest.raises(ArgumentError, match="does not fit"):
        paint_many(out, np.array([0]), np.array([2]), np.array([256]))
    assert not out.any()


@pytest.mark.parametrize(("start", "length"), [(-1, 2), (8, 3), (10, 1)])
def test_a_run_that_leaves_the_array_is_refused(start, length):
    out = np.zeros(10, np.uint8)
    with pytest.raises(ArgumentError, match="outside"):
        paint_many(out, np.array([start]), np.array([length]), np.array([1]))


def test_an_array_that_shares_no_flat_memory_is_refused():
    with pytest.raises(ArgumentError, match="in place"):
        paint_many(np.zeros((4, 4), np.uint8).T[1:], *np.ones((3, 1), np.int64))


@pytest.mark.parametrize("name", ["cell", "organelle"])
def test_real_run_lists_of_a_volume_are_painted_as_by_a_loop(samples: Path, name):
    found = json.loads(
        (samples / f"platelet-em/labels-instance/50-instance-{name}.json").read_text()
    )
    shape = found.pop(".info")["shape"]
    expected = np.zeros(int(np.prod(shape)), np.uint16)
    rows = []
    for key, text in found.items():
        numbers = np.array(text.split(), np.int64)
        for start, length in zip(numbers[0::2] - 1, numbers[1::2], strict=True):
            expected[start : start + length] = int(key)
            rows.append((start, length, int(key)))
    starts, lengths, values = (np.array(column) for column in zip(*rows, strict=True))
    out = np.zeros(shape, np.uint16)
    paint_many(out, starts, lengths, values)
    assert np.array_equal(out.reshape(-1), expected)
    encoded = runs_of_labels(out)
    assert {int(v): int(encoded[2][encoded[0] == v].sum()) for v in set(values)} == {
        int(v): int(lengths[values == v].sum()) for v in set(values)
    }


@given(hnp.arrays(np.uint8, st.tuples(*[st.integers(2, 5)] * 3), elements=st.integers(0, 4)))
def test_extents_of_labels_are_those_of_regionprops(labels: np.ndarray) -> None:
    values, counts, low, high = label_extents(labels)
    expected = regionprops(labels)
    assert values.tolist() == [r.label for r in expected]
    assert counts.tolist() == [r.area for r in expected]
    assert np.hstack((low, high)).tolist() == [list(r.bbox) for r in expected]
