"""Whatever stands in a document: it is understood, or it is a StoreError that names file and record."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngff_bio.errors import StoreError
from ngff_bio.storage import MemoryStorage
from ngff_bio.zarrio.arrays import ArrayMeta, parse_array
from ngff_bio.zarrio.chunks import parse_shard_index
from ngff_bio.zarrio.codecs import Codec, CodecPipeline, codec_from
from ngff_bio.zarrio.documents import parse_json, parse_member, split_json, to_json
from ngff_bio.zarrio.hierarchy import Hierarchy

V3 = ArrayMeta(
    "a/0", 3, (3, 50, 70), np.dtype("u2"), (1, 16, 16), (3, 64, 80), 0,
    CodecPipeline((Codec(),), (2, 0, 1)), prefix="c", dimension_names=("t", "y", "x"),
)  # fmt: skip
V2 = ArrayMeta(
    "a/0", 2, (3, 50, 70), np.dtype("u2"), (1, 16, 16), pipeline=CodecPipeline((Codec(),))
)

BROKEN = [
    b"\xff\xfe",
    b'{"a": "\xac"}',
    b"[" * 100_000,
    b'{"a": ' * 100_000,
    b'{"a": ' + b"9" * 5000 + b"}",
    b"",
    b"null",
    b"[1]",
    b'"a"',
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=2)
    ),
    max_leaves=4,
)


def parse_members(data: bytes, file: str) -> None:
    for name, raw in split_json(data, file).items():
        parse_member(raw, file, name)


@pytest.mark.parametrize("data", BROKEN)
def test_text_that_is_no_json_object_is_an_error_of_the_store(data: bytes) -> None:
    with pytest.raises(StoreError) as caught:
        parse_json(data, "store/zarr.json")
    assert caught.value.file == "store/zarr.json"
    with pytest.raises(StoreError) as caught:
        parse_members(data, "store/zarr.json")
    assert caught.value.file == "store/zarr.json"


@pytest.mark.parametrize("data", BROKEN)
def test_a_broken_member_of_consolidated_metadata_names_its_record(data: bytes) -> None:
    storage = MemoryStorage()
    if b'"' not in data and b"[[" not in data and data not in (b"null", b"[1]"):
        return  # the copy itself is not JSON: the case of the test above
    whole = b'{"zarr_format":3,"node_type":"group","consolidated_metadata":{"metadata":{"a":%s}}}'
    storage.put("zarr.json", whole % data)
    with pytest.raises(StoreError, match=r"memory:"):
        Hierarchy.open(storage).document("a")


def places(document: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = document.items() if isinstance(document, dict) else enumerate(document)
    found = []
    for key, value in items:
        found.append((*at, key))
        if isinstance(value, dict | list):
            found += places(value, (*at, key))
    return found


@pytest.mark.parametrize("meta", [V3, V2], ids=["v3", "v2"])
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_any_value_anywhere_in_an_array_document(meta: ArrayMeta, data: st.DataObject) -> None:
    document = copy.deepcopy(meta.document())
    *above, last = data.draw(st.sampled_from(places(document)))
    holder = document
    for key in above:
        holder = holder[key]
    if data.draw(st.booleans()):
        holder[last] = data.draw(JSON)
    else:
        del holder[last]
    try:
        found = parse_array(document, meta.zarr_format, "a/0", "store")
    except StoreError:
        return
    assert len(found.shape) == len(found.chunk) == len(found.object_shape)
    assert found.chunk_nbytes > 0
    assert found.index_nbytes > 0
    assert found.key((0,) * len(found.shape)).startswith("a/0/")


@pytest.mark.parametrize("meta", [V3, V2], ids=["v3", "v2"])
def test_a_document_that_is_written_is_read_as_the_same_array(meta: ArrayMeta) -> None:
    assert parse_array(meta.document(), meta.zarr_format, meta.path) == meta


@pytest.mark.parametrize(
    ("entry", "what"),
    [((2**63, 5), "damaged"), ((0, 2**50), "damaged"), ((5, 2**64 - 1), "damaged")],
)
def test_a_shard_index_with_impossible_entries_is_damaged(
    entry: tuple[int, int], what: str
) -> None:
    from ngff_bio.zarrio.codecs import crc32c_bytes

    index = np.full((*V3.shard_grid, 2), 2**64 - 1, "<u8")
    index[0, 1, 2] = entry
    body = index.tobytes()
    with pytest.raises(StoreError, match=what):
        parse_shard_index(V3, body + crc32c_bytes(body), "store/a/0/c/0/0/0")


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("other", [1, float("nan")])
def test_half_of_a_surrogate_pair_is_written_as_it_was_read(other: float, compact: bool) -> None:
    read = parse_json(b'{"attributes": {"a": "\\ud800"}}', "zarr.json") | {"b": other}
    written = to_json(read, compact=compact)
    assert b'"\\ud800"' in written
    assert parse_json(written, "zarr.json")["attributes"] == {"a": "\ud800"}


@pytest.mark.parametrize("cname", ["\ud800", "xyz", None, ["lz4"]])
def test_compressors_that_blosc_has_not_are_not_taken_over(cname: object) -> None:
    document = V2.document()
    document["compressor"]["cname"] = cname
    assert parse_array(document, 2, "a/0").pipeline is None


@pytest.mark.parametrize("member", [{"shuffle": "none"}, {"shuffle": None}, {"cname": "lzma"}])
def test_a_codec_with_a_setting_that_there_is_not_is_an_error(member: dict[str, Any]) -> None:
    with pytest.raises(StoreError):
        codec_from("blosc", member)


def test_a_text_where_a_document_should_be_is_an_error_also_after_a_byte_order_mark() -> None:
    text = '{"metadata": {".zgroup": {"zarr_format": 2}, "a/.zgroup": {}, "a/.zattrs": "plate"}}'
    for start in ("", "\ufeff"):
        storage = MemoryStorage()
        storage.put(".zmetadata", (start + text).encode())
        tree = pickle.loads(pickle.dumps(Hierarchy.open(storage)))
        with pytest.raises(StoreError, match="not a JSON object"):
            list(tree.paths_with("plate"))


def test_a_shard_of_a_billion_chunks_is_refused_by_its_document() -> None:
    meta = ArrayMeta("a", 3, (32768, 32768), np.dtype("u1"), (1, 1), (32768, 32768), prefix="c")
    with pytest.raises(StoreError, match="is invalid") as caught:
        parse_array(meta.document(), 3, "a", "store")
    assert str(caught.value.found).startswith("1,073,741,824 chunks in a shard")
    large = ArrayMeta("a", 3, (32768, 32768), np.dtype("u1"), (16, 16), (32768, 32768), prefix="c")
    assert parse_array(large.document(), 3, "a", "store") == large
