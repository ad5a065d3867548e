"""Run-length JSON: what the dataset's page and files say, and that decode and encode are inverse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ngff_bio.errors import SourceError
from ngff_bio.formats.rle.rle_json import decode_rle_json, read_rle_json
from ngff_bio.formats.rle.writer import RunLengthWriter
from ngff_bio.model import RunVolume
from ngff_bio.sources.files.ranges import LocalFile

# The page's own example: two blobs of a 10 x 10 image.
BLOBS = {
    ".info": {"dtype": "np.int", "shape": [10, 10]},
    "1": "7 2 12 1 21 1 40 1 50 4 60 3 68 1 71 1 81 1",
    "2": "1 3 11 1 33 2 42 3 87 2",
}


def drawn(volume: RunVolume) -> np.ndarray:
    """A second, plain way to draw runs, one by one."""
    flat = np.zeros(int(np.prod(volume.shape)), np.int64)
    for start, length, value in zip(volume.starts, volume.lengths, volume.values, strict=True):
        flat[start : start + length] = value
    return flat.reshape(volume.shape)


def encode_rle_json(labels: np.ndarray, dtype: str = "int32") -> dict[str, Any]:
    writer = RunLengthWriter(labels.shape)
    writer.add(labels, 0)
    return json.loads(writer.finish(dtype=dtype))


def one(tmp_path: Path, content: Any) -> LocalFile:
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "labels.json").write_text(text)
    return LocalFile(str(tmp_path), "labels.json")


def test_the_pages_blob_example_decodes_exactly() -> None:
    labels = drawn(decode_rle_json(BLOBS).volume)
    # Written out from the page's text by hand: 1-based positions in C order.
    want = np.zeros(100, int)
    for start, length in [
        (7, 2),
        (12, 1),
        (21, 1),
        (40, 1),
        (50, 4),
        (60, 3),
        (68, 1),
        (71, 1),
        (81, 1),
    ]:
        want[start - 1 : start - 1 + length] = 1
    for start, length in [(1, 3), (11, 1), (33, 2), (42, 3), (87, 2)]:
        want[start - 1 : start - 1 + length] = 2
    np.testing.assert_array_equal(labels, want.reshape(10, 10))


@given(
    hnp.arrays(
        np.int32, hnp.array_shapes(min_dims=1, max_dims=3, max_side=9), elements=st.integers(0, 4)
    )
)
def test_decode_undoes_encode(labels: np.ndarray) -> None:
    content = json.loads(json.dumps(encode_rle_json(labels)))
    np.testing.assert_array_equal(drawn(decode_rle_json(content).volume), labels)


@given(hnp.arrays(np.uint16, (3, 4, 5), elements=st.sampled_from([0, 0, 1, 7, 4095])))
def test_encode_undoes_decode(labels: np.ndarray) -> None:
    content = encode_rle_json(labels, "uint16")
    assert encode_rle_json(drawn(decode_rle_json(content).volume), "uint16") == content


def test_runs_cross_rows_and_slices() -> None:
    labels = drawn(decode_rle_json({".info": {"shape": [2, 2, 3]}, "5": "3 7"}).volume)
    assert labels.reshape(-1).tolist() == [0, 0, 5, 5, 5, 5, 5, 5, 5, 0, 0, 0]


def test_ids_with_gaps_are_not_renumbered() -> None:
    found = decode_rle_json({".info": {"shape": [9]}, "3": "1 1", "900": "4 2"})
    assert set(found.volume.values.tolist()) == {3, 900}
    assert not found.source_ids
    assert found.volume.dtype == np.uint16


@pytest.mark.parametrize("odd", [2**40, -4, 0])
def test_an_id_that_no_label_value_can_be_becomes_a_source_id(odd: int) -> None:
    found = decode_rle_json({".info": {"shape": [9]}, str(odd): "1 1", "7": "4 2"})
    assert sorted(found.source_ids.values()) == sorted([odd, 7])
    assert set(found.volume.values.tolist()) == {1, 2}
    value = next(v for v, i in found.source_ids.items() if i == odd)
    assert found.volume.values[found.volume.starts == 0].tolist() == [value]


@pytest.mark.parametrize("dtype", ["np.int", "numpy.int64", "int32", "uint16", "np.uint8", None])
def test_dtype_names_are_read_leniently(dtype: str | None) -> None:
    info = {"shape": [4]} if dtype is None else {"shape": [4], "dtype": dtype}
    assert decode_rle_json({".info": info, "1": "2 1"}).volume.starts.tolist() == [1]


def test_more_keys_of_info_are_allowed() -> None:
    found = decode_rle_json({".info": {"shape": [4], "dtype": "int32", "author": "x"}, "1": "2 1"})
    assert found.spelling["info"]["author"] == "x"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"1": "1 1"}, ".info"),
        ({".info": [], "1": "1 1"}, ".info"),
        ({".info": {"shape": "50"}, "1": "1 1"}, "shape"),
        ({".info": {"shape": [0, 4]}, "1": "1 1"}, "shape"),
        ({".info": {"shape": [4], "dtype": "complex128"}, "1": "1 1"}, "complex128"),
        ({".info": {"shape": [4], "dtype": "quux"}, "1": "1 1"}, "quux"),
        ({".info": {"shape": [4]}, "1": "4 2"}, "beyond the volume"),
        ({".info": {"shape": [4]}, "1": "0 2"}, "beyond the volume"),
        ({".info": {"shape": [4]}, "1": "2 0"}, "without length"),
        ({".info": {"shape": [4]}, "1": "2 -1"}, "without length"),
        ({".info": {"shape": [4]}, "1": "2 1 3"}, "odd number"),
        ({".info": {"shape": [4]}, "1": "2 x"}, "not an integer"),
        ({".info": {"shape": [4]}, "1": "2 1.5"}, "not an integer"),
        ({".info": {"shape": [4]}, "1": 7}, "not text"),
        ({".info": {"shape": [4]}, "cell": "1 1"}, "not a label id"),
        ({".info": {"shape": [9]}, "1": "1 3", "2": "3 2"}, "cover the same voxel"),
        ({".info": {"shape": [9]}, "1": "1 3 2 1"}, "cover the same voxel"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: Any, says: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_rle_json(one(tmp_path, content))
    assert says in str(caught.value)
    assert "labels.json" in str(caught.value)


@pytest.mark.parametrize("text", ['{".info": {"shape": [4', "[1, 2]", "\ufeff\ufeff", "["])
def test_a_file_that_is_not_whole_json_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceError, match="JSON"):
        read_rle_json(one(tmp_path, text))


def test_an_id_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    text = '{".info": {"shape": [4]}, "1": "1 1", "1": "3 1"}'
    with pytest.raises(SourceError, match="key twice"):
        read_rle_json(one(tmp_path, text))


def test_an_object_without_runs_is_allowed() -> None:
    assert decode_rle_json({".info": {"shape": [4]}, "1": ""}).ids == (1,)
