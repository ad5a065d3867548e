"""What messages say of errors that Python and its parsers raise."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest

from ngff_bio.errors import plain_reason


class _Frame(msgspec.Struct):
    t: int


@pytest.mark.parametrize(
    ("fails", "reason"),
    [
        (lambda: json.loads('{"a": 1 2}'), "no comma or closing bracket at line 1 column 9"),
        (lambda: json.loads('{"a": }'), "no value at line 1 column 7"),
        (lambda: json.loads('["b'), "no closing quote of the text at line 1 column 2"),
        (lambda: msgspec.json.decode("[1 2]"), "expected ',' or ']' at byte 3"),
        (lambda: msgspec.json.decode("[1,"), "the end of the file inside of a value"),
        (
            lambda: msgspec.convert([{"t": "x"}], list[_Frame]),
            "a text instead of an integer at [0].t",
        ),
        (lambda: msgspec.convert([{}], list[_Frame]), "no key 't' at [0]"),
        (lambda: b"ab\xff".decode(), "byte 2 (0xff), which is not UTF-8"),
        (lambda: int("x"), "'x', which is not an integer"),
        (lambda: {}["axes"], "no key 'axes'"),
        (lambda: None > 1, "a value that its format does not allow (TypeError)"),
        (lambda: "a".b, "a value that its format does not allow (AttributeError)"),
    ],
)
def test_a_reason_is_about_the_file_and_not_about_the_program(
    fails: Callable[[], object], reason: str
) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of many types
        fails()
    assert plain_reason(caught.value) == reason
