"""Stores with older and newer versions of the schemas open; a newer major version gives a warning."""

from __future__ import annotations

import json
import warnings

import pytest
from makers import make_platelet_em

import ngff_bio
from ngff_bio.ngff.schema_version import NewerVersionWarning, newer_than_known


@pytest.fixture
def store(tmp_path):
    make_platelet_em(tmp_path / "source")
    ngff_bio.convert(tmp_path / "source", tmp_path / "a.zarr")
    return tmp_path / "a.zarr"


def say_version(store, version):
    root = store / "zarr.json"
    content = json.loads(root.read_text())
    content["attributes"]["ngff_bio"] |= {"version": version, "later": {"more": 1}}
    root.write_text(json.dumps(content))


@pytest.mark.parametrize("version", ["0.3", "1.0", "1.7", "odd"])
def test_an_older_version_and_a_newer_minor_one_open_without_a_warning(version, store):
    say_version(store, version)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NewerVersionWarning)
        assert len(ngff_bio.open(store)) == 2


def test_a_newer_major_version_opens_with_a_warning(store):
    say_version(store, "2.0")
    with pytest.warns(NewerVersionWarning, match="2.0"):
        assert len(ngff_bio.open(store)) == 2


def test_a_value_that_is_not_a_version_is_not_newer():
    assert newer_than_known(None) is None
    assert newer_than_known({"version": 3}) is None
    assert newer_than_known({"version": "10.0"}) is not None
