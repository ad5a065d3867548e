"""A store alone: whatever happens to its bytes is found."""

from __future__ import annotations

import random

import pytest
from full_store import SMALL, full_dataset, write_full_store

from ngff_bio.checks.source.verify import verify
from ngff_bio.checks.store import objects
from ngff_bio.engine import write_dataset
from ngff_bio.engine.write.manifest import MANIFEST, MANIFEST_CHECKSUM
from ngff_bio.errors import IncompleteStoreError, StorageError, StoreError, StoreNotFoundError
from ngff_bio.storage import MemoryStorage


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    storage = MemoryStorage()
    write_dataset(full_dataset(), storage, SMALL)
    return storage.objects


def paths(changed: dict[str, bytes]) -> set[str]:
    return {d.path for d in verify(MemoryStorage(changed)).differences}


def test_an_unchanged_store_is_verified(whole):
    done = verify(MemoryStorage(dict(whole)), pixels=True)
    assert done.equal
    assert done.objects == len(whole) - 2
    assert done.bytes_objects == sum(map(len, whole.values())) - len(whole[MANIFEST]) - len(
        whole[MANIFEST_CHECKSUM]
    )


def test_each_of_200_flipped_bits_is_found_and_named(whole):
    rng = random.Random(0)
    keys = sorted(whole)
    for number in range(200):
        key = keys[number] if number < len(keys) else rng.choice(keys)
        data = bytearray(whole[key])
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        found = paths({**whole, key: bytes(data)})
        assert found & {key, *((MANIFEST,) if key == MANIFEST_CHECKSUM else ())}, key
        if key not in (MANIFEST, MANIFEST_CHECKSUM):
            assert found == {key}


def test_each_of_50_removed_objects_is_found_and_named(whole):
    for key in random.Random(1).sample(sorted(whole), 50):
        left = {k: v for k, v in whole.items() if k != key}
        assert key in paths(left)


def test_without_the_manifest_and_its_checksum_nothing_is_verified(whole):
    left = {k: v for k, v in whole.items() if k not in (MANIFEST, MANIFEST_CHECKSUM)}
    with pytest.raises(StoreError, match="manifest"):
        verify(MemoryStorage(left))


def test_two_swapped_objects_are_both_found(whole):
    one, two = [k for k in sorted(whole) if "/c/" in k and len(whole[k]) > 10][:2]
    assert paths({**whole, one: whole[two], two: whole[one]}) == {one, two}


def test_a_foreign_object_is_found(whole):
    assert paths({**whole, "movie/0/c/9/9/9": b"x"}) == {"movie/0/c/9/9/9"}


def test_a_cut_off_object_is_found_with_both_sizes(whole):
    key = "volume/zarr.json"
    (found,) = verify(MemoryStorage({**whole, key: whole[key][:-1]})).differences
    assert found.expected == f"{len(whole[key])} bytes"
    assert found.found == f"{len(whole[key]) - 1} bytes"


def test_every_one_of_many_damages_is_listed(whole):
    changed = {k: v for k, v in whole.items() if k != "movie/zarr.json"}
    changed["volume/0/zarr.json"] = b"{}"
    changed["stray.txt"] = b""
    assert paths(changed) == {"movie/zarr.json", "volume/0/zarr.json", "stray.txt"}


def test_large_objects_are_read_in_ranges(whole, monkeypatch):
    monkeypatch.setattr(objects, "_RANGE", 100)
    storage = MemoryStorage(dict(whole))
    asked = []
    real = storage.get
    storage.get = lambda key: (asked.append(key), real(key))[1]
    assert verify(storage).equal
    assert all(
        len(whole[k]) <= 100 or k in (MANIFEST, MANIFEST_CHECKSUM, "zarr.json")
        for k in asked
        if k in whole
    )


def test_a_store_that_cannot_be_listed_is_verified_object_by_object(whole):
    class Web(MemoryStorage):
        def list(self, prefix=""):
            raise StorageError("a web server cannot be asked what it holds")

    assert verify(Web(dict(whole))).equal
    left = {k: v for k, v in whole.items() if k != "movie/zarr.json"}
    assert [d.path for d in verify(Web(left)).differences] == ["movie/zarr.json"]


def test_a_folder_is_verified_like_memory(tmp_path):
    store = write_full_store(tmp_path / "a.zarr")
    assert verify(store, pixels=True).equal
    chunk = next(p for p in sorted((store / "movie/0/c").rglob("*")) if p.is_file())
    chunk.write_bytes(chunk.read_bytes()[::-1])
    assert not verify(store).equal


def test_pixels_that_decode_to_something_else_are_found_though_no_byte_has_changed(whole):
    """An object that was written wrong has the checksum that it was written with."""
    from ngff_bio.engine.write.manifest import ManifestEntry, read_manifest, write_manifest

    storage = MemoryStorage(dict(whole))
    entries = read_manifest(storage)
    wrong = [
        ManifestEntry(e.kind, e.path, e.region, e.size, e.crc32c ^ 1) if e.path == "movie/0" else e
        for e in entries
    ]
    write_manifest(storage, wrong)
    assert verify(storage).equal
    found = verify(storage, pixels=True).differences
    assert {d.path for d in found} == {"movie/0"}
    assert len(found) == sum(e.path == "movie/0" for e in entries)


def test_a_sample_reads_so_many_objects_and_compares_the_sizes_of_all(whole):
    storage = MemoryStorage(dict(whole))
    done = verify(storage, sample=5)
    assert (done.objects, done.equal) == (5, True)
    cut = {key: data[:-1] if "/c/" in key else data for key, data in whole.items()}
    found = verify(MemoryStorage(cut), sample=5).differences
    assert {d.path for d in found} == {key for key in whole if "/c/" in key}


def test_a_missing_store_and_an_incomplete_one_are_different_errors(tmp_path):
    with pytest.raises(StoreNotFoundError):
        verify(tmp_path / "nothing")
    with pytest.raises(IncompleteStoreError):
        verify(MemoryStorage({".ngff_bio/plan.json": b"{}"}))


def test_progress_ends_at_the_whole(whole):
    seen: list[tuple[int, int]] = []
    verify(MemoryStorage(dict(whole)), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0
    assert seen == sorted(seen)
