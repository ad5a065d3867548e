"""Names that come from metadata stay below the root of their store."""

from __future__ import annotations

import pytest

from ngff_bio.errors import StoreError
from ngff_bio.storage import checked_key, is_key, join_key

OUTSIDE = [
    "../a",
    "a/../../b",
    "..",
    "/a",
    "/",
    "C:/a",
    "s3://bucket/a",
    "file:///etc/passwd",
    "a\\b",
    "..\\a",
    "a\0b",
]


@pytest.mark.parametrize("name", [*OUTSIDE, "a\ud800", 3, None, ["a"]])
def test_names_that_lead_out_of_the_store_are_refused(name: object) -> None:
    with pytest.raises(StoreError, match="leads out of the store") as caught:
        join_key("a", name, file="store.zarr")  # type: ignore[arg-type]
    assert caught.value.file == "store.zarr"
    if isinstance(name, str):
        assert not is_key(name)
        with pytest.raises(StoreError):
            checked_key(name)


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        (("", "0"), "0"),
        (("a", "0"), "a/0"),
        (("a/b", "labels", "cell/0"), "a/b/labels/cell/0"),
        (("a", "0/"), "a/0"),
        (("a", "./0"), "a/0"),
        (("a", "b..c"), "a/b..c"),
        (("", ""), ""),
    ],
)
def test_relative_names_are_joined(parts: tuple[str, ...], key: str) -> None:
    assert join_key(*parts) == key
    assert is_key(key)
