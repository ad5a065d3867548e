"""All makers are reached from one place, and cost nothing until they are."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ngff_bio.testing


def test_every_public_name_is_a_maker() -> None:
    for name in ngff_bio.testing.__all__:
        maker = getattr(ngff_bio.testing, name)
        assert callable(maker)
        assert maker.__name__ == name
    assert set(ngff_bio.testing.__all__) <= set(dir(ngff_bio.testing))


def test_importing_the_room_imports_no_maker() -> None:
    code = (
        "import sys, ngff_bio.testing;"
        "print([name for name in sys.modules if name.startswith('ngff_bio.testing.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="make_nothing"):
        ngff_bio.testing.make_nothing  # noqa: B018
