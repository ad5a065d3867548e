"""The manifest of a conversion covers every object and every file that was read."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import google_crc32c
import numpy as np
import pyarrow.parquet as pq
import pytest
from full_store import SMALL, full_dataset, plate_dataset, write_full_store
from makers import make_platelet_em

import ngff_bio
from ngff_bio.checks.source.verify import verify
from ngff_bio.engine import ThreadRunner, write_dataset
from ngff_bio.engine.write.manifest import (
    MANIFEST,
    MANIFEST_CHECKSUM,
    checksum_line,
    parse_region,
    read_manifest,
    region_text,
)
from ngff_bio.errors import ConversionCancelledError, SourceError, StoreError
from ngff_bio.model import ArrayPixels, InstanceLayer, SourceDataset
from ngff_bio.storage import MemoryStorage
from ngff_bio.zarrio.journal import JOURNAL


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
@pytest.mark.parametrize("make", [full_dataset, plate_dataset])
def test_every_object_is_named_with_its_size_and_checksum(make, version):
    from ngff_bio.engine import Settings

    storage = MemoryStorage()
    write_dataset(make(), storage, Settings(version=version, chunk=(16, 16)))
    named = {e.path: e for e in read_manifest(storage) if e.kind == "object"}
    assert named.keys() == storage.objects.keys() - {MANIFEST, MANIFEST_CHECKSUM}
    for key, data in storage.objects.items():
        if key in named:
            assert (named[key].size, named[key].crc32c) == (len(data), google_crc32c.value(data))


def test_pixel_checksums_are_those_of_the_source_pixels_and_tile_each_image():
    storage, dataset = MemoryStorage(), full_dataset()
    write_dataset(dataset, storage, SMALL)
    for image in dataset.images:
        covered = np.zeros(image.pixels.shape, int)
        for entry in read_manifest(storage):
            if entry.kind == "pixels" and entry.path == f"{image.path}/0":
                at = tuple(slice(*r) for r in parse_region(entry.region))
                block = np.ascontiguousarray(image.pixels.array[at])
                assert entry.crc32c == google_crc32c.value(block.tobytes())
                assert entry.size == block.nbytes
                covered[at] += 1
        assert (covered == 1).all()


def test_source_files_are_named_with_their_checksums(tmp_path):
    make_platelet_em(tmp_path / "source")
    ngff_bio.convert(tmp_path / "source", store := MemoryStorage())
    files = {p for p in (tmp_path / "source").rglob("*") if p.is_file()}
    named = {e.path: e.crc32c for e in read_manifest(store) if e.kind == "source"}
    assert named == {
        p.relative_to(tmp_path / "source").as_posix(): google_crc32c.value(p.read_bytes())
        for p in files
    }


def test_an_archive_is_named_as_the_one_file_that_it_is(tmp_path):
    import shutil

    make_platelet_em(tmp_path / "source")
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path / "source")
    ngff_bio.convert(archive, store := MemoryStorage())
    named = [(e.path, e.size) for e in read_manifest(store) if e.kind == "source"]
    assert named == [("all.zip", (tmp_path / "all.zip").stat().st_size)]


def test_checksums_of_source_files_can_be_left_out(tmp_path):
    make_platelet_em(tmp_path / "source")
    ngff_bio.convert(tmp_path / "source", store := MemoryStorage(), checksums=False)
    assert not [e for e in read_manifest(store) if e.kind == "source"]


def test_the_same_conversion_leaves_the_same_manifest(tmp_path):
    stores = [MemoryStorage(), MemoryStorage()]
    for storage in stores:
        write_dataset(full_dataset(), storage, SMALL)
    assert stores[0].objects[MANIFEST] == stores[1].objects[MANIFEST]


def test_the_manifest_is_written_before_the_root_so_that_no_store_opens_without_one():
    class Noting(MemoryStorage):
        def put(self, key, data):
            order.append(key)
            return super().put(key, data)

    order: list[str] = []
    write_dataset(full_dataset(), Noting(), SMALL)
    assert order[-4:] == [MANIFEST, MANIFEST_CHECKSUM, JOURNAL, "zarr.json"]


def test_anyone_can_read_it_with_parquet_alone(tmp_path):
    store = write_full_store(tmp_path / "a.zarr")
    table = pq.read_table(store / MANIFEST)
    assert table.column_names == ["kind", "path", "region", "size", "crc32c"]
    kinds = table["kind"].to_pylist()
    assert kinds == sorted(kinds)
    assert (store / MANIFEST_CHECKSUM).read_bytes() == checksum_line(
        (store / MANIFEST).read_bytes()
    )


def test_regions_come_back_from_their_text():
    region = ((0, 3), (16, 70), (5, 6))
    assert parse_region(region_text(region)) == region


def test_a_store_without_a_manifest_is_an_error_with_a_hint():
    with pytest.raises(StoreError, match="name a source"):
        read_manifest(MemoryStorage())


def some_frames(count: int) -> SourceDataset:
    """The first frames of a movie, and whatever else there is after them."""
    dataset = full_dataset()
    movie = dataset.images[0]
    layer = movie.labels[0]
    assert isinstance(layer, InstanceLayer)
    shown = replace(
        movie,
        pixels=ArrayPixels(movie.pixels.read(((0, count), (0, 60), (0, 70)))),
        labels=(replace(layer, count=8 * count),),
        frames=movie.frames[:count],
    )
    return replace(dataset, images=(shown, *dataset.images[1 : count - 1]))


ONE_BY_ONE = replace(SMALL, frames=1)


def test_what_is_added_to_a_store_is_added_to_its_manifest():
    storage = MemoryStorage()
    write_dataset(some_frames(2), storage, ONE_BY_ONE)
    before = {e for e in read_manifest(storage) if e.kind == "pixels"}
    write_dataset(some_frames(3), storage, ONE_BY_ONE, append=True)
    assert before < {e for e in read_manifest(storage) if e.kind == "pixels"}
    assert verify(storage, some_frames(3)).differences == []
    assert verify(storage, pixels=True).differences == []


def test_a_store_without_a_manifest_that_is_added_to_gets_one_of_all_that_it_holds():
    storage = MemoryStorage()
    write_dataset(some_frames(2), storage, ONE_BY_ONE)
    storage.delete_all("ngff_bio")
    write_dataset(some_frames(3), storage, ONE_BY_ONE, append=True)
    assert verify(storage, some_frames(3)).differences == []


def test_a_killed_and_resumed_conversion_writes_the_same_manifest():
    class Mortal(MemoryStorage):
        left = 10**9

        def put(self, key, data):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return super().put(key, data)

    whole, killed = MemoryStorage(), Mortal()
    write_dataset(full_dataset(), whole, SMALL)
    for left in range(20, 10**9, 37):
        killed.left = left
        with suppress(ConversionCancelledError):
            write_dataset(full_dataset(), killed, SMALL, runner=ThreadRunner(workers=1))
            break
    assert left > 60
    assert killed.objects[MANIFEST] == whole.objects[MANIFEST]
    assert verify(killed, pixels=True).differences == []


def test_images_that_are_left_out_are_not_in_the_manifest():
    class Broken(ArrayPixels):
        def read(self, region):
            raise SourceError("damaged")

    dataset = full_dataset()
    wrong = replace(dataset.images[1], pixels=Broken(dataset.images[1].pixels.array))
    storage = MemoryStorage()
    images = (dataset.images[0], wrong, dataset.images[2])
    write_dataset(replace(dataset, images=images), storage, SMALL, on_error="skip")
    assert not [e for e in read_manifest(storage) if e.path.startswith("volume")]
    assert verify(storage, pixels=True).differences == []
