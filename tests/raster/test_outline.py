from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.segmentation import find_boundaries

from ngff_bio.raster.outline import outlines

PLANES = hnp.arrays(
    np.uint16,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8),
    elements=st.integers(0, 3),
)


@given(PLANES)
def test_outlines_are_the_inner_boundaries_of_scikit_image(labels):
    expected = find_boundaries(labels, connectivity=1, mode="inner", background=0)
    assert np.array_equal(outlines(labels), expected)
