"""Old names of keyword arguments work, and name the new ones."""

from __future__ import annotations

import warnings

import pytest

import ngff_bio
from ngff_bio.deprecation import renamed_keywords
from ngff_bio.errors import ArgumentError, StoreNotFoundError


@renamed_keywords(pictures="images")
def written(*, images: int = 0) -> int:
    return images


def test_an_old_name_works_and_warns_with_the_new_one():
    with pytest.warns(DeprecationWarning, match=r"pictures of written\(\) .* use images"):
        assert written(pictures=3) == 3


def test_the_warning_points_at_the_caller():
    with pytest.warns(DeprecationWarning, match="images") as caught:
        written(pictures=3)
    assert caught[0].filename == __file__


def test_the_new_name_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert written(images=3) == 3


def test_both_names_at_once_are_an_error():
    with pytest.raises(ArgumentError, match="both images and its old name pictures"):
        written(pictures=3, images=3)


@pytest.mark.parametrize("name", ["validate", "verify"])
def test_store_options_is_the_old_name_of_storage_options(name, tmp_path):
    with (
        pytest.warns(DeprecationWarning, match="use storage_options"),
        pytest.raises(StoreNotFoundError),
    ):
        getattr(ngff_bio, name)(tmp_path / "none.zarr", store_options={})
