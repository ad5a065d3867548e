from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from masks import counts_from_mask, mask_of
from pycocotools import mask as coco_mask

from ngff_bio.errors import SourceError
from ngff_bio.raster.coco_rle import (
    decode_counts,
    rasterize_rles,
    rasterize_segmentations,
    rle_from_window,
)

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))


def packed(mask):
    return coco_mask.encode(np.asfortranarray(mask, np.uint8))


@given(MASKS, st.sampled_from(["str", "bytes", "list"]))
def test_every_kind_of_rle_is_the_mask_that_pycocotools_encoded(mask, kind):
    rle = packed(mask)
    if kind == "str":
        rle["counts"] = rle["counts"].decode()
    elif kind == "list":
        rle["counts"] = counts_from_mask(mask).tolist()
    assert np.array_equal(mask_of(rasterize_rles([rle])), mask)


@given(MASKS)
def test_plain_counts_are_what_pycocotools_compresses_to_the_same_string(mask):
    plain = {"size": list(mask.shape), "counts": counts_from_mask(mask).tolist()}
    assert coco_mask.frPyObjects(plain, *mask.shape)["counts"] == packed(mask)["counts"]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6))
def test_a_batch_is_its_rles_one_by_one(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 90, 2))
    masks = [
        rng.random(shape) < rng.choice([0, 0.02, 0.5, 0.98, 1]) for _ in range(rng.integers(1, 9))
    ]
    rles = [packed(mask) for mask in masks]
    for index in rng.choice(len(rles), len(rles) // 2, replace=False):
        rles[index]["counts"] = counts_from_mask(masks[index]).tolist()
    table = rasterize_rles(rles, shape)
    for index, mask in enumerate(masks):
        assert np.array_equal(mask_of(table, index), mask)
    # Straight down a column, none longer than it.
    assert table.step == shape[1]
    assert ((table.starts // shape[1] + table.lengths) <= shape[0]).all()


def test_counts_larger_than_one_group_and_falling_are_read():
    counts = [5, 40_000, 3, 70, 1_000_000, 2, 9, 100_000, 1]
    total = sum(counts)
    string = coco_mask.frPyObjects({"size": [total, 1], "counts": counts}, total, 1)["counts"]
    ours, offsets = decode_counts([string, string.decode()])
    assert ours.tolist() == counts * 2
    assert offsets.tolist() == [0, 9, 18]


def test_counts_of_nothing_between_runs_join_them():
    runs = rasterize_rles([{"size": [4, 1], "counts": [1, 1, 0, 1, 1]}])
    assert runs.starts.tolist() == [1]
    assert runs.lengths.tolist() == [2]


@pytest.mark.parametrize("counts", [[3, 2], [3, 2, 11], [], ""])
def test_counts_that_do_not_add_up_say_what_was_expected_and_found(counts):
    fine = {"size": [3, 5], "counts": [15]}
    with pytest.raises(SourceError, match="do not add up") as caught:
        rasterize_rles([fine, {"size": [3, 5], "counts": counts}])
    assert caught.value.record == "RLE 1"
    assert caught.value.expected == "15 pixels (3 x 5)"
    assert caught.value.found == f"{sum(counts) if counts else 0} pixels"


@pytest.mark.parametrize(
    ("counts", "what"),
    [
        ([20, -5], "negative count"),
        ("1 3", "outside of its code"),
        ("é3", "outside of its code"),
        ("3P", "truncated"),
        ("PPPPPPPP3", "beyond 32 bits"),
        ([1.5, 13.5], "not a list of integers"),
        (None, "not a list of integers"),
    ],
)
def test_damaged_counts_are_one_clear_error(counts, what):
    with pytest.raises(SourceError, match=what):
        rasterize_rles([{"size": [3, 5], "counts": counts}])


def test_an_rle_of_another_size_than_its_image_is_refused():
    with pytest.raises(SourceError, match="not that of its image"):
        rasterize_rles([{"size": [3, 5], "counts": [15]}], (5, 3))
    with pytest.raises(SourceError, match="not a COCO RLE"):
        rasterize_rles([{"counts": [15]}], (5, 3))


def test_no_rle_is_no_instance():
    assert len(rasterize_rles([], (4, 4))) == 0


def test_polygons_and_rles_mixed_keep_their_order():
    rng = np.random.default_rng(4)
    shape = (30, 40)
    rows = []
    masks = []
    for index in range(12):
        part = rng.uniform(0, 35, 8).round(1).tolist()
        rle = coco_mask.merge(coco_mask.frPyObjects([part], *shape))
        rows.append(rle if index % 3 == 1 else [part])
        masks.append(coco_mask.decode(rle) > 0)
    for which in (range(12), [0, 2, 3], [1, 4]):
        table = rasterize_segmentations([rows[i] for i in which], shape)
        for place, index in enumerate(which):
            assert np.array_equal(mask_of(table, place), masks[index])


def test_real_annotations_are_the_masks_of_pycocotools(samples: Path):
    found = json.loads((samples / "nuclei/Nuclei/annotations/stage1_train.json").read_text())
    by_image: dict[int, list[dict]] = {}
    for annotation in found["annotations"]:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    assert by_image
    for of_image in by_image.values():
        rles = [annotation["segmentation"] for annotation in of_image]
        shape = tuple(rles[0]["size"])
        table = rasterize_segmentations(rles, shape)
        expected = coco_mask.decode(rles)
        for index, annotation in enumerate(of_image):
            ours = mask_of(table, index)
            assert np.array_equal(ours, expected[..., index])
            written = rle_from_window(ours, (0, 0), shape)
            assert written["counts"] == annotation["segmentation"]["counts"]
