"""Names that plug-ins may still import."""

from __future__ import annotations

import pytest

import ngff_bio.model
from ngff_bio import errors


@pytest.mark.parametrize("name", ["Dataset", "Image", "Plate"])
def test_old_names_of_the_model_warn_and_work(name: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"use Source{name}"):
        old = getattr(ngff_bio.model, name)
    assert old is getattr(ngff_bio.model, f"Source{name}")


def test_unknown_names_of_the_model_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="Volume"):
        ngff_bio.model.Volume  # noqa: B018


def test_the_old_name_of_a_cancelled_conversion_is_the_same_error() -> None:
    assert errors.StoppedError is errors.ConversionCancelledError
