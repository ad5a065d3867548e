"""Walking through JSON finds the members and elements that a whole parser finds."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngff_bio.errors import SourceError
from ngff_bio.formats.json.scan import Container, JsonWalk

# Brackets, quotes and backslashes in text are what a walk could trip over.
texts = st.text(st.sampled_from('ab"\\[]{},:é\U0001f52c \n/_Yy\x7f'), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
records = st.dictionaries(texts, values, max_size=4)
elements = st.lists(records, max_size=5) | st.dictionaries(texts, records, max_size=5)
roots = st.dictionaries(texts, values, max_size=4)


def walked(text: bytes, window: int) -> tuple[dict[str, Any], Any]:
    """The object put together again from what a walk tells, and the streamed member."""
    found: dict[str, Any] = {}
    pieces: list[bytes] = []
    places: list[bytes] = []
    stream = io.BytesIO(text)
    walk = JsonWalk(stream, "file.json", {"annotations"}, window)
    for part in walk:
        for a, b in zip(part.starts.tolist(), part.stops.tolist(), strict=True):
            places.append(text[part.offset + a : part.offset + b])
            pieces.append(part.text[a:b])
    for key, value in walk.members.items():
        found[key] = value
        if isinstance(value, Container):
            found[key] = json.loads(text[value.start : value.stop])
            assert value.is_list == isinstance(found[key], list)
    assert pieces == places
    return found, pieces


@settings(max_examples=300, deadline=None)
@given(roots, elements, st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_a_walk_finds_what_a_parser_finds(
    root: dict[str, Any], annotations: Any, window: int, indent: int | None, ascii_only: bool
) -> None:
    root = {**root, "annotations": annotations, "last": 1}
    text = json.dumps(root, indent=indent, ensure_ascii=ascii_only).encode()
    found, pieces = walked(text, window)
    assert list(found) == list(root)
    assert found == root
    if isinstance(annotations, list):
        assert [json.loads(p) for p in pieces] == annotations
    else:
        again: dict[str, Any] = {}
        for piece in pieces:
            again |= json.loads(b"{" + piece.strip(b", \n") + b"}")
        assert again == annotations


@settings(max_examples=200, deadline=None)
@given(roots, elements, st.data())
def test_whatever_is_cut_off_is_refused(
    root: dict[str, Any], annotations: Any, data: st.DataObject
) -> None:
    text = json.dumps({**root, "annotations": annotations}).encode()
    stop = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(SourceError):
        walked(text[:stop], data.draw(st.integers(1, 30)))


def test_a_byte_order_mark_is_taken() -> None:
    assert walked(b'\xef\xbb\xbf{"a": 1}', 100)[0] == {"a": 1}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "ends before"),
        (b"[]", "not an object"),
        (b"[[1]]", "not an object"),
        (b"1", "not an object"),
        (b'{"a": 1} {"b": 2}', "not valid JSON"),
        (b'{"a": 1}, 3', "not valid JSON"),
        (b'{"a": [1}', "not valid JSON"),
        (b'{"a": [1]]', "not valid JSON"),
        (b'{"a": [1] "b": 2}', "not valid JSON"),
        (b'{"a": [1],}', "not valid JSON"),
        (b'{"a" [1]}', "not valid JSON"),
        (b'{"a": 1[1]}', "not valid JSON"),
        (b'{"a": [1][2]}', "not valid JSON"),
        (b"]", "not valid JSON"),
        (b'{"annotations": [{},]}', "not valid JSON"),
        (b'{"annotations": [,{}]}', "not valid JSON"),
        (b'{"annotations": {,"a": {}}}', "not valid JSON"),
        (b'{"annotations": [1, 2]}', "not valid JSON"),
        (b'{"annotations": [{}}}', "not valid JSON"),
        (b'{"a": 1, "a": 2}', "key twice"),
        (b'{"a": [1], "a": {}}', "key twice"),
        (b'{"caf\xe9": 1}', "not UTF-8"),
        (b'{"a": "\xc3"}', "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a": ' + b"[" * 1000 + b"]" * 1000 + b"}", "nested too deeply"),
        (b"[" * 100_000, "nested too deeply|not an object"),
    ],
)
@pytest.mark.parametrize("window", [1, 7, 1 << 20])
def test_what_is_no_json_object_is_one_clear_error(text: bytes, what: str, window: int) -> None:
    with pytest.raises(SourceError, match=what) as caught:
        walked(text, window)
    assert caught.value.file == "file.json"


@pytest.mark.parametrize("comment", ["// note", "/* note */", "# it's"])
def test_comments_are_named_as_what_has_to_be_taken_out(comment: str) -> None:
    text = json.dumps({"images": [], "annotations": [{"id": 1}]}, indent=1)
    commented = "\n".join(f"{line} {comment}" for line in text.splitlines()).encode()
    with pytest.raises(SourceError) as caught:
        walked(commented, 1 << 20)
    assert "comments" in str(caught.value.hint)
