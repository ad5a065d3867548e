"""JSON as values: one error for whatever is wrong, types of records, kinds of files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from ngff_bio.errors import SourceError
from ngff_bio.formats.json.text import checked, json_kind, parse_json
from ngff_bio.formats.problems import SourceRecord
from ngff_bio.sources.files.ranges import LocalFile

BROKEN = {
    "empty": b" ",
    "truncated": b'{"a": [1, 2',
    "not UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "nested": b"[" * 100_000,
    "5,000 digits": b'{"a": ' + b"1" * 5000 + b"}",
    "comments": b'{"a": 1, // one\n"b": 2}',
    "text after it": b"{} x",
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("options", [{}, {"lenient": True}, {"unique_keys": True}])
def test_whatever_a_parser_raises_is_one_error(name: str, options: dict[str, bool]) -> None:
    with pytest.raises(SourceError, match="not valid JSON") as caught:
        parse_json(BROKEN[name], "a.json", **options)
    assert caught.value.file == "a.json"
    if name == "comments":
        assert "comments" in str(caught.value.hint)


@pytest.mark.parametrize("text", [b'{"a": NaN}', b'{"a": -Infinity}'])
def test_nan_is_refused_unless_asked_for(text: bytes) -> None:
    assert parse_json(text, "a.json", lenient=True).keys() == {"a"}
    for options in ({}, {"unique_keys": True}):
        with pytest.raises(SourceError, match="not valid JSON"):
            parse_json(text, "a.json", **options)


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse_json(b"\xef\xbb\xbf[1]", "a.json") == [1]


class _Record(msgspec.Struct):
    id: int | str
    points: list[tuple[float, float]] = []
    size: Annotated[int, msgspec.Meta(gt=0)] = 1


@pytest.mark.parametrize(
    ("value", "record", "expected", "found"),
    [
        ({"id": True}, "r[0].id", "an integer or a text", "true"),
        ({"id": 1, "points": [[1, 2], [3, "4"]]}, "r[0].points[1][1]", "a number", '"4"'),
        ({"id": 1, "size": 0}, "r[0].size", "an integer >= 1", "0"),
        ({"id": 1, "size": 1.5}, "r[0].size", "an integer", "1.5"),
        ({}, "r[0].id", None, "no such key"),
        (7, "r[0]", "an object", "7"),
    ],
)
def test_the_error_of_a_record_names_its_wrong_member(
    value: Any, record: str, expected: str | None, found: str
) -> None:
    with pytest.raises(SourceError) as caught:
        checked(value, _Record, SourceRecord("a.json", "r[0]"))
    error = caught.value
    assert (error.file, error.record, error.expected, error.found) == (
        "a.json",
        record,
        expected,
        found,
    )


def test_floats_without_a_fraction_are_integers() -> None:
    assert checked({"id": 5.0, "size": 2.0}, _Record, SourceRecord("")) == _Record(5, [], 2)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"images": [], "annotations": []}, "coco"),
        ({"info": "x" * 200_000, "annotations": {}, "categories": []}, "coco"),
        ({"version": "5.0", "imageData": "A" * 200_000, "shapes": []}, "labelme"),
        ({"shapes": [], "imagePath": "images"}, "labelme"),
        ({"images": "none"}, None),
        ([{"images": []}], None),
        ({"1": {"img_name": "a.jpg"}}, None),
    ],
)
def test_the_kind_of_a_file_is_found_by_its_keys(
    content: Any, kind: str | None, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert json_kind(LocalFile(str(tmp_path), "a.json")) == kind
