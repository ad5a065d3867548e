from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from masks import masks_of, table_of

from ngff_bio.errors import ArgumentError
from ngff_bio.raster.instances import InstanceRuns
from ngff_bio.raster.runs import runs_from_mask

STACKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6))


def down_columns(stack):
    """Table of the masks of a stack (instance, y, x), its runs going down columns."""
    owners, starts, lengths = [], [], []
    height, width = stack.shape[1:]
    for index, mask in enumerate(stack):
        for x in range(width):
            for start, length in zip(*runs_from_mask(mask[:, x]), strict=True):
                owners.append(index)
                starts.append(start * width + x)
                lengths.append(length)
    as_array = [np.array(column, np.int64) for column in (owners, starts, lengths)]
    return InstanceRuns.from_owners((height, width), len(stack), *as_array, step=width)


def along_rows(stack):
    return table_of(stack, stack.shape[1:])


def stacked(table):
    return np.array(masks_of(table))


@given(STACKS, st.sampled_from([down_columns, along_rows]))
def test_masks_areas_and_boxes_do_not_depend_on_the_way_runs_go(stack, build):
    table = build(stack)
    assert np.array_equal(stacked(table), stack)
    assert table.areas().tolist() == stack.sum(axis=(1, 2)).tolist()
    for mask, box in zip(stack, table.bboxes(), strict=True):
        where = np.nonzero(mask)
        expected = (
            [[int(a.min()) for a in where], [int(a.max()) + 1 for a in where]]
            if mask.any()
            else [[0, 0]] * 2
        )
        assert box.tolist() == expected
    rows = table.row_major()
    expected_rows = along_rows(stack)
    assert rows.step == 1
    assert np.array_equal(rows.offsets, expected_rows.offsets)
    assert np.array_equal(rows.starts, expected_rows.starts)
    assert np.array_equal(rows.lengths, expected_rows.lengths)


@given(STACKS, st.data())
def test_selecting_gives_the_instances_asked_for_in_that_order(stack, data):
    which = data.draw(st.lists(st.integers(0, len(stack) - 1), max_size=8))
    table = down_columns(stack).select(which)
    assert len(table) == len(which)
    assert np.array_equal(stacked(table).reshape(-1, *stack.shape[1:]), stack[which])


@given(STACKS)
def test_tables_of_both_ways_can_be_put_together(stack):
    table = InstanceRuns.concatenate([down_columns(stack), along_rows(stack)])
    assert np.array_equal(stacked(table), np.concatenate([stack, stack]))


def test_line_starts_are_offsets_into_the_transposed_plane():
    stack = np.zeros((1, 3, 4), bool)
    stack[0, 1:, 2] = True
    assert down_columns(stack).line_starts().tolist() == [2 * 3 + 1]


def test_tables_of_different_frames_are_not_put_together():
    tables = [along_rows(np.ones((1, 2, n), bool)) for n in (2, 3)]
    with pytest.raises(ArgumentError, match="different arrays"):
        InstanceRuns.concatenate(tables)


def test_a_table_of_nothing_keeps_the_number_of_its_instances():
    table = InstanceRuns.empty((3, 4), 2)
    assert table.areas().tolist() == [0, 0]
    assert len(InstanceRuns.concatenate([table, along_rows(np.ones((1, 3, 4), bool))])) == 3
