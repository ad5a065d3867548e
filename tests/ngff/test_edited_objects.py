"""Lists of edited objects: exact while they are short, and never without an edited object."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ngff_bio.ngff.edited_objects as listed
from ngff_bio.ngff.attributes import EDITED
from ngff_bio.ngff.edited_objects import (
    EDITED_OBJECTS,
    EditedObjects,
    edited_objects,
    with_edits,
)

keys = st.sets(st.tuples(st.integers(0, 3), st.integers(1, 30)), max_size=40)


@given(st.lists(keys, min_size=1, max_size=3), st.booleans())
def test_edited_objects_are_those_that_were_edited(edits, short) -> None:
    own = {}
    for some in edits:
        with patch.object(listed, "_LISTED", 6 if short else 2000):
            known = with_edits(edited_objects(own), some)
        own = {"attributes": {EDITED: [{}], EDITED_OBJECTS: known.to_json()}}
    known = edited_objects(own)
    every = set().union(*edits)
    values = np.arange(0, 35)
    found = {(t, int(v)) for t in range(5) for v in values[known.has(t, values)]}
    if short:
        assert found >= every
        assert len(known.to_json()) <= max(6, len({t for t, _ in every}))
        assert {t for t, _ in found} == {t for t, _ in every}
    else:
        assert found == every


@pytest.mark.parametrize("wrong", ["a", [1], [[0, 1]], [[0, "1", 2]], [[0, 1, 2**70]]])
def test_edits_whose_objects_are_not_stated_are_unknown(wrong) -> None:
    assert edited_objects({"attributes": {EDITED: [{}], EDITED_OBJECTS: wrong}}) is None
    assert edited_objects({"attributes": {EDITED: [{}]}}) is None
    assert edited_objects({}) == EditedObjects({})
