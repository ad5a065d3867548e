"""What verify and validate would read at once is compared with the free memory first."""

from __future__ import annotations

import json

import makers
import pytest

import ngff_bio
from ngff_bio.checks import reading, validate
from ngff_bio.checks.source.verify import verify
from ngff_bio.errors import StoreError


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    makers.make_coco_folder(folder / "source", size=(240, 300), images=1, instances=3)
    ngff_bio.convert(folder / "source", folder / "a.zarr")
    return folder / "source", folder / "a.zarr"


def test_a_plane_that_does_not_fit_into_memory_is_refused(stored, monkeypatch):
    source, store = stored
    monkeypatch.setattr(reading, "_SMALL", 0)
    monkeypatch.setattr(reading, "free_memory", lambda: 240 * 300)  # one plane, not two
    for check in (lambda: verify(store, source), lambda: verify(store, pixels=True)):
        with pytest.raises(StoreError, match="more memory than there is"):
            check()
    monkeypatch.setattr(reading, "free_memory", lambda: 4 * 2 * 240 * 300)  # labels have 32 bits
    assert verify(store, source).differences == []


@pytest.mark.parametrize("check", [validate, lambda store: verify(store, pixels=True)])
def test_a_chunk_of_ten_gigabytes_in_a_few_bytes_is_not_decoded(stored, check, monkeypatch):
    _, store = stored
    place, root = store / "0" / "zarr.json", store / "zarr.json"
    array, group = place.read_text(), root.read_text()
    monkeypatch.setattr(reading, "free_memory", lambda: 8 << 30)
    try:
        changed = json.loads(array)
        changed["chunk_grid"]["configuration"]["chunk_shape"] = [10**5, 10**5]
        place.write_text(json.dumps(changed))
        whole = json.loads(group)
        whole["consolidated_metadata"]["metadata"]["0"] = changed
        root.write_text(json.dumps(whole))
        with pytest.raises(StoreError, match="more memory than there is"):
            check(store)
    finally:
        place.write_text(array)
        root.write_text(group)
